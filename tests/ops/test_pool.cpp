// # Pools: what golden values cannot show
#include <cmath>
#include <functional>
#include <limits>

#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using namespace cr::test;

namespace {

// One plane, the plain way: loops over windows, then over the places that a window sees.
struct Plain {
  int64_t kernel, stride, padding, dilation;
  int64_t windows(int64_t n) const { return (n + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1; }
};
struct Found {
  std::vector<double> values, at;
};
template <class F> void each_window(int64_t h, int64_t w, const Plain& p, F&& f) {
  for (int64_t i = 0; i < p.windows(h); ++i) {
    for (int64_t j = 0; j < p.windows(w); ++j) {
      std::vector<int64_t> sees;
      for (int64_t a = 0; a < p.kernel; ++a) {
        for (int64_t b = 0; b < p.kernel; ++b) {
          int64_t r = i * p.stride - p.padding + a * p.dilation, c = j * p.stride - p.padding + b * p.dilation;
          if (r >= 0 && r < h && c >= 0 && c < w) sees.push_back(r * w + c);
        }
      }
      f(sees);
    }
  }
}
Found largest(const std::vector<double>& x, int64_t h, int64_t w, const Plain& p) {
  Found found;
  each_window(h, w, p, [&](const std::vector<int64_t>& sees) {
    int64_t best = sees[0];
    for (int64_t s : sees) {
      if (x[static_cast<size_t>(s)] > x[static_cast<size_t>(best)]) best = s;
    }
    found.values.push_back(x[static_cast<size_t>(best)]);
    found.at.push_back(static_cast<double>(best));
  });
  return found;
}

}  // namespace

TEST_CASE("pools of every width equal the plain loop", "[pool]") {
  Generator g(11);
  for (DType type : {DType::float32, DType::float64}) {
    for (Plain p : {Plain{2, 2, 0, 1}, Plain{3, 2, 1, 1}, Plain{3, 1, 1, 1}, Plain{2, 3, 1, 1}, Plain{3, 1, 0, 2},
                    Plain{3, 2, 2, 3}, Plain{1, 1, 0, 1}, Plain{5, 4, 2, 1}}) {
      for (int64_t w : {7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 127, 131, 140}) {
        int64_t h = 7;
        if (p.windows(h) < 1 || p.windows(w) < 1) continue;
        INFO(name(type) << ", 7 x " << w << ", kernel " << p.kernel << ", stride " << p.stride << ", padding "
                        << p.padding << ", dilation " << p.dilation);
        Tensor x = randint(0, 9, {1, h, w}, g).to(type).requires_grad_();  // many equals
        auto [y, at] =
            max_pool2d_with_indices(x, p.kernel, {.stride = p.stride, .padding = p.padding, .dilation = p.dilation});
        Found want = largest(numbers_of(x), h, w, p);
        CHECK(numbers_of(y) == want.values);
        CHECK(numbers_of(at) == want.at);

        // Whole numbers times 1, 2, 3 …: every order of adding gives the same.
        Tensor dy = arange(y.numel()).to(type).reshape(y.shape());
        std::vector<double> dx(static_cast<size_t>(h * w), 0), mean_dx = dx;
        for (size_t i = 0; i < want.at.size(); ++i) dx[static_cast<size_t>(want.at[i])] += static_cast<double>(i);
        CHECK(numbers_of(grad(std::vector<Tensor>{y}, {x}, {.grad_outputs = {dy}})[0]) == dx);

        if (p.dilation > 1 || p.padding > p.kernel / 2) continue;
        std::vector<double> sums, from = numbers_of(x);
        double i = 0;
        each_window(h, w, p, [&](const std::vector<int64_t>& sees) {
          double total = 0;
          for (int64_t s : sees) total += from[static_cast<size_t>(s)], mean_dx[static_cast<size_t>(s)] += i;
          sums.push_back(total), ++i;
        });
        Tensor sum = avg_pool2d(x, p.kernel, {.stride = p.stride, .padding = p.padding, .divisor_override = 1});
        CHECK(numbers_of(sum) == sums);
        CHECK(numbers_of(grad(std::vector<Tensor>{sum}, {x}, {.grad_outputs = {dy}})[0]) == mean_dx);
      }
    }
  }
}

TEST_CASE("a window may be larger than what side-by-side lanes hold", "[pool]") {
  Tensor x = arange(9000).to(DType::float64).reshape({1, 1, 9000}).requires_grad_();
  CHECK(numbers_of(max_pool1d(x, 3000, {.stride = 2500})) == std::vector<double>{2999, 5499, 7999});
  CHECK(numbers_of(avg_pool1d(x, 3000, {.stride = 2500})) == std::vector<double>{1499.5, 3999.5, 6499.5});
  CHECK(numbers_of(max_pool1d(x, 2, {.stride = 8000, .dilation = 900})) == std::vector<double>{900, 8900});
  Tensor dx = grad(sum(avg_pool1d(x, 3000, {.stride = 2500})), x);
  CHECK(std::abs(sum(dx).item() - 3) < 1e-12);
  CHECK(dx.reshape({-1})[2600].item() == 2 / 3000.);
}

TEST_CASE("the mean of a plane far from 0 keeps its digits", "[pool]") {
  Generator g(4);
  Tensor x = randn({2, 3, 200, 200}, g) + 10000, want = mean(x.to(DType::float64), {2, 3}, true);
  CHECK(difference(adaptive_avg_pool2d(x, 1), want.to(DType::float32), 1) == "");
}

TEST_CASE("pools have derivatives of any order", "[pool]") {
  Generator g(6);
  Tensor x = randn({2, 6, 5}, g, DType::float64).requires_grad_();
  auto cubed = [](const Tensor& t) { return max_pool2d(t * t * t, 3, {.stride = 1, .padding = 1}); };
  auto averaged = [](const Tensor& t) { return avg_pool2d(t * t * t, 3, {.stride = 1, .padding = 1}); };
  for (const std::function<Tensor(const Tensor&)>& f : {std::function(cubed), std::function(averaged)}) {
    CHECK(gradcheck(f, {x}));
    CHECK(gradgradcheck(f, {x}));
    Tensor first = grad(sum(f(x)), x, {.create_graph = true}), second = grad(sum(first), x, {.create_graph = true});
    CHECK(grad(sum(second), x).defined());
  }
}

TEST_CASE("without a gradient no places are kept", "[pool]") {
  Tensor x = ones({1, 4, 4});
  CHECK_FALSE(max_pool2d(x, 2).requires_grad());
  NoGrad off;
  Tensor w = ones({1, 4, 4}).requires_grad_();
  CHECK_FALSE(max_pool2d(w, 2).requires_grad());
  CHECK(max_pool2d_with_indices(w, 2).indices.shape() == Shape{1, 2, 2});
}

TEST_CASE("sums of whole numbers wrap", "[pool]") {
  const int64_t most = INT64_MAX;
  Tensor x = tensor({most, most, most, int64_t{5}});  // 3 (2⁶³ − 1) + 5 is 2⁶³ + 2 modulo 2⁶⁴
  auto total = [&](int64_t size, int64_t kernel) {    // of a whole plane, a small and a large window
    Tensor row = pad(x, {0, size - 4}).reshape({1, 1, size});
    return avg_pool2d(row, {1, kernel}, {.divisor_override = 1})[{0, 0, 0}].item<int64_t>();
  };
  for (int64_t size : {4, 8, 6000}) CHECK(total(size, size / 2 + 2) == INT64_MIN + 2);
}

TEST_CASE("pools refuse what does not fit", "[pool]") {
  Tensor x = ones({2, 3, 8, 8});
  CHECK_THROWS_WITH(max_pool2d(x, 9), ContainsSubstring("max_pool2d") && ContainsSubstring("(2, 3, 8, 8)"));
  CHECK_THROWS_AS(max_pool2d(x, 0), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, -1), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, 2, {.stride = 0}), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, 2, {.dilation = 0}), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, 2, {.padding = -1}), ShapeError);
  CHECK_THROWS_WITH(max_pool2d(x, 2, {.padding = 2}), ContainsSubstring("half"));
  CHECK_THROWS_AS(max_pool2d(x, {2, 2, 2}), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, INT64_MAX), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, {INT32_MAX, INT32_MAX}), ShapeError);
  CHECK_THROWS_AS(max_pool3d(x, INT32_MAX, {.padding = INT32_MAX / 2}), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, 2, {.dilation = INT64_MAX}), ShapeError);
  CHECK_THROWS_AS(max_pool2d(ones({8, 8}), 2), ShapeError);
  CHECK_THROWS_AS(max_pool2d(ones({1, 2, 3, 8, 8}), 2), ShapeError);
  CHECK_THROWS_AS(max_pool2d(ones({1, 0, 8, 8}), 2), ShapeError);
  CHECK_THROWS_AS(max_pool2d(ones({1, 1, 0, 8}), 2), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x.to(DType::float16), 2), DTypeError);
  CHECK_THROWS_AS(max_pool2d(x.to(DType::boolean), 2), DTypeError);
  CHECK_THROWS_WITH(max_pool1d(ones({1, 2}), 2, {.padding = 1, .dilation = 3}), ContainsSubstring("sees no place"));
  CHECK_THROWS_AS(avg_pool2d(x, 2, {.divisor_override = 0}), Error);
  CHECK_THROWS_AS(avg_pool2d(x.to(DType::boolean), 2), DTypeError);
  CHECK_THROWS_AS(adaptive_avg_pool2d(x, -2), ShapeError);
  CHECK_THROWS_AS(adaptive_avg_pool2d(x, {1, 2, 3}), ShapeError);
  CHECK_THROWS_AS(adaptive_avg_pool2d(x.to(DType::int64), 1), DTypeError);
  CHECK_THROWS_AS(adaptive_max_pool2d(ones({4, 4}), 1), ShapeError);
  CHECK(adaptive_max_pool2d(x, 0).shape() == Shape{2, 3, 0, 0});

  Tensor y = ones({1, 1, 2, 2}), at = zeros({1, 1, 2, 2}, DType::int64);
  CHECK_THROWS_AS(max_unpool2d(y, at + 16, 2), IndexError);
  CHECK_THROWS_AS(max_unpool2d(y, at - 1, 2), IndexError);
  CHECK_THROWS_AS(max_unpool2d(y, y, 2), DTypeError);
  CHECK_THROWS_WITH(max_unpool2d(y, at, 2, {.padding = {1, 2}}), ContainsSubstring("max_unpool2d: padding (1, 2)"));
  CHECK_THROWS_WITH(lp_pool1d(x[0], 0, 2), ContainsSubstring("lp_pool1d: norm_type is 0"));
  CHECK_THROWS_AS(max_unpool2d(y, at[0], 2), ShapeError);
  CHECK_THROWS_WITH(max_unpool2d(y, at, 2, {.output_size = {8, 8}}), ContainsSubstring("output_size"));
}
