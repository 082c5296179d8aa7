// **Rung 9, double buffering.** Two pairs of tiles, 16 deep. While one is
// multiplied, the next is on its way into the other.
#pragma once

#include "backend/gpu/async_copy.cuh"
#include "rung_6_vectors.cuh"

namespace cr::backend::CR_GPU {

struct Stage {
  static constexpr int kDepth = 16;
  float a[kDepth][Warps::kStep];
  float b[kDepth][kSide];
};

// What a thread brings of each pair of tiles are always the same rows of A and
// columns of B, only farther along. So it works out once where they are and
// which of them exist, and then moves on. `kWhole` says that rows of B begin
// at multiples of 16 bytes.
template <bool kWhole> struct Fetch {
  const float *a, *b;
  int64_t k, n;
  int x, y, left, lane, rows, columns;

  __device__ Fetch(const Product<float>& g, int64_t i0, int64_t j0, int64_t p0,
                   int t)
      : k(g.k), n(g.n), x(t % 8), y(t / 8), left(t / 32), lane(t % 32 * 4) {
    a = g.a + (i0 + y) * k + p0 + x;
    b = g.b + (p0 + left) * n + j0 + lane;
    const int64_t below = g.m - i0 - y, right = g.n - j0 - lane;
    rows = int(below < kSide ? below : kSide);
    columns = int(right < kSide ? right : kSide);
  }

  // Orders the next pair; `deep` of its 16 steps exist.
  __device__ void next(Stage& stage, int64_t deep) {
    // A's is turned over, one number at a time: 8 lanes take 32 bytes of a row
    // of A, one sector, and 4 rows. In shared memory these lie in 32 different
    // banks, because a row is 132 words.
#pragma unroll
    for (int s = 0; s < kSide * Stage::kDepth / kThreads; ++s) {
      const int p = s % 2 * 8, row = s / 2 * 32;
      copy_async<4>(&stage.a[x + p][y + row], a + row * k + p,
                    row < rows && x + p < deep);
    }
    // B's goes as it is, 16 bytes at a time where that is possible.
#pragma unroll
    for (int p = 0; p < Stage::kDepth; p += 8) {
      const bool exists = left + p < deep;
      if constexpr (kWhole)
        copy_async<16>(&stage.b[left + p][lane], b + p * n, exists && 0 < columns);
      else
        for (int e = 0; e < 4; ++e)
          copy_async<4>(&stage.b[left + p][lane + e], b + p * n + e,
                        exists && e < columns);
    }
    a += Stage::kDepth, b += Stage::kDepth * n;
  }
};

// Block z sums over the z-th slice of $p$ only, and writes to the z-th of so
// many matrices. That is for the thin products below; with one slice it is
// the product. (`__launch_bounds__` promises how many threads a block has, and
// asks for two blocks on a multiprocessor: then a thread may have 128
// registers.)
template <int kStages, bool kWhole>
__global__ void __launch_bounds__(kThreads, 2)
    async_kernel(Product<float> g, int64_t slice) {
  __shared__ __align__(16) Stage stages[kStages];
  const int t = int(threadIdx.x);
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;
  const int64_t begin = slice * blockIdx.z;
  const int64_t end = begin + slice < g.k ? begin + slice : g.k;
  g.c += int64_t{blockIdx.z} * g.m * g.n;

  // The first stages are ordered before anything is multiplied. Behind the end
  // there is nothing to order, and the batch is empty.
  Sums<Warps> sums;
  Fetch<kWhole> fetch(g, i0, j0, begin, t);
  int64_t ordered = begin;
  auto order = [&](int stage) {
    if (ordered < end) fetch.next(stages[stage], end - ordered);
    ordered += Stage::kDepth;
    commit_copies();
  };
  for (int s = 0; s < kStages - 1; ++s) order(s);
  int now = 0;
  for (int64_t p0 = begin; p0 < end; p0 += Stage::kDepth) {
    // Mine have come; behind the barrier, everybody's have. And everybody has
    // multiplied the stage before this one, so it may be filled again.
    wait_for_copies<kStages - 2>();
    __syncthreads();
    order((now + kStages - 1) % kStages);
    // Multiply, while it comes.
#pragma unroll
    for (int p = 0; p < Stage::kDepth; ++p)
      sums.step(stages[now].a[p], stages[now].b[p], t);
    now = (now + 1) % kStages;
  }
  sums.store(g, i0, j0, t);
}

inline void async_slices(const Product<float>& g, int slices) {
  const int64_t slice = tiles(tiles(g.k, slices), Stage::kDepth) * Stage::kDepth;
  launch("double buffers",
         g.n % 4 == 0 ? async_kernel<2, true> : async_kernel<2, false>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide)),
                     unsigned(slices)},
          .threads = {kThreads},
          .needs = 80},
         g, slice);
}

inline void double_buffers(const Product<float>& g) { async_slices(g, 1); }

}  // namespace cr::backend::CR_GPU
