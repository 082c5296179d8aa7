// Channels are padded with zeros to a multiple of eight, so that a copy of 16
// bytes, a **chunk**, is eight channels of one pixel. Images are (n, h, w, c),
// weights (o, kh, kw, c), the output is (n, out_h, out_w, o), all in bfloat16. One
// group only: with several, a tile would have too few columns to be worth a tensor
// core.
#pragma once

#include "backend/gpu/async_copy.cuh"
#include "backend/gpu/tensor_core.cuh"
#include "rung_3_implicit.cuh"
#include "tensor/half.hpp"

namespace cr::backend::CR_GPU {

// ## Four stages
//
// The sum goes on in steps of 32, four chunks. A block needs a tile of either factor
// for each step. Copying them takes hundreds of cycles. Multiplying a step of 64 × 64
// results takes an H100's multiprocessor 64 cycles at its peak of 2048 multiply-adds
// in each ($64 \cdot 64 \cdot 32 / 2048$), one of 128 × 128 results 256; twice that
// on an A100. So the copies have to run ahead, as in [chapter
// 57](../57_cuda_matmul/main.cpp#double-buffering).
constexpr int kStep = 32, kChunks = kStep / 8;

// Shared memory holds four **stages**, each with room for both tiles. While one is
// multiplied, three are on their way. (With two, as in a double buffer, only one
// would be. With eight, the block would need so much shared memory that fewer
// blocks fit on a processor, and those are the other thing that hides waiting.)
constexpr int kStages = 4;

// In each round a thread waits until its own copies of the oldest stage are there,
// and the barrier makes that everybody's copies. The same barrier says that all
// have finished with the stage of the round before; so it may be filled again, and
// one barrier a round is enough. A batch is closed even if nothing was copied,
// because batches are what is counted when one waits.
template <class Fetch, class Multiply>
__device__ inline void pipeline(int steps, Fetch fetch, Multiply multiply) {
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fetch(step);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) fetch(step + kStages - 1);
    commit_copies();
    multiply(step % kStages);
  }

  // Shared memory is about to be used for something else.
  wait_for_copies<0>();
  __syncthreads();
}

// ## One step of one warp
//
// A block has four warps, and each has a quarter of the tile: `kM` rows by `kN`
// columns, 32 × 32 or 64 × 64. The sums stay in registers from the first step to
// the last, 64 × 64 / 32 = 128 of them in each thread, half of all it may have.
//
// A step of 32 is two instructions deep. For each half the warp fetches `kM` / 16
// fragments of the left factor and `kN` / 8 of the right one (two at a time, since
// `ldmatrix` brings four registers), and multiplies each with each. For 64 × 64 that
// is eight fetches for 32 `mma`: it is the register tile of rung 3 once more, and a
// register has become a fragment.
//
// `kDown` says how the tile lies: with the sum along its rows, or down its columns.
// Then the row that a lane names is one of the sum, and the two factors change
// roles. `wide_a` and `wide_b` are the chunks in a row of either tile.
template <bool kDown, int kM, int kN>
__device__ inline void multiply_step(float (&sum)[kM / 16][kN / 8][4],
                                     const uint4* a, const uint4* b, int m, int n,
                                     int wide_a, int wide_b) {
  using fragment::swizzled;
  const int lane = int(threadIdx.x) % 32;
  const fragment::Chunk one = fragment::named_for_a(lane),
                        other = fragment::named_for_b(lane);
  const fragment::Chunk of_a = kDown ? other : one, of_b = kDown ? one : other;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t left[kM / 16][4], right[kN / 16][4];
#pragma unroll
    for (int u = 0; u < kM / 16; ++u)
      ldmatrix<kDown>(left[u],
                      a + (kDown ? swizzled(16 * half + of_a.row,
                                            m / 8 + 2 * u + of_a.chunk, wide_a)
                                 : swizzled(m + 16 * u + of_a.row,
                                            2 * half + of_a.chunk, wide_a)));
#pragma unroll
    for (int v = 0; v < kN / 16; ++v)
      ldmatrix<kDown>(right[v],
                      b + (kDown ? swizzled(16 * half + of_b.row,
                                            n / 8 + 2 * v + of_b.chunk, wide_b)
                                 : swizzled(n + 16 * v + of_b.row,
                                            2 * half + of_b.chunk, wide_b)));

      // Registers 0 and 1 of `right` are one fragment, 2 and 3 the next.
#pragma unroll
    for (int u = 0; u < kM / 16; ++u)
#pragma unroll
      for (int v = 0; v < kN / 8; ++v)
        mma_bf16(sum[u][v], left[u], right[v / 2][v % 2 * 2],
                 right[v / 2][v % 2 * 2 + 1]);
  }
}

// ## Forward, and back to the image
//
// One kernel serves both. On the way back (`kBack`) rows are pixels of the input,
// columns are its channels, the map is asked from the other side, and the weights
// come turned round as (c, kh, kw, o): then the filters, which are summed over, lie
// next to each other.
struct Walk {
  Map map;
  int rows, columns;
  Divide by_chunks;  // chunks of a pixel that is summed over
  const BFloat16 *x, *w;
  BFloat16* y;
};

template <int kM, int kN, bool kBack>
__global__ void __launch_bounds__(128) tensor_kernel(Walk walk) {
  const Map& map = walk.map;
  auto* shared = dynamic_shared<uint4>();
  const int thread = int(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int i0 = int(blockIdx.x) * kM, j0 = int(blockIdx.y) * kN;
  const int warp_m = warp / 2 * (kM / 2), warp_n = warp % 2 * (kN / 2);

  // Four threads copy the four chunks of a row, so 128 threads copy 32 rows at a
  // time. A thread has the same few rows in every step, and where those lie in the
  // image is worked out once, before the loop.
  const int chunk = thread % kChunks, line = thread / kChunks;
  Place at[kM / 32];
#pragma unroll
  for (int q = 0; q < kM / 32; ++q)
    at[q] = kBack ? map.pixel(i0 + line + 32 * q) : map.place(i0 + line + 32 * q);

  // Number the chunks of the sum through: all those of the first tap, then those of
  // the second. So a chunk belongs to one tap, all rows move over by the same
  // amount, and whether that is still inside of the image is asked once for eight
  // channels. In the layout (n, c, h, w) we asked for every single number.
  const int per_pixel = walk.by_chunks.by, chunks = map.by_taps.by * per_pixel;
  const auto fetch = [&](int step) {
    uint4* a = shared + step % kStages * (kM + kN) * kChunks;
    uint4* b = a + kM * kChunks;
    const int k = step * kChunks + chunk;
    const int tap = walk.by_chunks.of(k), r = map.by_kw.of(tap);
    const int s = tap - r * map.d.kw, of_pixel = k - tap * per_pixel;
#pragma unroll
    for (int q = 0; q < kM / 32; ++q) {
      const int row = line + 32 * q;
      int y = 0, x = 0;
      const bool inside =
          i0 + row < walk.rows && k < chunks &&
          (kBack ? map.seen_from(at[q], r, s, y, x) : map.sees(at[q], r, s, y, x));
      const int high = kBack ? map.out_h : map.d.h,
                wide = kBack ? map.out_w : map.d.w;
      const int pixel = (at[q].image * high + y) * wide + x;
      const int64_t from = int64_t{pixel} * per_pixel + of_pixel;
      copy_async<16>(a + fragment::swizzled(row, chunk, kChunks),
                     inside ? walk.x + 8 * from : walk.x, inside);
    }

    // The weights are a plain matrix: a row for each filter, and in it chunk after
    // chunk.
#pragma unroll
    for (int q = 0; q < kN / 32; ++q) {
      const int row = line + 32 * q;
      const bool inside = j0 + row < walk.columns && k < chunks;
      const int64_t from = int64_t{j0 + row} * chunks + k;
      copy_async<16>(b + fragment::swizzled(row, chunk, kChunks),
                     inside ? walk.w + 8 * from : walk.w, inside);
    }
  };

  float sum[kM / 32][kN / 16][4] = {};
  pipeline((chunks + kChunks - 1) / kChunks, fetch, [&](int stage) {
    const uint4* a = shared + stage * (kM + kN) * kChunks;
    multiply_step<false, kM / 2, kN / 2>(sum, a, a + kM * kChunks, warp_m, warp_n,
                                         kChunks, kChunks);
  });

  // A fragment of sums has two neighbours in a thread, four bytes in bfloat16. Sent
  // to memory like that, a warp would write eight rows of 16 bytes, half a sector
  // each. So fragments go out by way of shared memory, from where whole rows leave
  // in chunks. One spare chunk in each row keeps the rows off each other's banks.
  constexpr int kOutRow = kN / 8 + 1;
  auto* tile = reinterpret_cast<uint32_t*>(shared);
#pragma unroll
  for (int u = 0; u < kM / 32; ++u)
#pragma unroll
    for (int v = 0; v < kN / 16; ++v)
#pragma unroll
      for (int r = 0; r < 4; r += 2) {
        const fragment::Place spot = fragment::c(lane, r);
        const int row = warp_m + 16 * u + spot.row,
                  column = warp_n + 8 * v + spot.column;
        tile[row * kOutRow * 4 + column / 2] =
            pack_bf16(sum[u][v][r], sum[u][v][r + 1]);
      }
  __syncthreads();
#pragma unroll
  for (int q = 0; q < kM * kN / 8 / 128; ++q) {
    const int piece = thread + 128 * q, row = piece / (kN / 8),
              column = piece % (kN / 8) * 8;
    if (i0 + row < walk.rows && j0 + column < walk.columns)
      *reinterpret_cast<uint4*>(walk.y + int64_t{i0 + row} * padded(walk.columns) +
                                j0 + column) = shared[row * kOutRow + column / 8];
  }
}

// Shared memory for a tile: what the stages need, or what the way out needs,
// whichever is more.
constexpr size_t shared_for(int m, int n) {
  const int stages = kStages * (m + n) * kChunks, out = m * (n / 8 + 1);
  return 16 * size_t(stages > out ? stages : out);
}

template <int kM, int kN, bool kBack>
void launch_walk(const char* name, const Walk& walk) {
  launch(name, tensor_kernel<kM, kN, kBack>,
         {.blocks = {blocks_for(walk.rows, kM), blocks_for(walk.columns, kN)},
          .threads = {128},
          .shared_bytes = shared_for(kM, kN),
          .needs = 80},
         walk);
}

// Which tile? A larger one fetches less for each multiply-add. But a GPU has more
// than a hundred processors, and a tile is the work of one. ResNet's 3 × 3 layer of
// 256 channels at 14 × 14, for 32 images, is a product of 6272 rows and 256 columns:
// 49 · 2 = 98 tiles of 128 × 128 for the 132 processors of an H100. With 128 × 64 it
// is 196, and all have something to do. So: the largest tile that leaves nobody
// idle.
template <bool kBack>
void choose_tile(const char* name, const Walk& walk, int processors) {
  const auto busy = [&](int m, int n) {
    return int64_t{blocks_for(walk.rows, m)} * blocks_for(walk.columns, n) >=
           processors;
  };
  if (walk.columns > 64 && busy(128, 128)) launch_walk<128, 128, kBack>(name, walk);
  else if (busy(128, 64)) launch_walk<128, 64, kBack>(name, walk);
  else launch_walk<64, 64, kBack>(name, walk);
}

// ## Back to the weights
//
// $\partial L / \partial w_{o,r,s,c}$ sums over places, and in (n, h, w, c) the
// places of one channel are not neighbours: channels are. So the tiles are copied
// as they lie, a row for each place and in it filters or channels, and the sum goes
// *down* the columns. That is what the transposed form of `ldmatrix` is for.
//
// A block has `kM` filters and `kN` channels of one tap. There are few such blocks:
// for 64 filters, 64 channels and 9 taps only nine, on a GPU with more than a
// hundred processors, and each would walk through all places of all images. As in
// rung 3 the sum is cut into `parts`, and the parts are added up in a fixed order.
struct WalkBack {
  Map map;
  int rows, columns, parts;  // filters, channels, parts of the sum
  Divide by_parts;
  const BFloat16 *dy, *x;
  float* partial;  // (parts, o, kh, kw, padded c)
};

template <int kM, int kN>
__global__ void __launch_bounds__(128) tensor_weight_kernel(WalkBack walk) {
  constexpr int kWideA = kM / 8, kWideB = kN / 8,
                kStage = kStep * (kWideA + kWideB);
  const Map& map = walk.map;
  auto* shared = dynamic_shared<uint4>();
  const int thread = int(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int i0 = int(blockIdx.x) * kM, j0 = int(blockIdx.y) * kN;
  const int tap = walk.by_parts.of(int(blockIdx.z)),
            part = int(blockIdx.z) - tap * walk.parts;
  const int r = map.by_kw.of(tap), s = tap - r * map.d.kw;
  const int warp_m = warp / 2 * (kM / 2), warp_n = warp % 2 * (kN / 2);

  // This part's share of the steps. Shares differ by one at most.
  const int64_t all = (map.places + kStep - 1) / kStep;
  const int first = int(all * part / walk.parts),
            steps = int(all * (part + 1) / walk.parts) - first;

  // Rows change with every step here, so each is looked up in the map when it
  // comes.
  const auto fetch = [&](int step) {
    uint4* a = shared + step % kStages * kStage;
    uint4* b = a + kStep * kWideA;
#pragma unroll
    for (int q = 0; q < kStep * kWideA / 128; ++q) {
      const int row = (thread + 128 * q) / kWideA,
                chunk = (thread + 128 * q) % kWideA;
      const int place = (first + step) * kStep + row, filter = i0 + chunk * 8;
      const bool inside = place < map.places && filter < walk.rows;
      copy_async<16>(
          a + fragment::swizzled(row, chunk, kWideA),
          inside ? walk.dy + int64_t{place} * padded(walk.rows) + filter : walk.dy,
          inside);
    }
#pragma unroll
    for (int q = 0; q < kStep * kWideB / 128; ++q) {
      const int row = (thread + 128 * q) / kWideB,
                chunk = (thread + 128 * q) % kWideB;
      const int place = (first + step) * kStep + row, channel = j0 + chunk * 8;
      const Place at = map.place(place);
      int y = 0, x = 0;
      const bool inside =
          place < map.places && channel < walk.columns && map.sees(at, r, s, y, x);
      const int pixel = (at.image * map.d.h + y) * map.d.w + x;
      const int64_t from = int64_t{pixel} * padded(walk.columns) + channel;
      copy_async<16>(b + fragment::swizzled(row, chunk, kWideB),
                     inside ? walk.x + from : walk.x, inside);
    }
  };

  float sum[kM / 32][kN / 16][4] = {};
  pipeline(steps, fetch, [&](int stage) {
    const uint4* a = shared + stage * kStage;
    multiply_step<true, kM / 2, kN / 2>(sum, a, a + kStep * kWideA, warp_m, warp_n,
                                        kWideA, kWideB);
  });

  // The result is small and in float32; it goes out as it lies in the fragments.
#pragma unroll
  for (int u = 0; u < kM / 32; ++u)
#pragma unroll
    for (int v = 0; v < kN / 16; ++v)
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        const fragment::Place spot = fragment::c(lane, q);
        const int filter = i0 + warp_m + 16 * u + spot.row,
                  channel = j0 + warp_n + 8 * v + spot.column;
        if (filter < walk.rows && channel < padded(walk.columns))
          walk.partial[((int64_t{part} * walk.rows + filter) * map.by_taps.by +
                        tap) *
                           padded(walk.columns) +
                       channel] = sum[u][v][q];
      }
}

template <int kM, int kN> void launch_walk_back(const WalkBack& walk) {
  launch("tensor weight gradient", tensor_weight_kernel<kM, kN>,
         {.blocks = {blocks_for(walk.rows, kM), blocks_for(walk.columns, kN),
                     unsigned(walk.map.d.taps() * walk.parts)},
          .threads = {128},
          .shared_bytes = 16 * kStages * kStep * (kM + kN) / 8,
          .needs = 80},
         walk);
}

// ## The same calls in bfloat16
inline void tensor_forward(const Conv& d, int processors, const BFloat16* x,
                           const BFloat16* w, BFloat16* y) {
  choose_tile<false>("tensor forward",
                     {Map(d), d.places(), d.o, Divide(padded(d.c) / 8), x, w, y},
                     processors);
}

inline void tensor_data_gradient(const Conv& d, int processors, const BFloat16* dy,
                                 const BFloat16* turned, BFloat16* dx) {
  choose_tile<true>(
      "tensor data gradient",
      {Map(d), d.pixels(), d.c, Divide(padded(d.o) / 8), dy, turned, dx},
      processors);
}

inline void tensor_weight_gradient(const Conv& d, const BFloat16* x,
                                   const BFloat16* dy, int parts, float* partial,
                                   float* dw) {
  const WalkBack walk = {Map(d),        d.o, d.c, parts,
                         Divide(parts), dy,  x,   parts == 1 ? dw : partial};
  if (d.o > 64 && d.c > 64) launch_walk_back<128, 128>(walk);
  else launch_walk_back<64, 64>(walk);
  if (parts > 1)
    add_parts(partial, parts, int64_t{d.o} * d.taps() * padded(d.c), dw);
}

}  // namespace cr::backend::CR_GPU
