#pragma once

#include "optim/optimizer.hpp"

namespace cr::optim {

// ## Stochastic gradient descent
//
// $$d = g + \text{weight decay} \cdot p, \qquad m \leftarrow \mu m + (1 - \text{dampening})\, d, \qquad p \leftarrow p - \eta\, m$$
//
// without momentum $m = d$; with Nesterov's, $p \leftarrow p - \eta (d + \mu m)$ (Sutskever et al. 2013). The first $m$ is
// $d$. `maximize` climbs: it turns the sign of $g$.
struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;
  CR_FIELDS(lr, momentum, dampening, weight_decay, nesterov, maximize)
};

class SGD : public GroupedOptimizer<SgdOptions> {
 public:
  // Throws Error for a negative rate, momentum or decay, or Nesterov without momentum.
  explicit SGD(std::vector<Tensor> parameters, SgdOptions options = {});
  explicit SGD(const std::vector<Group<SgdOptions>>& groups);
  void step() override;

 protected:
  void check(size_t group) const override;
  std::vector<std::string> buffers_of(size_t group) const override;
};

}  // namespace cr::optim
