// A block takes 32 queries, so every key and value that it fetches is used 32
// times. Keys come 32 at a time, and rung 2's step for one key becomes a step for a
// tile of them: its largest score, one rescaling, and 32 weighted values.
#pragma once

#include "schedule.hpp"
#include "tile.cuh"

namespace attention::CR_GPU {

// The mistakes that `--break` plants are small changes to a kernel that works. They
// are here, in one place, so that the kernel below can be read without them: with a
// plan that says yes to everything.
struct Careful {
  static constexpr int kPad = 1;  // of a row of keys in shared memory
  static constexpr bool kRescale =
      true;  // multiply by `keep` what was summed under a smaller maximum
  static constexpr bool kBarrier =
      true;  // wait until all have read a tile before it is overwritten
  static constexpr int kLookAhead = 0;  // so many keys too many are seen
};
struct Unpadded : Careful {
  static constexpr int kPad = 0;
};
struct NoRescale : Careful {
  static constexpr bool kRescale = false;
};
struct NoBarrier : Careful {
  static constexpr bool kBarrier = false;
};
struct LooksAhead : Careful {
  static constexpr int kLookAhead = 1;
};

template <class T, int kWidth, class Plan>
__global__ void flash_kernel(ForwardCall<T> a) {
  // Which queries, and whose keys and values.
  const int lane = int(threadIdx.x), warp = int(threadIdx.y);
  const int64_t begin = longest_first(a, blockIdx.x, gridDim.x) * kRows,
                head = blockIdx.y;
  const T* k = a.k + kv_head_of(a, head) * a.keys * kWidth;
  const T* v = a.v + kv_head_of(a, head) * a.keys * kWidth;

  // The block's shared memory: a tile of queries, keys, values, and each warp's
  // weights.
  T* qs = dynamic_shared<T>();
  T* ks = qs + kRows * kWidth;
  T* vs = ks + kColumns * (kWidth + Plan::kPad);
  T* ps = vs + kColumns * kWidth;
  copy_tile<kWidth, 0>(qs, a.q + (head * a.queries + begin) * kWidth,
                       a.queries - begin, a.scale);

  // For each of the warp's eight rows: the largest score so far, this lane's part
  // of the sum, and this lane's columns of the output.
  T m[kWarpRows], sum[kWarpRows], o[kWarpRows][kWidth / 32] = {};
  for (int r = 0; r < kWarpRows; ++r) m[r] = minus_infinity<T>(), sum[r] = 0;

  const int64_t count = key_tiles(a, begin, kRows, kColumns);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t j0 = tile * kColumns;

    // Nobody may overwrite the keys and values of the last tile while a slower warp
    // still reads them. Then all copy, and nobody may read before all have copied:
    // two barriers for each tile.
    if (Plan::kBarrier) __syncthreads();
    copy_tile<kWidth, Plan::kPad>(ks, k + j0 * kWidth, a.keys - j0);
    copy_tile<kWidth, 0>(vs, v + j0 * kWidth, a.keys - j0);
    __syncthreads();

    // Eight scores in each lane: of the warp's rows, against this lane's key.
    T s[kWarpRows];
    rows_by_lanes<kWidth, 0, Plan::kPad>(s, qs, ks);

    // On the diagonal and at the last key some of them must not be seen. Everywhere
    // else this costs a comparison for the whole tile.
    if (is_cut(a, begin, j0, kColumns)) {
      for (int r = 0; r < kWarpRows; ++r) {
        const int64_t i = begin + warp * kWarpRows + r;
        if (j0 + lane >= seen_by(a, i + Plan::kLookAhead))
          s[r] = minus_infinity<T>();
      }
    }

    // The step of rung 2, for 32 keys at once. Each lane adds up the weights of its
    // own column; the lanes' sums are added when all tiles are done. Every query sees
    // key 0, so `m` is finite after the first tile and $\infty - \infty$ does not
    // arise. With a window (exercise 4) it would, and wants a guard.
    for (int r = 0; r < kWarpRows; ++r) {
      const T m_new = larger(m[r], warp_max(s[r]));
      const T keep = Plan::kRescale ? exp(m[r] - m_new) : T(1);
      m[r] = m_new;
      s[r] = exp(s[r] - m_new);
      sum[r] = keep * sum[r] + s[r];
      for (int c = 0; c < kWidth / 32; ++c) o[r][c] *= keep;
    }
    store_weights(ps, s);
    weights_by_rows<kWidth, 0>(o, ps, vs);
  }

  // The end: add up the lanes' sums, divide once, and leave $L_i = m + \log \ell$
  // for the way back.
  T inverse[kWarpRows];
  for (int r = 0; r < kWarpRows; ++r) {
    const T all = warp_sum(sum[r]);
    const int64_t i = begin + warp * kWarpRows + r;
    inverse[r] = 1 / all;
    if (lane == 0 && i < a.queries)
      a.row_log[head * a.queries + i] = m[r] + log(all);
  }
  store_rows<kWidth>(a.o + (head * a.queries + begin) * kWidth, o, inverse,
                     a.queries - begin);
}

template <class T, int kWidth, class Plan> void flash_by(const ForwardCall<T>& a) {
  // Four pieces of shared memory. For heads of 64 they are 29 KB, so several blocks
  // fit on a multiprocessor at once, and while one waits for its copies another
  // computes.
  launch(
      "flash", flash_kernel<T, kWidth, Plan>,
      {.blocks = {unsigned(tiles(a.queries, kRows)), unsigned(a.batch * a.heads)},
       .threads = {32, kWarps},
       .shared_bytes = (kRows * kWidth + kColumns * (2 * kWidth + Plan::kPad) +
                        kRows * kColumns) *
                       sizeof(T)},
      a);
}

template <class T> void flash(const ForwardCall<T>& a) {
  with_width(a.width, [&](auto width) { flash_by<T, width(), Careful>(a); });
}

}  // namespace attention::CR_GPU
