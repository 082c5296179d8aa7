// # Reductions
//
// Sums, means, products, extremes: over all elements, or over the dimensions `dims`, which `keepdim` keeps with size 1. No
// dimensions named means all. Sums of float32 run over fixed lanes that meet in float64 (`backend/cpu/isa/kernels.cpp`),
// always in the same order. `dtype` converts the elements first; without it sums and products of int64 and bool are int64.
// Negative dimensions count from the end. IndexError for a dimension that does not exist or is named twice, DTypeError for
// a type that an operation does not take.
#pragma once

#include <optional>

#include "tensor/tensor.hpp"

namespace cr {

using OptionalDType = std::optional<DType>;

// The nan… ones leave out what is NaN. A mean is of floating-point numbers; of nothing it is NaN.
Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, Dims dims, bool keepdim = false, OptionalDType dtype = {});
Tensor nansum(const Tensor& x, Dims dims = {}, bool keepdim = false, OptionalDType dtype = {});
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, Dims dims, bool keepdim = false, OptionalDType dtype = {});
Tensor nanmean(const Tensor& x, Dims dims = {}, bool keepdim = false, OptionalDType dtype = {});
Tensor prod(const Tensor& x, Dims dims = {}, bool keepdim = false, OptionalDType dtype = {});

// log Σ eˣ without overflow; −∞ for no elements.
Tensor logsumexp(const Tensor& x, Dims dims = {}, bool keepdim = false);

// The largest or smallest element; several equal ones share the gradient. NaN beats everything. ShapeError if there is
// none. `max(x, d)`, which says where the element is, is in `sort.hpp`, `maximum` in `elementwise.hpp`.
Tensor amax(const Tensor& x, Dims dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, Dims dims = {}, bool keepdim = false);
Tensor max(const Tensor& x);
Tensor min(const Tensor& x);
Tensor max(const Tensor& x, const Tensor& y);
Tensor min(const Tensor& x, const Tensor& y);
std::pair<Tensor, Tensor> aminmax(const Tensor& x, Dims dims = {}, bool keepdim = false);  // the smallest, the largest

// Its index along d, or in x read row by row (int64): the first of several.
Tensor argmax(const Tensor& x);
Tensor argmin(const Tensor& x);
Tensor argmax(const Tensor& x, int64_t d, bool keepdim = false);
Tensor argmin(const Tensor& x, int64_t d, bool keepdim = false);

// Are all elements, is any element, how many are not 0? NaN is not 0. Bool, bool, int64.
Tensor all(const Tensor& x, Dims dims = {}, bool keepdim = false);
Tensor any(const Tensor& x, Dims dims = {}, bool keepdim = false);
Tensor count_nonzero(const Tensor& x, Dims dims = {});

// eˣ / Σ eˣ along d, and its logarithm. The largest x is subtracted first, so nothing overflows.
Tensor softmax(const Tensor& x, int64_t d, OptionalDType dtype = {});
Tensor log_softmax(const Tensor& x, int64_t d, OptionalDType dtype = {});

}  // namespace cr
