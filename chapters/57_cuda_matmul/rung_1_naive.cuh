// **Rung 1, naive.** Threads come in **blocks**, and blocks in a **grid**.
// `threadIdx` is the thread's place in its block, `blockIdx` the block's in
// the grid, `blockDim` and `gridDim` are their sizes, each with an x, a y and
// a z. Here a thread takes row x and column y of C. Threads beyond the edge
// have nothing to do.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "product.hpp"

namespace cr::backend::CR_GPU {

template <class T> __global__ void naive_kernel(Product<T> g) {
  // Who am I?
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t j = int64_t{blockIdx.y} * blockDim.y + threadIdx.y;
  if (i >= g.m || j >= g.n) return;
  // One sum, from beginning to end. Each step reads a number of row i and one
  // of column j.
  T sum = 0;
  for (int64_t p = 0; p < g.k; ++p) sum += g.a[i * g.k + p] * g.b[p * g.n + j];
  g.c[i * g.n + j] = sum;
}

// Blocks of 32 × 8 threads, as many as cover C.
inline void naive(const Product<float>& g) {
  launch("naive", naive_kernel<float>,
         {.blocks = {unsigned(tiles(g.m, 32)), unsigned(tiles(g.n, 8))},
          .threads = {32, 8}},
         g);
}

}  // namespace cr::backend::CR_GPU
