// A product of matrices, as chapter 57 builds it up: a block of 256 threads
// computes a tile of 64 × 64 numbers of the result, every thread 16 of them in
// registers. In each round the block fetches 64 × 16 numbers of the left factor and
// 16 × 64 of the right one into shared memory, where each is used 64 times.
//
// What is multiplied, the kernel does not know. It asks a `Problem` for the number
// in row $i$ and column $k$ of the left factor, for the number in row $k$ and
// column $j$ of the right one, and hands it the sums. `kLeftAlongK` and
// `kRightAlongK` say how the factors lie in memory: neighbouring threads shall fetch
// neighbouring numbers, and these may be neighbours along the sum or across it.
// What depends on the row alone, the problem works out once, before the loop: `row`.
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

constexpr int kSide = 64, kDeep = 16, kThreads = 256;

// `kPad` is there to be got wrong: that many words are left unused in each row of a
// tile. With 0, a row is 64 words, twice around all 32 banks, and a whole column
// lies in one bank.
template <class Problem, int kPad = 2>
__global__ void product_kernel(Problem problem) {
  __shared__ float left[kDeep][kSide + kPad];
  __shared__ float right[kDeep][kSide + kPad];

  // 256 threads as 16 × 16. Thread (tx, ty) has rows tx, tx + 16, tx + 32, tx + 48
  // of the tile and as many columns: spread out, so that neighbouring threads read
  // neighbouring numbers.
  const int thread = int(threadIdx.x);
  const int tx = thread % 16, ty = thread / 16;
  const int i0 = int(blockIdx.x) * kSide, j0 = int(blockIdx.y) * kSide,
            batch = int(blockIdx.z);
  const int first = problem.first(batch), last = problem.last(batch);

  // Which four numbers of either tile this thread fetches: in every round the same.
  constexpr int kFetches = kSide * kDeep / kThreads;
  const auto line_of = [&](bool along_k, int q) {
    return along_k ? (thread + q * kThreads) / kDeep
                   : (thread + q * kThreads) % kSide;
  };
  const auto k_of = [&](bool along_k, int q) {
    return along_k ? (thread + q * kThreads) % kDeep
                   : (thread + q * kThreads) / kSide;
  };
  typename Problem::Row row[kFetches];
#pragma unroll
  for (int q = 0; q < kFetches; ++q)
    row[q] = problem.row(i0 + line_of(Problem::kLeftAlongK, q));

  // Beyond the edge of a matrix a tile is filled with zeros, which change no sum.
  float sum[4][4] = {};
  for (int k0 = first; k0 < last; k0 += kDeep) {
#pragma unroll
    for (int q = 0; q < kFetches; ++q) {
      const int i = line_of(Problem::kLeftAlongK, q),
                k = k_of(Problem::kLeftAlongK, q);
      left[k][i] = i0 + i < problem.rows && k0 + k < last
                       ? problem.left(batch, row[q], k0 + k)
                       : 0;
    }
#pragma unroll
    for (int q = 0; q < kFetches; ++q) {
      const int j = line_of(Problem::kRightAlongK, q),
                k = k_of(Problem::kRightAlongK, q);
      right[k][j] = j0 + j < problem.columns && k0 + k < last
                        ? problem.right(batch, k0 + k, j0 + j)
                        : 0;
    }

    // Nobody multiplies before both tiles are complete.
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDeep; ++k) {
      float of_left[4], of_right[4];
#pragma unroll
      for (int u = 0; u < 4; ++u) of_left[u] = left[k][tx + 16 * u];
#pragma unroll
      for (int v = 0; v < 4; ++v) of_right[v] = right[k][ty + 16 * v];
#pragma unroll
      for (int u = 0; u < 4; ++u)
#pragma unroll
        for (int v = 0; v < 4; ++v) sum[u][v] += of_left[u] * of_right[v];
    }

    // And nobody overwrites them before all have multiplied.
    __syncthreads();
  }

  // Rows of the result are places, and places lie next to each other: `tx` along
  // the rows makes neighbouring threads store neighbouring numbers. A bias or a
  // ReLU would be applied here, in `store`, while the number is in a register: a
  // layer of its own would fetch it again.
#pragma unroll
  for (int v = 0; v < 4; ++v)
#pragma unroll
    for (int u = 0; u < 4; ++u) {
      const int i = i0 + tx + 16 * u, j = j0 + ty + 16 * v;
      if (i < problem.rows && j < problem.columns)
        problem.store(batch, i, j, sum[u][v]);
    }
}

// Count what a round costs a block: 2048 numbers fetched, 65 536 multiply-adds. For
// 16 multiply-adds a thread reads 8 numbers from shared memory. A multiprocessor of
// an H100 makes such a read for one warp in each cycle, and multiply-adds for four:
// 8 cycles of reading for 4 of multiplying, so this kernel cannot pass half of the
// peak. Chapter 57 goes on from here, to wider loads and larger tiles; for us this
// is enough to see what the *map* costs.
//
// A problem has sizes. Most sum over all of their $k$ at once. (The weight gradient
// does not.)
struct Whole {
  int rows = 0, columns = 0, depth = 0;
  constexpr int first(int) const { return 0; }
  constexpr int last(int) const { return depth; }
};

template <int kPad = 2, class Problem>
void multiply(const char* name, const Problem& problem, int batches) {
  launch(name, product_kernel<Problem, kPad>,
         {.blocks = {blocks_for(problem.rows, kSide),
                     blocks_for(problem.columns, kSide), unsigned(batches)},
          .threads = {kThreads}},
         problem);
}

}  // namespace cr::backend::CR_GPU
