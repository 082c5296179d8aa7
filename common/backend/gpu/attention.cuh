// # Tiles of attention
//
// All five products of attention, forward and back, are of two kinds: scores, $A B^\top$ of two matrices whose rows are as
// long as a head is wide, and sums of rows, $P B$ with a tile of scores P. Both are here, for a block of threads, 16 of them
// across, that have a tile of scores in shared memory. Chapter 59 is about doing this faster.
#pragma once

#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/tile.cuh"

namespace cr::backend::CR_GPU {

// A tile of `size` × `size` scores. A thread has 8 rows of it and every 16th column; and of sums of rows `width` columns wide
// its 8 rows as well.
template <class T, int size, int width> struct AttentionTile {
  static constexpr int kSize = size, kWidth = width, kRows = 8, kAcross = 16;
  static constexpr int kColumns = size / kAcross, kWide = width / kAcross, kThreads = size / kRows * kAcross;
  static constexpr int kChunk = 32, kPanel = 64;  // steps of a score's sum, columns of a sum of rows, at one time
  static_assert(width % kPanel == 0 && kThreads == 2 * size);

  // Rows one longer than a power of two: so those next to each other begin in different banks.
  struct Shared {
    T left[size][kChunk + 1];
    T right[size][kPanel + 1];
    T scores[size][size + 1];
    T factor[size];
  };
  static __device__ Shared& shared() {
    __shared__ Shared memory;
    return memory;
  }

  static __device__ int row(int r) { return static_cast<int>(threadIdx.x) / kAcross * kRows + r; }
  static __device__ int column(int c) { return static_cast<int>(threadIdx.x) % kAcross + c * kAcross; }
};

// Some rows of a matrix whose columns lie together.
template <class T> struct RowsOf {
  T* at;
  int64_t step, count, width;
  __device__ T operator()(int64_t i, int64_t j) const { return i < count && j < width ? at[i * step + j] : T(0); }
  __device__ RowsOf from(int64_t i) const { return {at + i * step, step, count - i, width}; }
};

// sum[r][c] = Σ a[row(r)][p] b[column(c)][p]. Before and after it shared memory is free.
template <class Tile, class T>
__device__ void multiply_scores(T (&sum)[Tile::kRows][Tile::kColumns], const RowsOf<const T>& a,
                                const RowsOf<const T>& b) {
  auto& shared = Tile::shared();
  const int t = static_cast<int>(threadIdx.x);
  for (int64_t p0 = 0; p0 < a.width; p0 += Tile::kChunk) {
    const int steps = a.width - p0 < Tile::kChunk ? static_cast<int>(a.width - p0) : Tile::kChunk;
    for (int e = t; e < Tile::kSize * Tile::kChunk; e += Tile::kThreads) {
      const int i = e / Tile::kChunk, p = e % Tile::kChunk;
      shared.left[i][p] = a(i, p0 + p);
      shared.right[i][p] = b(i, p0 + p);
    }
    __syncthreads();
#pragma unroll 4
    for (int p = 0; p < steps; ++p) {
      T x[Tile::kRows], y[Tile::kColumns];
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) x[r] = shared.left[Tile::row(r)][p];
#pragma unroll
      for (int c = 0; c < Tile::kColumns; ++c) y[c] = shared.right[Tile::column(c)][p];
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
        for (int c = 0; c < Tile::kColumns; ++c) sum[r][c] = multiply_add(x[r], y[c], sum[r][c]);
    }
    __syncthreads();
  }
}

// total[r][…] += Σ scores[row(r)][j] b[j][…] over `n` rows j, for the columns from `first` on. The scores must be there, and
// after it shared memory is free.
template <class Tile, class T>
__device__ void add_rows(T (&total)[Tile::kRows][Tile::kWide], const RowsOf<const T>& b, int n, int64_t first) {
  constexpr int kOwn = Tile::kPanel / Tile::kAcross;
  auto& shared = Tile::shared();
  const int t = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int panel = 0; panel < Tile::kWidth / Tile::kPanel; ++panel) {
    const int64_t left = b.width - first - panel * Tile::kPanel;  // columns, of which a thread has every 16th
    for (int e = t; e < n * Tile::kPanel; e += Tile::kThreads)
      shared.right[e / Tile::kPanel][e % Tile::kPanel] =
          b(e / Tile::kPanel, first + panel * Tile::kPanel + e % Tile::kPanel);
    __syncthreads();
#pragma unroll 2
    for (int j = 0; j < n; ++j) {
      T x[Tile::kRows], y[kOwn];
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) x[r] = shared.scores[Tile::row(r)][j];
#pragma unroll
      for (int c = 0; c < kOwn; ++c) y[c] = c * Tile::kAcross < left ? shared.right[j][Tile::column(c)] : T(0);
#pragma unroll
      for (int c = 0; c < kOwn; ++c) {
        if (c * Tile::kAcross >= left) continue;
#pragma unroll
        for (int r = 0; r < Tile::kRows; ++r)
          total[r][panel * kOwn + c] = multiply_add(x[r], y[c], total[r][panel * kOwn + c]);
      }
    }
    __syncthreads();
  }
}

// Rows of a thread's share of such sums, times a factor, to memory.
template <class Tile, class T>
__device__ void store_rows(const RowsOf<T>& to, int64_t first, const T (&total)[Tile::kRows][Tile::kWide],
                           const T* factor = nullptr) {
#pragma unroll
  for (int r = 0; r < Tile::kRows; ++r) {
    const int i = Tile::row(r);
#pragma unroll
    for (int c = 0; c < Tile::kWide; ++c) {
      const int64_t j = first + Tile::column(c);
      if (i < to.count && j < to.width) to.at[i * to.step + j] = factor ? total[r][c] * factor[i] : total[r][c];
    }
  }
}

}  // namespace cr::backend::CR_GPU
