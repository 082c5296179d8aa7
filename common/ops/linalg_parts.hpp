// # What the files of linear algebra share
#pragma once

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/arrange.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/linalg.hpp"
#include "ops/product.hpp"
#include "ops/reduce.hpp"

namespace cr::linalg {

inline Tensor mT(const Tensor& x) { return x.transpose(-2, -1); }

// ## Checks, each throwing in the name of `op`
void check_matrix(const char* op, const Tensor& x);  // two dimensions or more, floating-point
void check_square(const char* op, const Tensor& x);
void check_same_type(const char* op, const Tensor& x, const Tensor& y);
// Throws LinAlgError for the first matrix of x whose info is not 0; `what` continues "matrix 3 of the batch …".
void check_info(const char* op, const Tensor& x, const Tensor& info, const std::string& what, bool pivot);

// ## Shapes
inline Shape batch_of(const Tensor& x) { return Shape(std::span(x.shape().data(), static_cast<size_t>(x.dim() - 2))); }
inline Shape with(Shape batch, std::initializer_list<int64_t> sizes) {
  for (int64_t size : sizes) batch.push_back(size);
  return batch;
}
inline Tensor empty_like(const Tensor& x, const Shape& shape) { return empty(shape, x.dtype(), x.device()); }
inline Tensor info_for(const Tensor& x) { return empty(batch_of(x), DType::int64, x.device()); }

// ## Parts of matrices
inline Tensor zero_like(const Tensor& x) { return zeros({}, x.dtype(), x.device()); }

// The identity, (m, n), in x's type.
inline Tensor identity(const Tensor& x, int64_t m, int64_t n) { return eye(m, n, x.dtype()).to(x.device()); }

// Which singular values (…, k) count as 0: up to max(atol, rtol · the largest), with pinv's defaults.
Tensor is_small(const char* op, const Tensor& s, const Tensor& atol, const Tensor& rtol, int64_t longer_side);

// ## Without gradients
template <class F> auto without_graph(F&& f) {
  NoGrad off;
  return f();
}
struct Lu {
  Tensor lu, permutation, pivots, info;
};
Lu factorise(const char* op, const Tensor& a);  // does not look at info
struct Svd {
  Tensor u, s, vh;
};
Tensor solve_permuted(const Tensor& lu, const Tensor& permutation, const Tensor& b, bool transposed);
Svd singular_values(const char* op, const Tensor& a, bool vectors, bool full);

}  // namespace cr::linalg
