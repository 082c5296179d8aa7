// The shapes of this rung. Channels are padded with zeros to a multiple of eight, so that
// a copy of 16 bytes is eight channels of one pixel. Images are (n, h, w, c), weights (o,
// kh, kw, c), the output (n, out_h, out_w, o), all in bfloat16.
#pragma once

#include "product.cuh"
#include "tensor_core.cuh"

namespace cr::backend::CR_GPU {

constexpr int padded(int channels) { return (channels + 7) / 8 * 8; }

// A tile of `kM` places by `kN` filters is cut among four warps, two by two. The sum goes on
// in steps of 32 channels of one tap.
constexpr int kStep = 32, kChunks = kStep / 8;

// While one step is multiplied, the next ones are on their way: `kStages` pieces of shared
// memory take turns.
constexpr int kStages = 4;

// ## Forward, and back to the image
//
// One kernel serves both. On the way back (`kBack`) rows are pixels of the input, channels
// are filters, the map is asked from the other side, and the weights come turned round as
// (c, kh, kw, o).
struct Walk {
  Map map;
  int m, n, channels;  // rows; columns; channels that are summed over, padded
  const uint16_t *x, *w;
  uint16_t* y;
};

template <int kM, int kN, bool kBack>
__global__ void __launch_bounds__(128) tensor_kernel(Walk p) {
  constexpr int kWarpM = kM / 2, kWarpN = kN / 2;
  constexpr int kStage = (kM + kN) * kChunks;
  auto* shared = dynamic_shared<Chunk>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32,
            warp = thread / 32;
  const int i0 = static_cast<int>(blockIdx.x) * kM,
            j0 = static_cast<int>(blockIdx.y) * kN;
  const int warp_m = warp / 2 * kWarpM, warp_n = warp % 2 * kWarpN;

  // A thread copies the same chunk of the same few rows in each step. Where these rows lie
  // in the image is worked out once.
  const int chunk = thread % kChunks, line = thread / kChunks;
  Place at[kM / 32];
#pragma unroll
  for (int q = 0; q < kM / 32; ++q)
    at[q] =
        kBack ? p.map.pixel(i0 + line + 32 * q) : p.map.place(i0 + line + 32 * q);

  const int steps_per_tap = (p.channels + kStep - 1) / kStep;
  const int steps = p.map.d.taps() * steps_per_tap;
  auto fetch = [&](int step) {
    Chunk* a = shared + step % kStages * kStage;
    Chunk* b = a + kM * kChunks;
    const int tap = step / steps_per_tap;
    const int r = p.map.by_kw.of(tap), s = tap - r * p.map.d.kw;
    const int channel = step % steps_per_tap * kStep + chunk * 8;
#pragma unroll
    for (int q = 0; q < kM / 32; ++q) {
      const int row = line + 32 * q;
      int y = 0, x = 0;
      const bool inside = i0 + row < p.m && channel < p.channels &&
                          (kBack ? p.map.seen_from(at[q], r, s, y, x)
                                 : p.map.sees(at[q], r, s, y, x));
      const int high = kBack ? p.map.out_h : p.map.d.h,
                wide = kBack ? p.map.out_w : p.map.d.w;
      const int64_t from =
          ((int64_t{at[q].image} * high + y) * wide + x) * p.channels + channel;
      copy_async(a + swizzled(row, chunk, kChunks), inside ? p.x + from : p.x,
                 inside);
    }
#pragma unroll
    for (int q = 0; q < kN / 32; ++q) {
      const int row = line + 32 * q;
      const bool inside = j0 + row < p.n && channel < p.channels;
      const int64_t from =
          (int64_t{j0 + row} * p.map.d.taps() + tap) * p.channels + channel;
      copy_async(b + swizzled(row, chunk, kChunks), inside ? p.w + from : p.w,
                 inside);
    }
  };

  // All stages but one are filled in advance. From then on each round waits for the oldest,
  // sends for a new one in the place of the one just used, and multiplies.
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fetch(step);
    commit();
  }
  FragmentC sum[kWarpM / 16][kWarpN / 8] = {};
  for (int step = 0; step < steps; ++step) {
    wait<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) fetch(step + kStages - 1);
    commit();
    const Chunk* a = shared + step % kStages * kStage;
    const Chunk* b = a + kM * kChunks;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      FragmentA left[kWarpM / 16], right[kWarpN / 16];
#pragma unroll
      for (int u = 0; u < kWarpM / 16; ++u) {
        const Spot named = names_of_a(lane);
        left[u] = ldmatrix<false>(a + swizzled(warp_m + 16 * u + named.row,
                                               2 * half + named.column, kChunks));
      }
#pragma unroll
      for (int v = 0; v < kWarpN / 16; ++v) {
        const Spot named = names_of_b(lane);
        right[v] = ldmatrix<false>(b + swizzled(warp_n + 16 * v + named.row,
                                                2 * half + named.column, kChunks));
      }
#pragma unroll
      for (int u = 0; u < kWarpM / 16; ++u)
#pragma unroll
        for (int v = 0; v < kWarpN / 8; ++v) {
          const uint32_t* pair = right[v / 2].r + v % 2 * 2;
          mma(sum[u][v], left[u], {{pair[0], pair[1]}});
        }
    }
  }

  // Fragments go out by way of shared memory, so that a row leaves in chunks of 16 bytes.
  // One spare chunk in each row keeps the rows off each other's banks.
  wait<0>();
  __syncthreads();
  constexpr int kOutChunks = kN / 8 + 1;
  auto* tile = reinterpret_cast<uint32_t*>(shared);
#pragma unroll
  for (int u = 0; u < kWarpM / 16; ++u)
#pragma unroll
    for (int v = 0; v < kWarpN / 8; ++v)
#pragma unroll
      for (int r = 0; r < 4; r += 2) {
        const Spot spot = spot_of_c(lane, r);
        const int row = warp_m + 16 * u + spot.row,
                  column = warp_n + 8 * v + spot.column;
        tile[row * kOutChunks * 4 + column / 2] =
            static_cast<uint32_t>(to_bfloat16(sum[u][v].r[r])) |
            static_cast<uint32_t>(to_bfloat16(sum[u][v].r[r + 1])) << 16;
      }
  __syncthreads();
  for (int q = thread; q < kM * kN / 8; q += 128) {
    const int row = q / (kN / 8), column = q % (kN / 8) * 8;
    if (i0 + row < p.m && j0 + column < p.n)
      *reinterpret_cast<Chunk*>(p.y + int64_t{i0 + row} * padded(p.n) + j0 +
                                column) = shared[row * kOutChunks + column / 8];
  }
}

constexpr size_t shared_for(int m, int n) {
  const int stages = kStages * (m + n) * kChunks, out = m * (n / 8 + 1);
  return sizeof(Chunk) * static_cast<size_t>(stages > out ? stages : out);
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
// Here the sum runs over places, and in (n, h, w, c) the places of one channel are not
// neighbours: channels are. So the tiles lie in shared memory with the sum going *down*, and
// `ldmatrix` hands them over transposed. A block has `kM` filters and `kN` channels of one
// tap.
struct WalkBack {
  Map map;
  int m, n, parts;  // filters, channels, parts of the sum
  const uint16_t *dy, *x;
  float* partial;  // (parts, o, kh, kw, padded c)
};

template <int kM, int kN>
__global__ void __launch_bounds__(128) tensor_weight_kernel(WalkBack p) {
  constexpr int kWarpM = kM / 2, kWarpN = kN / 2, kRowA = kM / 8, kRowB = kN / 8;
  constexpr int kStage = kStep * (kRowA + kRowB);
  auto* shared = dynamic_shared<Chunk>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32,
            warp = thread / 32;
  const int i0 = static_cast<int>(blockIdx.x) * kM,
            j0 = static_cast<int>(blockIdx.y) * kN;
  const int tap = static_cast<int>(blockIdx.z) / p.parts,
            part = static_cast<int>(blockIdx.z) % p.parts;
  const int r = p.map.by_kw.of(tap), s = tap - r * p.map.d.kw;
  const int warp_m = warp / 2 * kWarpM, warp_n = warp % 2 * kWarpN;

  const int places = p.map.d.places(), all = (places + kStep - 1) / kStep;
  const int first = all * part / p.parts,
            steps = all * (part + 1) / p.parts - first;
  auto fetch = [&](int step) {
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
      const Place at = p.map.place(place);
      int y = 0, x = 0;
      const bool inside =
          place < places && channel < p.n && p.map.sees(at, r, s, y, x);
      const int64_t from =
          ((int64_t{at.image} * p.map.d.h + y) * p.map.d.w + x) * padded(p.n) +
          channel;
      copy_async(b + swizzled(row, chunk, kRowB), inside ? p.x + from : p.x,
                 inside);
    }
  };

  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fetch(step);
    commit();
  }
  FragmentC sum[kWarpM / 16][kWarpN / 8] = {};
  for (int step = 0; step < steps; ++step) {
    wait<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) fetch(step + kStages - 1);
    commit();
    const Chunk* a = shared + step % kStages * kStage;
    const Chunk* b = a + kStep * kRowA;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      FragmentA left[kWarpM / 16], right[kWarpN / 16];
#pragma unroll
      for (int u = 0; u < kWarpM / 16; ++u) {
        const Spot named = names_of_a_down(lane);
        left[u] =
            ldmatrix<true>(a + swizzled(16 * half + named.row,
                                        warp_m / 8 + 2 * u + named.column, kRowA));
      }
#pragma unroll
      for (int v = 0; v < kWarpN / 16; ++v) {
        const Spot named = names_of_b_down(lane);
        right[v] =
            ldmatrix<true>(b + swizzled(16 * half + named.row,
                                        warp_n / 8 + 2 * v + named.column, kRowB));
      }
#pragma unroll
      for (int u = 0; u < kWarpM / 16; ++u)
#pragma unroll
        for (int v = 0; v < kWarpN / 8; ++v) {
          const uint32_t* pair = right[v / 2].r + v % 2 * 2;
          mma(sum[u][v], left[u], {{pair[0], pair[1]}});
        }
    }
  }

  const int taps = p.map.d.taps();
#pragma unroll
  for (int u = 0; u < kWarpM / 16; ++u)
#pragma unroll
    for (int v = 0; v < kWarpN / 8; ++v)
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        const Spot spot = spot_of_c(lane, q);
        const int filter = i0 + warp_m + 16 * u + spot.row,
                  channel = j0 + warp_n + 8 * v + spot.column;
        if (filter < p.m && channel < padded(p.n))
          p.partial[((int64_t{part} * p.m + filter) * taps + tap) * padded(p.n) +
                    channel] = sum[u][v].r[q];
      }
}

template <int kM, int kN> void launch_walk_back(const WalkBack& p) {
  launch("tensor weight gradient", tensor_weight_kernel<kM, kN>,
         {.blocks = {blocks_for(p.m, kM), blocks_for(p.n, kN),
                     static_cast<unsigned>(p.map.d.taps() * p.parts)},
          .threads = {128},
          .shared_bytes = sizeof(Chunk) * kStages * kStep * (kM + kN) / 8},
         p);
}

}  // namespace cr::backend::CR_GPU
