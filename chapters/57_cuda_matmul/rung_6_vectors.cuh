// **Rung 6, vectorised loads.** `float4` is four floats that one instruction
// moves: 16 bytes, which must begin at a multiple of 16. To read four *rows*
// of A at once, the tile of A is turned over on its way into shared memory:
// `a[p][row]`.
#pragma once

#include <bit>

#include "backend/gpu/gpu.cuh"
#include "layouts.hpp"
#include "product.hpp"

namespace cr::backend::CR_GPU {

// Four numbers of a row from place `at` on; behind its end stand zeros.
// `whole` says that rows begin at multiples of 16 bytes. (`__device__` marks a
// function that kernels call.)
__device__ inline float4 load4(const float* row, int64_t at, int64_t end,
                               bool whole) {
  if (whole && at + 4 <= end) return *reinterpret_cast<const float4*>(row + at);
  return {at < end ? row[at] : 0, at + 1 < end ? row[at + 1] : 0,
          at + 2 < end ? row[at + 2] : 0, at + 3 < end ? row[at + 3] : 0};
}

// 16 bytes at once. (Where nvcc sees four numbers it may make four stores of it;
// so on a GPU the instruction is named, in PTX, its assembly language.)
__device__ inline void store16(void* to, uint4 x) {
#if defined(__CUDACC__)
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(x.x),
               "r"(x.y), "r"(x.z), "r"(x.w)
               : "memory");
#else
  *static_cast<uint4*>(to) = x;
#endif
}

// The way back, for the results.
__device__ inline void store4(float* row, int64_t at, int64_t end, bool whole,
                              const float* x) {
  auto bits = [&](int e) { return std::bit_cast<unsigned>(x[e]); };
  if (whole && at + 4 <= end)
    store16(row + at, make_uint4(bits(0), bits(1), bits(2), bits(3)));
  else
    for (int e = 0; e < 4; ++e)
      if (at + e < end) row[at + e] = x[e];
}

// The 64 sums of a thread, and one step of $p$: eight numbers of A, eight of
// B, four requests. `a` and `b` are the rows of the two tiles for this $p$.
template <class Layout> struct Sums {
  float sum[8][8] = {};

  __device__ void step(const float* a, const float* b, int t) {
    // Four requests: both halves of A, both halves of B.
    float of_a[8], of_b[8];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float4 x = *reinterpret_cast<const float4*>(a + Layout::row(t, half)),
                   y = *reinterpret_cast<const float4*>(b +
                                                        Layout::column(t, half));
      of_a[4 * half] = x.x, of_a[4 * half + 1] = x.y;
      of_a[4 * half + 2] = x.z, of_a[4 * half + 3] = x.w;
      of_b[4 * half] = y.x, of_b[4 * half + 1] = y.y;
      of_b[4 * half + 2] = y.z, of_b[4 * half + 3] = y.w;
    }
    // Each with each: 64 multiply-adds of registers.
#pragma unroll
    for (int r = 0; r < 8; ++r)
#pragma unroll
      for (int c = 0; c < 8; ++c) sum[r][c] += of_a[r] * of_b[c];
  }

  // Row i0 and column j0 of C are where the block's tile begins.
  __device__ void store(const Product<float>& g, int64_t i0, int64_t j0,
                        int t) const {
#pragma unroll
    for (int r = 0; r < 8; ++r) {
      const int64_t i = i0 + Layout::row(t, r / 4) + r % 4;
      if (i >= g.m) continue;
#pragma unroll
      for (int half = 0; half < 2; ++half)
        store4(g.c + i * g.n, j0 + Layout::column(t, half), g.n, g.n % 4 == 0,
               sum[r] + 4 * half);
    }
  }
};

// 128 rows of A by 8 are 256 times four numbers, one `float4` for each
// thread, and so are 8 rows of B by 128.
template <class Layout> __global__ void vector_kernel(Product<float> g) {
  constexpr int kDepth = 8;
  __shared__ __align__(16) float a[kDepth][Layout::kStep];
  __shared__ __align__(16) float b[kDepth][kSide];
  const int t = int(threadIdx.x);
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;

  Sums<Layout> sums;
  for (int64_t p0 = 0; p0 < g.k; p0 += kDepth) {
    // Fetch. Two threads share a row of A, 32 share a row of B. What lies
    // beyond an edge stays zero.
    const int row = t / 2, deep = t % 2 * 4;
    float4 of_a = {0, 0, 0, 0}, of_b = {0, 0, 0, 0};
    if (i0 + row < g.m)
      of_a = load4(g.a + (i0 + row) * g.k, p0 + deep, g.k, g.k % 4 == 0);
    if (p0 + t / 32 < g.k)
      of_b = load4(g.b + (p0 + t / 32) * g.n, j0 + t % 32 * 4, g.n, g.n % 4 == 0);
    // A is turned over: its four numbers go to four rows of the tile.
    a[deep][row] = of_a.x, a[deep + 1][row] = of_a.y;
    a[deep + 2][row] = of_a.z, a[deep + 3][row] = of_a.w;
    *reinterpret_cast<float4*>(&b[t / 32][t % 32 * 4]) = of_b;
    // Multiply, eight steps.
    __syncthreads();
#pragma unroll
    for (int p = 0; p < kDepth; ++p) sums.step(a[p], b[p], t);
    __syncthreads();
  }
  sums.store(g, i0, j0, t);
}

template <class Layout>
void vector_tiles(const char* name, const Product<float>& g) {
  launch(name, vector_kernel<Layout>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide))},
          .threads = {kThreads}},
         g);
}

inline void vectors(const Product<float>& g) {
  vector_tiles<Neighbours>("vectors", g);
}

}  // namespace cr::backend::CR_GPU
