// **Rung 4, a register tile in one dimension.** A tile of 64 × 64 numbers of
// C for 512 threads: each has eight rows of one column. The tiles of A and B
// are 8 deep, 512 numbers each, so a thread still fetches one of either. For
// each $p$ it reads one number of B and eight of A, and makes eight
// multiply-adds: 9 reads instead of 16.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "product.hpp"

namespace cr::backend::CR_GPU {

template <int kSide, int kDepth, int kRows>
__global__ void column_kernel(Product<float> g) {
  __shared__ float a[kSide][kDepth];
  __shared__ float b[kDepth][kSide];
  const int t = int(threadIdx.x), x = t % kSide, y = t / kSide * kRows;
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;

  // An array whose indices are all known when the program is compiled lies in
  // registers. So the loops over it must be unrolled, which `#pragma unroll`
  // asks nvcc to do.
  float sum[kRows] = {};
  for (int64_t p0 = 0; p0 < g.k; p0 += kDepth) {
    // Fetch: thread t takes number t of either tile, counted row by row.
    const int64_t i = i0 + t / kDepth, p = p0 + t % kDepth;
    a[t / kDepth][t % kDepth] = i < g.m && p < g.k ? g.a[i * g.k + p] : 0.0f;
    const int64_t q = p0 + t / kSide, j = j0 + x;
    b[t / kSide][x] = q < g.k && j < g.n ? g.b[q * g.n + j] : 0.0f;
    __syncthreads();
    // Multiply: one number of B meets eight of A.
    for (int d = 0; d < kDepth; ++d) {
      const float of_b = b[d][x];
#pragma unroll
      for (int r = 0; r < kRows; ++r) sum[r] += a[y + r][d] * of_b;
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    if (i0 + y + r < g.m && j0 + x < g.n) g.c[(i0 + y + r) * g.n + j0 + x] = sum[r];
}

inline void column_tiles(const Product<float>& g) {
  launch("column tiles", column_kernel<64, 8, 8>,
         {.blocks = {unsigned(tiles(g.n, 64)), unsigned(tiles(g.m, 64))},
          .threads = {512}},
         g);
}

// **Rung 5, a register tile in two dimensions.** Eight rows by eight columns
// for each of 256 threads: a tile of 128 × 128. For each $p$ a thread reads
// eight numbers of A and eight of B, keeps them in registers, and multiplies
// each with each: 64 multiply-adds for 16 reads.
template <int kDepth> __global__ void square_kernel(Product<float> g) {
  constexpr int kSide = 128, kEach = 8, kThreads = 256;
  __shared__ float a[kSide][kDepth];
  __shared__ float b[kDepth][kSide];
  const int t = int(threadIdx.x), x = t % 16 * kEach, y = t / 16 * kEach;
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;

  float sum[kEach][kEach] = {};
  for (int64_t p0 = 0; p0 < g.k; p0 += kDepth) {
    // Fetch: four numbers of either tile, 256 apart, so that neighbouring
    // threads still take neighbouring numbers.
    for (int s = t; s < kSide * kDepth; s += kThreads) {
      const int64_t i = i0 + s / kDepth, p = p0 + s % kDepth;
      a[s / kDepth][s % kDepth] = i < g.m && p < g.k ? g.a[i * g.k + p] : 0.0f;
      const int64_t q = p0 + s / kSide, j = j0 + s % kSide;
      b[s / kSide][s % kSide] = q < g.k && j < g.n ? g.b[q * g.n + j] : 0.0f;
    }
    __syncthreads();
    for (int d = 0; d < kDepth; ++d) {
      // Sixteen numbers into registers …
      float of_a[kEach], of_b[kEach];
#pragma unroll
      for (int r = 0; r < kEach; ++r) of_a[r] = a[y + r][d];
#pragma unroll
      for (int c = 0; c < kEach; ++c) of_b[c] = b[d][x + c];
        // … and 64 multiply-adds with them.
#pragma unroll
      for (int r = 0; r < kEach; ++r)
#pragma unroll
        for (int c = 0; c < kEach; ++c) sum[r][c] += of_a[r] * of_b[c];
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int c = 0; c < kEach; ++c)
      if (i0 + y + r < g.m && j0 + x + c < g.n)
        g.c[(i0 + y + r) * g.n + j0 + x + c] = sum[r][c];
}

inline void square_tiles(const Product<float>& g) {
  launch("square tiles", square_kernel<8>,
         {.blocks = {unsigned(tiles(g.n, 128)), unsigned(tiles(g.m, 128))},
          .threads = {256}},
         g);
}

}  // namespace cr::backend::CR_GPU
