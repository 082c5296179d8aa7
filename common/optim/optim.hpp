// # Optimisers
//
// An optimiser holds the parameters it updates and whatever it remembers about them. One step: `zero_grad()`, compute
// the loss, `loss.backward()`, `step()`. A parameter without gradient is left alone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"

namespace cr::optim {

class Optimizer {
 public:
  // Throws AutogradError if a tensor is not a leaf that requires a gradient.
  explicit Optimizer(std::vector<Tensor> parameters);
  virtual ~Optimizer() = default;

  // Drops all gradients. The next backward() sets them instead of adding.
  void zero_grad();
  virtual void step() = 0;

  const std::vector<Tensor>& parameters() const { return parameters_; }

  // What the optimiser remembers, by name, for checkpoints. Loading throws Error if it does not fit.
  std::map<std::string, Tensor> state_dict() const;
  void load_state_dict(const std::map<std::string, Tensor>& state);

 protected:
  std::vector<Tensor> parameters_;
  std::map<std::string, std::vector<Tensor>> buffers_;  // one tensor for each parameter; undefined until first used
  std::vector<int64_t> steps_;                          // how often each parameter was updated
};

// ## Stochastic gradient descent
//
// $$d = g + \text{weight decay} \cdot p, \qquad m \leftarrow \mu m + (1 - \text{dampening})\, d, \qquad p \leftarrow p - \eta\, m$$
//
// without momentum $m = d$; with Nesterov's, $p \leftarrow p - \eta (d + \mu m)$ (Sutskever et al. 2013).
struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

class SGD : public Optimizer {
 public:
  // Throws Error for a negative rate, momentum or decay, or Nesterov without momentum.
  SGD(std::vector<Tensor> parameters, SgdOptions options);
  void step() override;
  SgdOptions options;  // may be changed between steps
};

// ## Adam (Kingma and Ba 2015, algorithm 1)
//
// $$m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
// p \leftarrow p - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}$$
struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};

class Adam : public Optimizer {
 public:
  // Throws Error for a negative rate, eps or decay, or a beta outside [0, 1).
  Adam(std::vector<Tensor> parameters, AdamOptions options = {});
  void step() override;
  AdamOptions options;
};

}  // namespace cr::optim
