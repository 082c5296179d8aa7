// # Order
//
// Operations that compare elements along a dimension and say what they found and where. Equal elements keep their order,
// NaN is the largest number, and −0 equals 0. Gradients go to the elements that were taken. IndexError for a dimension that
// does not exist or a rank out of range, ShapeError where there is nothing to choose from.
#pragma once

#include "ops/reduce.hpp"

namespace cr {

struct ValuesIndices {
  Tensor values, indices;  // of x's type; int64
};

// All elements along d in order; always stable. `msort` sorts along the first dimension.
ValuesIndices sort(const Tensor& x, int64_t d = -1, bool descending = false);
Tensor argsort(const Tensor& x, int64_t d = -1, bool descending = false);
Tensor msort(const Tensor& x);

// The k first along d, in order: the largest, or the smallest.
ValuesIndices topk(const Tensor& x, int64_t k, int64_t d = -1, bool largest = true);

// One element along d: the largest, the smallest, the first of equals; the k-th smallest (k from 1); the lower median,
// NaN if one element is; the lower median of the others; the most frequent, of several the smallest, the last of its equals.
ValuesIndices max(const Tensor& x, int64_t d, bool keepdim = false);
ValuesIndices min(const Tensor& x, int64_t d, bool keepdim = false);
ValuesIndices kthvalue(const Tensor& x, int64_t k, int64_t d = -1, bool keepdim = false);
ValuesIndices median(const Tensor& x, int64_t d, bool keepdim = false);
ValuesIndices nanmedian(const Tensor& x, int64_t d, bool keepdim = false);
ValuesIndices mode(const Tensor& x, int64_t d = -1, bool keepdim = false);

// The median of all elements; equal ones share the gradient. NaN if there is none.
Tensor median(const Tensor& x);
Tensor nanmedian(const Tensor& x);

// The largest, the smallest element up to each place along d, the last of equals.
ValuesIndices cummax(const Tensor& x, int64_t d);
ValuesIndices cummin(const Tensor& x, int64_t d);

// The value below which a share q of the elements lies, q in 0 … 1, (n,) or (): over all elements, or along d. Between two
// elements `interpolation` decides. (…, size, …) → (n, …). NaN if one element is; nanquantile leaves those out.
enum class Interpolation { linear, lower, higher, midpoint, nearest };
Tensor quantile(const Tensor& x, const Tensor& q, std::optional<int64_t> d = {}, bool keepdim = false,
                Interpolation interpolation = Interpolation::linear);
Tensor quantile(const Tensor& x, double q, std::optional<int64_t> d = {}, bool keepdim = false,
                Interpolation interpolation = Interpolation::linear);
Tensor nanquantile(const Tensor& x, const Tensor& q, std::optional<int64_t> d = {}, bool keepdim = false,
                   Interpolation interpolation = Interpolation::linear);
Tensor nanquantile(const Tensor& x, double q, std::optional<int64_t> d = {}, bool keepdim = false,
                   Interpolation interpolation = Interpolation::linear);

}  // namespace cr
