// # Copies in another order
//
// Repeated, reversed, shifted, cut along a diagonal, or spread out on a grid: new tensors whose numbers are x's. All
// take any element type. ShapeError for sizes that do not fit, IndexError for a dimension that does not exist.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

// ## Repeated
//
// x beside itself, times[d] times along dimension d; `times` has an entry for each dimension, and more for new ones in
// front. `tile` takes fewer entries as well, for the last dimensions.
Tensor repeat(const Tensor& x, const Dims& times);
Tensor tile(const Tensor& x, const Dims& times);

// Each slice along d `repeats` times, or slice i repeats[i] times; without d, of the elements in order. `repeats` is
// int64, with one element or one for each slice; if `output_size` is given it must be their sum. The last form repeats
// the numbers 0, 1, ….
Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> d = {});
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> d = {},
                         std::optional<int64_t> output_size = {});
Tensor repeat_interleave(const Tensor& repeats);

// ## Reversed and shifted
//
// Back to front along the given dimensions; along dimension 1; along dimension 0.
Tensor flip(const Tensor& x, const Dims& dims);
Tensor fliplr(const Tensor& x);
Tensor flipud(const Tensor& x);

// Element i goes to place i + shift, and what leaves at the end comes back at the beginning; without dimensions, of the
// elements in order.
Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims = {});

// A quarter turn in the plane of two dimensions, k times, from the first towards the second.
Tensor rot90(const Tensor& x, int64_t k = 1, const Dims& dims = {0, 1});

// ## Triangles and diagonals
//
// The last two dimensions with zeros above, or below, the diagonal that lies `diagonal` to the right of the main one.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);

// x (…, n) on a diagonal of zeros, in two new dimensions dim1 and dim2 of size n + |offset|.
Tensor diag_embed(const Tensor& x, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);

// A vector on the diagonal of a matrix, or the diagonal of a matrix as a vector; all elements on the diagonal.
Tensor diag(const Tensor& x, int64_t diagonal = 0);
Tensor diagflat(const Tensor& x, int64_t offset = 0);

// Matrices (vectors are rows, scalars 1 x 1) along the diagonal of one.
Tensor block_diag(const std::vector<Tensor>& tensors);

// ## With a part replaced
//
// x with `source` in place of the view of the same name. ShapeError unless the shapes are equal.
Tensor diagonal_scatter(const Tensor& x, const Tensor& source, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
Tensor select_scatter(const Tensor& x, const Tensor& source, int64_t d, int64_t at);
Tensor slice_scatter(const Tensor& x, const Tensor& source, int64_t d = 0, Slice s = {});
Tensor as_strided_scatter(const Tensor& x, const Tensor& source, const Shape& shape, const Strides& strides,
                          std::optional<int64_t> offset = {});

// ## Grids
//
// From vectors of n₀, n₁, … elements, tensors of shape (n₀, n₁, …), each varying along its own dimension. With "xy" the
// first two dimensions are swapped, as for the axes of a picture. Views.
std::vector<Tensor> meshgrid(const std::vector<Tensor>& vectors, const std::string& indexing = "ij");

// All ways to take one element of each vector (n₀ · n₁ · …, vectors); all ways to take r elements of one, in order.
Tensor cartesian_prod(const std::vector<Tensor>& vectors);
Tensor combinations(const Tensor& x, int64_t r = 2, bool with_replacement = false);

// ## Channels of images
//
// (…, c r², h, w) → (…, c, h r, w r) and back; channels dealt out in `groups`: (n, c, …).
Tensor pixel_shuffle(const Tensor& x, int64_t upscale_factor);
Tensor pixel_unshuffle(const Tensor& x, int64_t downscale_factor);
Tensor channel_shuffle(const Tensor& x, int64_t groups);

}  // namespace cr
