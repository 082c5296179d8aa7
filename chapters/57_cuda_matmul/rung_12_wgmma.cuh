// **Rung 12, TMA and WGMMA.** One warpgroup makes a tile of 64 × 256. Thread
// 0 asks TMA for the next stages; everybody waits for the oldest one,
// multiplies it, and when all have finished, thread 0 has it filled again. No
// thread computes an address of a copy, no register holds an input.
#pragma once

#include "hopper.cuh"

#if defined(__CUDACC__)
namespace cr::backend::cuda {

// 64 rows of A and 256 of B, 64 numbers each: 40 KB.
struct WgmmaStage {
  static constexpr int kDepth = 64, kRowsA = 64, kRowsB = 256;
  static constexpr int kBytesA = kRowsA * kDepth * 2;
  static constexpr int kBytes = kBytesA + kRowsB * kDepth * 2;
};

template <int kStages>
__global__ void __launch_bounds__(128)
    wgmma_kernel(const __grid_constant__ CUtensorMap map_a,
                 const __grid_constant__ CUtensorMap map_b, Product<Bf16> g) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  // Tiles begin at multiples of 1024 bytes, so that the swizzle's rows are
  // the tile's.
  char* shared = dynamic_shared<char>();
  shared += (1024 - shared_address(shared) % 1024) % 1024;
  __shared__ uint64_t full[kStages];
  const int t = int(threadIdx.x);
  const int64_t i0 = int64_t{blockIdx.y} * WgmmaStage::kRowsA,
                j0 = int64_t{blockIdx.x} * WgmmaStage::kRowsB;
  // One barrier for each stage. It expects one arrival, that of thread 0, and
  // the bytes that thread 0 announces with it. The copy engine must see it
  // ready, hence the fence.
  const int steps = int(tiles(g.k, WgmmaStage::kDepth));
  if (t == 0) {
    for (uint64_t& barrier : full) barrier_init(&barrier, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  // Rows and columns beyond the edge arrive as zeros: TMA knows where the
  // matrix ends.
  auto fill = [&](int step) {
    if (t != 0 || step >= steps) return;
    char* tile = shared + step % kStages * WgmmaStage::kBytes;
    uint64_t* barrier = &full[step % kStages];
    barrier_expect(barrier, WgmmaStage::kBytes);
    tma_load(tile, map_a, step * WgmmaStage::kDepth, int(i0), barrier);
    tma_load(tile + WgmmaStage::kBytesA, map_b, step * WgmmaStage::kDepth, int(j0),
             barrier);
  };
  for (int s = 0; s < kStages - 1; ++s) fill(s);

  float sum[128] = {};
  Ring ring{kStages};
  for (int step = 0; step < steps; ++step, ring.next()) {
    // Behind the barrier of the step before, its stage may be filled again.
    fill(step + kStages - 1);
    barrier_wait(&full[ring.stage], ring.phase);
    const uint32_t of_a = shared_address(shared) +
                          uint32_t(ring.stage * WgmmaStage::kBytes),
                   of_b = of_a + WgmmaStage::kBytesA;
    // Four instructions of 16 steps of p. Along a row of 128 bytes the next
    // 16 numbers are 32 bytes further; the swizzle is applied to the address
    // that results, so the descriptor begins there and that is all.
    wgmma_begin();
#pragma unroll
    for (int p = 0; p < WgmmaStage::kDepth * 2; p += 32)
      wgmma_256(sum, wgmma_descriptor(of_a + uint32_t(p)),
                wgmma_descriptor(of_b + uint32_t(p)));
    wgmma_commit();
    sums_are_ready(sum);
    __syncthreads();
  }

  // A thread's sums come in pairs of neighbours, as in rung 11.
#pragma unroll
  for (int r = 0; r < 128; r += 2) {
    const Place at = wgmma_c(t, r);
    const int64_t i = i0 + at.row, j = j0 + at.column;
    if (i < g.m && j < g.n)
      *reinterpret_cast<uint32_t*>(g.c + i * g.n + j) =
          uint32_t{to_bfloat16(sum[r])} | uint32_t{to_bfloat16(sum[r + 1])} << 16;
  }
#endif
}

inline void wgmma(const Product<Bf16>& g) {
  constexpr int kStages = 4;
  launch("wgmma", wgmma_kernel<kStages>,
         {.blocks = {unsigned(tiles(g.n, WgmmaStage::kRowsB)),
                     unsigned(tiles(g.m, WgmmaStage::kRowsA))},
          .threads = {128},
          .shared_bytes = kStages * WgmmaStage::kBytes + 1024},
         tensor_map(g.a, g.m, g.k, WgmmaStage::kRowsA),
         tensor_map(g.b, g.n, g.k, WgmmaStage::kRowsB), g);
}

}  // namespace cr::backend::cuda
#endif
