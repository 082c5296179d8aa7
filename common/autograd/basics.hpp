// # What the engine needs for itself
//
// Gradients are added up, summed where an input was broadcast, and moved in and out of windows. The engine does this with
// differentiable operations too, so that the gradient of a gradient passes through them; `ops/` uses the same ones.
#pragma once

#include "autograd/node.hpp"

namespace cr {

// x + y for tensors of one type; shapes broadcast.
Tensor add_same(const Tensor& x, const Tensor& y);

// Sums x over the dimensions in which it is larger than `shape`: the adjoint of broadcasting. Throws ShapeError if `shape`
// does not broadcast to x's.
Tensor sum_to(const Tensor& x, const Shape& shape);

// A view of x repeated along dimensions of size 1 to `shape`, which x must broadcast to.
Tensor expand_to(const Tensor& x, const Shape& shape);

// x with its numbers converted; x itself if nothing changes.
Tensor to_dtype(const Tensor& x, DType dtype);

// The window (shape, strides, offset) onto a contiguous copy of x; its adjoint, which puts dy back into zeros of
// `base_shape`; and x with zeros in that window.
Tensor as_strided(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset);
Tensor as_strided_adjoint(const Tensor& dy, const Shape& base_shape, const Shape& shape, const Strides& strides,
                          int64_t offset);
Tensor zero_window(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset);

}  // namespace cr
