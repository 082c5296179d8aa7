// # Borders and windows
//
// Padding, and images as columns of patches.
#pragma once

#include <array>
#include <string>

#include "tensor/tensor.hpp"

namespace cr {

// x with borders. `pad` is (before, after) of the last dimension, then of the one before it, and so on; negative
// numbers cut off. The border holds `value`; or the tensor mirrored at its edge ("reflect"), its edge repeated
// ("replicate"), or the other end ("circular"). ShapeError if the tensor is too small for a mirror, what is left of it
// too small to go round, or more is cut off than there is.
Tensor pad(const Tensor& x, const Dims& pad, const std::string& mode = "constant", Scalar value = 0);
Tensor constant_pad_nd(const Tensor& x, const Dims& pad, Scalar value = 0);

// ## Images as columns ("im2col")
//
// x (n, c, h, w) or (c, h, w) → (n, c · kernel h · kernel w, patches): each patch that a sliding window sees is a
// column. `fold` is the adjoint: patches put back at their places in an image of `output_size`, added where they
// overlap. A size is one number for both directions or (height, width).
struct Window {
  Dims dilation = {1};
  Dims padding = {0};
  Dims stride = {1};
};
Tensor unfold(const Tensor& x, const Dims& kernel_size, const Window& window = {});
Tensor fold(const Tensor& x, const Dims& output_size, const Dims& kernel_size, const Window& window = {});

}  // namespace cr
