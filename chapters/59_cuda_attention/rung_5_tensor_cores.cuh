// The algorithm stays. Numbers come in bfloat16, products go to the tensor cores,
// sums and softmax stay in float32. A warp owns 16 queries, or 32, and everything
// about them lies in its registers: scores, weights, the output so far.
#pragma once

#include "schedule.hpp"
#include "warp_tile.cuh"

namespace attention::CR_GPU {

// Four warps, `kHigh` tiles of 16 queries for each. Two are better than one,
// because each fragment of a key that comes from shared memory is then used twice;
// with heads 256 wide the output alone fills the registers.
template <int kWidth> struct Shape5 {
  static constexpr int kHigh = kWidth <= 128 ? 2 : 1, kWarps = 4,
                       kRows = 16 * kHigh * kWarps;
  static constexpr int kColumns = kWidth <= 64 ? 64 : 32;
  static constexpr size_t kBytes =
      (kRows + 2 * kColumns) * kWidth * sizeof(BFloat16);
};

// spills tensor_core_kernelILi128: up to 40 bytes beside 128 sums, addresses that are needed once for each tile
// spills tensor_core_kernelILi256: likewise
template <int kWidth>
__global__ void __launch_bounds__(128)
    tensor_core_kernel(ForwardCall<BFloat16, float> a) {
  using S = Shape5<kWidth>;

  // Who computes what: the block has a tile of queries, and the warp 16 or 32 rows
  // of it.
  constexpr int kHigh = S::kHigh, kKeys = S::kColumns;
  const int lane = int(threadIdx.x), warp = int(threadIdx.y),
            thread = 32 * warp + lane;
  const int64_t begin = longest_first(a, blockIdx.x, gridDim.x) * S::kRows,
                head = blockIdx.y;
  const int first = 16 * kHigh * warp;  // of the warp's rows in the block's tile
  const BFloat16* k = a.k + kv_head_of(a, head) * a.keys * kWidth;
  const BFloat16* v = a.v + kv_head_of(a, head) * a.keys * kWidth;
  BFloat16* qs = dynamic_shared<BFloat16>();
  BFloat16* ks = qs + S::kRows * kWidth;
  BFloat16* vs = ks + kKeys * kWidth;

  // Ask for the queries and the first keys. Nobody waits yet.
  fetch<kWidth, S::kRows, 128>(qs, a.q + (head * a.queries + begin) * kWidth,
                               a.queries - begin, thread);
  fetch<kWidth, kKeys, 128>(ks, k, a.keys, thread);
  commit_copies();

  // A lane has numbers of two rows in each tile of 16: `lane / 4`, and eight below.
  float m[kHigh][2], sum[kHigh][2];
  Sums<kHigh, kWidth / 8> o = {};
#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int r = 0; r < 2; ++r) m[h][r] = minus_infinity<float>(), sum[h][r] = 0;
  const float scale = a.scale * float(kLog2E);

  // The scale goes into the exponent: $e^{c s} = 2^{c s \log_2 e}$, and the product
  // $c \log_2 e$ is one number.
  const int64_t count = key_tiles(a, begin, S::kRows, kKeys);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t j0 = tile * kKeys;

    // The keys of this tile are here, and all warps are done with the values of the
    // last. The values of this one come while we compute scores.
    wait_for_copies<0>();
    __syncthreads();
    fetch<kWidth, kKeys, 128>(vs, v + j0 * kWidth, a.keys - j0, thread);
    commit_copies();

    // $S = Q K^\top$, not yet scaled.
    Sums<kHigh, kKeys / 8> s;
    tile_scores<kWidth, kHigh, kKeys / 8>(s, qs, first, ks);

    // The values are here, and all warps are done with the keys. The next ones come
    // while we do the rest.
    wait_for_copies<0>();
    __syncthreads();
    if (tile + 1 < count) {
      fetch<kWidth, kKeys, 128>(ks, k + (j0 + kKeys) * kWidth, a.keys - j0 - kKeys,
                                thread);
      commit_copies();
    }

    // The mask, for the warp's own rows: each sum knows its place in the tile by
    // the layout.
    if (is_cut(a, begin + first, j0, kKeys)) {
#pragma unroll
      for (int h = 0; h < kHigh; ++h)
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            const fragment::Place at = fragment::c(lane, c);
            if (j0 + 8 * n + at.column >=
                seen_by(a, begin + first + 16 * h + at.row))
              s[h][n][c] = minus_infinity<float>();
          }
    }

    // The online softmax. A row is spread over four neighbouring lanes, so two
    // exchanges find its maximum.
#pragma unroll
    for (int h = 0; h < kHigh; ++h)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        float m_new = m[h][r];
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
          m_new = larger(m_new, larger(s[h][n][2 * r], s[h][n][2 * r + 1]));
        m_new = larger(m_new, __shfl_xor_sync(kAll, m_new, 1));
        m_new = larger(m_new, __shfl_xor_sync(kAll, m_new, 2));
        const float keep = exp_2((m[h][r] - m_new) * scale), top = m_new * scale;
        m[h][r] = m_new;
        sum[h][r] *= keep;
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
          for (int c = 2 * r; c < 2 * r + 2; ++c)
            sum[h][r] += s[h][n][c] = exp_2(s[h][n][c] * scale - top);
#pragma unroll
        for (int n = 0; n < kWidth / 8; ++n)
#pragma unroll
          for (int c = 2 * r; c < 2 * r + 2; ++c) o[h][n][c] *= keep;
      }

    // $O$ += $P V$.
    add_weighted<kWidth, kHigh, kKeys / 8>(o, s, vs);
  }

#pragma unroll
  for (int h = 0; h < kHigh; ++h)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      // Four lanes share a row, and each has summed its own columns.
      float all = sum[h][r];
      all += __shfl_xor_sync(kAll, all, 1);
      all += __shfl_xor_sync(kAll, all, 2);
      const int64_t i = begin + first + 16 * h + 8 * r + lane / 4;
      if (lane % 4 == 0 && i < a.queries)
        a.row_log[head * a.queries + i] = m[h][r] * a.scale + logf(all);
      sum[h][r] = 1 / all;
    }
  store_tile<kWidth, kHigh>(a.o + (head * a.queries + begin) * kWidth,
                            a.queries - begin, qs, first, o, sum);
}

template <class = void> void tensor_cores(const ForwardCall<BFloat16, float>& a) {
  insist_on_positive(a.scale);
  with_width<64>(a.width, [&](auto width) {
    using S = Shape5<width()>;
    launch("tensor cores", tensor_core_kernel<width()>,
           {.blocks = {unsigned(tiles(a.queries, S::kRows)),
                       unsigned(a.batch * a.heads)},
            .threads = {32, S::kWarps},
            .shared_bytes = S::kBytes,
            .needs = 80},
           a);
  });
}

}  // namespace attention::CR_GPU
