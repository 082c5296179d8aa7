// A block of three **warpgroups**, 128 threads each. The first is the **producer**:
// one of its threads asks for tiles, and the rest of it sleeps. The others are
// **consumers** with 64 queries each. Tiles of keys and values go round a ring of
// two places, and barriers in shared memory say which are full and which are empty.
// Nobody ever waits for the whole block.
//
// A consumer begins the scores of the next tile before it multiplies the weights of
// this one with their values. While the tensor cores work on both, its threads are
// free for the softmax in between (Shah and others 2024).
#pragma once

#include "backend/gpu/hopper.cuh"
#include "rung_6_shape.hpp"
#include "schedule.hpp"
#include "warp_tile.cuh"
#if defined(__CUDACC__)
#include "backend/cuda/tensor_map.hpp"
#endif

namespace attention::CR_GPU {

#if defined(__CUDACC__)
namespace hopper = cr::backend::hopper;

// For every place of the ring two barriers, one that says it is full and one that
// says it is empty; for keys and for values; and one for the queries, which come
// once.
struct Barriers {
  uint64_t queries, full_keys[kPlaces], full_values[kPlaces], empty_keys[kPlaces],
      empty_values[kPlaces];
};

// What TMA has to know of the three tensors. The kernel gets it by value, in memory
// for constants.
struct Maps {
  CUtensorMap q, k, v;
};

// The whole tile, panel by panel.
template <int kWidth>
__device__ void ask_for_tile(BFloat16* to, const CUtensorMap& map,
                             uint64_t* barrier, int rows, int64_t row,
                             int64_t matrix) {
  // One announcement for all panels, and then a copy for each of them.
  barrier_expect(barrier, rows * kWidth * int(sizeof(BFloat16)));
#pragma unroll
  for (int column = 0; column < kWidth; column += hopper::kPanel)
    tma_load(to + column * rows, map, barrier, column, int(row), int(matrix));
}

// ## The producer
template <int kWidth>
__device__ void produce(const ForwardCall<BFloat16, float>& a, const Maps& maps,
                        Barriers& barriers, BFloat16* qs, BFloat16* ks,
                        BFloat16* vs, int64_t begin, int64_t head, int64_t count) {
  using S = Shape6<kWidth>;

  // The queries, then keys and values in turn, each as soon as its place is empty.
  // Two tiles are on their way at most, and the producer never looks at a number.
  const int64_t kv_head = kv_head_of(a, head);
  ask_for_tile<kWidth>(qs, maps.q, &barriers.queries, S::kRows, begin, head);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int at = place_of(tile);
    barrier_wait(&barriers.empty_keys[at], empty_phase(tile));
    ask_for_tile<kWidth>(ks + at * S::kTile, maps.k, &barriers.full_keys[at],
                         S::kColumns, tile * S::kColumns, kv_head);
    barrier_wait(&barriers.empty_values[at], empty_phase(tile));
    ask_for_tile<kWidth>(vs + at * S::kTile, maps.v, &barriers.full_values[at],
                         S::kColumns, tile * S::kColumns, kv_head);
  }
}

// ## A consumer
//
// The two products are begun here and finish later. A lane's four sums of each tile
// of 8 columns lie one after the other: sum `4 n + c` is sum `c` of tile `n`.
template <int kWidth>
__device__ void begin_scores(float (&s)[Shape6<kWidth>::kColumns / 2], uint32_t q,
                             int first, uint32_t k) {
  using S = Shape6<kWidth>;

  // One instruction for every 16 numbers of the width. The first of them overwrites
  // the sums, the others add.
  wgmma_begin();
#pragma unroll
  for (int d = 0; d < kWidth; d += 16)
    wgmma(s, hopper::rowwise(q, S::kRows, first, d),
          hopper::rowwise(k, S::kColumns, 0, d), d > 0);
  wgmma_commit();
}

// One instruction for every 16 keys. The left side comes from registers; of the
// right side the summed index, the key, runs down the columns: it is *turned*.
template <int kWidth>
__device__ void begin_values(float (&o)[kWidth / 2],
                             const uint32_t (&p)[Shape6<kWidth>::kColumns / 16][4],
                             uint32_t v) {
  using S = Shape6<kWidth>;
  wgmma_begin();
#pragma unroll
  for (int j = 0; j < S::kColumns / 16; ++j)
    wgmma<true>(o, p[j], hopper::columnwise(v, S::kColumns, 16 * j, 0));
  wgmma_commit();
}

template <int kWidth>
__device__ void consume(const ForwardCall<BFloat16, float>& a, Barriers& barriers,
                        BFloat16* qs, BFloat16* ks, BFloat16* vs, int64_t begin,
                        int64_t head, int64_t count) {
  using S = Shape6<kWidth>;

  // Who is who. A lane's sums lie in two rows of its warp's 16, as in rung 5. The
  // shuffle tells the compiler that the warp's number is the same for all its lanes.
  const int lane = int(threadIdx.x),
            warp = __shfl_sync(kAll, int(threadIdx.y), 0) - 4;  // 0 … 7
  const int first = warp / 4 * 64,
            row = 16 * warp + lane / 4;  // of the warpgroup; the lane's first row
  const uint32_t q = shared_address(qs), k = shared_address(ks),
                 v = shared_address(vs);
  const float scale = a.scale * float(kLog2E);
  constexpr uint32_t kTileBytes = S::kTile * sizeof(BFloat16);

  // Everything about 64 queries, in the registers of 128 threads: scores, output,
  // weights as bfloat16, and for each of a lane's two rows the maximum and the sum.
  float s[S::kColumns / 2], o[kWidth / 2] = {}, keep[2];
  float m[2] = {minus_infinity<float>(), minus_infinity<float>()}, sum[2] = {};
  uint32_t p[S::kColumns / 16][4];

  // Scores to weights, in the registers where they lie.
  auto softmax = [&](int64_t tile) {
    // Mask where a tile is cut.
    const int64_t j0 = tile * S::kColumns;
    if (is_cut(a, begin + 16 * warp, j0, S::kColumns)) {
      const int64_t seen[2] = {seen_by(a, begin + row) - j0,
                               seen_by(a, begin + row + 8) - j0};
#pragma unroll
      for (int at = 0; at < S::kColumns / 2; ++at)
        if (at / 4 * 8 + 2 * (lane % 4) + at % 2 >= seen[at % 4 / 2])
          s[at] = minus_infinity<float>();
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      // Then the online softmax, row by row. Maximum and sum are kept in four parts:
      // one chain of 32 additions would wait for itself.
      float part[4] = {m[r], m[r], m[r], m[r]};
#pragma unroll
      for (int n = 0; n < S::kColumns / 8; ++n)
        part[n % 4] =
            larger(part[n % 4], larger(s[4 * n + 2 * r], s[4 * n + 2 * r + 1]));
      float m_new = larger(larger(part[0], part[1]), larger(part[2], part[3]));
      m_new = larger(m_new, __shfl_xor_sync(kAll, m_new, 1));
      m_new = larger(m_new, __shfl_xor_sync(kAll, m_new, 2));
      const float top = m_new * scale;
      keep[r] = exp_2(m[r] * scale - top);
      m[r] = m_new;
      part[0] = sum[r] * keep[r], part[1] = part[2] = part[3] = 0;
#pragma unroll
      for (int n = 0; n < S::kColumns / 8; ++n)
#pragma unroll
        for (int at = 4 * n + 2 * r; at < 4 * n + 2 * r + 2; ++at)
          part[n % 4] += s[at] = exp_2(s[at] * scale - top);
      sum[r] = part[0] + part[1] + (part[2] + part[3]);
    }
  };

  // Rounded to bfloat16, two tiles of scores are a left side, as in rung 5.
  auto to_weights = [&] {
#pragma unroll
    for (int j = 0; j < S::kColumns / 16; ++j)
#pragma unroll
      for (int reg = 0; reg < 4; ++reg) {
        const FromSums low = a_from_c(reg, 0), high = a_from_c(reg, 1);
        p[j][reg] = pack_bf16(s[4 * (2 * j + low.tile) + low.reg],
                              s[4 * (2 * j + high.tile) + high.reg]);
      }
  };

  // The loop. In each turn the tensor cores get two jobs: the scores of this tile,
  // and the values of the tile before. The threads wait for the first of them only,
  // then do the softmax while the second runs. When that is done too, the output is
  // rescaled and this tile's weights are ready for the next turn.
  barrier_wait(&barriers.queries, 0);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int at = place_of(tile), before = place_of(tile + 1);
    barrier_wait(&barriers.full_keys[at], full_phase(tile));
    begin_scores<kWidth>(s, q, first, k + at * kTileBytes);
    if (tile > 0) {
      barrier_wait(&barriers.full_values[before], full_phase(tile - 1));
      begin_values<kWidth>(o, p, v + before * kTileBytes);
      wgmma_wait<1>();
    } else {
      wgmma_wait<0>();
    }

    // The keys have been used. Each of the eight consumer warps says so once. And
    // the compiler must hear that the scores are there only now.
    sums_change(s);
    if (lane == 0) barrier_arrive(&barriers.empty_keys[at]);
    softmax(tile);

    // The compiler sees no reason why the softmax should come before this wait, and
    // would put it behind. A sum of exponentials is never negative, but that it does
    // not know: to find out, it has to compute them first.
    if (sum[0] + sum[1] < 0) barrier_arrive(&barriers.queries);
    wgmma_wait<0>();
    sums_change(o);

    // And the values of the tile before.
    if (tile > 0 && lane == 0) barrier_arrive(&barriers.empty_values[before]);
#pragma unroll
    for (int at = 0; at < kWidth / 2; ++at) o[at] *= keep[at % 4 / 2];
    to_weights();
  }
  if (count > 0) {
    // The last tile's values are still to come.
    barrier_wait(&barriers.full_values[place_of(count - 1)], full_phase(count - 1));
    begin_values<kWidth>(o, p, v + place_of(count - 1) * kTileBytes);
    wgmma_wait<0>();
    sums_change(o);
  }

#pragma unroll
  for (int r = 0; r < 2; ++r) {
    // A row is shared by four lanes.
    float all = sum[r];
    all += __shfl_xor_sync(kAll, all, 1);
    all += __shfl_xor_sync(kAll, all, 2);
    const int64_t i = begin + row + 8 * r;
    if (lane % 4 == 0 && i < a.queries)
      a.row_log[head * a.queries + i] = m[r] * a.scale + logf(all);
    sum[r] = 1 / all;
  }

  // The output goes by way of this warp's rows of Q, once all four warps of the
  // warpgroup are done with their products: a barrier for 128 threads, one of the
  // fifteen that a block has beside `__syncthreads`. A number's place in the panels
  // is the one TMA would use.
  asm volatile("bar.sync %0, 128;" ::"r"(1 + warp / 4) : "memory");
  char* staged = reinterpret_cast<char*>(qs);
#pragma unroll
  for (int n = 0; n < kWidth / 8; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r)
      *reinterpret_cast<uint32_t*>(
          staged +
          hopper::put_by_tma(S::kRows, row + 8 * r, 8 * n + 2 * (lane % 4))) =
          pack_bf16(o[4 * n + 2 * r] * sum[r], o[4 * n + 2 * r + 1] * sum[r]);
  __syncwarp();
  for (int at = lane; at < 16 * kWidth / 8; at += 32) {
    const int at_row = 16 * warp + at / (kWidth / 8),
              column = at % (kWidth / 8) * 8;
    if (begin + at_row < a.queries)
      *reinterpret_cast<float4*>(
          a.o + (head * a.queries + begin + at_row) * kWidth + column) =
          *reinterpret_cast<const float4*>(
              staged + hopper::put_by_tma(S::kRows, at_row, column));
  }
}

// ## The kernel
//
// Registers are moved as well: the producer needs few, and hands the others to the
// consumers.
template <int kWidth>
__global__ void __launch_bounds__(Shape6<kWidth>::kThreads, 1)
    wgmma_kernel(ForwardCall<BFloat16, float> a,
                 const __grid_constant__ Maps maps) {
  using S = Shape6<kWidth>;

  // Tiles must begin at multiples of 1024 bytes, or the swizzle of copy and product
  // would differ. One thread makes the barriers, and a fence shows them to TMA.
  const int64_t begin = longest_first(a, blockIdx.x, gridDim.x) * S::kRows,
                head = blockIdx.y;
  const int64_t count = key_tiles(a, begin, S::kRows, S::kColumns);
  char* memory = dynamic_shared<char>();
  memory += (1024 - shared_address(memory) % 1024) % 1024;

  // Shared memory, in this order: queries, two tiles of keys, two of values,
  // barriers.
  BFloat16* qs = reinterpret_cast<BFloat16*>(memory);
  BFloat16* ks = qs + S::kRows * kWidth;
  BFloat16* vs = ks + kPlaces * S::kTile;
  Barriers& barriers = *reinterpret_cast<Barriers*>(vs + kPlaces * S::kTile);
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    barrier_init(&barriers.queries, 1);
    for (int place = 0; place < kPlaces; ++place) {
      barrier_init(&barriers.full_keys[place], 1);
      barrier_init(&barriers.full_values[place], 1);
      barrier_init(&barriers.empty_keys[place], 4 * S::kConsumers);
      barrier_init(&barriers.empty_values[place], 4 * S::kConsumers);
    }
    show_barriers();
  }
  __syncthreads();

  // The ways part.
  if (threadIdx.y < 4) {
    registers_down<24>();
    if (threadIdx.x == 0 && threadIdx.y == 0)
      produce<kWidth>(a, maps, barriers, qs, ks, vs, begin, head, count);
  } else {
    registers_up<240>();
    consume<kWidth>(a, barriers, qs, ks, vs, begin, head, count);
  }
}

// What TMA needs to know of a tensor (matrices, rows, width) is packed by the
// driver. A box is 64 columns of some rows of one head and never reaches into the
// next: beyond the last row TMA writes zeros.
template <class = void> void wgmma_rung(const ForwardCall<BFloat16, float>& a) {
  Runtime::get().require(90, "attention: rung 6");
  insist_on_positive(a.scale);
  with_width<64>(a.width, [&](auto width) {
    constexpr int kWidth = width();
    using S = Shape6<kWidth>;
    const int64_t heads = a.batch * a.heads, kv_heads = a.batch * a.kv_heads;
    const Maps maps = {tensor_maps(a.q, heads, a.queries, kWidth, S::kRows),
                       tensor_maps(a.k, kv_heads, a.keys, kWidth, S::kColumns),
                       tensor_maps(a.v, kv_heads, a.keys, kWidth, S::kColumns)};
    launch("wgmma", wgmma_kernel<kWidth>,
           {.blocks = {unsigned(tiles(a.queries, S::kRows)), unsigned(heads)},
            .threads = {32, S::kThreads / 32},
            .shared_bytes = S::kBytes},
           a, maps);
  });
}

#else

template <class = void> void wgmma_rung(const ForwardCall<BFloat16, float>&) {
  throw cr::DeviceError("attention: rung 6 needs a GPU");
}

#endif

}  // namespace attention::CR_GPU
