// A product of matrices, as chapter 57 builds it up: a block of 256 threads
// computes a tile of 64 × 64 numbers of the result, every thread 16 of them in
// registers. In each round the block fetches 64 × 16 numbers of A and 16 × 64 of B
// into shared memory, where each is used 64 times.
//
// What is multiplied, the kernel does not know. It asks a `Problem` for the number
// in row $i$ and column $k$ of A, for the number in row $k$ and column $j$ of B,
// and hands it the sums. `kAlongK` says how the matrix lies in memory: neighbouring
// threads shall fetch neighbouring numbers, and these may be neighbours along a row
// of A or down a column.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "map.hpp"

namespace cr::backend::CR_GPU {

// All lanes of a warp fetch together, also those that drop what they got. A
// compiler for CPUs would rather fetch only what it needs, and the emulator would
// then see lanes apart: this tells it that x is needed here.
template <class T> __device__ inline T fetched(T x) {
#if !defined(__CUDACC__)
  asm volatile("" : "+r"(x));
#endif
  return x;
}

constexpr int kSide = 64, kDeep = 16;

// Count what a round costs: 2048 numbers fetched, 65 536 multiply-adds. From shared
// memory a thread reads 8 numbers for 16 multiply-adds. Chapter 57 goes on from
// here, to wider loads, larger tiles and two buffers; for us this is enough to see
// what the *map* costs.
//
// The last two parameters are there to be got wrong. With `kPad` = 0 a row of the
// tile is 64 numbers, twice all 32 banks, so a whole column lies in one bank.
// `kBarriers` = 1 leaves out the second barrier.
template <class Problem, int kPad = 1, int kBarriers = 2>
__global__ void product_kernel(Problem p) {
  __shared__ float a[kDeep][kSide + kPad], b[kDeep][kSide + kPad];

  // 256 threads as 16 × 16. Thread (tx, ty) has rows tx, tx + 16, tx + 32, tx + 48
  // of the tile and as many columns: spread out, so that neighbouring threads read
  // neighbouring numbers.
  const int thread = int(threadIdx.x);
  const int tx = thread % 16, ty = thread / 16;
  const int i0 = int(blockIdx.x) * kSide, j0 = int(blockIdx.y) * kSide,
            batch = int(blockIdx.z);
  const int first = p.first(batch), last = p.last(batch);

  // Beyond the edge of a matrix a tile is filled with zeros, which change no sum.
  float sum[4][4] = {};
  for (int k0 = first; k0 < last; k0 += kDeep) {
    for (int q = thread; q < kSide * kDeep; q += 256) {
      const int i = Problem::kAAlongK ? q / kDeep : q % kSide,
                k = Problem::kAAlongK ? q % kDeep : q / kSide;
      a[k][i] = i0 + i < p.m && k0 + k < last ? p.a(batch, i0 + i, k0 + k) : 0;
    }
    for (int q = thread; q < kSide * kDeep; q += 256) {
      const int j = Problem::kBAlongK ? q / kDeep : q % kSide,
                k = Problem::kBAlongK ? q % kDeep : q / kSide;
      b[k][j] = j0 + j < p.n && k0 + k < last ? p.b(batch, k0 + k, j0 + j) : 0;
    }

    // Nobody multiplies before both tiles are complete.
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDeep; ++k) {
      float left[4], right[4];
#pragma unroll
      for (int u = 0; u < 4; ++u) left[u] = a[k][tx + 16 * u];
#pragma unroll
      for (int v = 0; v < 4; ++v) right[v] = b[k][ty + 16 * v];
#pragma unroll
      for (int u = 0; u < 4; ++u)
#pragma unroll
        for (int v = 0; v < 4; ++v) sum[u][v] += left[u] * right[v];
    }

    // And nobody overwrites them before all have multiplied.
    if constexpr (kBarriers == 2) __syncthreads();
  }

#pragma unroll
  // Rows of the result are places, and places lie next to each other: `tx` along
  // the rows makes neighbouring threads store neighbouring numbers.
  for (int v = 0; v < 4; ++v)
#pragma unroll
    for (int u = 0; u < 4; ++u) {
      const int i = i0 + tx + 16 * u, j = j0 + ty + 16 * v;
      if (i < p.m && j < p.n) p.store(batch, i, j, sum[u][v]);
    }
}

// A problem that sums over all of its $k$ at once. (The weight gradient does not.)
struct Whole {
  int m = 0, n = 0, k = 0;
  constexpr int first(int) const { return 0; }
  constexpr int last(int) const { return k; }
};

template <int kPad = 1, int kBarriers = 2, class Problem>
void multiply(const char* name, const Problem& p, int batches) {
  launch(name, product_kernel<Problem, kPad, kBarriers>,
         {.blocks = {blocks_for(p.m, kSide), blocks_for(p.n, kSide),
                     unsigned(batches)},
          .threads = {256}},
         p);
}

}  // namespace cr::backend::CR_GPU
