// In one step: both say blue with probability $0.8^2$ if the taxi is blue and $0.2^2$ if it is green, so
//
// $$P(\text{blue} \mid \text{both say blue}) = \frac{0.15 \cdot 0.64}{0.15 \cdot 0.64 + 0.85 \cdot 0.04} = \frac{0.096}{0.130} = 0.738 .$$
//
// In two: the first posterior $12/29$ is the prior of the second witness, $\frac{12}{29} \cdot 0.8$ against
// $\frac{17}{29} \cdot 0.2$: 9.6 against 3.4, the same. Learning can go piece by piece.
//
// All of it rests on the words *by herself*. A witness who repeats the first one says blue whenever the first one does:
// she adds nothing, and the answer stays 0.414. Ten copies of one example are one example.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

int main() {
  Generator random(1);
  const int64_t n = 1000000;
  Tensor blue = rand({n}, random) < 0.15;
  Tensor first =
      blue == (rand({n}, random) < 0.8);  // does the first witness say blue?
  Tensor second = blue == (rand({n}, random) < 0.8);  // and the second, by herself?
  auto count = [](const Tensor& which) {
    return sum(which.to(DType::float64)).item();
  };
  Tensor both = first & second;
  double independent = count(blue & both) / count(both);
  double parrot = count(blue & first) / count(first);

  double one_step = 0.15 * 0.64 / (0.15 * 0.64 + 0.85 * 0.04);
  double prior = 12.0 / 29,
         two_steps = prior * 0.8 / (prior * 0.8 + (1 - prior) * 0.2);
  double bar = std::sqrt(one_step * (1 - one_step) / count(both));
  std::printf("counted %.4f ± %.4f, by formula %.4f and %.4f; a parrot: %.4f\n",
              independent, bar, one_step, two_steps, parrot);
  bool good = std::abs(independent - one_step) < 5 * bar &&
              std::abs(one_step - two_steps) < 1e-15 &&
              std::abs(parrot - prior) < 0.005;
  return good ? 0 : 1;
}
