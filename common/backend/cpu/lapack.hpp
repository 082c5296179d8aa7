// # Linear algebra by LAPACK
//
// The functions of `small_lapack.hpp`, by the same names and with the same meaning, from the library that has been doing
// this since 1992. Armadillo says how it is called on this system.
//
// Behind LAPACK there is a BLAS, and OpenBLAS by itself would cut its sums by the number of processors: other machine,
// other bits. Each of these functions therefore sets it to one thread first, for the whole process.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

template <class T> struct Lapack {
  static int64_t cholesky(T* a, int64_t n);
  static int64_t lu(T* a, int64_t m, int64_t n, int64_t* pivots);
  static void solve_triangular(const T* a, bool upper, bool unit, T* b, int64_t n, int64_t k);
  static void qr(T* a, int64_t m, int64_t n, T* tau);
  static void householder_product(T* q, int64_t m, int64_t n, int64_t k, const T* tau);
  static int64_t eigh(T* a, int64_t n, T* values, bool upper, bool vectors);
  static int64_t svd(T* a, int64_t m, int64_t n, T* u, T* s, T* vt, bool full);
};

}  // namespace cr::backend::cpu
