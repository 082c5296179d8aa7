#pragma once

#include "nn/fields.hpp"
#include "nn/init.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

// # Linear
//
// $y = x W^\top + b$, with $W$ of shape (out, in): each row of $W$ holds the weights of one output. Without a generator
// the weights are drawn from a fixed seed that depends on the sizes; give one to choose the seed.
struct Linear {
  Tensor weight;  // (out, in)
  Tensor bias;    // (out,), undefined without bias

  Linear() = default;

  // PyTorch's initialisation: weight and bias uniform between ±1/√in. Throws ShapeError for sizes below 1.
  Linear(int64_t in, int64_t out, Generator& generator, bool with_bias = true);
  Linear(int64_t in, int64_t out, bool with_bias = true);

  // (…, in) → (…, out)
  Tensor operator()(const Tensor& x) const { return linear(x, weight, bias); }

  CR_FIELDS(weight, bias)
};

}  // namespace cr::nn
