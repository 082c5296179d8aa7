// # Loops over strided tensors, for code outside a backend
//
// `func/fused.hpp` compiles a reader's formula into a loop of its own. The walk around that loop, over broadcast and
// strided tensors and on all threads, is the same for every formula, so it is compiled once, behind this function.
#pragma once

#include <span>

#include "tensor/tensor.hpp"

namespace cr::backend {

inline constexpr int kMaxRunOperands = 16;

using Run = void (*)(const void* context, int64_t n, const int64_t* offset, const int64_t* step);

// Calls `run(context, n, offset, step)` for pieces that cover `shape`, on all threads where that pays: n elements, of
// which operand k's are those at offset[k], offset[k] + step[k], … counted from its first. Operands broadcast to
// `shape` and lie in host memory; at most kMaxRunOperands. The pieces depend on shapes and strides alone.
void for_each_run(const Shape& shape, std::span<const Tensor* const> operands, Run run, const void* context);

}  // namespace cr::backend
