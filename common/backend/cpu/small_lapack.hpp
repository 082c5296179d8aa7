// # Linear algebra in a few lines
//
// The textbook methods behind `linalg`, each as short as it can be and still be trusted: what computes where LAPACK is
// missing, and what LAPACK is checked against where it is not. They cost as many operations as LAPACK's but for the two
// iterations, and are several times slower on large matrices.
//
// Matrices lie column by column without gaps, element (i, j) of an (m, n) matrix at i + j m, as LAPACK has them. Indices
// that are returned count from 1; 0 means that all went well. T is float or double.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

template <class T> struct SmallLapack {
  // a (n, n): the lower triangle becomes L with A = L Lᵀ; the upper one is not touched. Returns the pivot that is not > 0.
  static int64_t cholesky(T* a, int64_t n);

  // a (m, n) → L \ U; pivots (min(m, n),): which row was exchanged with row i. Returns the first pivot that is 0.
  static int64_t lu(T* a, int64_t m, int64_t n, int64_t* pivots);

  // b (n, k) → a⁻¹ b, a (n, n) triangular; `unit`: with ones on its diagonal, which is not read.
  static void solve_triangular(const T* a, bool upper, bool unit, T* b, int64_t n, int64_t k);

  // a (m, n) → R, and below it the reflections' vectors; tau (min(m, n),).
  static void qr(T* a, int64_t m, int64_t n, T* tau);

  // q (m, n), in whose first k columns such vectors lie, → the first n columns of H₁ H₂ … H_k.
  static void householder_product(T* q, int64_t m, int64_t n, int64_t k, const T* tau);

  // Symmetric a (n, n), of which one triangle is read, → eigenvectors, if wanted; values (n,) ascending. Returns 1 if it did not converge.
  static int64_t eigh(T* a, int64_t n, T* values, bool upper, bool vectors);

  // a (m, n), destroyed → u (m, m if full, else min(m, n)), s descending, vt (n if full, else min(m, n), n). u and vt may be
  // null together. Returns 1 if it did not converge.
  static int64_t svd(T* a, int64_t m, int64_t n, T* u, T* s, T* vt, bool full);
};

}  // namespace cr::backend::cpu
