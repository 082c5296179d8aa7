#pragma once

#include "backend/generator.hpp"
#include "nn/fields.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

// # Dropout
//
// In training each number becomes 0 with probability p and is divided by 1 − p otherwise, so that the mean stays
// (Srivastava et al. 2014); afterwards nothing happens.
//
// The mask comes from a generator of the layer's own, which every call moves on. So copies and clones go on with the same
// masks, and one layer must not be called from two threads at once. It is no tensor and not in the state_dict, whose names
// are PyTorch's; a chapter's `Training` keeps it when it is given the model.
struct Dropout {
  double p = 0.5;
  mutable Generator generator;
  bool training = true;

  Dropout() = default;

  // Takes a seed from `seeds`. Throws Error unless 0 ≤ p ≤ 1.
  Dropout(double probability, Generator& seeds) : p(probability), generator(seeds.next64()) {
    if (!(p >= 0 && p <= 1)) throw Error("Dropout: p must lie in [0, 1], got " + std::to_string(p));
  }

  Tensor operator()(const Tensor& x) const { return dropout(x, p, training, generator); }

  CR_FIELDS(p, training, generator)
};

}  // namespace cr::nn
