// # A tile of a product
//
// A product C = AB needs every number of A for every column of B. Fetched from memory each time, that is one number for
// each multiplication; a GPU could do fifty meanwhile. So a block of threads computes a tile of C together, and keeps what
// it needs of A and B, `kK` steps of k at a time, in shared memory. Shared memory is not fast enough either: a thread that
// computes one element still fetches two numbers for one multiplication. So each computes `kRows` × `kColumns` elements, in
// registers: 8 × 8 of them need 16 numbers for 64 multiplications.
//
// More than one primitive is a product in disguise: distances take a different term for a · b, and a convolution finds its
// A and B in places of its own. So this page knows neither: they are given to it as functions.
#pragma once

#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

template <int m, int n, int k, int rows, int columns> struct Tile {
  static constexpr int kM = m, kN = n, kK = k, kRows = rows, kColumns = columns;
  static constexpr int kAcross = n / columns, kThreads = kAcross * (m / rows);
  static constexpr int kBlocks = kThreads == 128 ? 3 : 1;  // as many should fit a multiprocessor
  static_assert(columns % 4 == 0 && rows % 4 == 0 && kThreads % k == 0 && kThreads % m == 0 && kThreads % n == 0);

  // Which elements of the tile are this thread's. Rows lie next to each other; columns come in fours, since a thread can
  // fetch four numbers that lie together from shared memory in one access.
  static __device__ int row(int i) { return static_cast<int>(threadIdx.x) / kAcross * kRows + i; }
  static __device__ int column(int j) {
    return j / 4 * (kAcross * 4) + static_cast<int>(threadIdx.x) % kAcross * 4 + j % 4;
  }
};

// Where there are enough large tiles to keep a GPU busy they are best. The middle one has the same work for a thread, but
// two warps only; numbers of 8 bytes take two registers each, so that a thread has half as many. The small one loses little
// at the edges, and the narrow one is for few columns.
using LargeTile = Tile<128, 64, 8, 8, 8>;                                                                // 128 threads
template <class T> using MiddleTile = Tile<64, sizeof(T) == 4 ? 64 : 32, 8, 8, sizeof(T) == 4 ? 8 : 4>;  // 64 threads
using SmallTile = Tile<32, 32, 8, 4, 4>;                                                                 // 64 threads
using NarrowTile = Tile<64, 16, 8, 4, 4>;                                                                // 64 threads

// A GPU multiplies and adds in one instruction, and rounds once. (On the host that would be a call of the C library.)
__device__ inline float multiply_add(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return a * b + c;
#endif
}
__device__ inline double multiply_add(double a, double b, double c) {
#if defined(__CUDA_ARCH__)
  return __fma_rn(a, b, c);
#else
  return a * b + c;
#endif
}
__device__ inline uint64_t multiply_add(uint64_t a, uint64_t b, uint64_t c) { return a * b + c; }

struct MultiplyAdd {
  template <class T> __device__ void operator()(T& sum, T a, T b) const { sum = multiply_add(a, b, sum); }
};

// A source of one side's numbers. `source(i, p)` is number p of row (or column) i of the tile, 0 where there is none.
// Threads that are neighbours should fetch what lies together: along k, if `along_k`, otherwise across rows. Some sources
// first `prepare` the next kK steps, together, in shared memory.
struct Source {
  static constexpr bool kPrepares = false;
  __device__ void prepare(int64_t) {}
};

// A matrix in memory as a source: rows of it from `first` on, of which `count` exist. As right side, "rows" are C's columns.
template <class T> struct MatrixSource : Source {
  const T* at;
  int64_t row_step, k_step;
  int rows;
  bool along_k;
  __device__ MatrixSource(const T* matrix, int64_t first, int64_t count, int64_t step, int64_t steps_of_k)
      : at(matrix + first * step),
        row_step(step),
        k_step(steps_of_k),
        rows(static_cast<int>(count - first < 1024 ? count - first : 1024)),
        along_k(k_step == 1) {}
};

// A thread's share of kK steps: from memory to registers, and from there to shared memory. Across rows a thread always
// fetches from the same row, along k always from the same step, so that a source can keep what it knows of it. Number e is
// that of row `row` + e · `rows_on` and step `step` + e · `steps_on`.
template <class T, int width, int kK, int kThreads> struct Share {
  static constexpr int kCount = width * kK / kThreads;
  T number[kCount];
  int row, rows_on, step, steps_on;
  const T* from = nullptr;  // number 0 of a matrix

  __device__ explicit Share(bool along_k) {
    const int t = static_cast<int>(threadIdx.x);
    row = along_k ? t / kK : t % width, rows_on = along_k ? kThreads / kK : 0;
    step = along_k ? t % kK : t / width, steps_on = along_k ? 0 : kThreads / width;
  }
  template <class S> __device__ void start(const S&, int64_t) {}
  template <class S> __device__ void fetch(const S& source, int64_t p0, int64_t end) {
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      const int64_t p = p0 + step + e * steps_on;
      number[e] = p < end ? source(row + e * rows_on, p) : T(0);
    }
  }

  // In a matrix the numbers lie equally far apart.
  __device__ void start(const MatrixSource<T>& matrix, int64_t p0) {
    from = matrix.at + row * matrix.row_step + (p0 + step) * matrix.k_step;
  }
  __device__ void fetch(const MatrixSource<T>& matrix, int64_t p0, int64_t end) {
    const int left = end - p0 < kK ? static_cast<int>(end - p0) : kK;
    const int64_t on = rows_on * matrix.row_step + steps_on * matrix.k_step;
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      const bool exists = row + e * rows_on < matrix.rows && step + e * steps_on < left;
      number[e] = exists ? from[e * on] : T(0);
    }
    from += kK * matrix.k_step;
  }

  __device__ void store(T (*shared)[width + 4]) const {
#pragma unroll
    for (int e = 0; e < kCount; ++e) shared[step + e * steps_on][row + e * rows_on] = number[e];
  }
};

// sum[i][j] meets the terms of row(i) and column(j) for the steps begin … end - 1, in this order. While a tile is
// multiplied the next one is on its way from memory to registers. `f` is called after every kK steps, for sums that are
// to go elsewhere before they grow long.
struct Nothing {
  __device__ void operator()() const {}
};
template <class Tile, class T, class A, class B, class Term, class F = Nothing>
__device__ void multiply_tile(T (&sum)[Tile::kRows][Tile::kColumns], int64_t begin, int64_t end, A& left, B& right,
                              Term term, F f = {}) {
  __shared__ __align__(16) T a[Tile::kK][Tile::kM + 4];
  __shared__ __align__(16) T b[Tile::kK][Tile::kN + 4];
  Share<T, Tile::kM, Tile::kK, Tile::kThreads> from_a(left.along_k);
  Share<T, Tile::kN, Tile::kK, Tile::kThreads> from_b(right.along_k);

  if (begin >= end) return;
  left.prepare(begin);
  right.prepare(begin);
  if constexpr (A::kPrepares || B::kPrepares) __syncthreads();
  from_a.start(left, begin);
  from_b.start(right, begin);
  from_a.fetch(left, begin, end);
  from_b.fetch(right, begin, end);
  if constexpr (A::kPrepares || B::kPrepares) __syncthreads();
  for (int64_t p0 = begin; p0 < end; p0 += Tile::kK) {
    from_a.store(a);
    from_b.store(b);
    left.prepare(p0 + Tile::kK);
    right.prepare(p0 + Tile::kK);

    // Nobody multiplies before the tile is complete, and nobody overwrites it before all have multiplied.
    __syncthreads();
    if (p0 + Tile::kK < end) {
      from_a.fetch(left, p0 + Tile::kK, end);
      from_b.fetch(right, p0 + Tile::kK, end);
    }
#pragma unroll
    for (int p = 0; p < Tile::kK; ++p) {
      T x[Tile::kRows], y[Tile::kColumns];
#pragma unroll
      for (int i = 0; i < Tile::kRows; ++i) x[i] = a[p][Tile::row(i)];
#pragma unroll
      for (int j = 0; j < Tile::kColumns; ++j) y[j] = b[p][Tile::column(j)];
#pragma unroll
      for (int i = 0; i < Tile::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tile::kColumns; ++j) term(sum[i][j], x[i], y[j]);
    }
    f();
    __syncthreads();
  }
}

}  // namespace cr::backend::CR_GPU
