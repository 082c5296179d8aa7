#pragma once

#include <vector>

#include "tensor/tensor.hpp"

namespace cr::optim {

// ## Clipping
//
// One bad batch can have a gradient a thousand times the usual size, and undo in a step what took an hour. Both functions
// change the gradients of these parameters in place, between `backward()` and `step()`; those that were collected as rows
// become full tensors. A bound must not be negative (Error).
//
// Shrinks all gradients by one factor so that their common norm, the p-norm of all their numbers, is at most `max_norm`
// (Pascanu et al. 2013). Returns the norm before. Throws Error if that is not finite and `error_if_nonfinite` is set.
double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type = 2,
                       bool error_if_nonfinite = false);

// Holds every number of the gradients between ±clip_value.
void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value);

}  // namespace cr::optim
