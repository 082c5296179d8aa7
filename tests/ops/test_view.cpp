// # Views and copies in another order: what golden values cannot show
#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("views look at the same numbers, copies do not", "[ops][view]") {
  Tensor x = arange(12.0).reshape({3, 4});
  for (Tensor v :
       {x.T(), x.diagonal(), x.unfold(1, 2, 2), unflatten(x, 1, {2, 2}), movedim(x, {0}, {1}), split(x, 2)[0],
        chunk(x, 2, 1)[1], unbind(x)[2], x.as_strided({2, 2}, {4, 1}), x[{Ellipsis{}, None{}, 0}], atleast_3d(x),
        x.squeeze(Dims{}), hsplit(x, 2)[0], tensor_split(x, Dims{1})[1]}) {
    CHECK(v.impl()->storage.get() == x.impl()->storage.get());
  }
  for (Tensor c :
       {flip(x, {0}), roll(x, {0}), repeat(x, {1, 1}), tril(x), diag_embed(x), rot90(x, 0), pad(x, {0, 0})}) {
    CHECK(c.impl()->storage.get() != x.impl()->storage.get());
  }
}

TEST_CASE("writing through new views reaches the base and its gradient", "[ops][view]") {
  Tensor x = ones({3, 3}).requires_grad_(), y = x * 1;
  y.diagonal().mul_(Tensor(3.0));
  chunk(y, 3)[2].fill_(0);
  y.as_strided({2}, {1}, 1).mul_(Tensor(5.0));
  sum(y).backward();
  CHECK(numbers_of(y) == std::vector<double>{3, 5, 5, 1, 3, 1, 0, 0, 0});
  CHECK(numbers_of(x.grad()) == std::vector<double>{3, 5, 5, 1, 3, 1, 0, 0, 0});
}

TEST_CASE("views whose elements share memory cannot be written", "[ops][view]") {
  Tensor x = zeros({6});
  CHECK_THROWS_AS(x.unfold(0, 3, 1).fill_(1), ShapeError);
  CHECK_THROWS_AS(x.as_strided({2, 2}, {1, 1}).add_(1), ShapeError);
  CHECK_THROWS_AS(x.unsqueeze(0).expand({2, 6}).index_put_({tensor({0})}, Tensor(1.0)), ShapeError);
  CHECK_NOTHROW(x.unfold(0, 3, 3).fill_(1));
  CHECK_NOTHROW(x.as_strided({2, 3}, {1, 2}).fill_(2));
  CHECK(numbers_of(x) == std::vector<double>(6, 2));
}

TEST_CASE("as_strided stays within what it is a view of", "[ops][view]") {
  Tensor x = arange(10.0), part = x.narrow(0, 4, 3), alone = part.detach();
  CHECK(numbers_of(part.as_strided({2}, {2})) == std::vector<double>{4, 6});
  CHECK(numbers_of(part.as_strided({2}, {2}, 0)) == std::vector<double>{0, 2});
  CHECK_THROWS_AS(alone.as_strided({4}, {1}), IndexError);
  CHECK_THROWS_AS(alone.as_strided({1}, {1}, 0), IndexError);
  CHECK_THROWS_WITH(x.as_strided({3}, {5}),
                    ContainsSubstring("as_strided: shape (3,) with strides (5,) from 0 leaves the 10"));
  CHECK_THROWS_AS(x.as_strided({2}, {-1}, 5), IndexError);
  CHECK_THROWS_AS(x.as_strided({2, 2}, {INT64_MAX, INT64_MAX}), IndexError);
  CHECK_THROWS_AS(x.as_strided({2}, {1}, INT64_MAX), IndexError);
  CHECK(x.as_strided({0, 5}, {100, 100}, 400).numel() == 0);
}

TEST_CASE("shape errors name the operation, the shapes and what would fit", "[ops][view]") {
  Tensor x = ones({3, 4}), s = Tensor(1.0);
  CHECK_THROWS_WITH(unflatten(x, 1, {3, -1}),
                    ContainsSubstring("unflatten: 4 elements of shape (3, 4) do not fit shape (3, -1)"));
  CHECK_THROWS_WITH(split(x, {1, 1}),
                    ContainsSubstring("split: pieces (1, 1) do not make up dimension 0 of shape (3, 4)"));
  CHECK_THROWS_AS(split(x, 0), ShapeError);
  CHECK_THROWS_AS(split(x, {INT64_MAX, INT64_MAX, 5}), ShapeError);
  CHECK_THROWS_AS(chunk(x, 0), ShapeError);
  CHECK_THROWS_AS(tensor_split(x, 0), ShapeError);
  CHECK_THROWS_WITH(hsplit(x, 3), ContainsSubstring("hsplit: dimension 1 of shape (3, 4) does not divide into 3"));
  CHECK_THROWS_WITH(vsplit(ones({3}), 1), ContainsSubstring("vsplit: needs 2 dimensions"));
  CHECK_THROWS_AS(unbind(s), ShapeError);
  CHECK_THROWS_WITH(x.diagonal(0, 1, -1), ContainsSubstring("diagonal: needs two different dimensions"));
  CHECK_THROWS_WITH(x.unfold(1, 5, 1), ContainsSubstring("unfold: windows of 5"));
  CHECK_THROWS_AS(x.unfold(1, 2, 0), ShapeError);
  CHECK_THROWS_WITH(movedim(x, {0, 0}, {0, 1}), ContainsSubstring("movedim: dimension 0 is named twice"));
  CHECK_THROWS_WITH(x.squeeze(Dims{0, -2}), ContainsSubstring("squeeze: dimension 0 is named twice"));
  CHECK_THROWS_WITH(broadcast_to(x, {3, 5}), ContainsSubstring("broadcast_to"));
  CHECK_THROWS_WITH(broadcast_to(x, {4}), ContainsSubstring("broadcast_to: shape (3, 4) does not expand to (4,)"));
  CHECK_THROWS_WITH((x[{Ellipsis{}, 0, Ellipsis{}}]), ContainsSubstring("Ellipsis"));
  CHECK_THROWS_WITH((x[{0, None{}, 0, 0}]), ContainsSubstring("3 indices for a tensor of shape (3, 4)"));
  CHECK_THROWS_WITH(repeat(x, {2}), ContainsSubstring("repeat: 1 counts for a tensor of shape (3, 4)"));
  CHECK_THROWS_AS(repeat(x, {int64_t{1} << 40, int64_t{1} << 40}), ShapeError);
  CHECK_THROWS_AS(repeat(x, {-1, 1}), ShapeError);
  CHECK_THROWS_AS(repeat_interleave(x, tensor({1, -1, 2}), 0), ShapeError);
  CHECK_THROWS_AS(repeat_interleave(x, tensor({1, 2}), 0), ShapeError);
  CHECK_THROWS_WITH(repeat_interleave(x, tensor({1, 1, 2}), 0, 5),
                    ContainsSubstring("output_size is 5, the repeats add up to 4"));
  CHECK_THROWS_WITH(flip(x, {0, -2}), ContainsSubstring("flip: dimension 0 is named twice"));
  CHECK_THROWS_WITH(roll(x, {1, 2}, {0}), ContainsSubstring("roll: 2 shifts for 1 dimensions"));
  CHECK_THROWS_AS(rot90(x, 1, {0, 0}), IndexError);
  CHECK_THROWS_WITH(tril(ones({3})), ContainsSubstring("tril: needs 2 dimensions or more, got shape (3,)"));
  CHECK_THROWS_AS(diag_embed(x, INT64_MAX), ShapeError);
  CHECK_THROWS_AS(diag(ones({1, 1, 1})), ShapeError);
  CHECK_THROWS_WITH(diagonal_scatter(x, ones({4})),
                    ContainsSubstring("diagonal_scatter: the part has shape (3,), the source (4,)"));
  CHECK_THROWS_AS(meshgrid({x}), ShapeError);
  CHECK_THROWS_AS(meshgrid({ones({2})}, "yx"), Error);
  CHECK_THROWS_WITH(pixel_shuffle(ones({6, 2, 2}), 2), ContainsSubstring("pixel_shuffle: 6 channels"));
  CHECK_THROWS_AS(pixel_unshuffle(ones({1, 3, 2}), 2), ShapeError);
  CHECK_THROWS_AS(channel_shuffle(ones({1, 4, 2}), 3), ShapeError);
  CHECK_THROWS_WITH(cat({x, ones({2, 3})}),
                    ContainsSubstring("cat: shapes (3, 4) and (2, 3) differ outside dimension 0"));
  CHECK_THROWS_AS(cat({s, s}), ShapeError);
  CHECK_THROWS_AS(stack({}), ShapeError);
  CHECK_THROWS_AS(repeat_interleave(ones({3})), DTypeError);
  CHECK_THROWS_WITH(x.select(1, 4), "select: index 4 is out of range for dimension 1 of shape (3, 4)");
  CHECK_THROWS_WITH((x[{0, 4}]), "select: index 4 is out of range for dimension 1 of shape (3, 4)");
  CHECK_THROWS_WITH((x[{None{}, Ellipsis{}, -5}]), "select: index -5 is out of range for dimension 1 of shape (3, 4)");
  CHECK_THROWS_WITH(Tensor().as_strided({1}, {1}), ContainsSubstring("undefined"));
  CHECK_THROWS_WITH(einsum("i,i->", {ones({3}), ones({3}, DType::float64)}),
                    "einsum, tensordot: need operands of one type, got float32 and float64");
}

TEST_CASE("sizes beyond any memory are refused", "[ops][view]") {
  constexpr int64_t kHuge = int64_t{1} << 44;
  Tensor x = ones({3}), wide = ones({1}).expand({kHuge});
  CHECK(combinations(x, kHuge).shape() == Shape{0, kHuge});
  CHECK(combinations(x, 2, true).shape() == Shape{6, 2});
  CHECK_THROWS_AS(combinations(x, kHuge, true), ShapeError);
  CHECK_THROWS_AS(combinations(x, INT64_MAX, true), ShapeError);
  CHECK_THROWS_AS(combinations(ones({1}), kHuge, true), OutOfMemory);
  CHECK_THROWS_WITH(split(wide, 1), "split: 17592186044416 pieces are more than 16777216");
  CHECK_THROWS_AS(unbind(wide), Error);
  CHECK_THROWS_AS(chunk(zeros({0}), kHuge), Error);
  CHECK(chunk(x, kHuge).size() == 3);
  CHECK_THROWS_AS(tensor_split(x, kHuge), Error);
  CHECK_THROWS_AS(linalg::vander(x, kHuge), OutOfMemory);
  CHECK_THROWS_AS(pixel_shuffle(zeros({0, kHuge, 4}), 1 << 30), ShapeError);
  CHECK_THROWS_AS(pixel_unshuffle(zeros({4, 0, 0}), kHuge), ShapeError);
  CHECK_THROWS_AS(pdist(ones({1, 3}).expand({kHuge, 3})), OutOfMemory);
}

TEST_CASE("triangles of numbers that are only stored", "[ops][view]") {
  Tensor x = ones({2, 2}, DType::float16);
  CHECK(tril(x).dtype() == DType::float16);
  CHECK(numbers_of(triu(x).to(DType::float32)) == std::vector<double>{1, 1, 0, 1});
}

TEST_CASE("a transposed copy is exact for every size and type", "[ops][view]") {
  Generator g(3);
  for (DType type : {DType::boolean, DType::int64, DType::float32, DType::float64}) {
    for (Shape shape :
         {Shape{16, 16}, Shape{17, 33}, Shape{300, 280}, Shape{70, 1000}, Shape{3, 70, 65}, Shape{40, 3, 50}}) {
      Tensor x = randint(0, 100, shape, g).to(type), y = x.transpose(0, -1).contiguous();
      bool same = true;
      for (int64_t i = 0; i < x.size(0); i += 7) {
        for (int64_t j = 0; j < x.size(-1); j += 5) {
          same = same && difference(y.select(0, j).select(-1, i), x.select(0, i).select(-1, j)).empty();
        }
      }
      INFO(to_string(shape) << " " << name(type));
      CHECK(same);
      CHECK(difference(y.transpose(0, -1).contiguous(), x) == "");
    }
  }
}

TEST_CASE("properties of copies in another order", "[ops][view]") {
  Generator g(5);
  Tensor x = randn({3, 4, 5}, g), image = randn({2, 8, 3, 4}, g);
  CHECK(difference(flip(flip(x, {0, 2}), {2, 0}), x) == "");
  CHECK(difference(roll(roll(x, {2, -3}, {0, 2}), {-2, 3}, {0, 2}), x) == "");
  CHECK(difference(rot90(rot90(x, 1), 3), x) == "");
  CHECK(difference(tril(x) + triu(x, 1), x) == "");
  CHECK(difference(diag_embed(x).diagonal(0, -2, -1), x) == "");
  CHECK(difference(cat(split(x, {1, 0, 3}, 1), 1), x) == "");
  CHECK(difference(stack(unbind(x, 1), 1), x) == "");
  CHECK(difference(pixel_unshuffle(pixel_shuffle(image, 2), 2), image) == "");
  CHECK(difference(channel_shuffle(channel_shuffle(image, 2), 4), image) == "");
  // Every pixel of an image lies in as many patches as `fold` adds back.
  Tensor count = fold(unfold(ones({1, 1, 5, 5}), {3}), {5}, {3});
  CHECK(numbers_of(count[{0, 0, 2}]) == std::vector<double>{3, 6, 9, 6, 3});
}

TEST_CASE("bad borders and windows", "[ops][view]") {
  Tensor x = ones({1, 3, 4});
  CHECK_THROWS_WITH(pad(x, {1}), ContainsSubstring("1 borders for shape (1, 3, 4)"));
  CHECK_THROWS_WITH(pad(x, {-3, -2}), "pad: borders -3 and -2 do not fit dimension 2 of shape (1, 3, 4)");
  CHECK_THROWS_AS(pad(x, {-5, 2}), ShapeError);
  CHECK_THROWS_AS(constant_pad_nd(x, {INT64_MIN, INT64_MAX}), ShapeError);
  CHECK_THROWS_AS(pad(x, {-4, 1}, "circular"), ShapeError);
  CHECK_THROWS_AS(pad(x, {-3, 2}, "circular"), ShapeError);
  CHECK(numbers_of(pad(arange(4.0), {-2, 2}, "circular")) == std::vector<double>{2, 3, 2, 3});
  CHECK_THROWS_AS(pad(x, {INT64_MAX, 1}), ShapeError);
  CHECK_THROWS_WITH(pad(x, {4, 0}, "reflect"), ContainsSubstring("too wide to reflect dimension 2 of shape (1, 3, 4)"));
  CHECK_THROWS_AS(pad(x, {5, 0}, "circular"), ShapeError);
  CHECK_THROWS_AS(pad(ones({1, 0}), {1, 1}, "replicate"), ShapeError);
  CHECK_THROWS_WITH(pad(x, {1, 1}, "mirror"), ContainsSubstring("none of constant, reflect, replicate, circular"));
  CHECK_THROWS_WITH(unfold(x, {5, 1}), ContainsSubstring("unfold: a window of 5 with a dilation of 1 does not fit"));
  CHECK_THROWS_AS(unfold(x, {0}), ShapeError);
  CHECK_THROWS_AS(unfold(x, {1, 1, 1}), ShapeError);
  CHECK_THROWS_AS(unfold(ones({3}), {1}), ShapeError);
  constexpr int64_t kHuge = int64_t{1} << 62;
  CHECK_THROWS_AS(unfold(x, {1, 5}, {.dilation = {kHuge}}), ShapeError);
  CHECK_THROWS_AS(unfold(x, {1}, {.padding = {kHuge}}), ShapeError);
  CHECK_THROWS_AS(fold(ones({1, 4, 4}), {4}, {int64_t{1} << 32}), ShapeError);
  CHECK_THROWS_WITH(fold(ones({1, 4, 5}), {3, 3}, {2}), ContainsSubstring("fold: columns of shape (1, 4, 5)"));
}
