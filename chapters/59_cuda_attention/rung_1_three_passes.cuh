// Three kernels for three lines of mathematics, and a matrix of all the scores
// between them.
#pragma once

#include "the_call.hpp"
#include "warp.cuh"

namespace attention::CR_GPU {

constexpr int kSide = 16;

// $S = c\, Q K^\top$: the tiled product of chapter 57, one block of 16 × 16 threads
// for each tile of scores. What must not be seen becomes $-\infty$.
template <class T> __global__ void scores_kernel(ForwardCall<T> a, T* scores) {
  // Two tiles of 16 × 16 numbers. Why the 17th column stays empty, rung 3 explains.
  __shared__ T qs[kSide][kSide + 1];
  __shared__ T ks[kSide][kSide + 1];
  const int x = int(threadIdx.x), y = int(threadIdx.y);
  const int64_t i = int64_t{blockIdx.y} * kSide + y,
                j0 = int64_t{blockIdx.x} * kSide, j = j0 + x;
  const int64_t head = blockIdx.z;
  const T* q = a.q + head * a.queries * a.width;
  const T* k = a.k + kv_head_of(a, head) * a.keys * a.width;
  T sum = 0;

  // Walk along the head's width, 16 numbers at a time. Each thread fetches one
  // number of either tile. Beyond the last query or key it is zero, and the thread
  // goes on all the same: every thread must reach the barriers.
  for (int64_t d = 0; d < a.width; d += kSide) {
    qs[y][x] = i < a.queries ? q[i * a.width + d + x] : T(0);
    ks[y][x] = j0 + y < a.keys ? k[(j0 + y) * a.width + d + x] : T(0);
    __syncthreads();
    for (int e = 0; e < kSide; ++e) sum += qs[y][e] * ks[x][e];
    __syncthreads();
  }

  // The one write to memory. A score that must not be seen becomes $-\infty$, so
  // its weight will be $e^{-\infty} = 0$. Note that the product above was computed
  // for it nevertheless.
  if (i < a.queries && j < a.keys)
    scores[(head * a.queries + i) * a.keys + j] =
        j < seen_by(a, i) ? a.scale * sum : minus_infinity<T>();
}

// A softmax for each row, by one warp. Three walks along the row, the **three
// passes**: the largest score $m$, the sum of $e^{s - m}$, and the division.
// Without the first, $e^{89}$ is more than a float32 can hold.
template <class T> __global__ void softmax_kernel(ForwardCall<T> a, T* scores) {
  const int lane = int(threadIdx.x);
  const int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (row >= a.batch * a.heads * a.queries) return;
  T* s = scores + row * a.keys;

  // First walk. Lane 0 reads the scores 0, 32, 64, …, lane 1 the scores 1, 33, 65,
  // …: at each step the warp reads 32 neighbours. Then the lanes compare what they
  // found.
  T m = minus_infinity<T>(), sum = 0;
  for (int64_t j = lane; j < a.keys; j += 32) m = larger(m, s[j]);
  m = warp_max(m);

  // Second walk: the same scores come from memory again.
  for (int64_t j = lane; j < a.keys; j += 32) sum += exp(s[j] - m);
  sum = warp_sum(sum);

  // Third walk: read them once more, and write the weights over them.
  for (int64_t j = lane; j < a.keys; j += 32) s[j] = exp(s[j] - m) / sum;
  if (lane == 0) a.row_log[row] = m + log(sum);
}

// $O = P V$: the tiled product again.
template <class T>
__global__ void values_kernel(ForwardCall<T> a, const T* weights) {
  __shared__ T ps[kSide][kSide + 1];
  __shared__ T vs[kSide][kSide];
  const int x = int(threadIdx.x), y = int(threadIdx.y);
  const int64_t i = int64_t{blockIdx.y} * kSide + y,
                d = int64_t{blockIdx.x} * kSide + x;
  const int64_t head = blockIdx.z;

  // Rows of weights on the left, rows of values on the right. What was a column of
  // keys in the first product is a row of values here, so no padding is needed for
  // it.
  const T* p = weights + head * a.queries * a.keys;
  const T* v = a.v + kv_head_of(a, head) * a.keys * a.width;
  T sum = 0;
  for (int64_t j = 0; j < a.keys; j += kSide) {
    ps[y][x] = i < a.queries && j + x < a.keys ? p[i * a.keys + j + x] : T(0);
    vs[y][x] = j + y < a.keys ? v[(j + y) * a.width + d] : T(0);
    __syncthreads();
    for (int e = 0; e < kSide; ++e) sum += ps[y][e] * vs[e][x];
    __syncthreads();
  }
  if (i < a.queries) a.o[(head * a.queries + i) * a.width + d] = sum;
}

// `scores` has room for batch · heads · queries · keys numbers. That is the trouble
// with this rung.
template <class T> void three_passes(const ForwardCall<T>& a, T* scores) {
  // A block for each tile, in three dimensions: across, down, and one layer for
  // each head. The three kernels follow each other in one stream, so each sees what
  // the one before has written.
  const unsigned all = unsigned(a.batch * a.heads),
                 down = unsigned(tiles(a.queries, kSide));
  const dim3 threads = {kSide, kSide};
  launch(
      "scores", scores_kernel<T>,
      {.blocks = {unsigned(tiles(a.keys, kSide)), down, all}, .threads = threads},
      a, scores);
  launch("softmax", softmax_kernel<T>,
         {.blocks = {unsigned(tiles(a.batch * a.heads * a.queries, 4))},
          .threads = {32, 4}},
         a, scores);
  launch("values", values_kernel<T>,
         {.blocks = {unsigned(a.width / kSide), down, all}, .threads = threads}, a,
         static_cast<const T*>(scores));
}

}  // namespace attention::CR_GPU
