// Along the axes Adagrad sees one curvature at each parameter and divides it out. Turned by 45° both parameters
// have the same curvature, $(1000 + 1)/2$ on the diagonal of $H$, and what makes the valley is the mixed
// derivative beside it, which Adagrad never sees. So turned by 45° it takes many times as many steps. Plain
// descent does not care: it takes the same steps in any coordinates.
//
// The cure is to turn the axes back: divide by the whole matrix, $H^{-1} g$, not by its diagonal. That is
// Newton's step, and it arrives at once. It needs a matrix with a row for each parameter, which for a network is
// out of the question.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

constexpr DType f64 = DType::float64;

// Steps from (1, 0.6) in the valley's own coordinates until the loss is below 1e-6.
static int steps(const Tensor& turn, bool adagrad, double lr) {
  Tensor H =
      matmul(turn.t(), matmul(diag(tensor({1000, 1}, f64)), turn));  // (2, 2)
  Tensor p = matmul(turn.t(), tensor({1.0, 0.6}, f64));              // (2,)
  Tensor sum_of_squares = zeros({2}, f64);
  int step = 0;
  for (; step < 50000; ++step) {
    Tensor g = matmul(H, p);  // (2,)
    if (0.5 * dot(p, g).item() < 1e-6) break;
    sum_of_squares = sum_of_squares + square(g);
    p = p - lr * (adagrad ? g / (sqrt(sum_of_squares) + 1e-10) : g);
  }
  return step;
}

static int best(const Tensor& turn, bool adagrad,
                const std::vector<double>& rates) {
  int least = 50000;
  for (double lr : rates) least = std::min(least, steps(turn, adagrad, lr));
  return least;
}

int main() {
  double r = std::sqrt(0.5);
  Tensor straight = eye(2, f64), turned = tensor({{r, r}, {r, -r}}, f64);
  std::vector<double> plain = {0.0005, 0.001, 0.0015, 0.0019, 0.00199};
  std::vector<double> ada = {0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 3, 10};
  int a = best(straight, false, plain), b = best(turned, false, plain);
  int c = best(straight, true, ada), d = best(turned, true, ada);
  std::printf("plain: %d steps along the axes, %d at 45 degrees\n", a, b);
  std::printf("Adagrad: %d steps along the axes, %d at 45 degrees\n", c, d);

  // Newton: one step.
  Tensor H = matmul(turned.t(), matmul(diag(tensor({1000, 1}, f64)), turned));
  Tensor p = matmul(turned.t(), ones({2}, f64));
  Tensor after = p - linalg::solve(H, matmul(H, p));
  return std::abs(a - b) < 0.01 * a && d > 10 * c && c < 100 &&
                 amax(abs(after)).item() < 1e-12
             ? 0
             : 1;
}
