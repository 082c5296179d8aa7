// Leave out pair $i$ and fit the others; call its prediction there $\tilde y_i$. Put the pair $(x_i, \tilde y_i)$
// in its place: the fit of the others is still the best one, since the new pair is met exactly. So the fit of all
// ten with $\tilde y_i$ instead of $y_i$ predicts $\tilde y_i$ at $i$; but predictions are $M y$, so exchanging
// $y_i$ changes the prediction at $i$ by $M_{ii}$ times the exchange:
// $\tilde y_i = \hat y_i + M_{ii} (\tilde y_i - y_i)$, and from that $\tilde y_i - y_i = e_i / (1 - M_{ii})$.
//
// $M_{ii}$ is how far the prediction at $i$ follows when $y_i$ is moved by 1. Close to 1, the fit runs through
// the point wherever it is; its residual $e_i$ is small and says nothing.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

constexpr DType f64 = DType::float64;

static Tensor powers(const Tensor& x, int64_t degree) {
  Tensor t = ((x - 550) / 450).reshape({-1, 1});
  return pow(t,
             arange(0, degree + 1, 1, f64));  // (n, d + 1), the first column ones
}

static Tensor fit(const Tensor& A, const Tensor& y) {
  return linalg::solve(matmul(A.t(), A), matmul(A.t(), y));
}

int main() {
  Tensor x = tensor({905, 740, 886, 690, 600, 929, 132, 148, 696, 850}, f64);
  Tensor y =
      tensor({2358, 1618, 2226, 1558, 1256, 2430, 215, 506, 1488, 2085}, f64);
  double worst = 0;
  std::vector<double> by_degree;
  for (int64_t degree = 1; degree <= 5; ++degree) {
    Tensor A = powers(x, degree);                                  // (10, d + 1)
    Tensor M = matmul(A, linalg::solve(matmul(A.t(), A), A.t()));  // (10, 10)
    Tensor by_one = (matmul(M, y) - y) / (1.0 - diagonal(M));      // (10,)
    Tensor by_ten = zeros({10}, f64);
    for (int64_t i = 0; i < 10; ++i) {
      Tensor others = masked_select(arange(10), arange(10) != i);  // (9,)
      Tensor theta = fit(index_select(A, 0, others), index_select(y, 0, others));
      by_ten[i] = dot(A[i], theta) - y[i];
    }
    worst = std::max(worst,
                     amax(abs(by_ten - by_one)).item() / amax(abs(by_ten)).item());
    by_degree.push_back(std::sqrt(mean(square(by_one)).item()));
    std::printf("degree %ld: leaving one out, a miss of %.0f; largest M_ii %.3f\n",
                long(degree), by_degree.back(), amax(diagonal(M)).item());
  }
  auto best =
      std::min_element(by_degree.begin(), by_degree.end()) - by_degree.begin() + 1;
  std::printf("ten fits against one: %.2g of the miss; chosen: degree %ld\n", worst,
              long(best));
  return worst < 1e-6 && best == 2 ? 0 : 1;
}
