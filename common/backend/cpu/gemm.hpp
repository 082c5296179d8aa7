// # The matrix product
//
// Most of the arithmetic of deep learning is one operation, called **GEMM** (general matrix multiply) since the BLAS of
// 1990:
//
// $$C \leftarrow \mathrm{relu}\big([C] + A B + b\big), \qquad A: m \times k,\; B: k \times n,\; C: m \times n .$$
//
// A linear layer is one such product forward and two backward.
#pragma once

#include <cstdint>

#include "backend/cpu/isa/gemm_kernel.hpp"

namespace cr::backend::cpu {

// One product. All sizes and strides count elements. $A$ and $B$ may have any strides, so that a transposed matrix or a
// slice needs no copy; the elements of a row of $C$ lie next to each other. $C$ overlaps neither $A$ nor $B$.
template <class T> struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t a_rs = 0, a_cs = 0;  // A(i, p) is a[i * a_rs + p * a_cs]
  const T* b = nullptr;
  int64_t b_rs = 0, b_cs = 0;  // B(p, j) is b[p * b_rs + j * b_cs]
  T* c = nullptr;
  int64_t c_rs = 0;         // C(i, j) is c[i * c_rs + j]
  bool accumulate = false;  // add to what C holds; otherwise C is written only
  const T* bias = nullptr;  // (n), added to every row; or none
  bool relu = false;        // negative results become 0; NaN stays NaN
};

// Computes it with all threads. The bits of the result depend on the shape, the strides and the instruction set, never
// on the number of threads. Infinities and NaN spread as in the plain triple loop; k = 0 is a sum of nothing, which is
// 0. Throws `OutOfMemory` when the workspace (7 MB at most, and half a megabyte a thread) cannot be had.
void gemm(const Gemm<float>& g);
void gemm(const Gemm<double>& g);

// The register tile and the packing of the instruction set in use, for others that multiply.
template <class T> const GemmKernel<T>& gemm_kernel();
template <> const GemmKernel<float>& gemm_kernel();
template <> const GemmKernel<double>& gemm_kernel();

}  // namespace cr::backend::cpu
