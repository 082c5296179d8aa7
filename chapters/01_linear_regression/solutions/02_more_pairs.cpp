// The price of a parameter is $\sigma^2 / n$, so degree 5 pays $6 \sigma^2 / n$ where degree 2 pays
// $3 \sigma^2 / n$. The price falls with the number of pairs. The bias does not: a parabola is not our rule,
// however many pairs it is fitted to. So with more pairs the right arm of the U sinks until it lies *below*
// degree 2. Three times as many pairs are enough. More data do not only make a model better, they make a freer
// model the right one.
//
// Less noise does the same: the price falls with $\sigma^2$, and what is left of a stiff model's miss is its
// bias.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

static Tensor powers(const Tensor& x, int64_t degree) {
  Tensor t = ((x - 550) / 450).reshape({-1, 1});            // (n, 1)
  return pow(t, arange(0, degree + 1, 1, DType::float64));  // (n, d + 1)
}

// The median over 200 drawings of the test miss of this degree.
static double typical_miss(int64_t n, int64_t degree, double noise) {
  Generator random(1);
  Tensor miss = zeros({200}, DType::float64);
  auto draw = [&](int64_t count) {
    Tensor x = 100.0 + 900.0 * rand({count}, random, DType::float64);
    return std::pair{x, 1.2 * x + 100.0 * exp2(x / 250.0) +
                            noise * randn({count}, random, DType::float64)};
  };
  for (int64_t k = 0; k < 200; ++k) {
    auto [x, y] = draw(n);
    auto [new_x, new_y] = draw(200);
    Tensor A = powers(x, degree);
    Tensor theta = linalg::solve(matmul(A.t(), A), matmul(A.t(), y));
    miss[k] = sqrt(mse_loss(matmul(powers(new_x, degree), theta), new_y));
  }
  return median(miss).item();
}

// The bias of a degree, squared: the miss of its best fit to the rule itself, without noise.
static double bias_squared(int64_t degree) {
  Tensor x = linspace(100, 1000, 1001, DType::float64);
  Tensor f = 1.2 * x + 100.0 * exp2(x / 250.0), A = powers(x, degree);
  Tensor theta = linalg::solve(matmul(A.t(), A), matmul(A.t(), f));
  return mse_loss(matmul(A, theta), f).item();
}

int main() {
  double bias2 = bias_squared(2) / (60 * 60), bias5 = bias_squared(5) / (60 * 60);
  std::printf("bias² in units of the noise: degree 2 %.3f, degree 5 %.1g\n", bias2,
              bias5);
  std::vector<double> ratio, formula;
  for (double n : {10, 30, 100, 300}) {
    ratio.push_back(typical_miss(int64_t(n), 5, 60) /
                    typical_miss(int64_t(n), 2, 60));
    formula.push_back(std::sqrt((1 + bias5 + 6 / n) / (1 + bias2 + 3 / n)));
    std::printf("%4.0f pairs: degree 5 over degree 2 %.3f, formula %.3f\n", n,
                ratio.back(), formula.back());
  }

  // At ten pairs the places in between cost more than the formula says; at three hundred it is exact.
  double line = typical_miss(10, 1, 5), quiet = typical_miss(10, 5, 5);
  std::printf("noise 5, ten pairs: degree 1 misses by %.0f, degree 5 by %.0f\n",
              line, quiet);
  bool crosses = ratio[0] > 1.3 && ratio[1] < 1 && ratio[2] < 0.98;
  return crosses && std::abs(ratio[3] / formula[3] - 1) < 0.01 && quiet < line / 3
             ? 0
             : 1;
}
