// # Reductions, scans and order: what golden values cannot show
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"

using namespace cr;

namespace {
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
}

TEST_CASE("reductions refuse what has no answer", "[reduce]") {
  Tensor x = ones({2, 3}), none = ones({0, 3}), whole = ones({2, 3}, DType::int64);
  CHECK_THROWS_WITH(amax(none, {0}), ContainsSubstring("amax: no elements"));
  CHECK_THROWS_WITH(max(none), ContainsSubstring("max: no elements"));
  CHECK_THROWS_WITH(max(none, 0), ContainsSubstring("max: no elements along dimension 0 of shape (0, 3)"));
  CHECK_THROWS_WITH(argmin(none), ContainsSubstring("argmin: no elements"));
  CHECK_THROWS_AS(sum(x, {2}), IndexError);
  CHECK_THROWS_AS(prod(x, {0, -2}), IndexError);
  CHECK_THROWS_WITH(mean(whole), ContainsSubstring("mean: needs a floating-point tensor, got int64"));
  CHECK_THROWS_WITH(var(whole), ContainsSubstring("var: needs a floating-point tensor"));
  CHECK_THROWS_WITH(norm(whole), ContainsSubstring("norm: needs a floating-point tensor"));
  CHECK_THROWS_WITH(softmax(whole, 0), ContainsSubstring("softmax: needs a floating-point tensor"));
  CHECK_THROWS_WITH(renorm(x, 0, 0, 1), ContainsSubstring("p = 0"));
  CHECK_THROWS_AS(renorm(ones({3}), 2, 0, 1), ShapeError);
  CHECK_THROWS_AS(cov(ones({2, 2, 2})), ShapeError);
  CHECK_THROWS_WITH(cov(x, 1, ones({4}, DType::int64)), ContainsSubstring("fweights of shape (4,) for 3 observations"));
}

TEST_CASE("scans refuse what does not fit", "[scan]") {
  Tensor x = ones({2, 3});
  CHECK_THROWS_AS(cumsum(x, 2), IndexError);
  CHECK_THROWS_AS(logcumsumexp(ones({2}, DType::int64), 0), DTypeError);
  CHECK_THROWS_WITH(linear_scan(ones({3}), x, 0), ContainsSubstring("factors of shape (3,)"));
  CHECK_THROWS_AS(linear_scan(x.to(DType::float64), x, 0), DTypeError);
  CHECK_THROWS_AS(diff(Tensor(1.f)), ShapeError);
  CHECK_THROWS_WITH(diff(x, -1), ContainsSubstring("order -1"));
  CHECK_THROWS_AS(diff(x, 1, 0, ones({1, 4})), ShapeError);
  CHECK_THROWS_WITH(trapezoid(x, ones({4})), ContainsSubstring("places of shape (4,) for values of shape (2, 3)"));
}

TEST_CASE("order and search refuse what does not fit", "[sort]") {
  Tensor x = ones({2, 3});
  CHECK_THROWS_WITH(topk(x, 4), ContainsSubstring("topk: k = 4 of 3 elements"));
  CHECK_THROWS_AS(topk(x, -1), IndexError);
  CHECK_THROWS_WITH(kthvalue(x, 0), ContainsSubstring("kthvalue: k = 0 of 3 elements"));
  CHECK_THROWS_WITH(median(ones({0, 3}), 0), ContainsSubstring("median: no elements"));
  CHECK_THROWS_AS(sort(x, 2), IndexError);
  CHECK_THROWS_WITH(quantile(x, 1.5), ContainsSubstring("between 0 and 1"));
  CHECK_THROWS_WITH(quantile(x, kNaN), ContainsSubstring("between 0 and 1"));
  CHECK_THROWS_AS(quantile(x.to(DType::int64), 0.5), DTypeError);
  CHECK_THROWS_AS(quantile(x, ones({2, 2})), ShapeError);
  CHECK_THROWS_AS(quantile(ones({0}), 0.5), ShapeError);
  CHECK_THROWS_WITH(searchsorted(ones({3, 3}), x),
                    ContainsSubstring("lists of shape (3, 3) for values of shape (2, 3)"));
  CHECK_THROWS_WITH(searchsorted(ones({3}), x, false, tensor({0, 1, 3})), ContainsSubstring("index 3"));
  CHECK_THROWS_AS(bucketize(x, x), ShapeError);
  CHECK_THROWS_WITH(bincount(tensor({1, -2})), ContainsSubstring("element -2 is negative"));
  CHECK_THROWS_AS(bincount(ones({3})), DTypeError);
  CHECK_THROWS_AS(bincount(tensor({1, 2}), ones({3})), ShapeError);
  CHECK_THROWS_WITH(histc(ones({3}), 0), ContainsSubstring("0 bins"));
  CHECK_THROWS_WITH(histc(tensor({1.0, 2.0}) / 0), ContainsSubstring("not finite"));
  CHECK_THROWS_AS(histc(ones({3}), 3, 2, 1), Error);
  CHECK_THROWS_AS(unique(ones({3, 0}), 0), ShapeError);
  CHECK_THROWS_WITH(histc(ones({3}), INT64_MAX), "histc: 9223372036854775807 bins");
  CHECK_THROWS_WITH(bincount(tensor({INT64_MAX})), ContainsSubstring("bincount: element 9223372036854775807"));
  CHECK_THROWS_AS(searchsorted(ones({3}), x, false, ones({3})), DTypeError);
  CHECK_THROWS_AS(topk(ones({1}).expand({int64_t{1} << 44}), 1), OutOfMemory);
  Tensor half = x.to(DType::float16);
  CHECK_THROWS_WITH(sort(half), ContainsSubstring("sort: float16"));
  CHECK_THROWS_WITH(argmax(half), ContainsSubstring("argmax: float16"));
  CHECK_THROWS_WITH(median(half, 0), ContainsSubstring("median: float16"));
  CHECK_THROWS_WITH(searchsorted(half, half), ContainsSubstring("searchsorted: float16"));
}

TEST_CASE("a histogram over all that float64 holds", "[sort]") {
  CHECK(test::numbers_of(histc(tensor({-1e308, 0.0, 1e307}, DType::float64), 2, -1e308, 1e308)) ==
        std::vector<double>{1, 2});
  CHECK(test::numbers_of(histc(tensor({-2.0, 0.0, 2.0, 5.0}), 4, -2, 2)) == std::vector<double>{1, 0, 1, 1});
}

// The radix sort against C++'s own, with every kind of float among the numbers, in lines short and long.
TEST_CASE("sorting is stable and puts NaN last", "[sort]") {
  Generator g(3);
  for (int64_t n : {1, 2, 17, 63, 64, 65, 1000, 70000}) {
    Tensor x = randint(-50, 50, {n}, g).to(DType::float32) / 4;
    float* p = x.mutable_data<float>();
    const float special[] = {kNaN, -kNaN, 0.f, -0.f, kInf, -kInf, 1e-45f, -1e-45f, 3.4e38f};
    for (int64_t i = 0; i < n; i += 7) p[i] = special[(i / 7) % 9];
    for (bool descending : {false, true}) {
      std::vector<int64_t> want(static_cast<size_t>(n));
      std::iota(want.begin(), want.end(), 0);
      auto below = [](float a, float b) { return a < b || (std::isnan(b) && !std::isnan(a)); };
      std::stable_sort(want.begin(), want.end(),
                       [&](int64_t i, int64_t j) { return descending ? below(p[j], p[i]) : below(p[i], p[j]); });
      auto [values, indices] = sort(x, 0, descending);
      CHECK(std::equal(want.begin(), want.end(), indices.data<int64_t>()));
      for (int64_t i : {int64_t{0}, n / 2, n - 1}) {
        float a = values.data<float>()[i], b = p[want[static_cast<size_t>(i)]];
        CHECK(std::memcmp(&a, &b, sizeof a) == 0);
      }
      auto first = topk(x, std::min<int64_t>(n, 3), 0, descending).indices;
      CHECK(std::equal(first.data<int64_t>(), first.data<int64_t>() + first.numel(), want.begin()));
    }
  }
}

TEST_CASE("64-bit keys sort whether they are near each other or not", "[sort]") {
  Generator g(4);
  for (int64_t spread : {int64_t{100}, int64_t{1} << 31, int64_t{1} << 62}) {
    Tensor x = randint(-spread, spread, {1000}, g);
    std::vector<int64_t> want(x.data<int64_t>(), x.data<int64_t>() + 1000);
    std::sort(want.begin(), want.end());
    Tensor sorted = sort(x).values;
    CHECK(std::equal(want.begin(), want.end(), sorted.data<int64_t>()));
    Tensor reals = x.to(DType::float64) * 0.37;
    CHECK(all(diff(sort(reals).values) >= 0).item<bool>());
  }
}

TEST_CASE("the variance holds where the mean is a million deviations away", "[reduce]") {
  Generator g(5);
  Tensor x = randn({1000}, g, DType::float64);
  Tensor far = (x + 1e6).to(DType::float32);
  CHECK(var(far).item() == Approx(var(far.to(DType::float64)).item()).epsilon(1e-5));
}

// Whole numbers are added without rounding, so a row that is left out, or counted twice, shows on any number of threads.
TEST_CASE("every element of a large tensor is counted once", "[reduce]") {
  Threads restore;
  const std::vector<Shape> shapes = {{1, 65536},  {1, 65537}, {1, 98304}, {1, 1000003}, {5, 16385},   {255, 300},
                                     {257, 1024}, {1000, 77}, {65536, 1}, {70001, 3},   {3, 257, 100}};
  for (const Shape& shape : shapes) {
    Tensor x = arange(numel(shape)).reshape(shape) % 7 - 3;
    for (DType dtype : {DType::int64, DType::float32, DType::float64}) {
      for (bool apart : {false, true}) {  // elements next to each other in memory, or every second place
        Tensor y = x.to(dtype);
        if (apart) y = stack({y, y + 100}, -1).select(-1, 0);
        const int64_t columns = shape.back(), rows = x.numel() / columns;
        std::vector<int64_t> want(static_cast<size_t>(rows));
        for (int64_t i = 0; i < x.numel(); ++i) want[static_cast<size_t>(i / columns)] += i % 7 - 3;
        const int64_t total = std::accumulate(want.begin(), want.end(), int64_t{0});
        for (int threads : {1, 2, 3, 64}) {
          backend::set_num_threads(threads);
          INFO(to_string(shape) << ", " << name(dtype) << ", " << threads << " threads" << (apart ? ", apart" : ""));
          Tensor sums = sum(y, {-1}).to(DType::int64);
          CHECK(std::equal(want.begin(), want.end(), sums.data<int64_t>()));
          CHECK(sum(y).item() == static_cast<double>(total));
          CHECK(all(amax(y, {-1}) == amax(x, {-1}).to(dtype)).item<bool>());
        }
      }
    }
  }
}

TEST_CASE("a running sum of a million terms ends where the sum does", "[scan]") {
  Generator g(6);
  Tensor x = rand({1000001}, g);
  double exact = sum(x.to(DType::float64)).item();
  CHECK(cumsum(x, 0)[-1].item() == Approx(exact).epsilon(1e-7));
  // The derivative is the same from the far end: of the first element, the sum of all.
  x.requires_grad_();
  Tensor dx = grad(cumsum(x, 0), x, {.grad_outputs = {x.detach()}});
  CHECK(dx[0].item() == Approx(exact).epsilon(1e-7));
  CHECK(dx[-1].item() == Approx(x[-1].item()));
}

TEST_CASE("products with zeros have derivatives of every order", "[reduce]") {
  // y = a b c at (0, 2, 3): dy/da = 6; d²y/da db = 3; d³y/da db dc = 1.
  Tensor x = tensor({0.0, 2.0, 3.0}).requires_grad_();
  for (bool running : {false, true}) {
    Tensor y = running ? cumprod(x, 0)[-1] : prod(x);
    Tensor d1 = grad(y, x, {.create_graph = true});
    Tensor d2 = grad(d1[0], x, {.create_graph = true});
    Tensor d3 = grad(d2[1], x, {.create_graph = true});
    CHECK(d1[0].item() == 6);
    CHECK(d2[1].item() == 3);
    CHECK(d3[2].item() == 1);
  }
}

TEST_CASE("unique puts the tensor back together", "[sort]") {
  Generator g(7);
  Tensor x = randint(0, 30, {40, 5}, g);
  Unique u = unique(x);
  CHECK(all(index_select(u.values, 0, u.inverse.flatten()).reshape(x.shape()) == x).item<bool>());
  CHECK(sum(u.counts).item<int64_t>() == 200);
  CHECK(all(diff(u.values) > 0).item<bool>());
  Tensor rows = randint(0, 2, {40, 3}, g);
  Unique r = unique(rows, 0);
  CHECK(r.values.shape()[0] <= 8);
  CHECK(all(index_select(r.values, 0, r.inverse) == rows).item<bool>());
}

TEST_CASE("both names of a norm have one rule", "[ops]") {
  for (double p : {0.0, 1.0, 2.0, 3.0, HUGE_VAL}) {
    auto second = [&](bool linalg) {
      Tensor x = zeros({3}, DType::float64).requires_grad_(), y = linalg ? linalg::vector_norm(x, p) : norm(x, p);
      Tensor dx = grad(y, x, {.create_graph = true});
      return dx.requires_grad() ? grad(sum(dx * tensor({1.0, 2.0, 3.0}).to(DType::float64)), x, {.allow_unused = true})
                                : dx;
    };
    Tensor one = second(false), other = second(true);
    INFO(p);
    CHECK(one.defined() == other.defined());
    if (one.defined()) CHECK(test::difference(one.detach(), zeros({3}, DType::float64)) == "");
    if (one.defined()) CHECK(test::difference(other.detach(), one.detach()) == "");
  }
}
