// # Picking and placing
//
// Reading at computed places, and its adjoint, adding at computed places. Index tensors are int64; negative indices are
// refused unless a comment says otherwise, as in PyTorch. IndexError for an index out of range, ShapeError for shapes
// that do not fit. Scalars count as vectors of one element.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/join.hpp"
#include "tensor/tensor.hpp"

namespace cr {

// ## Whole slices along d, at a vector of indices (n,)
//
// Read in that order; repeats are allowed. Then x with `source`, of which slice i belongs to place index[i], added
// (alpha times), or in place of what was there; x with a number or a 0-d tensor there (negative indices allowed); x
// combined with source as in `scatter_reduce`.
Tensor index_select(const Tensor& x, int64_t d, const Tensor& index);
Tensor index_add(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source, Scalar alpha = 1);
Tensor index_copy(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source);
Tensor index_fill(const Tensor& x, int64_t d, const Tensor& index, const Tensor& value);
Tensor index_fill(const Tensor& x, int64_t d, const Tensor& index, Scalar value);
Tensor index_reduce(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source, const std::string& reduce,
                    bool include_self = true);

// ## Single elements along d
//
// out[i][j] = x[index[i][j]][j] for d = 0, and likewise for other dimensions: index and x have the same rank, and index
// is no larger than x in any dimension but d.
Tensor gather(const Tensor& x, int64_t d, const Tensor& index);

// x with source[i][j] at place [index[i][j]][j], where the last of several stays; the same with a number; added.
// `source` may be larger than the index, its first elements count.
Tensor scatter(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source);
Tensor scatter(const Tensor& x, int64_t d, const Tensor& index, Scalar value);
Tensor scatter_add(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source);

// Combined by "sum", "prod", "mean", "amax" or "amin" with what is there; without `include_self` what is there is
// forgotten wherever something arrives. AutogradError for the second derivative of "prod" where several zeros of
// source meet.
Tensor scatter_reduce(const Tensor& x, int64_t d, const Tensor& index, const Tensor& source, const std::string& reduce,
                      bool include_self = true);

// As `gather`, but index and x broadcast against each other outside d, and indices may be negative; without d, of the
// elements in order.
Tensor take_along_dim(const Tensor& x, const Tensor& index, std::optional<int64_t> d = {});

// ## Elements by their number, counting along rows. Negative ones count from the end
//
// In the index's shape; x with `source` (as many elements as the index) there, or added there.
Tensor take(const Tensor& x, const Tensor& index);
Tensor put(const Tensor& x, const Tensor& index, const Tensor& source, bool accumulate = false);

// ## Where something is true
//
// Coordinates of what is not zero, a row each: (n, rank). As one vector a dimension: what `index` takes, and what
// `where` with a condition alone returns.
Tensor nonzero(const Tensor& x);
Tensor argwhere(const Tensor& x);
std::vector<Tensor> nonzero_as_tuple(const Tensor& x);
std::vector<Tensor> where(const Tensor& condition);

// The elements where the mask (bool, broadcast against x) is true, as a vector; x with the elements of `source`, in
// order, where it is true.
Tensor masked_select(const Tensor& x, const Tensor& mask);
Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source);

// ## Python's brackets
//
// `x.index({rows, Slice{}, 0})` reads, `x.index_put_({mask}, y)` writes; this is x with the write done. Index tensors
// broadcast against each other, may be negative, and give their shape in place of the dimensions they index: where
// those stand, or in front if something else stands between them. An undefined tensor means everything.
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate = false);

// The coordinates of elements by their number in a tensor of this shape, one tensor for each dimension.
std::vector<Tensor> unravel_index(const Tensor& index, const Shape& shape);

// (…) labels → (…, classes): 1 at the label, else 0; -1 classes are as many as the largest label needs. IndexError for
// a label outside 0 … classes - 1.
Tensor one_hot(const Tensor& labels, int64_t classes = -1, DType dtype = DType::int64);

}  // namespace cr
