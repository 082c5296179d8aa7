#pragma once

#include "rung_1_naive.cuh"

namespace cr::backend::CR_GPU {

// **Rung 2, coalesced.** The first two lines change places, nothing else: now
// x counts columns. Lanes of a warp take neighbours in a row of C.
template <class T> __global__ void coalesced_kernel(Product<T> g) {
  const int64_t j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t i = int64_t{blockIdx.y} * blockDim.y + threadIdx.y;
  if (i >= g.m || j >= g.n) return;
  T sum = 0;
  for (int64_t p = 0; p < g.k; ++p) sum += g.a[i * g.k + p] * g.b[p * g.n + j];
  g.c[i * g.n + j] = sum;
}

inline void coalesced(const Product<float>& g) {
  launch("coalesced", coalesced_kernel<float>,
         {.blocks = {unsigned(tiles(g.n, 32)), unsigned(tiles(g.m, 8))},
          .threads = {32, 8}},
         g);
}

}  // namespace cr::backend::CR_GPU
