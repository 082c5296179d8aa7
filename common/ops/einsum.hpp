// # Sums over named dimensions
#pragma once

#include <string>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

// Einstein's notation: every dimension has a letter, and letters that the result does not name are summed over.
//
//     einsum("ij,jk->ik", {a, b})      the matrix product
//     einsum("ii->i", {a})             the diagonal;  "ii" alone is its sum
//     einsum("...ij->...ji", {a})      a transpose; ... stands for any further dimensions, which broadcast
//
// Without "->" the result has the letters that occur once, in alphabetical order. Sizes of one letter must be equal, or 1,
// which is repeated. Throws Error for a malformed equation, ShapeError for ranks and sizes that do not fit.
Tensor einsum(const std::string& equation, const std::vector<Tensor>& operands);

// The same with numbers for letters, in the order of their size; -1 is the ellipsis. `out` is missing as in einsum without
// an arrow if `explicit_out` is false.
Tensor einsum(const std::vector<Tensor>& operands, const std::vector<Dims>& labels, const Dims& out, bool explicit_out);

// Sums over the last `n` dimensions of a against the first n of b; over dimensions a_dims of a against b_dims of b, in that
// order. The result has the others, a's first.
Tensor tensordot(const Tensor& a, const Tensor& b, int64_t n = 2);
Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& a_dims, const Dims& b_dims);

}  // namespace cr
