// Two kernels with the tiles of rung 3. The first has a block for every 32 queries
// and walks along the keys: it makes $dQ$. The second has a block for every 32 keys
// and walks along the queries: it makes $dK$ and $dV$. Both compute the scores and
// weights again, from $Q$, $K$ and the row's $L_i$, so weights never go to memory.
//
// One kernel could do both and save two of seven products, if every block added its
// part of $dQ$ to memory with atomic additions. Those come in any order, and the
// last digits of the sum with it. These two kernels give the same bits every time.
#pragma once

#include "schedule.hpp"
#include "tile.cuh"

namespace attention::CR_GPU {

// $D_i = dO_i \cdot O_i$, one warp for each query.
template <class T, int kWidth> __global__ void dots_kernel(BackwardCall<T> a) {
  const int lane = int(threadIdx.x);
  const int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (row >= a.batch * a.heads * a.queries) return;
  T sum = 0;
  for (int c = lane; c < kWidth; c += 32)
    sum += a.d_o[row * kWidth + c] * a.o[row * kWidth + c];
  sum = warp_sum(sum);
  if (lane == 0) a.dots[row] = sum;
}

// For the queries of a block: $dQ_i = c \sum_j dS_{ij} K_j$.
template <class T, int kWidth> __global__ void dq_kernel(BackwardCall<T> a) {
  const int lane = int(threadIdx.x), warp = int(threadIdx.y);
  const int64_t begin = longest_first(a, blockIdx.x, gridDim.x) * kRows,
                head = blockIdx.y;
  const int64_t rows = head * a.queries + begin, left = a.queries - begin;
  const T* k = a.k + kv_head_of(a, head) * a.keys * kWidth;
  const T* v = a.v + kv_head_of(a, head) * a.keys * kWidth;

  // Q and dO of the block's queries stay; K and V pass by. Of both each lane reads a
  // row of its own, so both are padded.
  T* qs = dynamic_shared<T>();
  T* d_os = qs + kRows * kWidth;
  T* ks = d_os + kRows * kWidth;
  T* vs = ks + kColumns * (kWidth + 1);
  T* ds = vs + kColumns * (kWidth + 1);
  copy_tile<kWidth, 0>(qs, a.q + rows * kWidth, left, a.scale);
  copy_tile<kWidth, 0>(d_os, a.d_o + rows * kWidth, left);

  // Two numbers for each of the warp's rows. Rows beyond the last query get zeros:
  // whatever is computed for them is not written.
  T row_log[kWarpRows], dots[kWarpRows], dq[kWarpRows][kWidth / 32] = {};
  for (int r = 0; r < kWarpRows; ++r) {
    const int row = warp * kWarpRows + r;
    row_log[r] = row < left ? a.row_log[rows + row] : T(0);
    dots[r] = row < left ? a.dots[rows + row] : T(0);
  }

  const int64_t count = key_tiles(a, begin, kRows, kColumns);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t j0 = tile * kColumns;
    __syncthreads();
    copy_tile<kWidth, 1>(ks, k + j0 * kWidth, a.keys - j0);
    copy_tile<kWidth, 1>(vs, v + j0 * kWidth, a.keys - j0);
    __syncthreads();

    // Scores and $dP$ are products of the same kind: $Q K^\top$ and $dO\, V^\top$.
    // Then, element by element, $P = e^{S - L}$ and $dS = P \circ (dP - D)$. A key
    // that must not be seen has weight zero, and then $dS$ is zero too.
    T p[kWarpRows], dp[kWarpRows];
    rows_by_lanes<kWidth, 0, 1>(p, qs, ks);
    rows_by_lanes<kWidth, 0, 1>(dp, d_os, vs);
    for (int r = 0; r < kWarpRows; ++r) {
      const bool seen = j0 + lane < seen_by(a, begin + warp * kWarpRows + r);
      p[r] = seen ? exp(p[r] - row_log[r]) : T(0);
      dp[r] = p[r] * (dp[r] - dots[r]);
    }

    // And $dS$ times the keys, which are still in shared memory.
    store_weights(ds, dp);
    weights_by_rows<kWidth, 1>(dq, ds, ks);
  }

  T scale[kWarpRows];
  for (int r = 0; r < kWarpRows; ++r) scale[r] = a.scale;
  store_rows<kWidth>(a.dq + rows * kWidth, dq, scale, left);
}

// For the keys of a block: $dV_j = \sum_i P_{ij}\, dO_i$ and $dK_j = c \sum_i
// dS_{ij}\, Q_i$. Rows are keys now, and lanes are queries. The heads that share
// these keys come one after the other, so their gradients are added in the same
// registers, in the same order every time.
//
// A group's heads share a block: with fewer heads of keys there are fewer blocks, and
// few keys may leave a GPU half empty.
//
// A thread has 255 registers. Where it needs more, the compiler **spills** some to
// memory. A test reads what it says about each kernel, and wants an explanation for
// every name, in the compiler's spelling: `dk_dv_kernelIdLi256` is
// `dk_dv_kernel<double, 256>`.
//
// spills dk_dv_kernelIdLi256: two gradients of doubles, 256 wide; doubles are here to be checked against, not to be fast
// spills dq_kernelIdLi256: likewise
// spills flash_kernelIdLi256: likewise, forward
template <class T, int kWidth> __global__ void dk_dv_kernel(BackwardCall<T> a) {
  const int lane = int(threadIdx.x), warp = int(threadIdx.y);
  const int64_t begin = int64_t{blockIdx.x} * kRows, kv_head = blockIdx.y,
                group = a.heads / a.kv_heads;
  const int64_t rows = kv_head * a.keys + begin, left = a.keys - begin;

  // Now K and V stay, and Q and dO pass by.
  T* ks = dynamic_shared<T>();
  T* vs = ks + kRows * kWidth;
  T* qs = vs + kRows * kWidth;
  T* d_os = qs + kColumns * (kWidth + 1);
  T* ps = d_os + kColumns * (kWidth + 1);
  copy_tile<kWidth, 0>(ks, a.k + rows * kWidth, left, a.scale);
  copy_tile<kWidth, 0>(vs, a.v + rows * kWidth, left);

  // Two outputs, so twice the registers. The loops: the heads that share these
  // keys, and for each the tiles of queries from the first that sees one of them.
  T dk[kWarpRows][kWidth / 32] = {}, dv[kWarpRows][kWidth / 32] = {};
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int64_t i0 = first_query_tile(a, begin, kColumns) * kColumns;
         i0 < a.queries; i0 += kColumns) {
      const int64_t row = head * a.queries + i0, i = i0 + lane;
      __syncthreads();
      copy_tile<kWidth, 1>(qs, a.q + row * kWidth, a.queries - i0);
      copy_tile<kWidth, 1>(d_os, a.d_o + row * kWidth, a.queries - i0);
      __syncthreads();

      // A lane is a query here, so it holds that query's two numbers itself.
      const T row_log = i < a.queries ? a.row_log[row + lane] : T(0);
      const T dot = i < a.queries ? a.dots[row + lane] : T(0);
      T p[kWarpRows], dp[kWarpRows];
      rows_by_lanes<kWidth, 0, 1>(p, ks, qs);
      rows_by_lanes<kWidth, 0, 1>(dp, vs, d_os);
      for (int r = 0; r < kWarpRows; ++r) {
        const bool seen =
            i < a.queries && begin + warp * kWarpRows + r < seen_by(a, i);
        p[r] = seen ? exp(p[r] - row_log) : T(0);
        dp[r] = p[r] * (dp[r] - dot);
      }

      // The same room in shared memory serves both: first for $P^\top$, then for
      // $dS^\top$.
      store_weights(ps, p);
      weights_by_rows<kWidth, 1>(dv, ps, d_os);
      store_weights(ps, dp);
      weights_by_rows<kWidth, 1>(dk, ps, qs);
    }
  }

  T scale[kWarpRows], one[kWarpRows];
  for (int r = 0; r < kWarpRows; ++r) scale[r] = a.scale, one[r] = 1;
  store_rows<kWidth>(a.dk + rows * kWidth, dk, scale, left);
  store_rows<kWidth>(a.dv + rows * kWidth, dv, one, left);
}

template <class T> void flash_backward(const BackwardCall<T>& a) {
  with_width(a.width, [&](auto width) {
    constexpr int kWidth = width();

    // The two kernels do not wait for each other's results; only the dots must come
    // first. Of shared memory a head of 256 takes 132 KB, and in float64 twice that,
    // more than any GPU has: a check for the emulator.
    const size_t bytes =
        (2 * kRows * kWidth + 2 * kColumns * (kWidth + 1) + kRows * kColumns) *
        sizeof(T);
    const unsigned heads = unsigned(a.batch * a.heads),
                   kv_heads = unsigned(a.batch * a.kv_heads);
    launch("dots", dots_kernel<T, kWidth>,
           {.blocks = {unsigned(tiles(heads * a.queries, 4))}, .threads = {32, 4}},
           a);
    launch("dq", dq_kernel<T, kWidth>,
           {.blocks = {unsigned(tiles(a.queries, kRows)), heads},
            .threads = {32, kWarps},
            .shared_bytes = bytes},
           a);
    launch("dk dv", dk_dv_kernel<T, kWidth>,
           {.blocks = {unsigned(tiles(a.keys, kRows)), kv_heads},
            .threads = {32, kWarps},
            .shared_bytes = bytes},
           a);
  });
}

}  // namespace attention::CR_GPU
