// **Rung 12, TMA and WGMMA.** One warpgroup makes a tile of 128 × 128. Thread 0 asks TMA for
// the next stages; everybody waits for the oldest one, multiplies it, and when all have
// finished, thread 0 has it filled again. No thread computes an address of a copy, no
// register holds an input.
#pragma once

#include "hopper.cuh"

#if defined(__CUDACC__)
namespace cr::backend::cuda {

// 128 rows of A and of B, 64 numbers each.
struct WgmmaStage {
  static constexpr int kDepth = 64, kTileBytes = 128 * kDepth * 2,
                       kBytes = 2 * kTileBytes;
};

template <int kStages>
__global__ void __launch_bounds__(128)
    wgmma_kernel(const __grid_constant__ CUtensorMap map_a,
                 const __grid_constant__ CUtensorMap map_b, Product<Bf16> g) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  // Tiles begin at multiples of 1024 bytes, so that the swizzle's rows are the tile's.
  char* shared = dynamic_shared<char>();
  shared += (1024 - shared_address(shared) % 1024) % 1024;
  __shared__ uint64_t full[kStages];
  const int t = int(threadIdx.x);
  const int64_t i0 = int64_t{blockIdx.y} * 128, j0 = int64_t{blockIdx.x} * 128;
  const int steps = int(tiles(g.k, WgmmaStage::kDepth));
  if (t == 0) {
    for (uint64_t& barrier : full) barrier_init(&barrier, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  // Rows and columns beyond the edge arrive as zeros: TMA knows where the matrix ends.
  auto fill = [&](int step) {
    if (t != 0 || step >= steps) return;
    char* tile = shared + step % kStages * WgmmaStage::kBytes;
    uint64_t* barrier = &full[step % kStages];
    barrier_expect(barrier, WgmmaStage::kBytes);
    tma_load(tile, map_a, step * WgmmaStage::kDepth, int(i0), barrier);
    tma_load(tile + WgmmaStage::kTileBytes, map_b, step * WgmmaStage::kDepth,
             int(j0), barrier);
  };
  for (int s = 0; s < kStages - 1; ++s) fill(s);

  float sum[2][64] = {};
  Ring ring{kStages};
  for (int step = 0; step < steps; ++step, ring.next()) {
    fill(step + kStages - 1);
    barrier_wait(&full[ring.stage], ring.phase);
    const uint32_t of_a = shared_address(shared) +
                          uint32_t(ring.stage * WgmmaStage::kBytes),
                   of_b = of_a + WgmmaStage::kTileBytes;
    wgmma_begin();
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int p = 0; p < WgmmaStage::kDepth * 2;
           p += 32)  // 16 numbers are 32 bytes
        wgmma_128(sum[half], wgmma_descriptor(of_a + uint32_t(half * 64 * 128 + p)),
                  wgmma_descriptor(of_b + uint32_t(p)), 1);
    wgmma_commit();
    sums_are_ready(sum[0]);
    sums_are_ready(sum[1]);
    __syncthreads();
  }

#pragma unroll
  for (int half = 0; half < 2; ++half)
#pragma unroll
    for (int r = 0; r < 64; r += 2) {
      const Place at = wgmma_c(t, r);
      const int64_t i = i0 + 64 * half + at.row, j = j0 + at.column;
      if (i < g.m && j < g.n)
        *reinterpret_cast<uint32_t*>(g.c + i * g.n + j) =
            uint32_t{to_bfloat16(sum[half][r])} |
            uint32_t{to_bfloat16(sum[half][r + 1])} << 16;
    }
#endif
}

inline void wgmma(const Product<Bf16>& g) {
  constexpr int kStages = 4;
  launch("wgmma", wgmma_kernel<kStages>,
         {.blocks = {unsigned(tiles(g.n, 128)), unsigned(tiles(g.m, 128))},
          .threads = {128},
          .shared_bytes = kStages * WgmmaStage::kBytes + 1024},
         tensor_map(g.a, g.m, g.k, 128), tensor_map(g.b, g.n, g.k, 128), g);
}

}  // namespace cr::backend::cuda
#endif
