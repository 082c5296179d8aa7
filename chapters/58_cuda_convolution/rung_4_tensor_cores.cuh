// Channels are padded with zeros to a multiple of eight, so that a copy of 16
// bytes, a **chunk**, is eight channels of one pixel. Images are (n, h, w, c),
// weights (o, kh, kw, c), the output is (n, out_h, out_w, o), all in bfloat16.
#pragma once

#include "product.cuh"
#include "tensor_core.cuh"

namespace cr::backend::CR_GPU {

constexpr int padded(int channels) { return (channels + 7) / 8 * 8; }

// ## Four stages
//
// The sum goes on in steps of 32: 32 channels of one tap, or, for the weights'
// gradient, 32 places. A block needs a tile of A and one of B for each step.
// Copying them takes hundreds of cycles and multiplying them a few dozen, so the
// copies have to run ahead.
constexpr int kStep = 32, kChunks = kStep / 8;

// Shared memory holds four **stages**, each with room for both tiles. While one is
// multiplied, three are on their way. (With two, as in a double buffer, only one
// would be. With eight, the block would need so much shared memory that fewer
// blocks fit on a processor, and those are the other thing that hides waiting.)
constexpr int kStages = 4;

// In each round a thread waits until its own copies of the oldest stage are there,
// and the barrier makes that everybody's copies. The same barrier says that all
// have finished with the stage of the round before; so it may be filled again, and
// one barrier a round is enough. `commit` closes a group even if nothing was
// copied, because `wait` counts groups.
template <class Fetch, class Multiply>
__device__ inline void pipeline(int steps, Fetch fetch, Multiply multiply) {
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fetch(step);
    commit();
  }
  for (int step = 0; step < steps; ++step) {
    wait<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) fetch(step + kStages - 1);
    commit();
    multiply(step % kStages);
  }

  // Shared memory is about to be used for something else.
  wait<0>();
  __syncthreads();
}

// ## One step of one warp
//
// A block has four warps, and each has a quarter of the tile: `kM` rows by `kN`
// columns, 32 × 32 or 64 × 64. The sums stay in registers from the first step to
// the last, 64 × 64 / 32 = 128 of them in each thread, half of all it may have.
//
// A step of 32 is two instructions deep. For each half the warp fetches `kM` / 16
// fragments of A and `kN` / 8 of B (two at a time, since `ldmatrix` brings four
// registers), and multiplies each with each. For 64 × 64 that is eight fetches for
// 32 `mma`: it is the register tile of rung 3 once more, and a register has become
// a fragment.
//
// `kDown` says how the tile lies: with the sum along its rows, or down its columns.
// Then the row that a lane names is one of the sum, and `rows_a` and `rows_b` are
// the chunks in a row of either tile.
template <bool kDown, int kM, int kN>
__device__ inline void multiply_step(FragmentC (&sum)[kM / 16][kN / 8],
                                     const Chunk* a, const Chunk* b, int m, int n,
                                     int rows_a, int rows_b) {
  const int lane = int(threadIdx.x) % 32;
  const Spot of_a = kDown ? names_of_a_down(lane) : names_of_a(lane);
  const Spot of_b = kDown ? names_of_b_down(lane) : names_of_b(lane);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    FragmentA left[kM / 16], right[kN / 16];
#pragma unroll
    for (int u = 0; u < kM / 16; ++u)
      left[u] = ldmatrix<kDown>(
          a +
          (kDown
               ? swizzled(16 * half + of_a.row, m / 8 + 2 * u + of_a.column, rows_a)
               : swizzled(m + 16 * u + of_a.row, 2 * half + of_a.column, rows_a)));
#pragma unroll
    for (int v = 0; v < kN / 16; ++v)
      right[v] = ldmatrix<kDown>(
          b +
          (kDown
               ? swizzled(16 * half + of_b.row, n / 8 + 2 * v + of_b.column, rows_b)
               : swizzled(n + 16 * v + of_b.row, 2 * half + of_b.column, rows_b)));

      // Registers 0 and 1 of `right` are one fragment of B, 2 and 3 the next.
#pragma unroll
    for (int u = 0; u < kM / 16; ++u)
#pragma unroll
      for (int v = 0; v < kN / 8; ++v)
        mma(sum[u][v], left[u],
            {{right[v / 2].r[v % 2 * 2], right[v / 2].r[v % 2 * 2 + 1]}});
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
  int m, n, channels;  // rows; columns; channels that are summed over, padded
  const uint16_t *x, *w;
  uint16_t* y;
};

template <int kM, int kN, bool kBack>
__global__ void __launch_bounds__(128) tensor_kernel(Walk p) {
  const Map& map = p.map;
  auto* shared = dynamic_shared<Chunk>();
  const int thread = int(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int i0 = int(blockIdx.x) * kM, j0 = int(blockIdx.y) * kN;
  const int warp_m = warp / 2 * (kM / 2), warp_n = warp % 2 * (kN / 2);

  // Four threads copy a row of 32 channels, one chunk each, so 128 threads copy 32
  // rows at a time. A thread has the same chunk of the same few rows in every step,
  // and where those rows lie in the image is worked out once, before the loop:
  // divisions are dear.
  const int chunk = thread % kChunks, line = thread / kChunks;
  Place at[kM / 32];
#pragma unroll
  for (int q = 0; q < kM / 32; ++q)
    at[q] = kBack ? map.pixel(i0 + line + 32 * q) : map.place(i0 + line + 32 * q);

  // A step belongs to one tap. So all rows move over by the same amount, and
  // whether that is still inside of the image is asked once for eight channels. In
  // the layout (n, c, h, w) we asked for every single number.
  const int steps_per_tap = (p.channels + kStep - 1) / kStep;
  const auto fetch = [&](int step) {
    Chunk* a = shared + step % kStages * (kM + kN) * kChunks;
    Chunk* b = a + kM * kChunks;
    const int tap = step / steps_per_tap;
    const int r = map.by_kw.of(tap), s = tap - r * map.d.kw;
    const int channel = step % steps_per_tap * kStep + chunk * 8;
#pragma unroll
    for (int q = 0; q < kM / 32; ++q) {
      const int row = line + 32 * q;
      int y = 0, x = 0;
      const bool inside =
          i0 + row < p.m && channel < p.channels &&
          (kBack ? map.seen_from(at[q], r, s, y, x) : map.sees(at[q], r, s, y, x));
      const int high = kBack ? map.out_h : map.d.h,
                wide = kBack ? map.out_w : map.d.w;
      const int64_t from =
          ((int64_t{at[q].image} * high + y) * wide + x) * p.channels + channel;
      copy_async(a + swizzled(row, chunk, kChunks), inside ? p.x + from : p.x,
                 inside);
    }

    // The weights are a plain matrix: a row for each filter, and in it tap after
    // tap.
#pragma unroll
    for (int q = 0; q < kN / 32; ++q) {
      const int row = line + 32 * q;
      const bool inside = j0 + row < p.n && channel < p.channels;
      const int64_t from =
          (int64_t{j0 + row} * map.d.taps() + tap) * p.channels + channel;
      copy_async(b + swizzled(row, chunk, kChunks), inside ? p.w + from : p.w,
                 inside);
    }
  };

  FragmentC sum[kM / 32][kN / 16] = {};
  pipeline(map.d.taps() * steps_per_tap, fetch, [&](int stage) {
    const Chunk* a = shared + stage * (kM + kN) * kChunks;
    multiply_step<false, kM / 2, kN / 2>(sum, a, a + kM * kChunks, warp_m, warp_n,
                                         kChunks, kChunks);
  });

  // A fragment of C has two neighbours in a thread, four bytes in bfloat16. Sent to
  // memory like that, a warp would write eight rows of 16 bytes, half a sector
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
        const Spot spot = spot_of_c(lane, r);
        const int row = warp_m + 16 * u + spot.row,
                  column = warp_n + 8 * v + spot.column;
        tile[row * kOutRow * 4 + column / 2] =
            uint32_t(to_bfloat16(sum[u][v].r[r])) |
            uint32_t(to_bfloat16(sum[u][v].r[r + 1])) << 16;
      }
  __syncthreads();
  for (int q = thread; q < kM * kN / 8; q += 128) {
    const int row = q / (kN / 8), column = q % (kN / 8) * 8;
    if (i0 + row < p.m && j0 + column < p.n)
      *reinterpret_cast<Chunk*>(p.y + int64_t{i0 + row} * padded(p.n) + j0 +
                                column) = shared[row * kOutRow + column / 8];
  }
}

// Shared memory for a tile: what the stages need, or what the way out needs,
// whichever is more. For 128 × 128 it is 64 KB, so a processor of an A100 or H100
// holds two such blocks or three.
constexpr size_t shared_for(int m, int n) {
  const int stages = kStages * (m + n) * kChunks, out = m * (n / 8 + 1);
  return sizeof(Chunk) * size_t(stages > out ? stages : out);
}

template <int kM, int kN, bool kBack>
void launch_walk(const char* name, const Walk& p) {
  launch(name, tensor_kernel<kM, kN, kBack>,
         {.blocks = {blocks_for(p.m, kM), blocks_for(p.n, kN)},
          .threads = {128},
          .shared_bytes = shared_for(kM, kN)},
         p);
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
  int m, n, parts;  // filters, channels, parts of the sum
  const uint16_t *dy, *x;
  float* partial;  // (parts, o, kh, kw, padded c)
};

template <int kM, int kN>
__global__ void __launch_bounds__(128) tensor_weight_kernel(WalkBack p) {
  constexpr int kRowA = kM / 8, kRowB = kN / 8, kStage = kStep * (kRowA + kRowB);
  const Map& map = p.map;
  auto* shared = dynamic_shared<Chunk>();
  const int thread = int(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int i0 = int(blockIdx.x) * kM, j0 = int(blockIdx.y) * kN;
  const int tap = int(blockIdx.z) / p.parts, part = int(blockIdx.z) % p.parts;
  const int r = map.by_kw.of(tap), s = tap - r * map.d.kw;
  const int warp_m = warp / 2 * (kM / 2), warp_n = warp % 2 * (kN / 2);

  // This part's share of the steps. Shares differ by one at most.
  const int places = map.d.places(), all = (places + kStep - 1) / kStep;
  const int first = all * part / p.parts,
            steps = all * (part + 1) / p.parts - first;

  // Rows change with every step here, so each is looked up in the map when it
  // comes.
  const auto fetch = [&](int step) {
    Chunk* a = shared + step % kStages * kStage;
    Chunk* b = a + kStep * kRowA;
    for (int q = thread; q < kStep * kRowA; q += 128) {
      const int row = q / kRowA, chunk = q % kRowA;
      const int place = (first + step) * kStep + row, filter = i0 + chunk * 8;
      const bool inside = place < places && filter < p.m;
      copy_async(a + swizzled(row, chunk, kRowA),
                 inside ? p.dy + int64_t{place} * padded(p.m) + filter : p.dy,
                 inside);
    }
    for (int q = thread; q < kStep * kRowB; q += 128) {
      const int row = q / kRowB, chunk = q % kRowB;
      const int place = (first + step) * kStep + row, channel = j0 + chunk * 8;
      const Place at = map.place(place);
      int y = 0, x = 0;
      const bool inside =
          place < places && channel < p.n && map.sees(at, r, s, y, x);
      const int64_t from =
          ((int64_t{at.image} * map.d.h + y) * map.d.w + x) * padded(p.n) + channel;
      copy_async(b + swizzled(row, chunk, kRowB), inside ? p.x + from : p.x,
                 inside);
    }
  };

  FragmentC sum[kM / 32][kN / 16] = {};
  pipeline(steps, fetch, [&](int stage) {
    const Chunk* a = shared + stage * kStage;
    multiply_step<true, kM / 2, kN / 2>(sum, a, a + kStep * kRowA, warp_m, warp_n,
                                        kRowA, kRowB);
  });

  // The result is small and in float32; it goes out as it lies in the fragments.
#pragma unroll
  for (int u = 0; u < kM / 32; ++u)
#pragma unroll
    for (int v = 0; v < kN / 16; ++v)
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        const Spot spot = spot_of_c(lane, q);
        const int filter = i0 + warp_m + 16 * u + spot.row,
                  channel = j0 + warp_n + 8 * v + spot.column;
        if (filter < p.m && channel < padded(p.n))
          p.partial[((int64_t{part} * p.m + filter) * map.d.taps() + tap) *
                        padded(p.n) +
                    channel] = sum[u][v].r[q];
      }
}

template <int kM, int kN> void launch_walk_back(const WalkBack& p) {
  launch("tensor weight gradient", tensor_weight_kernel<kM, kN>,
         {.blocks = {blocks_for(p.m, kM), blocks_for(p.n, kN),
                     unsigned(p.map.d.taps() * p.parts)},
          .threads = {128},
          .shared_bytes = sizeof(Chunk) * kStages * kStep * (kM + kN) / 8},
         p);
}

}  // namespace cr::backend::CR_GPU
