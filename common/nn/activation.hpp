#pragma once

#include "nn/fields.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

// # PReLU
//
// x where it is positive, a x where not, with a learned: one for all, or one a channel of x (N, C, …) (He et al. 2015).
// Other activations have nothing to learn and are functions: `relu`, `tanh`.
struct PReLU {
  Tensor weight;  // (1,) or (C,)

  PReLU() : PReLU(1) {}
  explicit PReLU(int64_t num_parameters, double init = 0.25) : weight(full({num_parameters}, init).requires_grad_()) {}

  Tensor operator()(const Tensor& x) const { return prelu(x, weight); }

  CR_FIELDS(weight)
};

}  // namespace cr::nn
