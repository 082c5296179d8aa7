// **Rung 11, tensor cores, bfloat16.** Numbers of 16 bits, so half the bytes
// wherever they go. From here on B comes turned over, (n, k): that is how a
// `Linear` layer keeps its weight, and both tiles are then rows along $p$.
// $k$ and $n$ must be multiples of 8, so that every row begins at a multiple
// of 16 bytes.
#pragma once

#include "backend/gpu/async_copy.cuh"
#include "backend/gpu/tensor_core.cuh"
#include "layouts.hpp"
#include "product.hpp"
#include "store_row.cuh"

namespace cr::backend::CR_GPU {

// A tile: 128 rows of 64 numbers, 128 bytes each: eight chunks, swizzled.
struct Bf16Tile {
  static constexpr int kDepth = 64, kChunks = kDepth / 8;
  static constexpr int kBytes = kSide * kDepth * 2;

  // Where chunk c of row r lies.
  __device__ static char* at(char* tile, int r, int c) {
    return tile + 16 * fragment::swizzled(r, c, kChunks);
  }
  // Orders rows `row0`… of a matrix (rows, k), from column p0 on.
  __device__ static void fill(char* tile, const BFloat16* matrix, int64_t rows,
                              int64_t k, int64_t row0, int64_t p0, int t) {
#pragma unroll
    for (int q = 0; q < kSide * kChunks / kThreads; ++q) {
      const int s = t + q * kThreads, r = s / kChunks, c = s % kChunks;
      copy_async<16>(at(tile, r, c), matrix + (row0 + r) * k + p0 + c * 8,
                     row0 + r < rows && p0 + c * 8 < k);
    }
  }
};

// A warp makes 64 × 32 numbers: 4 × 4 matrices of 16 × 8. For 16 steps of $p$
// it loads four pieces of 16 × 16 of A, and of B two pieces of 16 rows, each
// of which serves two matrices.
// Three stages are 96 KB, more than `__shared__` may ask for; a launch may ask
// for up to 227, and `dynamic_shared` is where they are.
template <int kStages>
__global__ void __launch_bounds__(kThreads, 2) bf16_kernel(Product<BFloat16> g) {
  char* shared = dynamic_shared<char>();
  const int t = int(threadIdx.x), lane = t % 32;
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;
  const int row = t / 128 * 64,
            column = t / 32 % 4 * 32;  // where the warp's part begins
  // A stage is a tile of A and, behind it, one of B: 32 KB.
  auto order = [&](int stage, int64_t p0) {
    char* tile = shared + stage * 2 * Bf16Tile::kBytes;
    if (p0 < g.k) {
      Bf16Tile::fill(tile, g.a, g.m, g.k, i0, p0, t);
      Bf16Tile::fill(tile + Bf16Tile::kBytes, g.b, g.n, g.k, j0, p0, t);
    }
    commit_copies();
  };

  // It is rung 9, with three stages: two are on their way while one is
  // multiplied.
  float sum[4][4][4] = {};
  for (int s = 0; s < kStages - 1; ++s) order(s, s * Bf16Tile::kDepth);
  int now = 0;
  for (int64_t p0 = 0; p0 < g.k; p0 += Bf16Tile::kDepth) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    order((now + kStages - 1) % kStages, p0 + (kStages - 1) * Bf16Tile::kDepth);
    char *of_a = shared + now * 2 * Bf16Tile::kBytes,
         *of_b = of_a + Bf16Tile::kBytes;
    // 16 steps of p at a time. (Not unrolled: four times over, the loop takes 160
    // registers, and only one block fits.)
#pragma unroll 1
    for (int p = 0; p < Bf16Tile::kChunks; p += 2) {
      uint32_t a[4][4], b[2][4];
      const fragment::Chunk for_a = fragment::named_for_a(lane),
                            for_b = fragment::named_for_b(lane);
#pragma unroll
      for (int y = 0; y < 4; ++y)
        ldmatrix(a[y],
                 Bf16Tile::at(of_a, row + 16 * y + for_a.row, p + for_a.chunk));
#pragma unroll
      for (int x = 0; x < 2; ++x)
        ldmatrix(b[x],
                 Bf16Tile::at(of_b, column + 16 * x + for_b.row, p + for_b.chunk));
        // 16 instructions of 2048 multiply-adds, for six loads.
#pragma unroll
      for (int y = 0; y < 4; ++y)
#pragma unroll
        for (int x = 0; x < 4; ++x)
          mma_bf16(sum[y][x], a[y], b[x / 2][x % 2 * 2], b[x / 2][x % 2 * 2 + 1]);
    }
    now = (now + 1) % kStages;
  }

  // Two rows of 32 columns for each piece of 16.
#pragma unroll
  for (int y = 0; y < 4; ++y)
#pragma unroll
    for (int r = 0; r < 4; r += 2) {
      uint32_t words[4];
#pragma unroll
      for (int x = 0; x < 4; ++x)
        words[x] = pack_bf16(sum[y][x][r], sum[y][x][r + 1]);
      store_row(g, i0 + row + 16 * y + fragment::c(lane, r).row, j0 + column, words,
                lane);
    }
}

inline void bf16(const Product<BFloat16>& g) {
  constexpr int kStages = 3;
  launch("bf16", bf16_kernel<kStages>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide))},
          .threads = {kThreads},
          .shared_bytes = kStages * 2 * Bf16Tile::kBytes,
          .needs = 80},
         g);
}

}  // namespace cr::backend::CR_GPU
