// The square makes one residual of 2000 weigh as much as four hundred of 100, so the line runs after it. The
// absolute value's slope is the *sign* of the residual, however large:
// $\partial L/\partial w = \frac1n \sum_i \mathrm{sign}(e_i)\, x_i$. A point above the line pulls up with the
// same strength, be it 1 above or 2000. (With one parameter only, $\hat y = b$, squares give the mean and
// absolute values the median.)
//
// Near the bottom the slope does not fade as a parabola's does, so a fixed rate would jump to and fro for ever.
// The rate falls as the root of the step number.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

constexpr DType f64 = DType::float64;

struct Line {
  double w, b;
  double at(double x) const { return w * x + b; }
};

static Line least_squares(const Tensor& x, const Tensor& y) {
  Tensor dx = x - mean(x);
  double w = (sum(dx * (y - mean(y))) / sum(square(dx))).item();
  return {w, mean(y).item() - w * mean(x).item()};
}

// On standardised inputs, as everything after *Badly scaled axes*.
static Line least_absolute(const Tensor& x, const Tensor& y) {
  double middle = mean(x).item(), spread = cr::std(x, {}, 0).item();
  Tensor u = (x - middle) / spread;  // (n,)
  Tensor w = zeros({}, f64), b = mean(y);
  for (int step = 1; step <= 20000; ++step) {
    Tensor direction = sign(w * u + b - y);  // (n,)
    double lr = 300 / std::sqrt(step);
    w = w - lr * mean(direction * u);
    b = b - lr * mean(direction);
  }
  double slope = w.item() / spread;
  return {slope, b.item() - slope * middle};
}

int main() {
  Tensor x = tensor({905, 740, 886, 690, 600, 929, 132, 148, 696, 850}, f64);
  Tensor y =
      tensor({2358, 1618, 2226, 1558, 1256, 2430, 215, 506, 1488, 2085}, f64);
  Tensor slip = y.clone();
  slip[6] = 2150;

  // How far the two lines are moved at 132, where the slip is.
  double squares =
      std::abs(least_squares(x, slip).at(132) - least_squares(x, y).at(132));
  double absolute =
      std::abs(least_absolute(x, slip).at(132) - least_absolute(x, y).at(132));
  std::printf(
      "at x = 132 the slip moves the least-squares line by %.0f, the "
      "least-absolute line by %.0f\n",
      squares, absolute);
  return squares > 700 && absolute < squares / 2 ? 0 : 1;
}
