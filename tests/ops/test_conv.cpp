// # What golden values cannot show of convolutions
#include <cmath>

#include "backend/backend.hpp"
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"

using namespace cr;
using namespace cr::test;

namespace {

struct Case {
  int64_t n, c, o, groups;
  Dims size, kernel, stride, padding, dilation;
};

Shape shape_of(int64_t n, int64_t channels, const Dims& places) {
  Shape shape{n, channels};
  for (int64_t p : places) shape.push_back(p);
  return shape;
}

Dims places_of(const Case& k) {
  Dims places;
  for (int d = 0; d < k.size.size(); ++d)
    places.push_back((k.size[d] + 2 * k.padding[d] - k.dilation[d] * (k.kernel[d] - 1) - 1) / k.stride[d] + 1);
  return places;
}

// Every multiplication of a convolution, one after another: f(index into x, into w, into y). Sizes are padded to three, and
// what is the same for many products is computed before: without optimisation that is most of the time.
template <class F> void for_each_product(const Case& k, const Dims& places, F&& f) {
  struct Line {
    int64_t size = 1, kernel = 1, stride = 1, dilation = 1, padding = 0, places = 1;
  } line[3];
  for (int d = 0; d < k.size.size(); ++d)
    line[3 - k.size.size() + d] = {k.size[d], k.kernel[d], k.stride[d], k.dilation[d], k.padding[d], places[d]};
  const int64_t inputs = k.c / k.groups, outputs = k.o / k.groups;
  const int64_t taps = line[0].kernel * line[1].kernel * line[2].kernel;
  const int64_t numbers = line[0].size * line[1].size * line[2].size;
  std::vector<std::pair<int64_t, int64_t>> inside;  // of one place: tap, number of a channel of x
  int64_t place = 0;
  for (int64_t z = 0; z < line[0].places; ++z)
    for (int64_t y = 0; y < line[1].places; ++y)
      for (int64_t x = 0; x < line[2].places; ++x, ++place) {
        inside.clear();
        for (int64_t tap = 0; tap < taps; ++tap) {
          const int64_t at[3] = {z, y, x};
          const int64_t own[3] = {tap / line[2].kernel / line[1].kernel, tap / line[2].kernel % line[1].kernel,
                                  tap % line[2].kernel};
          int64_t number = 0;
          bool there = true;
          for (int d = 0; d < 3; ++d) {
            const int64_t i = at[d] * line[d].stride + own[d] * line[d].dilation - line[d].padding;
            there = there && i >= 0 && i < line[d].size;
            number = number * line[d].size + i;
          }
          if (there) inside.push_back({tap, number});
        }
        const auto *first = inside.data(), *end = first + inside.size();
        const int64_t y_row = line[0].places * line[1].places * line[2].places;
        for (int64_t n = 0; n < k.n; ++n)
          for (int64_t o = 0; o < k.o; ++o)
            for (int64_t c = 0; c < inputs; ++c) {
              const int64_t of_x = (n * k.c + o / outputs * inputs + c) * numbers, of_w = (o * inputs + c) * taps;
              for (const auto* i = first; i != end; ++i)
                f(of_x + i->second, of_w + i->first, (n * k.o + o) * y_row + place);
            }
      }
}

std::string text(const Case& k) {
  return "n " + std::to_string(k.n) + ", channels " + std::to_string(k.c) + " to " + std::to_string(k.o) + " in " +
         std::to_string(k.groups) + ", size " + to_string(k.size) + ", kernel " + to_string(k.kernel) + ", stride " +
         to_string(k.stride) + ", padding " + to_string(k.padding) + ", dilation " + to_string(k.dilation);
}

// The three primitives against the plain loop in float64. Each result may differ by a few roundings of its largest term.
template <class T> void check(const Case& k) {
  const DType type = std::is_same_v<T, float> ? DType::float32 : DType::float64;
  const Dims places = places_of(k);
  Generator g(7);
  Tensor x = randn(shape_of(k.n, k.c, k.size), g, type), w = randn(shape_of(k.o, k.c / k.groups, k.kernel), g, type);
  Tensor dy = randn(shape_of(k.n, k.o, places), g, type), bias = randn({k.o}, g, type);
  Tensor want_y = zeros(dy.shape(), DType::float64), want_dx = zeros(x.shape(), DType::float64),
         want_dw = zeros(w.shape(), DType::float64);
  want_y.add_(bias.to(DType::float64).reshape(shape_of(1, k.o, Dims(k.size.size(), 1))));
  double *of_y = want_y.mutable_data<double>(), *of_dx = want_dx.mutable_data<double>(),
         *of_dw = want_dw.mutable_data<double>();
  const T *in_x = x.data<T>(), *in_w = w.data<T>(), *in_dy = dy.data<T>();
  for_each_product(k, places, [&](int64_t ix, int64_t iw, int64_t iy) {
    of_y[iy] += static_cast<double>(in_x[ix]) * static_cast<double>(in_w[iw]);
    of_dx[ix] += static_cast<double>(in_dy[iy]) * static_cast<double>(in_w[iw]);
    of_dw[iw] += static_cast<double>(in_dy[iy]) * static_cast<double>(in_x[ix]);
  });
  backend::Backend& cpu = backend::on(Device::cpu);
  backend::Window window{k.stride, k.padding, k.dilation};
  for_each_isa([&] {
    Tensor y = full(dy.shape(), NAN, type), dx = full(x.shape(), NAN, type), dw = full(w.shape(), NAN, type);
    cpu.conv(y, x, w, bias, window, k.groups);
    cpu.conv_input(dx, dy, w, {}, window, k.groups);
    cpu.conv_weight(dw, x, dy, window, k.groups);
    INFO(text(k) << ", " << name(type));
    CHECK(difference(y, want_y.to(type), 32, 1) == "");
    CHECK(difference(dx, want_dx.to(type), 32, 1) == "");
    CHECK(difference(dw, want_dw.to(type), 32, 1) == "");
  });
}

// Sizes around those of vectors and tiles, drawn at random.
Case drawn(Generator& g, bool large) {
  auto draw = [&](int64_t lo, int64_t hi) { return randint(lo, hi + 1, {1}, g).item<int64_t>(); };
  Case k;
  const int rank = static_cast<int>(draw(1, 3));
  const int64_t most_places = large ? 19 : rank == 1 ? 40 : rank == 2 ? 18 : 6;
  k.n = draw(1, 3), k.groups = draw(1, 4) == 1 ? draw(2, 3) : 1;
  k.c = k.groups * draw(1, large ? 40 : 5), k.o = k.groups * draw(1, large ? 60 : 20);
  for (int d = 0; d < rank; ++d) {
    k.kernel.push_back(draw(1, rank == 3 ? 3 : 5)), k.stride.push_back(draw(1, 3)), k.dilation.push_back(draw(1, 3));
    k.padding.push_back(draw(0, 4));
    const int64_t least = std::max<int64_t>(1, k.dilation[d] * (k.kernel[d] - 1) + 1 - 2 * k.padding[d]);
    k.size.push_back(std::max(least, draw(1, rank == 3 ? 6 : most_places)));
  }
  return k;
}

// Batches for which images lie side by side; half of them have 3 × 3 taps and many channels, for Winograd's rule.
Case drawn_batch(Generator& g, bool nine) {
  auto draw = [&](int64_t lo, int64_t hi) { return randint(lo, hi + 1, {1}, g).item<int64_t>(); };
  Case k = drawn(g, false);
  k.n = draw(16, 40), k.groups = draw(1, 4) == 1 ? 2 : 1;
  k.c = k.groups * draw(8, 24), k.o = k.groups * draw(8, 24);
  if (nine) {
    k.groups = 1, k.c = draw(20, 30), k.o = draw(20, 30);
    k.kernel = {3, 3}, k.stride = k.dilation = {1, 1};
    k.size = {draw(6, 12), draw(6, 12)}, k.padding = {draw(0, 2), draw(0, 2)};
    return k;
  }
  for (int d = 0; d < k.size.size(); ++d) {
    k.padding[d] = draw(0, 2);
    k.size[d] = std::min<int64_t>(k.size[d], k.size.size() == 3 ? 4 : 10);
    k.size[d] = std::max(k.size[d], k.dilation[d] * (k.kernel[d] - 1) + 1);
  }
  return k;
}

}  // namespace

TEST_CASE("convolutions of any size equal the plain loop", "[ops][conv]") {
  Generator g(11);
  for (int i = 0; i < 120; ++i) {
    Case k = drawn(g, false);
    check<float>(k);
    if (i % 4 == 0) check<double>(k);
  }
  for (int i = 0; i < 12; ++i) check<float>(drawn(g, true));
  for (int i = 0; i < 30; ++i) check<float>(drawn_batch(g, i % 2 == 0));
}

TEST_CASE("convolutions that are cut into bands, parts and blocks equal the plain loop", "[ops][conv]") {
  check<float>({1, 3, 5, 1, {400, 410}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});  // one image, several bands
  check<float>({1, 2, 3, 1, {150000}, {5}, {2}, {3}, {2}});                // one long row
  check<float>({2, 40, 3, 1, {2, 90, 100}, {1, 3, 3}, {1, 2, 1}, {0, 1, 1}, {1, 1, 1}});
  check<float>({9, 70, 40, 1, {9, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});  // gathered, several images at a time
  check<float>({17, 1, 6, 1, {28, 28}, {5, 5}, {1, 1}, {2, 2}, {1, 1}});
  check<float>({3, 33, 29, 1, {5, 5}, {1, 1}, {3, 3}, {0, 0}, {1, 1}});  // residues without taps
  check<double>({4, 20, 33, 1, {11, 10}, {4, 4}, {2, 2}, {1, 1}, {1, 1}});
}

// Where the same place of many images is a vector, the padding is not multiplied: an infinite weight makes no NaN of it.
void check_batch(const Case& k) {
  check<float>(k);
  const Dims places = places_of(k);
  const Tensor x = ones(shape_of(k.n, k.c, k.size)), w = full(shape_of(k.o, k.c / k.groups, k.kernel), INFINITY);
  const Tensor dy = ones(shape_of(k.n, k.o, places)), y = empty(dy.shape()), dx = empty(x.shape());
  backend::Window window{k.stride, k.padding, k.dilation};
  for_each_isa([&] {
    backend::on(Device::cpu).conv(y, x, w, {}, window, k.groups);
    backend::on(Device::cpu).conv_input(dx, dy, w, {}, window, k.groups);
    INFO(text(k));
    CHECK(sum(isnan(y)).item<int64_t>() == 0);
    CHECK(sum(isnan(dx)).item<int64_t>() == 0);
  });
}

TEST_CASE("convolutions of many small images equal the plain loop", "[ops][conv]") {
  check_batch({32, 33, 29, 1, {5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});
  check_batch({64, 32, 3, 1, {2, 2}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});  // few rows take many images
  check_batch({64, 32, 31, 1, {5}, {5}, {2}, {4}, {2}});
  check_batch({64, 40, 40, 1, {4, 4}, {4, 4}, {2, 2}, {1, 1}, {1, 1}});   // the adjoint has four classes
  check_batch({32, 40, 40, 1, {2, 2}, {5, 5}, {1, 1}, {6, 6}, {1, 1}});   // places that see nothing but padding
  check<float>({47, 20, 40, 2, {7, 4}, {4, 5}, {2, 1}, {2, 3}, {1, 1}});  // some vectors are not full
  check<float>({16, 12, 20, 1, {3, 4, 2}, {3, 3, 2}, {1, 2, 1}, {1, 1, 1}, {1, 1, 1}});
  check<double>({16, 24, 26, 1, {5, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}});
}

// ## Winograd's rule
//
// Under a kernel with a single 1, y is a copy of x. The plain loop adds zeros to it and keeps every bit; the rule adds and
// subtracts other numbers of the window. Three images fill no vector, so they are computed by the plain loop.
bool rounds_a_copy(const Case& k, bool adjoint = false) {
  const Dims places = places_of(k);
  Generator g(3);
  Tensor x = randn(adjoint ? shape_of(k.n, k.o, places) : shape_of(k.n, k.c, k.size), g);
  Tensor w = zeros(shape_of(k.o, k.c / k.groups, k.kernel));
  w[{0, 0, 1, 1}] = 1;
  auto convolve = [&](int64_t images) {
    Tensor y = zeros(adjoint ? shape_of(images, k.c, k.size) : shape_of(images, k.o, places));
    const backend::Window window{k.stride, k.padding, k.dilation};
    backend::Backend& cpu = backend::on(Device::cpu);
    adjoint ? cpu.conv_input(y, x.narrow(0, 0, images), w, {}, window, k.groups)
            : cpu.conv(y, x.narrow(0, 0, images), w, {}, window, k.groups);
    return y.narrow(0, 0, 3);
  };
  return difference(convolve(k.n), convolve(3)) != "";
}

TEST_CASE("convolutions by Winograd's rule equal the plain loop", "[ops][conv]") {
  const Case cases[] = {
      {32, 20, 20, 1, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {16, 24, 33, 1, {7, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},    // lines and columns left over
      {47, 24, 20, 1, {10, 11}, {3, 3}, {1, 1}, {0, 0}, {1, 1}},  // vectors that are not full
      {16, 40, 40, 2, {9, 6}, {3, 3}, {1, 1}, {2, 1}, {1, 1}},
      {16, 24, 24, 1, {19, 18}, {3, 3}, {1, 1}, {3, 3}, {1, 1}},  // results that see nothing but padding
      {16, 60, 14, 1, {2, 36}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},   // a line that is cut
  };
  for (const Case& k : cases) {
    check<float>(k);
    for_each_isa([&] {
      INFO(text(k));
      CHECK(rounds_a_copy(k));
      CHECK(rounds_a_copy(k, true));
    });
  }
  check<double>(cases[0]);
  // What looks like it and is not: neighbours farther apart, planes of y that see none of x, or one of three.
  for (const Case& k : {Case{16, 40, 40, 1, {12, 12}, {3, 3}, {1, 1}, {2, 2}, {2, 2}},
                        Case{16, 40, 40, 1, {12, 12}, {3, 3}, {1, 1}, {2, 2}, {1, 2}},
                        Case{16, 40, 40, 1, {13, 13}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
                        Case{16, 40, 40, 1, {13, 13}, {3, 3}, {1, 2}, {1, 1}, {1, 1}},
                        Case{16, 40, 40, 1, {1, 8, 8}, {1, 3, 3}, {3, 1, 1}, {1, 1, 1}, {1, 1, 1}},
                        Case{16, 40, 40, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}}}) {
    check<float>(k);
    if (k.size.size() == 2) CHECK(!(rounds_a_copy(k) || rounds_a_copy(k, true)));
  }
}

Tensor of_few_images(const Tensor& x, const Tensor& w, const Tensor& bias = {}) {
  std::vector<Tensor> parts;
  for (int64_t n = 0; n < x.shape()[0]; n += 3)
    parts.push_back(conv2d(x.narrow(0, n, std::min<int64_t>(3, x.shape()[0] - n)), w, bias, {.padding = 1}));
  return cat(parts, 0);
}

TEST_CASE("by Winograd's rule the usual error is no larger", "[ops][conv]") {
  NoGrad no_grad;
  Generator g(1);
  Tensor x = randn({32, 64, 12, 12}, g), w = randn({64, 64, 3, 3}, g);
  const Tensor truth = conv2d(x.to(DType::float64), w.to(DType::float64), {}, {.padding = 1});
  auto error = [&](const Tensor& y) { return std::sqrt(mean(square(y.to(DType::float64) - truth)).item()); };
  CHECK(rounds_a_copy({32, 64, 64, 1, {12, 12}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}));
  // Sixteen sums of 64 numbers instead of one of 576: 0.65 times the error.
  CHECK(error(conv2d(x, w, {}, {.padding = 1})) < 0.75 * error(of_few_images(x, w)));
}

TEST_CASE("by Winograd's rule, too, an infinity is seen by its windows only", "[ops][conv]") {
  NoGrad no_grad;
  Generator g(2);
  const Tensor x = randn({32, 20, 8, 8}, g), w = randn({20, 20, 3, 3}, g), bias = randn({20}, g);
  REQUIRE(rounds_a_copy({32, 20, 20, 1, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}));
  for (double bad : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    Tensor in, kernel = w.clone(), shift = bias.clone();
    for (int64_t at : {0, 3, 7}) {
      in = x.clone();
      in[{at, 1, at, 7 - at}] = bad;
      CHECK(difference(conv2d(in, w, bias, {.padding = 1}), of_few_images(in, w, bias), 32, 1) == "");
    }
    kernel[{7, 2, 1, 1}] = bad;
    CHECK(difference(conv2d(in, kernel, bias, {.padding = 1}), of_few_images(in, kernel, bias), 32, 1) == "");
    shift[{4}] = bad;
    CHECK(difference(conv2d(x, w, shift, {.padding = 1}), of_few_images(x, w, shift), 32, 1) == "");
  }
  // The sum of two of these numbers is infinite, that of their products is not.
  const Tensor large = full(x.shape(), 3e38), small = full(w.shape(), 1e-4);
  CHECK(difference(conv2d(large, small, {}, {.padding = 1}), of_few_images(large, small), 64) == "");
}

TEST_CASE("convolutions have the same bits on any number of threads", "[ops][conv][bits]") {
  Threads restore;
  Generator g(5);
  const std::pair<Shape, int64_t> cases[] = {
      {{6, 20, 31, 30}, 1}, {{6, 20, 31, 30}, 2}, {{64, 20, 5, 5}, 1}, {{50, 20, 12, 13}, 1}};
  CHECK(rounds_a_copy({50, 20, 40, 1, {12, 13}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}));  // the last one, by Winograd's rule
  for (const auto& [shape, stride] : cases) {
    Tensor x = randn(shape, g).requires_grad_(), w = randn({40, 20, 3, 3}, g).requires_grad_();
    std::vector<Tensor> first;
    for (int threads : {1, 2, 5}) {
      backend::set_num_threads(threads);
      Tensor y = conv2d(x, w, {}, {.stride = stride, .padding = 1});
      std::vector<Tensor> all = grad(std::vector<Tensor>{y}, {x, w}, {.grad_outputs = {ones_like(y)}});
      all.push_back(y.detach());
      if (first.empty()) first = all;
      for (size_t i = 0; i < all.size(); ++i) CHECK(difference(all[i], first[i]) == "");
    }
  }
}

// What lies beyond a row's end is multiplied along and dropped: infinities there must not show.
TEST_CASE("an infinity is seen by its windows only", "[ops][conv]") {
  for (int64_t channels : {1, 40}) {
    Tensor x = zeros({1, 2, 9, 9}), w = ones({channels, 2, 3, 3});
    x[{0, 1, 4, 8}] = HUGE_VAL;
    Tensor y = conv2d(x, w, {}, {.padding = 1}).detach();
    Tensor seen = isinf(y);
    CHECK(sum(seen).item<int64_t>() == channels * 3 * 2);
    CHECK(sum(isnan(y)).item<int64_t>() == 0);
    CHECK(sum(seen.narrow(2, 3, 3).narrow(3, 7, 2)).item<int64_t>() == channels * 6);
  }
  // The last column of nine is never seen, so that no gradient knows what is in it.
  Tensor blind = ones({2, 1, 4, 9}), kernel = ones({3, 1, 2, 2}).requires_grad_();
  blind.select(-1, 8).fill_(NAN);
  Tensor z = conv2d(blind, kernel, {}, {.stride = {1, 3}});  // columns 0, 1, 3, 4, 6, 7
  CHECK(difference(z.detach(), full({2, 3, 3, 3}, 4)) == "");
  sum(z).backward();
  CHECK(difference(kernel.grad(), full({3, 1, 2, 2}, 18)) == "");
}

TEST_CASE("a transposed convolution is the adjoint of the convolution", "[ops][conv]") {
  Generator g(9);
  Tensor x = randn({2, 3, 11, 8}, g, DType::float64), w = randn({5, 3, 3, 4}, g, DType::float64);
  Tensor y = conv2d(x, w, {}, {.stride = {2, 3}, .padding = {1, 2}});
  Tensor v = randn(y.shape(), g, DType::float64);
  Tensor back = conv_transpose2d(v, w, {}, {.stride = {2, 3}, .padding = {1, 2}, .output_padding = {0, 2}});
  CHECK(back.shape() == x.shape());
  CHECK(std::abs(sum(y * v).item() - sum(x * back).item()) < 1e-10);
}

TEST_CASE("convolutions of wrong sizes say what is wrong", "[ops][conv]") {
  auto of = [](Shape shape) { return zeros(shape); };
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 5, 3})),
                    "conv2d: input (1, 2, 4, 4), weight (3, 2, 5, 3): a kernel that reaches over 5 places does not fit "
                    "into 4 with padding");
  CHECK_THROWS_WITH(conv2d(of({1, 3, 4, 4}), of({3, 2, 3, 3})),
                    "conv2d: input (1, 3, 4, 4), weight (3, 2, 3, 3), groups 1: the input must have 2 channels");
  CHECK_THROWS_WITH(conv2d(of({2, 4}), of({3, 2, 3, 3})),
                    "conv2d: input (2, 4) must have 4 dimensions, or 3 without a batch");
  CHECK_THROWS_WITH(conv1d(of({2, 2, 4}), of({3, 2})), "conv1d: weight (3, 2) must have 3 dimensions");
  CHECK_THROWS_WITH(conv2d(of({1, 4, 4, 4}), of({3, 2, 3, 3}), {}, {.groups = 2}),
                    "conv2d: weight (3, 2, 3, 3): 3 channels do not divide into 2 groups");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.groups = 0}),
                    "conv2d: groups must be at least 1, got 0");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), of({2})), "conv2d: bias (2,) must be (3,)");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.stride = 0}),
                    "conv2d: stride (0,) must be at least 1");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.padding = {1, -1}}),
                    "conv2d: padding (1, -1) must be at least 0");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.dilation = {1, 2, 3}}),
                    "conv2d: dilation (1, 2, 3) must be one number or 2");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.stride = 2, .padding = "same"}),
                    "conv2d: \"same\" padding goes with stride 1 only");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.padding = "full"}),
                    "conv: padding is \"same\", \"valid\" or numbers, got \"full\"");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 0, 4}), of({3, 2, 3, 3}), {}, {.padding = 2}),
                    "conv2d: input (1, 2, 0, 4) has no places");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 0, 3})), "conv2d: weight (3, 2, 0, 3): the kernel is empty");
  CHECK_THROWS_WITH(conv_transpose2d(of({1, 2, 1, 1}), of({2, 3, 2, 2}), {}, {.padding = 1}),
                    "conv_transpose2d: input (1, 2, 1, 1), weight (2, 3, 2, 2): padding (1, 1) leaves 0 places");
  CHECK_THROWS_WITH(conv_transpose1d(of({1, 2, 3}), of({2, 3, 2}), {}, {.stride = 2, .output_padding = 2}),
                    "conv_transpose1d: output_padding (2,) must be less than stride (2,) or dilation (1,)");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.padding = int64_t{1} << 40}),
                    "conv2d: padding (1099511627776,) must be less than 2³¹");
  CHECK_THROWS_WITH(conv2d(of({1, 2, 4, 4}), of({3, 2, 3, 3}), {}, {.padding = INT32_MAX}),
                    "conv2d: the sizes are too large to count");
  const int64_t huge = int64_t{1} << 62;
  CHECK_THROWS_AS(conv1d(of({1, 1, 4}), of({1, 1, 3}), {}, {.dilation = huge}), ShapeError);
  CHECK_THROWS_AS(conv1d(of({1, 1, 4}), of({1, 1, 3}), {}, {.padding = huge}), ShapeError);
  CHECK_THROWS_AS(conv_transpose1d(of({1, 1, 4}), of({1, 1, 3}), {}, {.stride = huge}), ShapeError);
  CHECK_THROWS_AS(conv1d(zeros({1, 1, 4}), zeros({1, 1, 3}, DType::float64)), DTypeError);
  CHECK_THROWS_AS(conv1d(zeros({1, 1, 4}, DType::boolean), zeros({1, 1, 3}, DType::boolean)), DTypeError);
  CHECK_THROWS_AS(conv1d(zeros({1, 1, 4}), zeros({1, 1, 3}), zeros({1}, DType::float64)), DTypeError);
}

// With canvases as wide as the padding this would take gigabytes, and minutes.
TEST_CASE("taps that see only padding cost nothing", "[ops][conv]") {
  constexpr int64_t kFar = 400'000'000;
  Tensor x = tensor({{{1.0, 2.0, 3.0}}}).requires_grad_(), w = tensor({{{5.0, 7.0, 11.0}}}).requires_grad_();
  Tensor none = tensor({{{5.0, 7.0}}}).requires_grad_(), dy = tensor({{{1.0, 10.0, 100.0}}});
  for (bool transposed : {false, true}) {
    auto conv = [&](const Tensor& weight, int64_t padding) {
      return transposed ? conv_transpose1d(x, weight, {}, {.padding = padding, .dilation = kFar})
                        : conv1d(x, weight, {}, {.padding = padding, .dilation = kFar});
    };
    // The tap in the middle is the only one that sees x.
    Tensor y = conv(w, kFar);
    CHECK(numbers_of(y) == std::vector<double>{7, 14, 21});
    std::vector<Tensor> gradient = grad(std::vector<Tensor>{y}, {x, w}, {.grad_outputs = {dy}});
    CHECK(numbers_of(gradient[0]) == std::vector<double>{7, 70, 700});
    CHECK(numbers_of(gradient[1]) == std::vector<double>{0, 321, 0});
    // No tap sees anything.
    y = conv(none, kFar / 2);
    CHECK(numbers_of(y) == std::vector<double>{0, 0, 0});
    gradient = grad(std::vector<Tensor>{y}, {x, none}, {.grad_outputs = {dy}});
    CHECK(numbers_of(gradient[0]) == std::vector<double>{0, 0, 0});
    CHECK(numbers_of(gradient[1]) == std::vector<double>{0, 0});
  }
  // Those before and behind: of five taps, 6 apart, the second to the fourth see some of ten places.
  Generator g(3);
  Tensor row = randn({2, 3, 10}, g, DType::float64), kernel = randn({4, 3, 5}, g, DType::float64);
  Tensor wide = conv1d(pad(row, {10, 10}), kernel, {}, {.dilation = 6});
  CHECK(wide.shape() == Shape{2, 4, 6});
  CHECK(difference(conv1d(row, kernel, {}, {.padding = 10, .dilation = 6}), wide, 32, 1) == "");
  auto f = [](const Tensors& in) { return conv1d(in[0], in[1], {}, {.padding = 10, .dilation = 6}); };
  CHECK(gradcheck(f, {row.requires_grad_(), kernel.requires_grad_()}));
}

TEST_CASE("convolutions of nothing", "[ops][conv]") {
  Tensor x = zeros({0, 3, 5, 5}).requires_grad_(), w = ones({4, 3, 3, 3}).requires_grad_(),
         b = ones({4}).requires_grad_();
  Tensor y = conv2d(x, w, b);
  CHECK(y.shape() == Shape{0, 4, 3, 3});
  sum(y).backward();
  CHECK(difference(w.grad(), zeros({4, 3, 3, 3})) == "");
  CHECK(difference(b.grad(), zeros({4})) == "");
  CHECK(x.grad().shape() == x.shape());
  // Without input channels only the bias is left; so it is where a transposed convolution's kernel does not reach.
  Tensor apart =
      conv_transpose1d(ones({1, 1, 2}), ones({1, 2, 1}), tensor({1.0, 2.0}), {.stride = 3, .output_padding = 1});
  CHECK(difference(apart, tensor({{{2.0, 1.0, 1.0, 2.0, 1.0}, {3.0, 2.0, 2.0, 3.0, 2.0}}})) == "");
  CHECK(difference(conv2d(zeros({1, 0, 4, 4}), zeros({2, 0, 3, 3}), tensor({1.0, 2.0}))[{0, 1}], full({2, 2}, 2)) ==
        "");
}
