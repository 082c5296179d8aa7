// # Shapes and strides
//
// A **shape** says how many elements a tensor has along each dimension; its **strides** say how far apart in memory
// two neighbours along each dimension lie, counted in elements. Transposing, slicing and broadcasting only rewrite
// these two lists.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/inline_vector.hpp"

namespace cr {

using Dims = InlineVector<int64_t, 5>;
using Shape = Dims;
using Strides = Dims;

// The number of elements, 1 for a scalar's empty shape. Throws ShapeError for a negative size or a product beyond 2⁶².
int64_t numel(const Shape& shape);

// Strides of a tensor stored row by row, last dimension fastest.
Strides contiguous_strides(const Shape& shape);

// Do these strides walk memory row by row without gaps? Dimensions of size 1 do not matter, nor do empty tensors.
bool is_contiguous(const Shape& shape, const Strides& strides);

// May two elements lie at one place of memory? Exact for every view but odd ones of `as_strided`, where "yes" may be
// wrong.
bool may_overlap(const Shape& shape, const Strides& strides);

// Do the elements fill one stretch of memory, in whatever order, without gaps and without sharing?
bool is_dense(const Shape& shape, const Strides& strides);

// **Broadcasting** (NumPy's and PyTorch's rule): align shapes at their last dimension; sizes must be equal, or one of
// them 1 or absent, and that one is repeated. Throws ShapeError naming `op` and both shapes.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op);

// Turns a possibly negative dimension into 0 … rank - 1; a scalar counts as having one dimension. Throws IndexError.
int wrap_dim(int64_t dim, int rank, const char* op);

// "(3, 4)", "(3,)" for one dimension, "()" for a scalar.
std::string to_string(const Shape& shape);

}  // namespace cr
