// Rung 4's two kernels, with rung 5's two products. In both a warp owns 16 rows,
// and a tile of 32 others passes by while the next one is on its way. Scores and
// weights never leave the registers: what comes out of one product is turned into
// the left side of the next where it lies.
#pragma once

#include "schedule.hpp"
#include "warp_tile.cuh"

namespace attention::CR_GPU {

constexpr int kBackWarps = 4, kBackRows = 16 * kBackWarps, kBackColumns = 32,
              kBackThreads = 32 * kBackWarps;

// Four tiles: two that stay, and two that pass by, each of these in two places.
template <int kWidth>
constexpr size_t kBackBytes = (2 * kBackRows + 4 * kBackColumns) * kWidth *
                              sizeof(BFloat16);

template <int kWidth>
__global__ void tensor_core_dots_kernel(BackwardCall<BFloat16, float> a) {
  const int lane = int(threadIdx.x);
  const int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (row >= a.batch * a.heads * a.queries) return;

  // Two numbers in each word.
  const auto* o = reinterpret_cast<const uint32_t*>(a.o + row * kWidth);
  const auto* d_o = reinterpret_cast<const uint32_t*>(a.d_o + row * kWidth);
  float sum = 0;
  for (int c = lane; c < kWidth / 2; c += 32)
    sum += unpack_bf16(o[c], 0) * unpack_bf16(d_o[c], 0) +
           unpack_bf16(o[c], 1) * unpack_bf16(d_o[c], 1);
  sum = warp_sum(sum);
  if (lane == 0) a.dots[row] = sum;
}

// Two tiles that belong together, Q and dO or K and V, begin their way to place
// `turn` of two.
template <int kWidth>
__device__ void fetch_two(BFloat16* tile, int64_t turn, const BFloat16* x,
                          const BFloat16* y, int64_t left) {
  const int thread = int(32 * threadIdx.y + threadIdx.x);
  tile += turn % 2 * 2 * kBackColumns * kWidth;
  fetch<kWidth, kBackColumns, kBackThreads>(tile, x, left, thread);
  fetch<kWidth, kBackColumns, kBackThreads>(tile + kBackColumns * kWidth, y, left,
                                            thread);
  commit_copies();
}

template <int kWidth>
__global__ void __launch_bounds__(kBackThreads)
    tensor_core_dq_kernel(BackwardCall<BFloat16, float> a) {
  const int lane = int(threadIdx.x), warp = int(threadIdx.y),
            thread = 32 * warp + lane, first = 16 * warp;
  const int64_t begin = longest_first(a, blockIdx.x, gridDim.x) * kBackRows,
                head = blockIdx.y;
  const int64_t rows = head * a.queries + begin, left = a.queries - begin;
  const BFloat16* k = a.k + kv_head_of(a, head) * a.keys * kWidth;
  const BFloat16* v = a.v + kv_head_of(a, head) * a.keys * kWidth;

  // Shared memory: Q and dO of the block's 64 queries, and behind them room for two
  // tiles of keys with their values. While one is used, the other fills.
  BFloat16* qs = dynamic_shared<BFloat16>();
  BFloat16* d_os = qs + kBackRows * kWidth;
  BFloat16* passing = d_os + kBackRows * kWidth;

  fetch<kWidth, kBackRows, kBackThreads>(qs, a.q + rows * kWidth, left, thread);
  fetch<kWidth, kBackRows, kBackThreads>(d_os, a.d_o + rows * kWidth, left, thread);
  fetch_two<kWidth>(passing, 0, k, v, a.keys);

  // A lane has numbers of two rows, so it needs two $L_i$ and two $D_i$. $L_i$ is
  // turned into a power of two at once.
  float row_log[2], dots[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first + 8 * r + lane / 4;
    row_log[r] = row < left ? a.row_log[rows + row] * float(kLog2E) : 0;
    dots[r] = row < left ? a.dots[rows + row] : 0;
  }
  const float scale = a.scale * float(kLog2E);

  Sums<1, kWidth / 8> dq = {};
  const int64_t count = key_tiles(a, begin, kBackRows, kBackColumns);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t j0 = tile * kBackColumns, next = j0 + kBackColumns;

    // Wait for this tile. After the barrier all warps are also done with the tile
    // before, so its place is free, and the next may start on its way.
    wait_for_copies<0>();
    __syncthreads();
    if (tile + 1 < count)
      fetch_two<kWidth>(passing, tile + 1, k + next * kWidth, v + next * kWidth,
                        a.keys - next);
    const BFloat16* ks = passing + tile % 2 * 2 * kBackColumns * kWidth;
    const BFloat16* vs = ks + kBackColumns * kWidth;

    Sums<1, kBackColumns / 8> s, dp;

    // The two products of the same kind, $Q K^\top$ and $dO\, V^\top$: 16 rows of
    // the warp against 32 keys.
    tile_scores<kWidth, 1, kBackColumns / 8>(s, qs, first, ks);
    tile_scores<kWidth, 1, kBackColumns / 8>(dp, d_os, first, vs);

    // Element by element: $P$, then $dS$ in its place. Sums 0 and 1 of a lane are
    // in its first row, 2 and 3 in its second.
    const bool cut = is_cut(a, begin + first, j0, kBackColumns);
#pragma unroll
    for (int n = 0; n < kBackColumns / 8; ++n)
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const fragment::Place at = fragment::c(lane, c);
        const bool seen =
            !cut || j0 + 8 * n + at.column < seen_by(a, begin + first + at.row);
        const float p = seen ? exp_2(s[0][n][c] * scale - row_log[c / 2]) : 0;
        s[0][n][c] = p * (dp[0][n][c] - dots[c / 2]);
      }

    // $dQ$ += $dS\, K$. The keys were the right side turned round a moment ago; now
    // they are the right side as they lie, by the other kind of `ldmatrix`.
    add_weighted<kWidth, 1, kBackColumns / 8>(dq, s, ks);
  }

  // The scale $c$ has been left out until here.
  const float both[1][2] = {{a.scale, a.scale}};
  store_tile<kWidth, 1>(a.dq + rows * kWidth, left, qs, first, dq, both);
}

// Rows are keys, and the tiles that pass by are queries with their dO. Both
// gradients of a head 256 wide would need more registers than a thread has, so
// there it runs twice, once for each, and computes the scores twice.
//
// spills tensor_core_dk_dv_kernelILi256: up to 276 bytes even so, beside 128 sums and what the next tile's addresses take
// spills tensor_core_dq_kernelILi256: up to 260 bytes, as above
template <int kWidth, bool kWantsDk, bool kWantsDv>
__global__ void __launch_bounds__(kBackThreads)
    tensor_core_dk_dv_kernel(BackwardCall<BFloat16, float> a) {
  const int lane = int(threadIdx.x), warp = int(threadIdx.y),
            thread = 32 * warp + lane, first = 16 * warp;
  const int64_t begin = int64_t{blockIdx.x} * kBackRows, kv_head = blockIdx.y,
                group = a.heads / a.kv_heads;
  const int64_t rows = kv_head * a.keys + begin, left = a.keys - begin;
  BFloat16* ks = dynamic_shared<BFloat16>();
  BFloat16* vs = ks + kBackRows * kWidth;
  BFloat16* passing = vs + kBackRows * kWidth;

  // All tiles of queries, head after head, are one long row of turns.
  const int64_t from = first_query_tile(a, begin, kBackColumns),
                to = tiles(a.queries, kBackColumns);
  const int64_t each = to > from ? to - from : 0, count = each * group;
  auto query = [&](int64_t turn) { return (from + turn % each) * kBackColumns; };
  auto row_of = [&](int64_t turn) {
    return (kv_head * group + turn / each) * a.queries + query(turn);
  };

  fetch<kWidth, kBackRows, kBackThreads>(ks, a.k + rows * kWidth, left, thread);
  fetch<kWidth, kBackRows, kBackThreads>(vs, a.v + rows * kWidth, left, thread);
  commit_copies();
  if (count > 0)
    fetch_two<kWidth>(passing, 0, a.q + row_of(0) * kWidth,
                      a.d_o + row_of(0) * kWidth, a.queries - query(0));

  const float scale = a.scale * float(kLog2E);
  Sums<1, kWidth / 8> dk = {}, dv = {};
  for (int64_t turn = 0; turn < count; ++turn) {
    // Which queries, of which head, this turn is about.
    const int64_t i0 = query(turn), row = row_of(turn);
    wait_for_copies<0>();
    __syncthreads();
    if (turn + 1 < count) {
      const int64_t next = row_of(turn + 1);
      fetch_two<kWidth>(passing, turn + 1, a.q + next * kWidth,
                        a.d_o + next * kWidth, a.queries - query(turn + 1));
    }
    const BFloat16* qs = passing + turn % 2 * 2 * kBackColumns * kWidth;
    const BFloat16* d_os = qs + kBackColumns * kWidth;

    Sums<1, kBackColumns / 8> p, ds;

    // Scores and $dP$, turned round: keys are rows.
    tile_scores<kWidth, 1, kBackColumns / 8>(p, ks, first, qs);
    if (kWantsDk) tile_scores<kWidth, 1, kBackColumns / 8>(ds, vs, first, d_os);
#pragma unroll
    for (int n = 0; n < kBackColumns / 8; ++n)
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        // Queries are columns here. A lane has two of them in each tile of 8, and
        // fetches their $L_i$ and $D_i$. Neighbouring lanes fetch neighbours, and
        // the first cache has them after the first warp.
        const int column = 8 * n + fragment::c(lane, side).column;
        const int64_t i = i0 + column, seen = i < a.queries ? seen_by(a, i) : 0;
        const float row_log =
            i < a.queries ? a.row_log[row + column] * float(kLog2E) : 0;
        const float dot = kWantsDk && i < a.queries ? a.dots[row + column] : 0;
#pragma unroll
        for (int c = side; c < 4; c += 2) {
          const int64_t j = begin + first + fragment::c(lane, c).row;
          p[0][n][c] = j < seen ? exp_2(p[0][n][c] * scale - row_log) : 0;
          if (kWantsDk) ds[0][n][c] = p[0][n][c] * (ds[0][n][c] - dot);
        }
      }

    // $dV$ += $P^\top dO$ and $dK$ += $dS^\top Q$.
    if (kWantsDv) add_weighted<kWidth, 1, kBackColumns / 8>(dv, p, d_os);
    if (kWantsDk) add_weighted<kWidth, 1, kBackColumns / 8>(dk, ds, qs);
  }

  // Where no query sees these keys, they are still on their way to the place that
  // the result goes through.
  wait_for_copies<0>();
  __syncthreads();
  const float both[1][2] = {{a.scale, a.scale}}, one[1][2] = {{1, 1}};
  if (kWantsDk)
    store_tile<kWidth, 1>(a.dk + rows * kWidth, left, ks, first, dk, both);
  if (kWantsDv)
    store_tile<kWidth, 1>(a.dv + rows * kWidth, left, vs, first, dv, one);
}

template <class = void>
void tensor_cores_backward(const BackwardCall<BFloat16, float>& a) {
  insist_on_positive(a.scale);
  with_width<64>(a.width, [&](auto width) {
    // Three launches, or four: the dots first, then the queries' gradient, then the
    // keys' and values'.
    constexpr int kWidth = width();
    const unsigned heads = unsigned(a.batch * a.heads),
                   kv_heads = unsigned(a.batch * a.kv_heads);
    auto grid = [](int64_t rows, unsigned heads) {
      return Grid{.blocks = {unsigned(tiles(rows, kBackRows)), heads},
                  .threads = {32, kBackWarps},
                  .shared_bytes = kBackBytes<kWidth>,
                  .needs = 80};
    };
    const Grid queries = grid(a.queries, heads), keys = grid(a.keys, kv_heads);
    launch("tensor core dots", tensor_core_dots_kernel<kWidth>,
           {.blocks = {unsigned(tiles(heads * a.queries, 4))}, .threads = {32, 4}},
           a);
    launch("tensor core dq", tensor_core_dq_kernel<kWidth>, queries, a);
    if constexpr (kWidth <= 128) {
      launch("tensor core dk dv", tensor_core_dk_dv_kernel<kWidth, true, true>,
             keys, a);
    } else {
      launch("tensor core dk", tensor_core_dk_dv_kernel<kWidth, true, false>, keys,
             a);
      launch("tensor core dv", tensor_core_dk_dv_kernel<kWidth, false, true>, keys,
             a);
    }
  });
}

}  // namespace attention::CR_GPU
