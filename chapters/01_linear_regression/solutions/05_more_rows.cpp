// Least squares adds up squared residuals. The penalty $n \lambda w_j^2$ is one as well, that of a row
// whose input is $\sqrt{n\lambda}$ at place $j$ and 0 elsewhere (and 0 in the column of ones, which is how the
// bias stays free), with $y = 0$. In words: for each input, an imaginary example in which it alone is large and
// nothing happened.
//
// With more inputs than examples there are many weights that leave no residual. As $\lambda \to 0$ ridge regression
// goes to the one of them with the smallest $|w|$, which is what the Moore-Penrose inverse gives.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

constexpr DType f64 = DType::float64;

static double gap(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item();
}

int main() {
  Generator random(1);
  const int64_t n = 20, d = 6;
  const double lambda = 0.3;
  Tensor X = randn({n, d}, random, f64), y = randn({n}, random, f64) + 5;
  Tensor A = cat({X, ones({n, 1}, f64)}, 1);                // (n, d + 1)
  Tensor D = diag(cat({ones({d}, f64), zeros({1}, f64)}));  // (d + 1, d + 1)
  Tensor ridge = linalg::solve(matmul(A.t(), A) / double(n) + lambda * D,
                               matmul(A.t(), y) / double(n));  // (d + 1,)

  Tensor rows =
      cat({std::sqrt(double(n) * lambda) * eye(d, f64), zeros({d, 1}, f64)}, 1);
  Tensor longer = cat({A, rows});                             // (n + d, d + 1)
  Tensor longer_y = cat({y, zeros({d}, f64)});                // (n + d,)
  Tensor squares = linalg::lstsq(longer, longer_y).solution;  // (d + 1,)
  std::printf("ridge against least squares with %ld more rows: largest gap %.2g\n",
              long(d), gap(ridge, squares));

  // Five examples, twelve inputs, no bias, and a penalty that fades.
  Tensor wide = randn({5, 12}, random, f64), target = randn({5}, random, f64);
  Tensor smallest = matmul(linalg::pinv(wide), target);  // (12,)
  auto faded = [&](double l) {
    return linalg::solve(matmul(wide.t(), wide) + l * eye(12, f64),
                         matmul(wide.t(), target));
  };
  double far = gap(faded(1e-2), smallest), near = gap(faded(1e-6), smallest);
  std::printf(
      "to the smallest weights without residuals: %.2g at 1e-2, %.2g at 1e-6\n",
      far, near);
  return gap(ridge, squares) < 1e-10 && near < 1e-5 && near < far / 100 &&
                 gap(matmul(wide, smallest), target) < 1e-10
             ? 0
             : 1;
}
