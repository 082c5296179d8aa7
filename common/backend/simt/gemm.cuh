// # A tiled matrix product
//
// One thread for each element of $C = AB$ would read a row of A and a column of B from memory: $2k$ numbers for $k$
// multiplications. Neighbours read mostly the same ones. So a block of 16 × 16 threads computes a 16 × 16 tile of C
// together: it copies one tile of A and one of B into shared memory, where each number is then read 16 times.
#pragma once

#include <cstdint>

#include "backend/functor.hpp"
#ifndef __CUDACC__
#include "backend/simt/words.hpp"
#endif

namespace cr::backend::simt {

inline constexpr int kTile = 16, kMaxBatchDims = 14;

// A is (m, k), B is (k, n), C is (m, n). Steps are in elements; C's columns lie next to each other; bias may be null.
// There are `products` of them, numbered along `batch_dims` dimensions in which A, B and C have a step each.
template <class T> struct GemmParams {
  int64_t m, n, k;
  const T *a, *b, *bias;
  T* c;
  int64_t a_row_step, a_column_step, b_row_step, b_column_step, c_row_step;
  bool accumulate, relu;
  int64_t products;
  int batch_dims;
  int64_t batch[kMaxBatchDims], batch_step[3][kMaxBatchDims];  // of C, A, B
};

// The tile of C that begins at row 16 i and column 16 j is block (i, j)'s. Rows run along the grid's x because there it
// may be long: a batch can have more than 16 · 65 535 rows.
template <class T> __device__ void gemm_tile(const GemmParams<T>& p) {
  __shared__ T a[kTile][kTile], b[kTile][kTile];
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const int64_t row = int64_t{blockIdx.x} * kTile + y, column = int64_t{blockIdx.y} * kTile + x;

  T sum = 0;
  for (int64_t k0 = 0; k0 < p.k; k0 += kTile) {
    // Fetch one number of each tile. Beyond the edge it is 0: every thread takes part, whether its own element exists
    // or not, because every thread must reach the barriers.
    a[y][x] = row < p.m && k0 + x < p.k ? p.a[row * p.a_row_step + (k0 + x) * p.a_column_step] : T(0);
    b[y][x] = k0 + y < p.k && column < p.n ? p.b[(k0 + y) * p.b_row_step + column * p.b_column_step] : T(0);

    // Nobody multiplies before both tiles are complete, and nobody overwrites them before all have multiplied.
    __syncthreads();
    for (int i = 0; i < kTile; ++i) sum += a[y][i] * b[i][x];
    __syncthreads();
  }

  if (row >= p.m || column >= p.n) return;
  T& c = p.c[row * p.c_row_step + column];
  if (p.accumulate) sum += c;
  if (p.bias) sum += p.bias[column];
  c = p.relu ? functor::Relu{}(sum) : sum;
}

// Block (i, j, z) has that tile in product z, and, where the grid is not deep enough for all, in every gridDim.z-th after.
template <class T> __global__ void gemm_kernel(GemmParams<T> p) {
  for (int64_t product = blockIdx.z; product < p.products; product += gridDim.z) {
    GemmParams<T> one = p;
    int64_t rest = product;
    for (int d = p.batch_dims - 1; d >= 0; --d) {
      const int64_t at = rest % p.batch[d];
      rest /= p.batch[d];
      one.c += at * p.batch_step[0][d];
      one.a += at * p.batch_step[1][d];
      one.b += at * p.batch_step[2][d];
    }
    gemm_tile(one);
  }
}

}  // namespace cr::backend::simt
