// Forward: $z = 0.9 - 0.8 = 0.1$, $\hat y = \sigma(0.1) = 0.525$, $L = -\ln(1 - \hat y) = 0.744$. Backward: $\partial L /
// \partial z = \hat y - 0 = 0.525$, the same for $w$ and $b$ since $x = 1$. After the step $w = 0.9 - 0.21 = 0.69$ and
// $b = -0.8 - 0.21 = -1.01$, and this message is junk with $\sigma(-0.32) = 0.421$.
//
// Odds of 99 to 1 need $2^x \geq 8 \cdot 99 = 792$, so ten words: $2^{10} = 1024$.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

int main() {
  Tensor w = tensor(0.9, DType::float64).requires_grad_();
  Tensor b = tensor(-0.8, DType::float64).requires_grad_();
  Tensor y = tensor(0, DType::float64);
  Tensor loss = binary_cross_entropy_with_logits(w * 1.0 + b, y);
  std::vector<Tensor> g = grad(loss, {w, b});
  double new_w = w.item() - 0.4 * g[0].item(), new_b = b.item() - 0.4 * g[1].item();
  double p = 1 / (1 + std::exp(-(new_w + new_b)));
  std::printf("loss %.4f, gradient %.4f, then w %.4f, b %.4f, p %.4f\n",
              loss.item(), g[0].item(), new_w, new_b, p);
  int words = 0;
  while (std::pow(2, words) / 8 < 99) ++words;
  std::printf("%d words in capitals make it 99 %% sure\n", words);
  bool step = std::abs(loss.item() - 0.7444) < 1e-4 &&
              std::abs(g[0].item() - 0.5250) < 1e-4 &&
              std::abs(new_w - 0.69) < 1e-4 && std::abs(new_b + 1.01) < 1e-4 &&
              std::abs(p - 0.4207) < 1e-4;
  return step && words == 10 ? 0 : 1;
}
