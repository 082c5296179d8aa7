// **Rung 3, shared tiles.** A block of 32 × 32 threads makes a tile of 32 ×
// 32 numbers of C. For that it needs 32 rows of A and 32 columns of B, 32
// numbers deep at a time. Each thread fetches one number of either tile. Then
// all of them multiply, and each number is read by 32 threads.
//
// `__syncthreads()` is a **barrier**: nobody passes it before all threads of
// the block have arrived. We need two. Nobody may multiply before the tiles
// are complete, and nobody may overwrite them before all have multiplied.
// (The last parameter is for `--break missing-barrier`: without it the second
// barrier is one for the warp only.)
#pragma once

#include "backend/gpu/gpu.cuh"
#include "product.hpp"

namespace cr::backend::CR_GPU {

template <int kTile, bool kBothBarriers>
__global__ void shared_kernel(Product<float> g) {
  // `__shared__` makes a variable of which each block has one.
  __shared__ float a[kTile][kTile];
  __shared__ float b[kTile][kTile];
  const int x = int(threadIdx.x), y = int(threadIdx.y);
  const int64_t i = int64_t{blockIdx.y} * kTile + y;
  const int64_t j = int64_t{blockIdx.x} * kTile + x;

  // Along p from tile to tile.
  float sum = 0;
  for (int64_t p0 = 0; p0 < g.k; p0 += kTile) {
    // Beyond the edges stand zeros. A thread without a number of its own may
    // not leave: the barrier waits for it, and others need what it fetches.
    a[y][x] = i < g.m && p0 + x < g.k ? g.a[i * g.k + p0 + x] : 0.0f;
    b[y][x] = p0 + y < g.k && j < g.n ? g.b[(p0 + y) * g.n + j] : 0.0f;
    // Everybody has fetched; now everybody may read. Of `a` a warp reads one
    // number, the same for all lanes, of `b` 32 neighbours.
    __syncthreads();
    for (int p = 0; p < kTile; ++p) sum += a[y][p] * b[p][x];
    if constexpr (kBothBarriers) __syncthreads();
    else __syncwarp();
  }
  // Only who has a number of C writes one.
  if (i < g.m && j < g.n) g.c[i * g.n + j] = sum;
}

template <int kTile, bool kBothBarriers = true>
void shared_tiles(const Product<float>& g) {
  launch("shared tiles", shared_kernel<kTile, kBothBarriers>,
         {.blocks = {unsigned(tiles(g.n, kTile)), unsigned(tiles(g.m, kTile))},
          .threads = {kTile, kTile}},
         g);
}

}  // namespace cr::backend::CR_GPU
