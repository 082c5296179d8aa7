// **Rung 12, TMA and WGMMA.** One warpgroup makes a tile of 64 × 256. Thread
// 0 asks TMA for the next stage; everybody waits for this one, multiplies it,
// and when all have finished, thread 0 has it filled again. No thread computes
// an address of a copy, no register holds an input. While a block waits, the
// second one on the same multiprocessor multiplies: two stages of 40 KB each,
// so that both fit.
#pragma once

#include "backend/gpu/hopper.cuh"
#include "product.hpp"
#include "schedule.hpp"
#include "store_row.cuh"

#if defined(__CUDACC__)
#include "backend/cuda/tensor_map.hpp"

namespace cr::backend::cuda {

// 64 rows of A and 256 of B, 64 numbers each.
struct WgmmaStage {
  static constexpr int kDepth = 64, kRowsA = 64, kRowsB = 256;
  static constexpr int kBytesA = kRowsA * kDepth * 2;
  static constexpr int kBytes = kBytesA + kRowsB * kDepth * 2;
};

// Tiles begin at multiples of 1024 bytes, so that the swizzle's rows are the
// tile's; a launch asks for 1024 bytes more than it needs.
__device__ inline char* tiles_of_block() {
  char* shared = dynamic_shared<char>();
  return shared + (1024 - shared_address(shared) % 1024) % 1024;
}

// Writes the sums of a warpgroup whose part of C begins at (i0, j0), 32 columns
// at a time.
__device__ inline void store_warpgroup(const float (&sum)[128],
                                       const Product<BFloat16>& g, int64_t i0,
                                       int64_t j0, int t) {
#pragma unroll
  for (int j = 0; j < 256; j += 32)
#pragma unroll
    for (int r = 0; r < 4; r += 2) {
      uint32_t words[4];
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        const int first = j / 2 + 4 * b + r;
        words[b] = pack_bf16(sum[first], sum[first + 1]);
      }
      store_row(g, i0 + fragment::warpgroup_c(t, r).row, j0 + j, words, t % 32);
    }
}

template <int kStages>
__global__ void __launch_bounds__(128, 2)
    wgmma_kernel(const __grid_constant__ CUtensorMap map_a,
                 const __grid_constant__ CUtensorMap map_b, Product<BFloat16> g) {
  char* shared = tiles_of_block();
  __shared__ uint64_t full[kStages];
  const int t = int(threadIdx.x);
  const int64_t i0 = int64_t{blockIdx.y} * WgmmaStage::kRowsA,
                j0 = int64_t{blockIdx.x} * WgmmaStage::kRowsB;
  // One barrier for each stage. It expects one arrival, that of thread 0, and
  // the bytes that thread 0 announces with it.
  const int steps = int(tiles(g.k, WgmmaStage::kDepth));
  if (t == 0) {
    for (uint64_t& barrier : full) barrier_init(&barrier, 1);
    show_barriers();
  }
  __syncthreads();

  // Rows and columns beyond the edge arrive as zeros: TMA knows where the
  // matrix ends.
  auto fill = [&](int step) {
    if (t != 0 || step >= steps) return;
    char* tile = shared + step % kStages * WgmmaStage::kBytes;
    uint64_t* barrier = &full[step % kStages];
    barrier_expect(barrier, WgmmaStage::kBytes);
    tma_load(tile, map_a, barrier, step * WgmmaStage::kDepth, int(i0));
    tma_load(tile + WgmmaStage::kBytesA, map_b, barrier, step * WgmmaStage::kDepth,
             int(j0));
  };
  for (int s = 0; s < kStages - 1; ++s) fill(s);

  float sum[128] = {};
  Ring ring{kStages};
  for (int step = 0; step < steps; ++step, ring.next()) {
    // Behind the barrier of the step before, its stage may be filled again.
    fill(step + kStages - 1);
    barrier_wait(&full[ring.stage], ring.phase);
    const uint64_t of_a = shared_address(shared) +
                          uint64_t(ring.stage * WgmmaStage::kBytes),
                   of_b = of_a + WgmmaStage::kBytesA;
    // Four instructions of 16 steps of p.
    wgmma_begin();
#pragma unroll
    for (int p = 0; p < WgmmaStage::kDepth; p += 16)
      wgmma(sum, hopper::rowwise(of_a, WgmmaStage::kRowsA, 0, p),
            hopper::rowwise(of_b, WgmmaStage::kRowsB, 0, p));
    wgmma_commit();
    wgmma_wait<0>();
    sums_change(sum);
    __syncthreads();
  }
  store_warpgroup(sum, g, i0, j0, t);
}

inline void tma_and_wgmma(const Product<BFloat16>& g) {
  constexpr int kStages = 2;
  launch("wgmma", wgmma_kernel<kStages>,
         {.blocks = {unsigned(tiles(g.n, WgmmaStage::kRowsB)),
                     unsigned(tiles(g.m, WgmmaStage::kRowsA))},
          .threads = {128},
          .shared_bytes = kStages * WgmmaStage::kBytes + 1024,
          .needs = 90},
         tensor_map(g.a, g.m, g.k, WgmmaStage::kRowsA),
         tensor_map(g.b, g.n, g.k, WgmmaStage::kRowsB), g);
}

}  // namespace cr::backend::cuda
#endif
