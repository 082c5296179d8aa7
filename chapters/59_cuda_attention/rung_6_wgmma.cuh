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

#include "schedule.hpp"
#include "tensor/error.hpp"
#include "tensor_core.cuh"
#include "wgmma.cuh"

namespace attention::CR_GPU {

#if defined(__CUDACC__)

template <int kWidth> struct Shape6 {
  // Two consumers of 64 queries. A tile of keys has 128 rows, or 64 where the heads
  // are 256 wide and two tiles of each kind would not fit otherwise.
  static constexpr int kConsumers = 2, kRows = 64 * kConsumers,
                       kColumns = kWidth <= 128 ? 128 : 64;
  static constexpr int kSpan =
      kWidth < 128 ? kWidth : 128;  // columns of the output that one product makes
  static constexpr int kThreads = 128 * (kConsumers + 1),
                       kTile = kColumns * kWidth;  // numbers of a tile of keys
  static constexpr size_t kBytes =
      (kRows * kWidth + 2 * kPlaces * kTile) * sizeof(BFloat16) + 1024 + 128;
};

template <int kWidth>
using Outputs = float[kWidth / Shape6<kWidth>::kSpan][Shape6<kWidth>::kSpan / 8][4];

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
                             uint64_t& barrier, int rows, int64_t row,
                             int64_t matrix) {
  // One announcement for all panels, and then a copy for each of them.
  arrive_and_expect(barrier, unsigned(rows * kWidth * sizeof(BFloat16)));
#pragma unroll
  for (int panel = 0; panel < kWidth / kPanel; ++panel)
    copy_panel(to + panel * rows * kPanel, map, barrier, panel * kPanel, int(row),
               int(matrix));
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
  ask_for_tile<kWidth>(qs, maps.q, barriers.queries, S::kRows, begin, head);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int at = place_of(tile);
    wait_for(barriers.empty_keys[at], empty_phase(tile));
    ask_for_tile<kWidth>(ks + at * S::kTile, maps.k, barriers.full_keys[at],
                         S::kColumns, tile * S::kColumns, kv_head);
    wait_for(barriers.empty_values[at], empty_phase(tile));
    ask_for_tile<kWidth>(vs + at * S::kTile, maps.v, barriers.full_values[at],
                         S::kColumns, tile * S::kColumns, kv_head);
  }
}

// ## A consumer
//
// The two products are begun here and finish later.
template <int kWidth>
__device__ void begin_scores(float (&s)[Shape6<kWidth>::kColumns / 8][4],
                             uint32_t q, int first, uint32_t k) {
  using S = Shape6<kWidth>;

  // `products_begin` tells the hardware that the sums' registers were touched by
  // ordinary instructions, so it must not read them too early.
  products_begin();
#pragma unroll
  for (int d = 0; d < kWidth; d += 16)

    // One instruction for every 16 numbers of the width. The first of them
    // overwrites the sums, the others add.
    product_of_rows<S::kColumns / 8>(s, rowwise(q, S::kRows, first, d),
                                     rowwise(k, S::kColumns, 0, d), d > 0);
  products_end();
}

template <int kWidth>
__device__ void begin_values(Outputs<kWidth>& o,
                             const uint32_t (&p)[Shape6<kWidth>::kColumns / 16][4],
                             uint32_t v) {
  using S = Shape6<kWidth>;
  products_begin();
#pragma unroll
  for (int j = 0; j < S::kColumns / 16; ++j)
#pragma unroll
    for (int span = 0; span < kWidth / S::kSpan; ++span)

      // Sixteen keys at a time, and for a head of 256 twice, once for each half of
      // the output.
      product_of_weights<S::kSpan / 8>(
          o[span], p[j], columnwise(v, S::kColumns, 16 * j, S::kSpan * span));
  products_end();
}

template <int kWidth>
__device__ void consume(const ForwardCall<BFloat16, float>& a, Barriers& barriers,
                        BFloat16* qs, BFloat16* ks, BFloat16* vs, int64_t begin,
                        int64_t head, int64_t count) {
  using S = Shape6<kWidth>;

  // Who is who. A lane's sums lie in two rows of its warp's 16, as in rung 5.
  const int lane = int(threadIdx.x),
            warp = int(threadIdx.y) - 4;  // warps 0 … 7 of the consumers
  const int first = warp / 4 * 64,
            row = 16 * warp + lane / 4;  // of the warpgroup; the lane's first row
  const uint32_t q = shared_address(qs), k = shared_address(ks),
                 v = shared_address(vs);
  const float scale = a.scale * float(kLog2E);
  constexpr uint32_t kTileBytes = S::kTile * sizeof(BFloat16);

  // Everything about 64 queries, in the registers of 128 threads: scores, output,
  // weights as bfloat16, and for each of a lane's two rows the maximum and the sum.
  float s[S::kColumns / 8][4], keep[2];
  Outputs<kWidth> o = {};
  float m[2] = {minus_infinity<float>(), minus_infinity<float>()}, sum[2] = {};
  uint32_t p[S::kColumns / 16][4];

  // Scores to weights, in the registers where they lie.
  auto softmax = [&](int64_t tile) {
    // Mask where a tile is cut.
    const int64_t j0 = tile * S::kColumns;
    if (is_cut(a, begin + 16 * warp, j0, S::kColumns)) {
#pragma unroll
      for (int n = 0; n < S::kColumns / 8; ++n)
#pragma unroll
        for (int c = 0; c < 4; ++c)
          if (j0 + 8 * n + 2 * (lane % 4) + c % 2 >=
              seen_by(a, begin + row + 8 * (c / 2)))
            s[n][c] = minus_infinity<float>();
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      // Then the online softmax, row by row.
      float m_new = m[r];
#pragma unroll
      for (int n = 0; n < S::kColumns / 8; ++n)
        m_new = larger(m_new, larger(s[n][2 * r], s[n][2 * r + 1]));
      m_new = larger(m_new, __shfl_xor_sync(kAll, m_new, 1));
      m_new = larger(m_new, __shfl_xor_sync(kAll, m_new, 2));
      const float top = m_new * scale;
      keep[r] = exp_2(m[r] * scale - top);
      m[r] = m_new;
      sum[r] *= keep[r];
#pragma unroll
      for (int n = 0; n < S::kColumns / 8; ++n)
#pragma unroll
        for (int c = 2 * r; c < 2 * r + 2; ++c)
          sum[r] += s[n][c] = exp_2(s[n][c] * scale - top);
    }
  };

  // Rounded to bfloat16, two tiles of scores are a left side, as in rung 5.
  auto to_weights = [&] {
#pragma unroll
    for (int j = 0; j < S::kColumns / 16; ++j)
#pragma unroll
      for (int reg = 0; reg < 4; ++reg) {
        const FromC low = a_from_c(reg, 0), high = a_from_c(reg, 1);
        p[j][reg] =
            pack(s[2 * j + low.tile][low.reg], s[2 * j + high.tile][high.reg]);
      }
  };

  // The loop. In each turn the tensor cores get two jobs: the scores of this tile,
  // and the values of the tile before. The threads wait for the first of them only,
  // then do the softmax while the second runs. When that is done too, the output is
  // rescaled and this tile's weights are ready for the next turn.
  wait_for(barriers.queries, 0);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int at = place_of(tile), before = place_of(tile + 1);
    wait_for(barriers.full_keys[at], full_phase(tile));
    begin_scores<kWidth>(s, q, first, k + at * kTileBytes);
    if (tile > 0) {
      wait_for(barriers.full_values[before], full_phase(tile - 1));
      begin_values<kWidth>(o, p, v + before * kTileBytes);
      products_wait<1>();
    } else {
      products_wait<0>();
    }

    // The keys have been used. Each of the eight consumer warps says so once.
    if (lane == 0) arrive(barriers.empty_keys[at]);
    softmax(tile);
    products_wait<0>();

    // And the values of the tile before.
    if (tile > 0 && lane == 0) arrive(barriers.empty_values[before]);
#pragma unroll
    for (int span = 0; span < kWidth / S::kSpan; ++span)
#pragma unroll
      for (int n = 0; n < S::kSpan / 8; ++n)
#pragma unroll
        for (int c = 0; c < 4; ++c) o[span][n][c] *= keep[c / 2];
    to_weights();
  }
  if (count > 0) {
    // The last tile's values are still to come.
    wait_for(barriers.full_values[place_of(count - 1)], full_phase(count - 1));
    begin_values<kWidth>(o, p, v + place_of(count - 1) * kTileBytes);
    products_wait<0>();
  }

  // Rows go by way of this warp's rows of Q, which nobody reads any more.
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

  // The place of a number in the panels is the one TMA would use.
  char* staged = reinterpret_cast<char*>(qs);
#pragma unroll
  for (int span = 0; span < kWidth / S::kSpan; ++span)
#pragma unroll
    for (int n = 0; n < S::kSpan / 8; ++n)
#pragma unroll
      for (int r = 0; r < 2; ++r)
        *reinterpret_cast<uint32_t*>(
            staged + put_by_tma(S::kRows, row + 8 * r,
                                S::kSpan * span + 8 * n + 2 * (lane % 4))) =
            pack(o[span][n][2 * r] * sum[r], o[span][n][2 * r + 1] * sum[r]);
  __syncwarp();
  for (int at = lane; at < 16 * kWidth / 8; at += 32) {
    const int at_row = 16 * warp + at / (kWidth / 8),
              column = at % (kWidth / 8) * 8;
    if (begin + at_row < a.queries)
      *reinterpret_cast<float4*>(
          a.o + (head * a.queries + begin + at_row) * kWidth + column) =
          *reinterpret_cast<const float4*>(staged +
                                           put_by_tma(S::kRows, at_row, column));
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
#if __CUDA_ARCH_FEAT_SM90_ALL
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
    make_barrier(barriers.queries, 1);
    for (int place = 0; place < kPlaces; ++place) {
      make_barrier(barriers.full_keys[place], 1),
          make_barrier(barriers.full_values[place], 1);
      make_barrier(barriers.empty_keys[place], 4 * S::kConsumers),
          make_barrier(barriers.empty_values[place], 4 * S::kConsumers);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  // The ways part.
  if (threadIdx.y < 4) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 0 && threadIdx.y == 0)
      produce<kWidth>(a, maps, barriers, qs, ks, vs, begin, head, count);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    consume<kWidth>(a, barriers, qs, ks, vs, begin, head, count);
  }
#endif
}

// What TMA needs to know of a tensor (matrices, rows, width): its sizes, its
// strides, and the box that one copy brings. The function that packs it belongs to
// the driver, and is asked for by name, so that the program starts without one.
inline CUtensorMap map_of(const BFloat16* x, int64_t matrices, int64_t rows,
                          int64_t width, int box_rows) {
  // Ask the driver for the function.
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000,
                                   cudaEnableDefault, &found);
  if (!entry || found != cudaDriverEntryPointSuccess)
    throw cr::DeviceError("wgmma: this driver knows no tensor maps");

  // Innermost first: the width, the rows of a head, the heads. A box is 64 columns
  // of some rows of one head, so it never reaches into the next: beyond the last
  // row TMA writes zeros.
  const cuuint64_t sizes[] = {cuuint64_t(width), cuuint64_t(rows),
                              cuuint64_t(matrices)};
  const cuuint64_t strides[] = {cuuint64_t(2 * width),
                                cuuint64_t(2 * width * rows)};
  const cuuint32_t box[] = {kPanel, cuuint32_t(box_rows), 1}, steps[] = {1, 1, 1};

  // The driver packs it; nothing is copied yet.
  CUtensorMap map;
  const CUresult result = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(
      entry)(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<BFloat16*>(x),
             sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw cr::DeviceError("wgmma: no tensor map for these sizes");
  return map;
}

template <class = void> void wgmma(const ForwardCall<BFloat16, float>& a) {
  with_width(a.width, [&](auto width) {
    constexpr int kWidth = width();
    if constexpr (kWidth >= 64) {
      using S = Shape6<kWidth>;

      // Three maps, and a block for every 128 queries of every head.
      const Maps maps = {
          map_of(a.q, a.batch * a.heads, a.queries, kWidth, S::kRows),
          map_of(a.k, a.batch * a.kv_heads, a.keys, kWidth, S::kColumns),
          map_of(a.v, a.batch * a.kv_heads, a.keys, kWidth, S::kColumns)};
      launch("wgmma", wgmma_kernel<kWidth>,
             {.blocks = {unsigned(tiles(a.queries, S::kRows)),
                         unsigned(a.batch * a.heads)},
              .threads = {32, S::kThreads / 32},
              .shared_bytes = S::kBytes},
             a, maps);
    }
  });
}

#else

template <class = void> void wgmma(const ForwardCall<BFloat16, float>&) {
  throw cr::DeviceError("wgmma: the emulator has no warpgroup products");
}

#endif

}  // namespace attention::CR_GPU
