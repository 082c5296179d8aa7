// **Rung 11, tensor cores, bfloat16.** Numbers of 16 bits, half the bytes on
// every way. From here on B comes turned over, (n, k): that is how a `Linear`
// layer keeps its weight, and both tiles are then rows along $p$. $k$ and $n$
// must be multiples of 8, so that every row begins at a multiple of 16 bytes.
#pragma once

#include "rung_9_async.cuh"
#include "tensor_core.cuh"

namespace cr::backend::CR_GPU {

// A tile: 128 rows of 64 numbers, 128 bytes each, swizzled.
struct Bf16Tile {
  static constexpr int kDepth = 64, kBytes = kSide * kDepth * 2;

  // Copies rows `row0`… of a matrix (rows, k), from column p0 on.
  __device__ static void fill(char* tile, const Bf16* matrix, int64_t rows,
                              int64_t k, int64_t row0, int64_t p0, int t) {
#pragma unroll
    for (int s = t; s < kBytes / 16; s += kThreads) {
      const int64_t row = row0 + s / 8, p = p0 + s % 8 * 8;
      const bool valid = row < rows && p < k;
      copy_async<16>(tile + swizzle_128(16 * s),
                     valid ? matrix + row * k + p : matrix, valid);
    }
  }
};

// A warp makes 64 × 32 numbers: 4 × 4 matrices of 16 × 8. For 16 steps of $p$
// it loads four pieces of 16 × 16 of A, and of B two pieces of 16 rows, each
// of which serves two matrices.
template <int kStages>
__global__ void __launch_bounds__(kThreads) bf16_kernel(Product<Bf16> g) {
  char* shared = dynamic_shared<char>();
  const int t = int(threadIdx.x), lane = t % 32;
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;
  const int row = t / 128 * 64,
            column = t / 32 % 4 * 32;  // where the warp's part begins
  // A stage is a tile of A and, behind it, one of B: 32 KB.
  auto fill = [&](int stage, int64_t p0) {
    char* tile = shared + stage * 2 * Bf16Tile::kBytes;
    Bf16Tile::fill(tile, g.a, g.m, g.k, i0, p0, t);
    Bf16Tile::fill(tile + Bf16Tile::kBytes, g.b, g.n, g.k, j0, p0, t);
    close_parcel();
  };

  // From here it is rung 9, with three stages: two are on their way while one
  // is multiplied.
  float sum[4][4][4] = {};
  for (int s = 0; s < kStages - 1; ++s) fill(s, s * Bf16Tile::kDepth);
  int now = 0;
  for (int64_t p0 = 0; p0 < g.k; p0 += Bf16Tile::kDepth) {
    wait_for_parcels<kStages - 2>();
    __syncthreads();
    fill((now + kStages - 1) % kStages, p0 + (kStages - 1) * Bf16Tile::kDepth);
    const char *of_a = shared + now * 2 * Bf16Tile::kBytes,
               *of_b = of_a + Bf16Tile::kBytes;
#pragma unroll
    for (int p = 0; p < Bf16Tile::kDepth; p += 16) {
      // Matrices 0 … 3 of A's piece: upper left, lower left, upper right,
      // lower right. Of B's: rows 0-7 left and right, rows 8-15 left and
      // right.
      uint32_t a[4][4], b[2][4];
#pragma unroll
      for (int y = 0; y < 4; ++y) {
        const int r = row + 16 * y + lane % 16, c = p + lane / 16 * 8;
        load_matrices(a[y], of_a, swizzle_128(r * 128 + c * 2));
      }
#pragma unroll
      for (int x = 0; x < 2; ++x) {
        const int r = column + 16 * x + lane / 16 * 8 + lane % 8,
                  c = p + lane / 8 % 2 * 8;
        load_matrices(b[x], of_b, swizzle_128(r * 128 + c * 2));
      }
      // 16 instructions of 2048 multiply-adds, for six loads.
#pragma unroll
      for (int y = 0; y < 4; ++y)
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          const uint32_t half[2] = {b[x / 2][x % 2 * 2], b[x / 2][x % 2 * 2 + 1]};
          mma_bf16(sum[y][x], a[y], half);
        }
    }
    now = (now + 1) % kStages;
  }

  // A lane has two neighbours of each row: they leave together.
#pragma unroll
  for (int y = 0; y < 4; ++y)
#pragma unroll
    for (int x = 0; x < 4; ++x)
#pragma unroll
      for (int r = 0; r < 4; r += 2) {
        const Place at = mma_c(lane, r);
        const int64_t i = i0 + row + 16 * y + at.row,
                      j = j0 + column + 8 * x + at.column;
        if (i < g.m && j < g.n)
          *reinterpret_cast<uint32_t*>(g.c + i * g.n + j) =
              uint32_t{to_bfloat16(sum[y][x][r])} |
              uint32_t{to_bfloat16(sum[y][x][r + 1])} << 16;
      }
}

inline void bf16(const Product<Bf16>& g) {
  constexpr int kStages = 3;
  launch("bf16", bf16_kernel<kStages>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide))},
          .threads = {kThreads},
          .shared_bytes = kStages * 2 * Bf16Tile::kBytes},
         g);
}

}  // namespace cr::backend::CR_GPU
