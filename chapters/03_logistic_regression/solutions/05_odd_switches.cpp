// Hold the third switch off: what is left is XOR, and a plane that got all eight cases right would give a line that gets
// XOR right.
//
// Now count: let $s = x_1 + x_2 + x_3$. Three units ask whether $s$ is above $\frac12$, above $1\frac12$, above
// $2\frac12$. As $s$ goes from 0 to 3 they switch on one after the other, and $h_1 - h_2 + h_3$ is 0, 1, 0, 1. The fourth
// unit asks whether that is above one half. Any number of switches goes the same way, with one unit for each.
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

int main() {
  const DType f64 = DType::float64;
  Tensor x = zeros({8, 3}, f64), y = zeros({8}, f64);
  for (int64_t i = 0; i < 8; ++i) {
    int64_t on = 0;
    for (int64_t j = 0; j < 3; ++j) {
      x[{i, j}] = (i >> j) & 1;
      on += (i >> j) & 1;
    }
    y[i] = on % 2;
  }
  Tensor W = full({3, 3}, 40, f64), b = tensor({-20, -60, -100}, f64),
         v = tensor({40, -40, 40}, f64);
  Tensor h = sigmoid(linear(x, W, b));        // (8, 3)
  Tensor y_hat = sigmoid(matmul(h, v) - 20);  // (8,)
  double gap = amax(abs(y_hat - y)).item();

  // And the best of many random planes.
  Generator random(1);
  Tensor planes = randn({4, 100000}, random, f64);
  Tensor says_one =
      matmul(cat({x, ones({8, 1}, f64)}, 1), planes) > 0;  // (8, 100000)
  Tensor hits = sum((says_one == (y.reshape({8, 1}) > 0.5)).to(DType::int64),
                    {0});  // (100000,)
  std::printf(
      "four units: largest gap %.2g; the best of 100 000 planes gets %g of 8 right\n",
      gap, amax(hits).item());
  return gap < 1e-6 && amax(hits).item() == 6 ? 0 : 1;
}
