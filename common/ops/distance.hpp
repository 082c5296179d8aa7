// # Distances and angles
//
// The p-norm of a difference: $\lVert d \rVert_p = \big(\sum_i |d_i|^p\big)^{1/p}$ for any p ≥ 0; p = 0 counts what is not 0,
// p = ∞ is the largest. At distance 0 the gradient is 0.
#pragma once

#include "tensor/tensor.hpp"

namespace cr {

// All distances between the rows of two matrices: (…, m, k), (…, n, k) → (…, m, n); the dimensions before broadcast. Sums
// run over the differences themselves, so that near points keep their digits. Throws ShapeError, and DTypeError unless both
// are of one floating-point type.
Tensor cdist(const Tensor& x, const Tensor& y, double p = 2);

// The distances between different rows of one matrix (n, k), each pair once: (0, 1), (0, 2) … (n - 2, n - 1).
Tensor pdist(const Tensor& x, double p = 2);

// ‖x − y + ε‖ along the last dimension. Here p may be negative too; −∞ is the smallest.
Tensor pairwise_distance(const Tensor& x, const Tensor& y, double p = 2, double eps = 1e-6, bool keepdim = false);

// The cosine of the angle between x and y along d: x·y / (‖x‖ ‖y‖), neither norm taken below ε.
Tensor cosine_similarity(const Tensor& x, const Tensor& y, int64_t d = 1, double eps = 1e-8);

}  // namespace cr
