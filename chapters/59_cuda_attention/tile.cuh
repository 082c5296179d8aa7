// Rungs 3 and 4 are built of five functions. A block is four warps. Each warp
// owns eight *rows* (queries on the way forth), and a tile has 32 *columns* (keys),
// one for each lane. So a row's scores lie side by side in the lanes of one warp,
// and its maximum is five exchanges away. No barrier of the whole block is needed
// for it.
#pragma once

#include "warp.cuh"

namespace attention::CR_GPU {

constexpr int kWarps = 4, kWarpRows = 8, kRows = kWarps * kWarpRows, kColumns = 32;

// All threads of the block copy `count` rows of `width` numbers to shared memory,
// where rows are `kWidth + kPad` apart. Neighbouring threads read neighbouring
// numbers. Rows beyond the last are zeros.
template <int kWidth, int kPad, class T>
__device__ void copy_tile(T* tile, const T* from, int64_t rows_left, T scale = 1) {
  for (int at = int(threadIdx.y * 32 + threadIdx.x); at < kColumns * kWidth;
       at += kWarps * 32) {
    // 128 threads walk over the tile as over one long row. 32 neighbours of it are
    // 128 bytes in memory: four sectors, no more than it takes.
    const int row = at / kWidth, column = at % kWidth;
    tile[row * (kWidth + kPad) + column] =
        row < rows_left ? scale * from[int64_t{row} * kWidth + column] : T(0);
  }
}

// Eight scores per lane: the warp's rows of `a` against this lane's row of `b`.
// Every lane reads the same number of `a`, which shared memory hands to all of them
// at once. Of `b` the 32 lanes read 32 rows.
template <int kWidth, int kPadA, int kPadB, class T>
__device__ void rows_by_lanes(T (&s)[kWarpRows], const T* a, const T* b) {
  a += threadIdx.y * kWarpRows * (kWidth + kPadA);
  b += threadIdx.x * (kWidth + kPadB);
  for (int r = 0; r < kWarpRows; ++r) s[r] = 0;
  for (int d = 0; d < kWidth; ++d) {
    // One number of this lane's own row, and then eight of the warp's rows: nine
    // loads for eight multiply-adds. That ratio is what rung 5 will improve on.
    const T y = b[d];
    for (int r = 0; r < kWarpRows; ++r) s[r] += a[r * (kWidth + kPadA) + d] * y;
  }
}

// The warp's eight rows of weights `p` (8 × 32) times all 32 rows of `b`, added to
// `sum`. Here a lane owns the columns `lane`, `lane + 32`, … of the result.
template <int kWidth, int kPad, class T>
__device__ void weights_by_rows(T (&sum)[kWarpRows][kWidth / 32], const T* p,
                                const T* b) {
  p += threadIdx.y * kWarpRows * kColumns;
  b += threadIdx.x;
  for (int j = 0; j < kColumns; ++j) {
    // Eight weights, the same for all lanes.
    T w[kWarpRows];
    for (int r = 0; r < kWarpRows; ++r) w[r] = p[r * kColumns + j];
    for (int c = 0; c < kWidth / 32; ++c) {
      // One number of row j. The lanes read 32 neighbours, with or without padding.
      const T y = b[j * (kWidth + kPad) + 32 * c];
      for (int r = 0; r < kWarpRows; ++r) sum[r][c] += w[r] * y;
    }
  }
}

// A lane has eight weights of one column; `weights_by_rows` wants rows. The way
// from one to the other leads through shared memory that only this warp uses, so
// `__syncwarp` is enough.
template <class T> __device__ void store_weights(T* p, const T (&w)[kWarpRows]) {
  __syncwarp();
  for (int r = 0; r < kWarpRows; ++r)
    p[(threadIdx.y * kWarpRows + r) * kColumns + threadIdx.x] = w[r];
  __syncwarp();
}

// The block's result, those rows that exist.
template <int kWidth, class T>
__device__ void store_rows(T* to, const T (&x)[kWarpRows][kWidth / 32],
                           const T (&scale)[kWarpRows], int64_t rows_left) {
  for (int r = 0; r < kWarpRows; ++r) {
    // A tile may hang over the end of the matrix. Rows beyond it were computed from
    // zeros, and are not written.
    const int row = int(threadIdx.y) * kWarpRows + r;
    if (row >= rows_left) break;
    for (int c = 0; c < kWidth / 32; ++c)
      to[int64_t{row} * kWidth + threadIdx.x + 32 * c] = scale[r] * x[r][c];
  }
}

}  // namespace attention::CR_GPU
