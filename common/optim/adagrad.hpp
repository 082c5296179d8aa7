#pragma once

#include "optim/optimizer.hpp"

namespace cr::optim {

// ## Adagrad (Duchi et al. 2011)
//
// $$s \leftarrow s + d^2, \qquad p \leftarrow p - \frac{\eta}{1 + (t - 1) \cdot \text{lr decay}} \cdot
// \frac{d}{\sqrt s + \varepsilon}$$
//
// with $d = g + \text{weight decay} \cdot p$: each number has a rate of its own, which falls the faster, the more it was
// pushed. Rare features keep theirs.
struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
  CR_FIELDS(lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize)
};

class Adagrad : public GroupedOptimizer<AdagradOptions> {
 public:
  // Throws Error for a negative option.
  explicit Adagrad(std::vector<Tensor> parameters, AdagradOptions options = {});
  explicit Adagrad(const std::vector<Group<AdagradOptions>>& groups);
  void step() override;

 protected:
  void check(size_t group) const override;
  std::vector<std::string> buffers_of(size_t) const override { return {"sum"}; }
};

}  // namespace cr::optim
