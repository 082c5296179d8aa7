// # Indices: errors, order, and gradients kept as rows
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("an index out of range is named with its operation and the dimension's size", "[ops][index]") {
  Tensor x = ones({3, 4}), y = ones({1, 4});
  auto at = [](int64_t i) { return tensor({i}); };
  CHECK_THROWS_WITH(gather(x, 1, tensor({{0, 4}})), "gather: index 4 is out of range for a dimension of size 4");
  CHECK_THROWS_WITH(gather(x, 0, tensor({{-1}})), "gather: index -1 is out of range for a dimension of size 3");
  CHECK_THROWS_WITH(scatter(x, 0, tensor({{3}}), y), "scatter: index 3 is out of range for a dimension of size 3");
  CHECK_THROWS_WITH(scatter_add(x, 0, tensor({{3}}), y), ContainsSubstring("scatter_add: index 3"));
  CHECK_THROWS_WITH(scatter_reduce(x, 1, tensor({{5}}), y, "prod"), ContainsSubstring("scatter_reduce: index 5"));
  CHECK_THROWS_WITH(index_select(x, 0, at(3)), ContainsSubstring("index_select: index 3"));
  CHECK_THROWS_WITH(index_copy(x, 0, at(-1), y), ContainsSubstring("index_copy: index -1"));
  CHECK_THROWS_WITH(index_fill(x, 1, at(4), 0), ContainsSubstring("index_fill: index 4"));
  CHECK_THROWS_WITH(take(x, at(12)), ContainsSubstring("take: index 12 is out of range for a dimension of size 12"));
  CHECK_THROWS_WITH(put(x, at(-13), ones({1})), ContainsSubstring("put: index"));
  CHECK_THROWS_WITH(x.index({at(3)}), "index: index 3 is out of range for a dimension of size 3");
  CHECK_THROWS_WITH(x.index({Slice{}, at(-5)}), "index: index -5 is out of range for a dimension of size 4");
  CHECK_THROWS_WITH(x.clone().index_put_({at(0), at(4)}, y), ContainsSubstring("index_put_: index 4"));
  CHECK_THROWS_WITH(embedding(at(3), x), "embedding: index 3 is out of range for a dimension of size 3");
  CHECK_THROWS_WITH(one_hot(at(3), 3), ContainsSubstring("one_hot: index 3"));
  CHECK_THROWS_WITH(one_hot(at(-5)), "one_hot: label -5 is no class");
  CHECK_THROWS_AS(one_hot(at(INT64_MAX)), IndexError);
  CHECK_THROWS_WITH(unravel_index(at(12), {3, 4}), ContainsSubstring("12 is no element of a tensor of shape (3, 4)"));
  CHECK_THROWS_AS(unravel_index(at(0), {0}), IndexError);
  CHECK_THROWS_AS(index_select(ones({0, 3}), 0, at(0)), IndexError);
  for (int64_t extreme : {INT64_MIN, INT64_MAX}) {
    CHECK_THROWS_AS(index_select(x, 0, at(extreme)), IndexError);
    CHECK_THROWS_AS(take(x, at(extreme)), IndexError);
    CHECK_THROWS_AS(x.index({at(extreme)}), IndexError);
  }
}

TEST_CASE("shapes and types that indices do not take", "[ops][index]") {
  Tensor x = ones({3, 4}), i = tensor({{0, 1}});
  CHECK_THROWS_WITH(gather(x, 0, ones({1, 1})), ContainsSubstring("gather: the index must be int64, got float32"));
  CHECK_THROWS_WITH(gather(x, 0, zeros({1, 5}, DType::int64)),
                    ContainsSubstring("gather: index (1, 5) does not fit (3, 4)"));
  CHECK_THROWS_AS(gather(x, 0, tensor({0})), ShapeError);
  CHECK_THROWS_WITH(scatter(x, 0, i, ones({1, 1})),
                    ContainsSubstring("scatter: index (1, 2) is larger than source (1, 1)"));
  CHECK_THROWS_WITH(scatter(x, 0, i, ones({1, 2}, DType::float64)),
                    ContainsSubstring("scatter: float64 values into float32"));
  CHECK_THROWS_WITH(scatter_reduce(x, 0, i, x, "median"), ContainsSubstring("none of sum, prod, mean, amax, amin"));
  CHECK_THROWS_AS(index_copy(x, 0, tensor({0}), ones({2, 4})), ShapeError);
  CHECK_THROWS_AS(index_fill(x, 0, tensor({0}), ones({2})), ShapeError);
  CHECK_THROWS_AS(index_select(Tensor(1.0), 0, tensor({0, 0})), ShapeError);
  CHECK_THROWS_AS(put(x, i, ones({3})), ShapeError);
  CHECK_THROWS_WITH(masked_select(x, ones({3, 4})),
                    ContainsSubstring("masked_select: the mask must be bool, got float32"));
  CHECK_THROWS_AS(masked_select(x, ones({5}, DType::boolean)), ShapeError);
  CHECK_THROWS_WITH(masked_scatter(x, x > 0, ones({5})), ContainsSubstring("masked_scatter: 5 values for 12 places"));
  CHECK_THROWS_WITH(x.index({i, i, i}), ContainsSubstring("index: 3 indices for a tensor of shape (3, 4)"));
  CHECK_THROWS_WITH(x.index({ones({4}, DType::boolean)}),
                    ContainsSubstring("a mask of shape (4,) does not fit dimension 0 of shape (3, 4)"));
  CHECK_THROWS_WITH(x.index({ones({1})}), ContainsSubstring("int64 or bool, got float32"));
  CHECK_THROWS_AS(x.index({tensor({0, 1}), tensor({0, 1, 2})}), ShapeError);
  CHECK_THROWS_WITH(x.clone().index_put_({tensor({0, 1})}, ones({3, 4})),
                    ContainsSubstring("index_put_: shapes (3, 4) and (2, 4) do not broadcast"));
  CHECK_THROWS_AS(x.clone().index_put_({tensor({0})}, arange(4)), DTypeError);
  CHECK_THROWS_AS(one_hot(zeros({0}, DType::int64)), ShapeError);
  CHECK_THROWS_WITH(embedding(ones({1}), x), ContainsSubstring("embedding: the input must be int64"));
  CHECK_THROWS_AS(embedding(tensor({0}), x, {.padding_idx = 3}), IndexError);
  CHECK_THROWS_AS(embedding_bag(tensor({0}), x), ShapeError);
  CHECK_THROWS_AS(embedding_bag(tensor({0, 1}), x, tensor({0, 3})), IndexError);
  CHECK_THROWS_AS(embedding_bag(tensor({0, 1}), x, tensor({1})), IndexError);
  CHECK_THROWS_WITH(embedding_bag(tensor({0, 1}), x, tensor({0.0, 1.0})),
                    "embedding_bag: the offsets must be int64, got float32");
  CHECK_THROWS_WITH(embedding_bag(tensor({0}), x, zeros({0}, DType::int64), {.include_last_offset = true}),
                    "embedding_bag: the offsets must be a vector of one or more, got shape (0,)");
  CHECK_THROWS_WITH(embedding_bag(tensor({{0, 1}}), ones({4})),
                    "embedding_bag: the weight must be a matrix, got shape (4,)");
  CHECK_THROWS_AS(embedding_bag(tensor({{0}}).expand({2, int64_t{1} << 44}), x), OutOfMemory);
  CHECK_THROWS_WITH(index_add(x.to(DType::float16), 0, tensor({0}), ones({1, 4}, DType::float16)),
                    ContainsSubstring("index_add: float16"));
  CHECK_THROWS_WITH(nonzero(x.to(DType::float16)), ContainsSubstring("nonzero: float16"));
  CHECK_THROWS_WITH(masked_fill(arange(2), arange(2) > 0, HUGE_VAL), "masked_fill: int64 does not hold inf");
}

TEST_CASE("words behind the last offset are in no bag", "[ops][index]") {
  Tensor bags =
      embedding_bag(tensor({0, 1, 2, 3, 3}), eye(4), tensor({0, 2, 3}), {.mode = "sum", .include_last_offset = true});
  CHECK(numbers_of(bags) == std::vector<double>{1, 1, 0, 0, 0, 0, 1, 0});
}

TEST_CASE("an undefined tensor between brackets means everything", "[ops][index]") {
  Tensor x = arange(6).view({2, 3}), i = tensor({1, 0});
  CHECK(difference(x.index({Tensor()}), x) == "");
  CHECK(difference(x.index({Tensor(), i}), x.index({Slice{}, i})) == "");
  x.index_put_({Tensor(), i}, Tensor(int64_t{9}));
  CHECK(numbers_of(x) == std::vector<double>{9, 9, 2, 9, 9, 5});
}

TEST_CASE("a product into places has a second derivative unless zeros meet", "[ops][index]") {
  Tensor to = tensor({0, 0, 1}), ones_there = ones({2});
  auto second = [&](Tensor source) {
    source.requires_grad_();
    Tensor y = scatter_reduce(ones_there, 0, to, source, "prod");
    Tensor slope = grad(sum(y), source, {.create_graph = true});
    return numbers_of(grad(slope[0], source));
  };
  CHECK(second(tensor({0.0, 2.0, 3.0})) == std::vector<double>{0, 1, 0});
  CHECK_THROWS_AS(second(tensor({0.0, 0.0, 3.0})), AutogradError);
  Tensor zero = zeros({3}).requires_grad_();
  CHECK(numbers_of(grad(sum(scatter_reduce(ones_there, 0, to, zero, "prod")), zero)) == std::vector<double>{0, 0, 1});
}

TEST_CASE("a failed write leaves the tensor as it was", "[ops][index]") {
  Tensor x = arange(6.0), before = x.clone();
  CHECK_THROWS_AS(x.index_put_({tensor({0, 1, 6})}, Tensor(9.0)), IndexError);
  CHECK(difference(x, before) == "");
}

TEST_CASE("of several values at one place the last remains, and sums add up in order", "[ops][index]") {
  Threads restore;
  Generator g(1);
  Tensor index = randint(0, 50, {3000, 40}, g), source = randn({3000, 40}, g), x = zeros({50, 40});
  std::vector<Tensor> last, sums;
  for (int threads : {1, 2}) {
    backend::set_num_threads(threads);
    last.push_back(scatter(x, 0, index, source));
    sums.push_back(scatter_add(x, 0, index, source));
  }
  CHECK(difference(last[0], last[1]) == "");
  CHECK(difference(sums[0], sums[1]) == "");
  std::vector<float> want(50 * 40), total(50 * 40);
  for (int64_t i = 0; i < source.numel(); ++i) {
    size_t place = static_cast<size_t>(index.data<int64_t>()[i] * 40 + i % 40);
    want[place] = source.data<float>()[i];
    total[place] += source.data<float>()[i];
  }
  CHECK(difference(last[0], from_span(std::span<const float>(want), {50, 40})) == "");
  CHECK(difference(sums[0], from_span(std::span<const float>(total), {50, 40})) == "");
}

TEST_CASE("brackets with tensors write into views and their base", "[ops][index]") {
  Tensor x = zeros({2, 3, 4}).requires_grad_(), y = x * 1, v = ones({2, 2}).requires_grad_();
  y[1].index_put_({tensor({0, 2}), Slice{1, 3}}, v * 5);
  y.index_put_({tensor({0}), Slice{}, tensor({-1})}, Tensor(7.0));
  CHECK(numbers_of(y[1]) == std::vector<double>{0, 5, 5, 0, 0, 0, 0, 0, 0, 5, 5, 0});
  CHECK(numbers_of(y[{0, Slice{}, 3}]) == std::vector<double>{7, 7, 7});
  sum(y * y).backward();
  CHECK(numbers_of(v.grad()) == std::vector<double>{50, 50, 50, 50});
  Tensor untouched = x.grad() * 0;
  CHECK(difference(x.grad(), untouched) == "");
  CHECK_THROWS_AS(x.index_put_({tensor({0})}, Tensor(1.0)), AutogradError);
}

TEST_CASE("masks and their coordinates agree", "[ops][index]") {
  Generator g(2);
  Tensor x = randn({30, 20, 10}, g), mask = x > 0.5;
  std::vector<Tensor> at = where(mask);
  CHECK(at.size() == 3);
  CHECK(difference(x.index({mask}), masked_select(x, mask)) == "");
  CHECK(difference(x.index({at[0], at[1], at[2]}), masked_select(x, mask)) == "");
  CHECK(difference(masked_scatter(zeros_like(x), mask, masked_select(x, mask)), where(mask, x, zeros_like(x))) == "");
  CHECK(nonzero(zeros({0, 3})).shape() == Shape{0, 2});
}

// ## Gradients as rows
TEST_CASE("a row-sparse gradient is the dense one", "[ops][index]") {
  Generator g(4);
  Tensor table = randn({6, 3}, g), words = tensor({{4, 1}, {4, 0}}), scale = randn({2, 2, 3}, g);
  auto leaf = [&] { return table.clone().requires_grad_(); };
  for (EmbeddingOptions o :
       {EmbeddingOptions{}, EmbeddingOptions{.padding_idx = 4}, EmbeddingOptions{.scale_grad_by_freq = true}}) {
    Tensor dense = leaf(), sparse = leaf();
    sum(embedding(words, dense, o) * scale).backward();
    o.sparse = true;
    sum(embedding(words, sparse, o) * scale).backward();
    auto rows = sparse_grad(sparse);
    REQUIRE(rows);
    CHECK(numbers_of(rows->indices) == std::vector<double>{0, 1, 4});
    CHECK(rows->values.shape() == Shape{3, 3});
    CHECK(difference(index_add(zeros({6, 3}), 0, rows->indices, rows->values), dense.grad()) == "");
    CHECK(difference(sparse.grad(), dense.grad()) == "");
    CHECK_FALSE(sparse_grad(sparse));  // it is in `grad()` now
  }

  // It collects over several passes, joins a dense part, and is dropped with it.
  Tensor dense = leaf(), sparse = leaf();
  for (int pass = 0; pass < 2; ++pass) {
    sum(embedding(words, dense) * scale).backward();
    sum(embedding(words, sparse, {.sparse = true}) * scale).backward();
  }
  CHECK(difference(sparse_grad(sparse)->values, index_select(dense.grad(), 0, tensor({0, 1, 4}))) == "");
  (sum(embedding(words, sparse, {.sparse = true}) * scale) + sum(square(sparse))).backward();
  (sum(embedding(words, dense) * scale) + sum(square(dense))).backward();
  CHECK_FALSE(sparse_grad(sparse));
  CHECK(difference(sparse.grad(), dense.grad(), 4, 1) == "");
  sum(embedding(words, sparse, {.sparse = true})).backward();
  sparse.set_grad({});
  CHECK_FALSE(sparse.grad().defined());
  CHECK_FALSE(sparse_grad(sparse));
}

TEST_CASE("where rows will not do the gradient is dense", "[ops][index]") {
  Generator g(4);
  Tensor w = randn({5, 2}, g, DType::float64).requires_grad_(), words = tensor({1, 3, 1});
  auto y = [&](bool sparse) { return sum(square(embedding(words, w, {.sparse = sparse}))); };
  CHECK(difference(grad(y(true), w), grad(y(false), w)) == "");
  Tensor first = grad(y(true), w, {.create_graph = true});
  CHECK(difference(grad(sum(square(first)), w),
                   4 * grad(y(false), w) * one_hot(words, 5, DType::float64).sum({0}).unsqueeze(1)) == "");
  Tensor doubled = w * 2;  // no leaf
  sum(embedding(words, doubled, {.sparse = true})).backward();
  CHECK_FALSE(sparse_grad(w));
  CHECK(numbers_of(w.grad().select(1, 0)) == std::vector<double>{0, 4, 0, 2, 0});
  int calls = 0;
  Tensor hooked = w.detach().clone().requires_grad_();
  hooked.register_hook([&](const Tensor& g) { return ++calls, g * 10; });
  sum(embedding(words, hooked, {.sparse = true})).backward();
  CHECK(calls == 1);
  CHECK(hooked.grad().select(1, 0)[1].item() == 20);
}

TEST_CASE("descent along rows touches no other row", "[ops][index]") {
  Generator g(9);
  Tensor start = randn({1000, 4}, g), by_rows = start.clone().requires_grad_(), full = start.clone().requires_grad_();
  Tensor words = tensor({7, 42, 7}), target = randn({3, 4}, g);
  const double lr = 0.1;
  for (int step = 0; step < 5; ++step) {
    sum(square(embedding(words, by_rows, {.sparse = true}) - target)).backward();
    sum(square(embedding(words, full) - target)).backward();
    NoGrad update;
    if (auto rows = sparse_grad(by_rows)) by_rows.index_put_({rows->indices}, rows->values * -lr, true);
    full.sub_(full.grad(), lr);
    by_rows.set_grad({});
    full.set_grad({});
  }
  CHECK(difference(by_rows.detach(), full.detach(), 2, 1) == "");
  CHECK(difference(by_rows.detach()[8], start[8]) == "");
}

TEST_CASE("max_norm shortens the rows that are read, and no others", "[ops][index]") {
  Tensor w = tensor({{3.0, 4.0}, {0.3, 0.4}, {6.0, 8.0}}).requires_grad_();
  Tensor y = embedding(tensor({0, 1, 0}), w, {.max_norm = 1});
  CHECK(difference(y.detach(), tensor({{0.6, 0.8}, {0.3, 0.4}, {0.6, 0.8}}), 4) == "");
  CHECK(numbers_of(w.detach()[2]) == std::vector<double>{6, 8});
}
