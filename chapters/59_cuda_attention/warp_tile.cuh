// What a warp does with tiles of bfloat16 in shared memory. A row of them is cut
// into **chunks** of 16 bytes, eight numbers, and chunk $c$ of row $r$ lies at place
// $c \oplus (r \bmod 8)$ of its row ($\oplus$: digit by digit, without carry). That
// is `fragment::swizzled`, and chapter 57 says why.
#pragma once

#include "backend/gpu/async_copy.cuh"
#include "backend/gpu/tensor_core.cuh"
#include "tensor/half.hpp"
#include "warp.cuh"
#include "weights_from_sums.hpp"

namespace attention::CR_GPU {
namespace fragment = cr::backend::fragment;
using cr::BFloat16;

inline __device__ float exp_2(float x) {
#ifdef __CUDACC__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

// The largest score is looked for before the scale is multiplied in, which is right
// only for a positive scale.
inline void insist_on_positive(float scale) {
  if (!(scale > 0)) throw cr::Error("attention: the scale must be positive");
}

// The block's threads order `kRows` rows of which `rows_left` exist; where a row does
// not, nothing is read and zeros arrive. Neighbouring threads take neighbouring
// chunks, so the copy is coalesced; only the place in shared memory is swizzled. A
// thread keeps its chunk and steps down the rows.
template <int kWidth, int kRows, int kThreads>
__device__ void fetch(BFloat16* tile, const BFloat16* from, int64_t rows_left,
                      int thread) {
  constexpr int kChunks = kWidth / 8, kStep = kThreads / kChunks;
  static_assert(kThreads % kChunks == 0 && kRows % kStep == 0);
  const int chunk = thread % kChunks,
            left = rows_left < kRows ? int(rows_left) : kRows;
#pragma unroll
  for (int down = 0; down < kRows; down += kStep) {
    const int row = thread / kChunks + down;
    copy_async<16>(tile + 8 * fragment::swizzled(row, chunk, kChunks),
                   from + row * kWidth + 8 * chunk, row < left);
  }
}

// ### Fragments of a tile
//
// From a tile X (rows × kWidth), at a row and a column which are multiples of 16: as
// A = X; as B = Xᵀ, two of them side by side, where rows of X are columns of B; and
// as B = X, two again. The library says which row and chunk each lane names.
template <int kWidth>
__device__ const BFloat16* named(const BFloat16* x, int row, int column,
                                 fragment::Chunk by) {
  return x +
         8 * fragment::swizzled(row + by.row, column / 8 + by.chunk, kWidth / 8);
}
template <int kWidth>
__device__ void load_a(uint32_t (&r)[4], const BFloat16* x, int row, int column) {
  ldmatrix(r,
           named<kWidth>(x, row, column, fragment::named_for_a(int(threadIdx.x))));
}
template <int kWidth>
__device__ void load_b_turned(uint32_t (&r)[4], const BFloat16* x, int row,
                              int column) {
  ldmatrix(r,
           named<kWidth>(x, row, column, fragment::named_for_b(int(threadIdx.x))));
}
template <int kWidth>
__device__ void load_b(uint32_t (&r)[4], const BFloat16* x, int row, int column) {
  ldmatrix<true>(
      r, named<kWidth>(x, row, column, fragment::named_for_a(int(threadIdx.x))));
}

// ### The two products
//
// A warp's sums: `kHigh` tiles of 16 rows, `kWide` tiles of 8 columns, four numbers
// each for every lane.
template <int kHigh, int kWide> using Sums = float[kHigh][kWide][4];

// S = A Bᵀ, as in $Q K^\top$: the warp's rows of `a`, from `first` on, against all
// rows of `b`.
template <int kWidth, int kHigh, int kWide>
__device__ void tile_scores(Sums<kHigh, kWide>& s, const BFloat16* a, int first,
                            const BFloat16* b) {
#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int n = 0; n < kWide; ++n)
#pragma unroll
      for (int c = 0; c < 4; ++c) s[h][n][c] = 0;

        // Sixteen numbers of the width at a time. The left fragments meet all
        // columns; each right fragment serves two products for each left one.
#pragma unroll
  for (int d = 0; d < kWidth; d += 16) {
    uint32_t rows[kHigh][4];
#pragma unroll
    for (int h = 0; h < kHigh; ++h) load_a<kWidth>(rows[h], a, first + 16 * h, d);
#pragma unroll
    for (int n = 0; n < kWide; n += 2) {
      uint32_t columns[4];
      load_b_turned<kWidth>(columns, b, 8 * n, d);
#pragma unroll
      for (int h = 0; h < kHigh; ++h) {
        mma_bf16(s[h][n], rows[h], columns[0], columns[1]);
        mma_bf16(s[h][n + 1], rows[h], columns[2], columns[3]);
      }
    }
  }
}

// O += P B, as in $P V$. Two tiles of weights, side by side and rounded to bfloat16,
// are a left side as they lie.
template <int kWidth, int kHigh, int kWide>
__device__ void add_weighted(Sums<kHigh, kWidth / 8>& o,
                             const Sums<kHigh, kWide>& p, const BFloat16* b) {
#pragma unroll
  for (int j = 0; j < kWide; j += 2) {
    uint32_t rows[kHigh][4];
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int reg = 0; reg < 4; ++reg) {
        const FromSums low = a_from_c(reg, 0), high = a_from_c(reg, 1);
        rows[h][reg] =
            pack_bf16(p[h][j + low.tile][low.reg], p[h][j + high.tile][high.reg]);
      }
#pragma unroll
    for (int n = 0; n < kWidth / 8; n += 2) {
      uint32_t columns[4];
      load_b<kWidth>(columns, b, 8 * j, 8 * n);
#pragma unroll
      for (int h = 0; h < kHigh; ++h) {
        mma_bf16(o[h][n], rows[h], columns[0], columns[1]);
        mma_bf16(o[h][n + 1], rows[h], columns[2], columns[3]);
      }
    }
  }
}

// Memory wants 16 bytes at once, and a lane has pairs of neighbours. So the rows go
// by way of shared memory that only this warp uses, `tile`, where they begin at row
// `first`. `scale[h][r]` is for row $8 r + \lfloor lane / 4 \rfloor$ of tile $h$.
template <int kWidth, int kHigh>
__device__ void store_tile(BFloat16* to, int64_t rows_left, BFloat16* tile,
                           int first, const Sums<kHigh, kWidth / 8>& o,
                           const float (&scale)[kHigh][2]) {
  constexpr int kChunks = kWidth / 8;
  const int lane = int(threadIdx.x);
  __syncwarp();
#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int n = 0; n < kChunks; ++n) {
        // Pairs of neighbours, 4 bytes, into swizzled rows. Four lanes write a
        // chunk.
        BFloat16* at =
            tile +
            8 * fragment::swizzled(first + 16 * h + 8 * r + lane / 4, n, kChunks) +
            2 * (lane % 4);
        *reinterpret_cast<uint32_t*>(at) = pack_bf16(
            o[h][n][2 * r] * scale[h][r], o[h][n][2 * r + 1] * scale[h][r]);
      }
  __syncwarp();
  for (int at = lane; at < 16 * kHigh * kChunks; at += 32) {
    // And out again, 16 bytes for each lane, rows that exist only.
    const int row = first + at / kChunks, chunk = at % kChunks;
    if (row < rows_left)
      *reinterpret_cast<float4*>(to + int64_t{row} * kWidth + 8 * chunk) =
          *reinterpret_cast<const float4*>(
              tile + 8 * fragment::swizzled(row, chunk, kChunks));
  }
}

}  // namespace attention::CR_GPU
