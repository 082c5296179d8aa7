// On a GPU each of these is one instruction. The emulator has no tensor core, so
// there a warp does by shuffles what the instruction's description says: each lane
// asks others for the numbers that, by the layouts of `fragments.hpp`, they hold.
// So it checks the kernels' arithmetic of indices, and that of the layouts, against
// the true product.
#pragma once

#include <cstdint>
#include <cstring>

#include "fragments.hpp"
#include "tensor/half.hpp"
#include "warp.cuh"

namespace attention::CR_GPU {

using cr::BFloat16;

// Two numbers rounded to bfloat16 (to the nearest, ties to even), the first in the
// lower half.
inline __device__ uint32_t pack(float low, float high) {
#ifdef __CUDACC__
  uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
#else

  // Add half of what will be cut off, and one less if the number is even already:
  // ties go to the even neighbour. A NaN stays one.
  auto round = [](float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return x != x ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  };
  return round(low) | round(high) << 16;
#endif
}

// The other way: half 0 or 1 of a register as a float.
inline __device__ float unpack(uint32_t both, int half) {
  const uint32_t bits = half == 0 ? both << 16 : both & 0xffff0000u;
#ifdef __CUDACC__
  return __uint_as_float(bits);
#else
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
#endif
}

inline __device__ float exp_2(float x) {
#ifdef __CUDACC__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

// C += A B.
inline __device__ void multiply_add(float (&c)[4], const uint32_t (&a)[4],
                                    uint32_t b0, uint32_t b1) {
#ifdef __CUDACC__
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  // This lane's four sums need two rows of A, `lane / 4` and eight below, and two
  // neighbouring columns of B. Four lanes hold a row between them, and four lanes
  // hold a column. For `place` 0 … 3 we ask the one at that place.
  //
  // This is the slow way, for the emulator: sixteen shuffles for what a tensor core
  // does in a few cycles.
  const int lane = int(threadIdx.x), group = lane / 4, column = 2 * (lane % 4);

  // Registers 0 and 2 of A belong to the upper row, 1 and 3 to the lower: two words
  // in one shuffle.
  const uint64_t upper = a[0] | uint64_t{a[2]} << 32,
                 lower = a[1] | uint64_t{a[3]} << 32;
  const uint64_t ours = b0 | uint64_t{b1} << 32;
  for (int place = 0; place < 4; ++place) {
    const uint64_t rows[2] = {__shfl_sync(kAll, upper, 4 * group + place),
                              __shfl_sync(kAll, lower, 4 * group + place)};
    const uint64_t columns[2] = {__shfl_sync(kAll, ours, 4 * column + place),
                                 __shfl_sync(kAll, ours, 4 * (column + 1) + place)};
    for (int reg = 0; reg < 4; ++reg)
      for (int eighth = 0; eighth < 2; ++eighth)
        for (int half = 0; half < 2; ++half)
          c[reg] += unpack(uint32_t(rows[reg / 2] >> 32 * eighth), half) *
                    unpack(uint32_t(columns[reg % 2] >> 32 * eighth), half);
  }
#endif
}

// Four tiles of 8 × 8 numbers from shared memory. Lane $l$ names row $l \bmod 8$ of
// tile $\lfloor l / 8 \rfloor$, and gets of every tile two numbers of row $\lfloor
// l / 4 \rfloor$; turned round, of every tile two numbers of that column.
template <bool kTurned>
__device__ void load_tiles(uint32_t (&r)[4], const void* row) {
#ifdef __CUDACC__
  const uint32_t at = uint32_t(__cvta_generic_to_shared(row));
  if constexpr (kTurned)
    asm volatile(
        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(at)
        : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
#else
  const int lane = int(threadIdx.x);

  // Every lane asks the lane that named a row where that row is, and reads its two
  // numbers there.
  const uint64_t address = uint64_t(uintptr_t(row));
  for (int tile = 0; tile < 4; ++tile) {
    r[tile] = 0;
    for (int half = 0; half < 2; ++half) {
      const int i = kTurned ? 2 * (lane % 4) + half : lane / 4,
                j = kTurned ? lane / 4 : 2 * (lane % 4) + half;
      const auto* from = reinterpret_cast<const BFloat16*>(
          uintptr_t(__shfl_sync(kAll, address, 8 * tile + i)));
      r[tile] |= uint32_t{from[j].bits} << 16 * half;
    }
  }
#endif
}

// Sixteen bytes on their way from memory to shared memory while the thread goes on
// (`cp.async`). Copies are gathered into groups by `commit`; `wait<N>()` returns
// when all but the last N groups have arrived for this thread. Other threads see
// them after the next barrier. The emulator keeps each copy until it is waited for,
// so a kernel that forgets to wait reads shared memory that nobody has written, and
// is told so.
class Copies {
 public:
  __device__ void add(void* to, const void* from, bool exists) {
#ifdef __CUDACC__
    const uint32_t at = uint32_t(__cvta_generic_to_shared(to)),
                   bytes = exists ? 16 : 0;  // fewer: the rest is zero
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at),
                 "l"(from), "r"(bytes)
                 : "memory");
#else
    copy_[count_++] = {to, from, exists, group_};
#endif
  }
  __device__ void commit() {
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    ++group_;
#endif
  }
  template <int kLeft> __device__ void wait() {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#else
    int left = 0;
    for (int i = 0; i < count_; ++i) {
      const Copy c = copy_[i];
      if (c.group >= group_ - kLeft) copy_[left++] = c;
      else if (c.exists)
        *static_cast<float4*>(c.to) = *static_cast<const float4*>(c.from);
      else *static_cast<float4*>(c.to) = float4{0, 0, 0, 0};
    }
    count_ = left;
#endif
  }

 private:
#ifndef __CUDACC__
  struct Copy {
    void* to;
    const void* from;
    bool exists;
    int group;
  };
  Copy copy_[128];
  int count_ = 0, group_ = 0;
#endif
};

// ## Tiles of bfloat16 in shared memory
//
// Rows of kWidth numbers, swizzled. The block's threads copy `kRows` rows of which
// `rows_left` exist.
template <int kWidth, int kRows, int kThreads>
__device__ void fetch(Copies& copies, BFloat16* tile, const BFloat16* from,
                      int64_t rows_left, int thread) {
  // Neighbouring threads take neighbouring pieces of 16 bytes, so the copy is
  // coalesced; only the place in shared memory is swizzled. A row that does not
  // exist is not read: zeros are put there.
  constexpr int kPieces = kWidth / 8;
  for (int at = thread; at < kRows * kPieces; at += kThreads) {
    const int row = at / kPieces, piece = at % kPieces;
    const bool exists = row < rows_left;
    copies.add(tile + 8 * swizzled(row, piece, kPieces),
               exists ? from + int64_t{row} * kWidth + 8 * piece : from, exists);
  }
}

// ### Fragments of a tile
//
// From a tile X (rows × kWidth), at a row and a column which are multiples of 16.
// As A = X, 16 × 16:
template <int kWidth>
__device__ void load_a(uint32_t (&r)[4], const BFloat16* x, int row, int column) {
  const int lane = int(threadIdx.x);
  load_tiles<false>(
      r, x + 8 * swizzled(row + lane % 16, column / 8 + lane / 16, kWidth / 8));
}

// As B = Xᵀ, two of them side by side, so rows of X are columns of B: the first is
// r[0], r[1], the second r[2], r[3].
template <int kWidth>
__device__ void load_b_turned(uint32_t (&r)[4], const BFloat16* x, int row,
                              int column) {
  const int lane = int(threadIdx.x);
  load_tiles<false>(r, x + 8 * swizzled(row + lane % 8 + 8 * (lane / 16),
                                        column / 8 + lane / 8 % 2, kWidth / 8));
}

// As B = X, two of them side by side.
template <int kWidth>
__device__ void load_b(uint32_t (&r)[4], const BFloat16* x, int row, int column) {
  const int lane = int(threadIdx.x);
  load_tiles<true>(
      r, x + 8 * swizzled(row + lane % 16, column / 8 + lane / 16, kWidth / 8));
}

// ## The two products
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

        // Sixteen numbers of the width at a time. The left fragments are loaded once and
        // meet all columns; each right fragment serves two products for each left one.
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
        multiply_add(s[h][n], rows[h], columns[0], columns[1]);
        multiply_add(s[h][n + 1], rows[h], columns[2], columns[3]);
      }
    }
  }
}

// O += P B, as in $P V$. Two tiles of weights, side by side, are a fragment of A as
// they lie.
template <int kWidth, int kHigh, int kWide>
__device__ void add_weighted(Sums<kHigh, kWidth / 8>& o,
                             const Sums<kHigh, kWide>& p, const BFloat16* b) {
#pragma unroll
  for (int j = 0; j < kWide; j += 2) {
    // Round two tiles of weights to bfloat16, register by register: `a_from_c` says
    // which of this lane's sums goes where. Then they are the left side.
    uint32_t rows[kHigh][4];
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int reg = 0; reg < 4; ++reg) {
        const FromC low = a_from_c(reg, 0), high = a_from_c(reg, 1);
        rows[h][reg] =
            pack(p[h][j + low.tile][low.reg], p[h][j + high.tile][high.reg]);
      }
#pragma unroll
    for (int n = 0; n < kWidth / 8; n += 2) {
      uint32_t columns[4];
      load_b<kWidth>(columns, b, 8 * j, 8 * n);
#pragma unroll
      for (int h = 0; h < kHigh; ++h) {
        multiply_add(o[h][n], rows[h], columns[0], columns[1]);
        multiply_add(o[h][n + 1], rows[h], columns[2], columns[3]);
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
  constexpr int kPieces = kWidth / 8;
  const int lane = int(threadIdx.x);
  __syncwarp();
#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int n = 0; n < kPieces; ++n) {
        // Pairs of neighbours, 4 bytes, into swizzled rows. Four lanes write the 16
        // bytes of a piece.
        BFloat16* at = tile +
                       8 * swizzled(first + 16 * h + 8 * r + lane / 4, n, kPieces) +
                       2 * (lane % 4);
        *reinterpret_cast<uint32_t*>(at) =
            pack(o[h][n][2 * r] * scale[h][r], o[h][n][2 * r + 1] * scale[h][r]);
      }
  __syncwarp();
  for (int at = lane; at < 16 * kHigh * kPieces; at += 32) {
    // And out again, 16 bytes for each lane, rows that exist only.
    const int row = first + at / kPieces, piece = at % kPieces;
    if (row < rows_left)
      *reinterpret_cast<float4*>(to + int64_t{row} * kWidth + 8 * piece) =
          *reinterpret_cast<const float4*>(tile +
                                           8 * swizzled(row, piece, kPieces));
  }
}

}  // namespace attention::CR_GPU
