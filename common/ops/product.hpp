// # Products
#pragma once

#include "tensor/tensor.hpp"

namespace cr {

// The matrix product: (m, k) x (k, n) → (m, n); a vector on the left is a row, on the right a column, and its dimension
// disappears from the result; more dimensions on the left are rows like any other: (…, k) x (k, n) → (…, n). Throws
// ShapeError if the inner sizes differ, DTypeError if the tensors are not of one floating-point type.
Tensor matmul(const Tensor& a, const Tensor& b);

// Σᵢ aᵢ bᵢ of two vectors of one length.
Tensor dot(const Tensor& a, const Tensor& b);

// x Wᵀ + bias: x (…, in), weight (out, in), bias (out,) or undefined → (…, out). One pass over the result.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace cr
