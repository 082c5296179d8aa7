// # Views
//
// Another window onto the same numbers: nothing is moved, and writing through a view changes what it is a view of. Most
// are members of `Tensor`, so that they read from left to right; here are the same as functions, and the rest.
// ShapeError for sizes that do not fit, IndexError for a dimension or place that does not exist.
#pragma once

#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

// ## Members of these names as functions
inline Tensor reshape(const Tensor& x, const Shape& shape) { return x.reshape(shape); }
inline Tensor view_as(const Tensor& x, const Tensor& other) { return x.view(other.shape()); }  // in the shape of other
inline Tensor reshape_as(const Tensor& x, const Tensor& other) {
  return x.reshape(other.shape());
}  // in the shape of other
inline Tensor expand_as(const Tensor& x, const Tensor& other) {
  return x.expand(other.shape());
}  // to the shape of other
inline Tensor flatten(const Tensor& x, int64_t start_dim = 0, int64_t end_dim = -1) {
  return x.flatten(start_dim, end_dim);
}
inline Tensor ravel(const Tensor& x) { return x.contiguous().reshape({-1}); }  // of one dimension
inline Tensor t(const Tensor& x) { return x.t(); }
inline Tensor transpose(const Tensor& x, int64_t a, int64_t b) { return x.transpose(a, b); }
inline Tensor swapaxes(const Tensor& x, int64_t a, int64_t b) { return x.transpose(a, b); }  // transpose
inline Tensor permute(const Tensor& x, const Dims& order) { return x.permute(order); }
inline Tensor squeeze(const Tensor& x) { return x.squeeze(); }
inline Tensor squeeze(const Tensor& x, int64_t d) { return x.squeeze(d); }
inline Tensor squeeze(const Tensor& x, const Dims& dims) { return x.squeeze(dims); }
inline Tensor unsqueeze(const Tensor& x, int64_t d) { return x.unsqueeze(d); }
inline Tensor select(const Tensor& x, int64_t d, int64_t at) { return x.select(d, at); }
inline Tensor narrow(const Tensor& x, int64_t d, int64_t start, int64_t length) { return x.narrow(d, start, length); }
inline Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) {
  return x.diagonal(offset, dim1, dim2);
}

// ## Other shapes
//
// Dimension d cut into `sizes`, one of which may be -1: the opposite of `flatten`.
Tensor unflatten(const Tensor& x, int64_t d, const Shape& sizes);

// Dimensions `from` moved to the places `to`, the others staying in order.
Tensor movedim(const Tensor& x, const Dims& from, const Dims& to);
inline Tensor moveaxis(const Tensor& x, const Dims& from, const Dims& to) { return movedim(x, from, to); }

// Repeated to `shape`, or all to the shape they broadcast to. (`tensor/shape.hpp` has the rule.)
Tensor broadcast_to(const Tensor& x, const Shape& shape);
std::vector<Tensor> broadcast_tensors(const std::vector<Tensor>& tensors);

// With dimensions of size 1 until there are as many: (n,) → (1, n) → (1, n, 1).
Tensor atleast_1d(const Tensor& x);
Tensor atleast_2d(const Tensor& x);
Tensor atleast_3d(const Tensor& x);

// ## In pieces along a dimension
//
// Of `size` each, the last perhaps smaller; of the given sizes, which must add up; so many of about one size: `chunk`
// may return fewer. Error for more than 2²⁴ pieces.
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t d = 0);
std::vector<Tensor> split(const Tensor& x, const Dims& sizes, int64_t d = 0);
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t d = 0);

// Exactly `sections` pieces, the first ones larger by one where it does not divide; or pieces that begin at 0 and at
// the places `at`. `hsplit`, `vsplit` and `dsplit` cut dimension 1 (of a vector: 0), 0 and 2, into equal parts.
std::vector<Tensor> tensor_split(const Tensor& x, int64_t sections, int64_t d = 0);
std::vector<Tensor> tensor_split(const Tensor& x, const Dims& at, int64_t d = 0);
std::vector<Tensor> hsplit(const Tensor& x, int64_t sections);
std::vector<Tensor> hsplit(const Tensor& x, const Dims& at);
std::vector<Tensor> vsplit(const Tensor& x, int64_t sections);
std::vector<Tensor> vsplit(const Tensor& x, const Dims& at);
std::vector<Tensor> dsplit(const Tensor& x, int64_t sections);
std::vector<Tensor> dsplit(const Tensor& x, const Dims& at);

// x[0], x[1], … along d.
std::vector<Tensor> unbind(const Tensor& x, int64_t d = 0);

}  // namespace cr
