// # Picking and placing
//
// Reading at computed places, and its adjoint, adding at computed places. Index tensors are int64; negative indices are
// refused here, as in PyTorch. IndexError for an index out of range, ShapeError for shapes that do not fit.
#pragma once

#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

// Slices of x along d in the order of `index` (n,); repeats are allowed. `index_add` is x with the slices of `source`
// added at those places.
Tensor index_select(const Tensor& x, int64_t d, const Tensor& index);
Tensor index_add(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source);

// out[i][j] = x[index[i][j]][j] for d = 0, and likewise for other dimensions: index and x have the same rank, and index
// is no larger than x in any dimension but d. `scatter_add` is x with source[i][j] added at [index[i][j]][j].
Tensor gather(const Tensor& x, int64_t d, const Tensor& index);
Tensor scatter_add(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source);

// Tensors joined along an existing dimension, in which alone they may differ; along a new one.
Tensor cat(const std::vector<Tensor>& tensors, int64_t d = 0);
Tensor stack(const std::vector<Tensor>& tensors, int64_t d = 0);

// (…) labels → (…, classes): 1 at the label, else 0. IndexError for a label outside 0 … classes - 1.
Tensor one_hot(const Tensor& labels, int64_t classes, DType dtype = DType::int64);

}  // namespace cr
