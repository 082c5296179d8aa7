// # Products
//
// Sums of products: matrices, vectors, batches of them. The tensors of one call share one element type, float32, float64 or
// int64 (whose sums wrap around): there is no promotion here, as in PyTorch, but for what is really elementwise: `outer`,
// `kron`, `cross`. All throw ShapeError where sizes do not fit and DTypeError for types they do not take. A sum of nothing
// is 0.
#pragma once

#include <optional>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr {

// ## The matrix product
//
// (…, m, k) x (…, k, n) → (…, m, n); the dimensions before the last two broadcast. A vector on the left is a row, on the
// right a column, and its dimension disappears from the result.
Tensor matmul(const Tensor& a, const Tensor& b);

// The same for one combination of ranks, others are refused: matrix x matrix, (b, m, k) x (b, k, n), matrix x vector.
Tensor mm(const Tensor& a, const Tensor& b);
Tensor bmm(const Tensor& a, const Tensor& b);
Tensor mv(const Tensor& a, const Tensor& v);

// β input + α (product): the input broadcasts to the product's shape. With β = 0 it is not read, so NaN in it does not
// count. addbmm adds up the products of the batch, baddbmm keeps them. Of int64 tensors α and β are cut off to whole
// numbers, as in PyTorch.
Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1);
Tensor addmv(const Tensor& input, const Tensor& a, const Tensor& v, Scalar beta = 1, Scalar alpha = 1);
Tensor addr(const Tensor& input, const Tensor& v, const Tensor& w, Scalar beta = 1, Scalar alpha = 1);
Tensor addbmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1);
Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1);

namespace linalg {

// A₁ A₂ … in the order that costs fewest multiplications; the first may be a row, the last a column. Aⁿ of (…, m, m),
// n ≥ 0.
Tensor multi_dot(const std::vector<Tensor>& tensors);
Tensor matrix_power(const Tensor& a, int64_t n);

}  // namespace linalg

// ## Vectors
//
// Σᵢ aᵢ bᵢ of two vectors of one length; along the last dimension of both, for every pair of rows: (…, k), (···, k) →
// (…, ···).
Tensor dot(const Tensor& a, const Tensor& b);
Tensor inner(const Tensor& a, const Tensor& b);

// aᵢ bⱼ of two vectors, (m,), (n,) → (m, n); the Kronecker product, every element of a times all of b, (m, n), (p, q) →
// (m p, n q) and so for any rank; a × b along d, where both have three elements: the first such dimension, unless given.
Tensor outer(const Tensor& a, const Tensor& b);
Tensor kron(const Tensor& a, const Tensor& b);
Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> d = {});

namespace linalg {

// Σᵢ aᵢ bᵢ and a × b along d, for tensors that broadcast.
Tensor vecdot(const Tensor& a, const Tensor& b, int64_t d = -1);
Tensor cross(const Tensor& a, const Tensor& b, int64_t d = -1);

}  // namespace linalg

// The sum of a matrix's diagonal.
Tensor trace(const Tensor& x);

// ## Layers
//
// x Wᵀ + bias: x (…, in), weight (out, in), bias (out,) or undefined → (…, out). One pass over the result. A weight (in,)
// gives (…), with a 0-d bias.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// yₒ = x₁ᵀ Wₒ x₂ + biasₒ: x₁ (…, in₁), x₂ (…, in₂), weight (out, in₁, in₂), bias (out,) or undefined → (…, out).
Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias = {});

}  // namespace cr
