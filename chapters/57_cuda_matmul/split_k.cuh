// ## Split-K
//
// More blocks for the same product: cut the sum. Block z adds up the z-th
// slice of $p$ and writes to the z-th of so many matrices; a second kernel
// adds those, always in the same order, so that the result does not depend on
// who finishes first.
//
// (Other programs let all slices add to C with atomic additions. That saves
// the second kernel. But then the order of the additions is the order in
// which the blocks happen to finish, and two runs give two results. This
// book's results do not depend on chance.)
#pragma once

#include "rung_9_async.cuh"

namespace cr::backend::CR_GPU {

template <class T>
__global__ void add_slices_kernel(const T* slice, T* c, int64_t numbers,
                                  int slices) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= numbers) return;
  T sum = 0;
  for (int z = 0; z < slices; ++z) sum += slice[z * numbers + i];
  c[i] = sum;
}

inline void add_slices(const float* slice, const Product<float>& g, int slices) {
  launch("add slices", add_slices_kernel<float>,
         {.blocks = {unsigned(tiles(g.m * g.n, 256))}, .threads = {256}}, slice,
         g.c, g.m * g.n, slices);
}

// Rung 9 in slices. `workspace` has room for `slices` times C.
inline void split_k(const Product<float>& g, int slices, float* workspace) {
  Product<float> part = g;
  part.c = workspace;
  async_slices(part, slices);
  add_slices(workspace, g, slices);
}

// For one row and up to eight a tile of 128 rows is mostly empty. Here a
// thread has four columns and all the rows; a warp reads 128 neighbours of a
// row of B, 512 bytes, at once. The eight warps of a block share the columns
// and take every eighth row of B each. Their sums meet in shared memory.
template <int kRows>
__global__ void __launch_bounds__(kThreads)
    thin_kernel(Product<float> g, int64_t slice) {
  __shared__ __align__(16) float part[8][kRows][128];
  const int t = int(threadIdx.x), warp = t / 32, mine = t % 32 * 4;
  const int64_t j = int64_t{blockIdx.x} * 128 + mine,
                i0 = int64_t{blockIdx.y} * kRows;
  const int64_t begin = slice * blockIdx.z;
  const int64_t end = begin + slice < g.k ? begin + slice : g.k;
  const int rows = g.m - i0 < kRows ? int(g.m - i0) : kRows;

  // Each number of B is read once, and used for all rows. The number of A is
  // the same for all lanes: one sector.
  float sum[kRows][4] = {};
  for (int64_t p = begin + warp; p < end; p += 8) {
    const float4 b = load4(g.b + p * g.n, j, g.n, g.n % 4 == 0);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float a = r < rows ? g.a[(i0 + r) * g.k + p] : 0.0f;
      sum[r][0] += a * b.x, sum[r][1] += a * b.y;
      sum[r][2] += a * b.z, sum[r][3] += a * b.w;
    }
  }
  // Now the block has everything that it will ever fetch.
  //
  // Eight warps, eight partial sums for each number of C.
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    *reinterpret_cast<float4*>(&part[warp][r][mine]) =
        make_float4(sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
  __syncthreads();

  // 128 sums for each row, added over the warps in order.
  float* c = g.c + int64_t{blockIdx.z} * g.m * g.n;
  for (int s = t; s < rows * 128; s += kThreads) {
    const int r = s / 128, column = s % 128;
    float total = 0;
    for (int w = 0; w < 8; ++w) total += part[w][r][column];
    const int64_t at = int64_t{blockIdx.x} * 128 + column;
    if (at < g.n) c[(i0 + r) * g.n + at] = total;
  }
}

template <int kRows>
void thin(const Product<float>& g, int slices, float* workspace) {
  Product<float> part = g;
  if (slices > 1) part.c = workspace;
  launch("thin", thin_kernel<kRows>,
         {.blocks = {unsigned(tiles(g.n, 128)), unsigned(tiles(g.m, kRows)),
                     unsigned(slices)},
          .threads = {kThreads}},
         part, tiles(g.k, slices));
  if (slices > 1) add_slices(workspace, g, slices);
}

}  // namespace cr::backend::CR_GPU
