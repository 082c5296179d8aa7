// # Making tensors, and random ones by their statistics
#include <cmath>

#include "backend/parallel.hpp"
#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("ranges", "[ops][create]") {
  CHECK(numbers_of(arange(1.0, 2.0, 0.25)) == std::vector<double>{1, 1.25, 1.5, 1.75});
  CHECK(arange(3).dtype() == DType::int64);
  CHECK(arange(3.0).dtype() == DType::float32);
  CHECK(arange(0, 3, 1, DType::float64).dtype() == DType::float64);
  CHECK(numbers_of(arange(5, 0, -2.5)) == std::vector<double>{5, 2.5});
  CHECK(arange(1.0, 1.0).numel() == 0);
  CHECK_THROWS_AS(arange(0.0, 1.0, 0.0), Error);
  CHECK_THROWS_WITH(arange(0.0, 1.0, -0.5), ContainsSubstring("does not go in steps of"));
  CHECK_THROWS_AS(arange(0.0, HUGE_VAL), Error);
  CHECK_THROWS_WITH(arange(NAN, 1.0), ContainsSubstring("must be finite"));
  for (DType half : {DType::float16, DType::bfloat16}) {
    CHECK(numbers_of(arange(0, 2, 0.5, half).to(DType::float32)) == std::vector<double>{0, 0.5, 1, 1.5});
    CHECK(numbers_of(linspace(0, 1, 3, half).to(DType::float32)) == std::vector<double>{0, 0.5, 1});
  }
  CHECK_THROWS_AS(arange(0.0, 1e30), ShapeError);
  Tensor x = linspace(0.1, 0.9, 9, DType::float64);
  CHECK(x[8].item() == 0.9);
  CHECK(difference(x, 1 - flip(x, {0}), 2) == "");
  CHECK(numbers_of(linspace(0, 9, 4, DType::int64)) == std::vector<double>{0, 3, 6, 9});
  CHECK(numbers_of(logspace(0, 3, 4, 2)) == std::vector<double>{1, 2, 4, 8});
  CHECK_THROWS_AS(linspace(0, 1, -1), ShapeError);
  CHECK_THROWS_WITH(linspace(0, 1, -1, DType::int64), "linspace: -1 steps");
  CHECK_THROWS_WITH(linspace(-1e19, 0, 3, DType::int64), ContainsSubstring("linspace: int64 does not hold"));
  CHECK_THROWS_AS(linspace(0, 0x1.fffffffffffffp62, 3, DType::int64), Error);
  CHECK_THROWS_WITH(logspace(0, 1, -1), "logspace: -1 steps");
  CHECK_THROWS_WITH(full({}, NAN, DType::int64), "full: int64 does not hold nan");
  CHECK(numbers_of(eye(2, 3)) == std::vector<double>{1, 0, 0, 0, 1, 0});
  CHECK(eye(0, 3).shape() == Shape{0, 3});
  CHECK_THROWS_AS(eye(-1), ShapeError);
  CHECK(numbers_of(tril_indices(2, 3, 0)) == std::vector<double>{0, 1, 1, 0, 0, 1});
  CHECK(numbers_of(triu_indices(2, 2, 1)) == std::vector<double>{0, 1});
  CHECK(full_like(ones({2}, DType::int64), 2.7).dtype() == DType::int64);
  CHECK(new_zeros(ones({2}, DType::float64), {3}).dtype() == DType::float64);
  CHECK_THROWS_AS(zeros({int64_t{1} << 40, int64_t{1} << 40}), ShapeError);
}

TEST_CASE("random tensors do not depend on the number of threads", "[ops][create]") {
  Threads restore;
  auto draw = [](int threads) {
    backend::set_num_threads(threads);
    Generator g(11);
    Tensor p = rand({300, 300}, g);
    return std::vector<Tensor>{p,
                               bernoulli(p, g),
                               bernoulli(p, 0.25, g),
                               normal(p, p, g),
                               normal(1, 2, {100000}, g),
                               exponential(2, {100000}, g),
                               multinomial(p, 20, true, g),
                               multinomial(p, 20, false, g),
                               randn_like(p, g, DType::float64),
                               randint_like(p, 0, 9, g)};
  };
  std::vector<Tensor> one = draw(1), two = draw(2);
  for (size_t i = 0; i < one.size(); ++i) CHECK(difference(two[i], one[i]) == "");
}

// Bounds are five standard deviations of the estimate.
TEST_CASE("random tensors have the mean and spread they should", "[ops][create]") {
  Generator g(1);
  const int64_t n = 200000;
  auto mean_of = [](const Tensor& x) { return mean(x.to(DType::float64)).item(); };
  auto within = [&](double got, double want, double sigma) {
    return std::abs(got - want) < 5 * sigma / std::sqrt(double(n));
  };
  Tensor z = normal(3, 2, {n}, g);
  CHECK(within(mean_of(z), 3, 2));
  CHECK(within(mean_of(square(z - 3)), 4, 4 * std::sqrt(2)));
  Tensor e = exponential(4, {n}, g);
  CHECK(amin(e).item() >= 0);
  CHECK(within(mean_of(e), 0.25, 0.25));
  Tensor p = linspace(0, 1, n), b = bernoulli(p, g);
  CHECK(within(mean_of(b), 0.5, 0.41));
  CHECK(within(mean_of(b * p), 1.0 / 3, 0.41));
  CHECK(b[0].item() == 0);
  CHECK(b[n - 1].item() == 1);
  Tensor spread = normal(p * 10, 0.5, g) - p * 10;
  CHECK(within(mean_of(spread), 0, 0.5));

  Tensor weights = tensor({{0.0, 1.0, 3.0, 0.0}, {5.0, 0.0, 0.0, 5.0}});
  Tensor drawn = multinomial(weights, n, true, g);
  CHECK(drawn.shape() == Shape{2, n});
  Tensor share = mean(one_hot(drawn, 4, DType::float64), {1});
  double want[] = {0, 0.25, 0.75, 0, 0.5, 0, 0, 0.5};
  for (size_t i = 0; i < 8; ++i)
    CHECK(within(numbers_of(share)[i], want[i], std::sqrt(want[i] * (1 - want[i])) + 1e-12));

  // Without replacement: never twice, and the first drawn like a single draw.
  Tensor rows = tensor({1.0, 2.0, 5.0}).expand({20000, 3}), order = multinomial(rows, 3, false, g);
  CHECK(numbers_of(order.sum({1})) == std::vector<double>(20000, 3));
  double firsts = mean((order.select(1, 0) == 2).to(DType::float64)).item();
  CHECK(std::abs(firsts - 5.0 / 8) < 5 * std::sqrt(15.0 / 64 / 20000));
  double third = mean((order.select(1, 2) == 0).to(DType::float64)).item();  // 2/8 · 5/6 + 5/8 · 2/3
  CHECK(std::abs(third - 0.625) < 5 * std::sqrt(0.25 / 20000));
}

TEST_CASE("random tensors refuse what is no distribution", "[ops][create]") {
  Generator g(1);
  CHECK_THROWS_WITH(rand({2}, g, DType::int64), "rand: makes float32 or float64, not int64");
  CHECK_THROWS_AS(randn({2}, g, DType::float16), DTypeError);
  CHECK_THROWS_WITH(randperm(-1, g), "randperm: -1 numbers");
  CHECK_THROWS_WITH(bernoulli(tensor({0.5, 1.5}), g), ContainsSubstring("bernoulli: a probability lies outside 0 … 1"));
  CHECK_THROWS_AS(bernoulli(tensor({0.5, NAN}), g), Error);
  CHECK_THROWS_AS(bernoulli(arange(2), g), DTypeError);
  CHECK_THROWS_AS(normal(0, -1, {2}, g), Error);
  CHECK_THROWS_AS(normal(ones({2}), tensor({1.0, -1.0}), g), Error);
  CHECK_THROWS_AS(exponential(0, {2}, g), Error);
  CHECK_THROWS_WITH(multinomial(tensor({1.0, 2.0}), 3, false, g), ContainsSubstring("multinomial: 3 of 2 categories"));
  CHECK_THROWS_WITH(multinomial(tensor({1.0, 0.0}), 2, false, g),
                    ContainsSubstring("row 0 has 1 weights that are not zero"));
  CHECK_THROWS_AS(multinomial(tensor({1.0, -1.0}), 1, true, g), Error);
  CHECK_THROWS_AS(multinomial(zeros({2}), 1, true, g), Error);
  CHECK_THROWS_AS(multinomial(arange(3), 1, true, g), DTypeError);
}
