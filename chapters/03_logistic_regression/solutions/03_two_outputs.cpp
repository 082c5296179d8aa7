// With $y$ the label of class 1, softmax's gradient in the two logits is $(p_0 - (1 - y),\; p_1 - y) = (-(p_1 - y),\;
// p_1 - y)$: what one logit gets, the other loses. So the sum of the two rows of weights never changes; from zero it
// stays zero. Their difference moves by twice the step of $w$. With rate $\eta / 2$ the two are the same, step for step.
#include <algorithm>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

int main() {
  const DType f64 = DType::float64;
  Generator random(1);
  Tensor X = randn({200, 3}, random, f64);                           // (200, 3)
  Tensor y = (sum(X, {1}) + randn({200}, random, f64) > 0).to(f64);  // (200,)
  Tensor Y = stack({1 - y, y}, 1);                                   // (200, 2)
  Tensor w = zeros({3}, f64), b = zeros({}, f64), W = zeros({2, 3}, f64),
         B = zeros({2}, f64);
  const double lr = 0.5;
  double apart = 0, total = 0;
  for (int step = 0; step < 300; ++step) {
    Tensor dz = (sigmoid(matmul(X, w) + b) - y) / 200;  // (200,)
    w = w - lr * matmul(X.t(), dz);
    b = b - lr * sum(dz);
    Tensor dZ = (softmax(matmul(X, W.t()) + B, 1) - Y) / 200;  // (200, 2)
    W = W - lr / 2 * matmul(dZ.t(), X);
    B = B - lr / 2 * sum(dZ, {0});
    apart = std::max(
        {apart, amax(abs(W[1] - W[0] - w)).item(), abs(B[1] - B[0] - b).item()});
    total = std::max(total, amax(abs(sum(W, {0}))).item());
  }
  std::printf("w1 - w0 against w over 300 steps: largest gap %.2g; w1 + w0: %.2g\n",
              apart, total);
  return apart < 1e-12 && total < 1e-12 && amax(abs(w)).item() > 0.5 ? 0 : 1;
}
