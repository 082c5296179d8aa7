// # Inner loops of the matrix product, one set per instruction set
//
// `gemm.cpp` decides what is multiplied in which order; the loops it calls are here. The file beside this one is
// compiled once per instruction set, each time into a namespace of its own, and hands out its functions in a table.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

// One **register tile**: `rows` × `columns` elements of C, with all of this block's k.
template <class T> struct GemmTile {
  int64_t rows, columns, k;  // 1..tile_rows, 1..tile_columns, any
  const T* a;                // element (i, p) is a[i * a_row + p * a_step]; in a packed panel a_row is 1
  int64_t a_row, a_step;
  const T* b;  // row p begins at b + p * b_step, whole rows of tile_columns can be read
  int64_t b_step;
  T* c;
  int64_t c_step;
  bool accumulate;
  const T* bias;  // of the first column of the tile, or null
  bool relu;
};

// A row of numbers times a matrix: y(j) = [y(j)] + sum over p of x(p) B(p, j) + bias, for `columns` columns.
template <class T> struct GemmRow {
  int64_t columns, k;
  const T* x;
  int64_t x_step;  // must be 1 for `dots`
  const T* b;
  int64_t b_step;  // from row to row of B in `row`, from column to column in `dots`; along the other it is 1
  T* y;
  int64_t y_step;  // must be 1 for `row`
  bool accumulate;
  const T* bias;
  int64_t bias_step;
  bool relu;
};

template <class T> struct GemmKernel {
  int64_t tile_rows, tile_columns;

  // Packs `lanes` rows (of A) or columns (of B), each `k` long, into a panel: k groups of tile_rows or tile_columns.
  // Missing lanes of A are left as they are or become zero, those of B become zero.
  void (*pack_a)(T* panel, int64_t lanes, int64_t k, const T* from, int64_t lane_step, int64_t k_step);
  void (*pack_b)(T* panel, int64_t lanes, int64_t k, const T* from, int64_t lane_step, int64_t k_step);

  void (*tile)(const GemmTile<T>&);
  void (*row)(const GemmRow<T>&);   // B's rows are contiguous
  void (*dots)(const GemmRow<T>&);  // B's columns are contiguous
};

namespace base {
extern const GemmKernel<float> gemm_float;
extern const GemmKernel<double> gemm_double;
}  // namespace base
namespace avx2 {
extern const GemmKernel<float> gemm_float;
extern const GemmKernel<double> gemm_double;
}  // namespace avx2
namespace avx512 {
extern const GemmKernel<float> gemm_float;
extern const GemmKernel<double> gemm_double;
}  // namespace avx512

}  // namespace cr::backend::cpu
