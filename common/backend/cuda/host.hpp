// # What the processor does for the GPU
//
// Some primitives have no kernel worth writing: a factorisation of a matrix is a long chain of short steps. They are
// computed by the CPU backend on copies.
#pragma once

#include <functional>
#include <span>

#include "tensor/tensor.hpp"

namespace cr::backend {

using OnHost = std::function<void(std::span<const Tensor> outs, std::span<const Tensor> ins)>;

// Carries the numbers of all tensors to the host, calls f with tensors there that have the same shapes and strides, and
// carries the outputs' numbers back. Outputs are carried over too, because what is written in place is read first.
// Undefined tensors stay undefined.
void compute_on_host(std::span<const Tensor> outs, std::span<const Tensor> ins, const OnHost& f);

}  // namespace cr::backend
