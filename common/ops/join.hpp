// # Joining
//
// Several tensors in one. Different element types meet at the largest, as in arithmetic. ShapeError if the shapes do
// not fit, or for no tensors.
#pragma once

#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

// Along an existing dimension, in which alone they may differ (an empty vector, (0,), fits anything and adds nothing);
// along a new one.
Tensor cat(const std::vector<Tensor>& tensors, int64_t d = 0);
Tensor stack(const std::vector<Tensor>& tensors, int64_t d = 0);

// Side by side (dimension 1, of vectors 0), one below the other (0, vectors being rows), one behind the other (2);
// vectors as the columns of a matrix.
Tensor hstack(const std::vector<Tensor>& tensors);
Tensor vstack(const std::vector<Tensor>& tensors);
Tensor dstack(const std::vector<Tensor>& tensors);
Tensor column_stack(const std::vector<Tensor>& tensors);

}  // namespace cr
