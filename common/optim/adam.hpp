#pragma once

#include "optim/optimizer.hpp"

namespace cr::optim {

// ## Adam (Kingma and Ba 2015, algorithm 1)
//
// $$m \leftarrow \beta_1 m + (1 - \beta_1) d, \quad v \leftarrow \beta_2 v + (1 - \beta_2) d^2, \quad
// p \leftarrow p - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}$$
//
// with $d = g + \text{weight decay} \cdot p$. `amsgrad` divides by the largest $v$ so far (Reddi et al. 2018); `maximize`
// turns the sign of $g$.
struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;
  CR_FIELDS(lr, beta1, beta2, eps, weight_decay, amsgrad, maximize)
};

class Adam : public GroupedOptimizer<AdamOptions> {
 public:
  // Throws Error for a negative rate, eps or decay, or a beta outside [0, 1).
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {});
  explicit Adam(const std::vector<Group<AdamOptions>>& groups);
  void step() override;

 protected:
  void check(size_t group) const override;
  std::vector<std::string> buffers_of(size_t group) const override;
};

// ## AdamW (Loshchilov and Hutter 2019)
//
// Weight decay apart from the gradient: $p \leftarrow (1 - \eta \cdot \text{weight decay})\, p$, then Adam's step with
// $d = g$. In Adam, decay passes through the division by $\sqrt v$, so weights with large gradients hardly decay.
struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
  bool maximize = false;
  CR_FIELDS(lr, beta1, beta2, eps, weight_decay, amsgrad, maximize)
};

class AdamW : public GroupedOptimizer<AdamWOptions> {
 public:
  explicit AdamW(std::vector<Tensor> parameters, AdamWOptions options = {});
  explicit AdamW(const std::vector<Group<AdamWOptions>>& groups);
  void step() override;

 protected:
  void check(size_t group) const override;
  std::vector<std::string> buffers_of(size_t group) const override;
};

}  // namespace cr::optim
