// **Rung 10, tensor cores, TF32.** Tile and warps are those of rung 8, 16 deep.
// A warp's 32 × 64 numbers of C are now 2 × 8 matrices of 16 × 8, and one
// `mma` takes 8 steps of $p$ for one of them. (Two stages are given up here:
// the inputs have to be rounded, so they come by way of registers.)
#pragma once

#include <bit>

#include "backend/gpu/tensor_core.cuh"
#include "rung_6_vectors.cuh"

namespace cr::backend::CR_GPU {

// Neither tile is turned over. The lanes read as the pictures say: four
// neighbours in a row of A times eight rows, or eight neighbours in a row of B
// times four rows. So that these 32 numbers lie in 32 banks, A's rows are 20
// words long (eight rows times 20 are 0, 20, 8, 28, 16, 4, 24, 12 modulo 32)
// and B's 136 (four rows: 0, 8, 16, 24).
struct Tf32Tiles {
  static constexpr int kDepth = 16;
  uint32_t a[kSide][kDepth + 4];
  uint32_t b[kDepth][kSide + 8];
};

__device__ inline uint4 rounded(float4 x) {
  return make_uint4(round_tf32(x.x), round_tf32(x.y), round_tf32(x.z),
                    round_tf32(x.w));
}

template <class Tiles>
__global__ void __launch_bounds__(kThreads) tf32_kernel(Product<float> g) {
  __shared__ __align__(16) Tiles tile;
  const int t = int(threadIdx.x), lane = t % 32;
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;
  const int row = t / 64 * 32,
            column = t / 32 % 2 * 64;  // where the warp's part begins

  float sum[2][8][4] = {};
  for (int64_t p0 = 0; p0 < g.k; p0 += Tiles::kDepth) {
    // Fetch, two groups of four of either tile for each thread.
#pragma unroll
    for (int q = 0; q < kSide * Tiles::kDepth / 4 / kThreads; ++q) {
      const int s = t + q * kThreads;
      const int i = s / 4, p = s % 4 * 4, below = s / 32, j = s % 32 * 4;
      float4 of_a = {0, 0, 0, 0}, of_b = {0, 0, 0, 0};
      if (i0 + i < g.m)
        of_a = load4(g.a + (i0 + i) * g.k, p0 + p, g.k, g.k % 4 == 0);
      if (p0 + below < g.k)
        of_b = load4(g.b + (p0 + below) * g.n, j0 + j, g.n, g.n % 4 == 0);
      *reinterpret_cast<uint4*>(&tile.a[i][p]) = rounded(of_a);
      *reinterpret_cast<uint4*>(&tile.b[below][j]) = rounded(of_b);
    }
    __syncthreads();
#pragma unroll
    for (int p = 0; p < Tiles::kDepth; p += 8) {
      // The lane collects its numbers: two pieces of A, 16 rows each, and
      // eight of B.
      uint32_t a[2][4], b[8][2];
#pragma unroll
      for (int r = 0; r < 4; ++r)
#pragma unroll
        for (int y = 0; y < 2; ++y) {
          const fragment::Place at = fragment::tf32_a(lane, r);
          a[y][r] = tile.a[row + 16 * y + at.row][p + at.column];
        }
#pragma unroll
      for (int r = 0; r < 2; ++r)
#pragma unroll
        for (int x = 0; x < 8; ++x) {
          const fragment::Place at = fragment::tf32_b(lane, r);
          b[x][r] = tile.b[p + at.row][column + 8 * x + at.column];
        }
        // Every piece of A with every piece of B: 16 instructions, 16 384
        // multiply-adds.
#pragma unroll
      for (int y = 0; y < 2; ++y)
#pragma unroll
        for (int x = 0; x < 8; ++x) mma_tf32(sum[y][x], a[y], b[x][0], b[x][1]);
    }
    __syncthreads();
  }
  // The sums leave from where the picture says that they are.
#pragma unroll
  for (int y = 0; y < 2; ++y)
#pragma unroll
    for (int x = 0; x < 8; ++x)
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const fragment::Place at = fragment::c(lane, r);
        const int64_t i = i0 + row + 16 * y + at.row,
                      j = j0 + column + 8 * x + at.column;
        if (i < g.m && j < g.n) g.c[i * g.n + j] = sum[y][x][r];
      }
}

inline void tf32(const Product<float>& g) {
  launch("tf32", tf32_kernel<Tf32Tiles>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide))},
          .threads = {kThreads},
          .needs = 80},
         g);
}

}  // namespace cr::backend::CR_GPU
