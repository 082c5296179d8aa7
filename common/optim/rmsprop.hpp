#pragma once

#include "optim/optimizer.hpp"

namespace cr::optim {

// ## RMSprop (Hinton's lecture 6e, 2012)
//
// $$s \leftarrow \alpha s + (1 - \alpha) d^2, \qquad p \leftarrow p - \eta\, \frac{d}{\sqrt s + \varepsilon}$$
//
// with $d = g + \text{weight decay} \cdot p$. `centered` takes the variance in place of $s$: $\sqrt{s - a^2}$, with $a$ the
// same moving average of $d$ (Graves 2013). With momentum the quotient goes into $m \leftarrow \mu m + \dots$ first.
struct RmspropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
  bool maximize = false;
  CR_FIELDS(lr, alpha, eps, weight_decay, momentum, centered, maximize)
};

class RMSprop : public GroupedOptimizer<RmspropOptions> {
 public:
  // Throws Error for a negative option.
  explicit RMSprop(std::vector<Tensor> parameters, RmspropOptions options = {});
  explicit RMSprop(const std::vector<Group<RmspropOptions>>& groups);
  void step() override;

 protected:
  void check(size_t group) const override;
  std::vector<std::string> buffers_of(size_t group) const override;
};

}  // namespace cr::optim
