// At $w = 2$, $b = 1.4$ the residuals are $1.4, -0.6, 0.4$. So
//
// $$\frac{\partial L}{\partial w} = \tfrac23 (1.4 - 1.2 + 1.2) = 0.933, \qquad
//   \frac{\partial L}{\partial b} = \tfrac23 (1.4 - 0.6 + 0.4) = 0.8,$$
//
// and a step of 0.1 leads to $w = 1.907$, $b = 1.32$. The bias came out of the first step far too high, and with
// such a bias the best line is flatter: $w$ goes down so that the line stays in the middle of its points. Then
// both creep along the valley, $b$ down and $w$ up.
//
// Along the first gradient $g = (-10, -4)$ the loss is a parabola in $\eta$:
// $L(\eta) = L - \eta |g|^2 + \frac12 \eta^2\, g^\top H g$. Its lowest point is at $\eta = |g|^2 / (g^\top H g)$.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

int main() {
  Tensor x = tensor({1, 2, 3}, DType::float64);  // (3,)
  Tensor y = tensor({2, 6, 7}, DType::float64);  // (3,)
  auto loss = [&](const Tensor& p) { return mse_loss(p[0] * x + p[1], y); };
  Tensor p = tensor({2.0, 1.4}, DType::float64).requires_grad_();  // (2,): w and b
  Tensor next = p - 0.1 * grad(loss(p), p);
  std::printf("second step: w = %.4f, b = %.4f, loss %.4f\n", next[0].item(),
              next[1].item(), loss(next).item());

  Tensor start = tensor({1, 1}, DType::float64).requires_grad_();
  Tensor g = grad(loss(start), start);                                     // (2,)
  Tensor H = 2.0 * tensor({{14.0 / 3, 2.0}, {2.0, 1.0}}, DType::float64);  // (2, 2)
  double best = (dot(g, g) / dot(g, matmul(H, g))).item();
  double here = loss(start - best * g).item();
  std::printf("best first rate %.4f: loss %.4f, where 0.1 gives %.4f\n", best, here,
              loss(start - 0.1 * g).item());
  bool lowest = here < loss(start - 0.99 * best * g).item() &&
                here < loss(start - 1.01 * best * g).item();
  bool by_hand = std::abs(next[0].item() - (2 - 0.1 * 2.8 / 3)) < 1e-12 &&
                 std::abs(next[1].item() - 1.32) < 1e-12;
  return lowest && by_hand ? 0 : 1;
}
