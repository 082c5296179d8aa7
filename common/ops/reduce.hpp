// # Reductions
//
// Sums, means, extremes: over all elements, or over some dimensions, which `keepdim` keeps with size 1. Sums of float32
// run over fixed lanes that meet in float64 (`backend/cpu/isa/kernels.cpp`), always in the same order. Negative dimensions count from the
// end. IndexError for a dimension that does not exist or is named twice.
#pragma once

#include "tensor/tensor.hpp"

namespace cr {

Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, Dims dims, bool keepdim = false);
Tensor mean(const Tensor& x);  // of a floating-point tensor; throws DTypeError otherwise
Tensor mean(const Tensor& x, Dims dims, bool keepdim = false);

// The largest or smallest element; several equal ones share the gradient. ShapeError if there is none.
Tensor amax(const Tensor& x, Dims dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, Dims dims = {}, bool keepdim = false);

// Its index along d (int64): the first of several.
Tensor argmax(const Tensor& x, int64_t d, bool keepdim = false);
Tensor argmin(const Tensor& x, int64_t d, bool keepdim = false);

// eˣ / Σ eˣ along d, and its logarithm. The largest x is subtracted first, so nothing overflows.
Tensor softmax(const Tensor& x, int64_t d);
Tensor log_softmax(const Tensor& x, int64_t d);

}  // namespace cr
