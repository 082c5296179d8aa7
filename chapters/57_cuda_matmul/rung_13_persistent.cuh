// **Rung 13, specialised, persistent, in clusters.** Three changes at once,
// because each pays only with the others.
//
// *Specialised.* A warpgroup that produces: one of its threads asks TMA,
// again and again, and does nothing else. It gives its registers away. Two
// warpgroups that consume: 64 rows by 256 columns each, 128 sums for each
// thread. They meet at the barriers of the ring and nowhere else.
//
// *Persistent.* One block for each multiprocessor, for the whole of the
// kernel. While the consumers still write one tile of C, the producer already
// fetches for the next.
//
// *Clusters.* Two blocks that run on neighbouring multiprocessors make tiles
// one below the other. They need the same 256 rows of B: each fetches half of
// them, and TMA writes it into both (**multicast**). For a tile of 128 × 256
// a block then fetches 128 rows of A and 128 of B.
#pragma once

#include "hopper.cuh"

#if defined(__CUDACC__)
namespace cr::backend::cuda {

struct BigStage {
  static constexpr int kDepth = 64, kRowsA = 128, kRowsB = 256, kStages = 4;
  static constexpr int kBytesA = kRowsA * kDepth * 2, kBytesB = kRowsB * kDepth * 2;
  static constexpr int kBytes = kBytesA + kBytesB;
};

template <class S>
__global__ void __launch_bounds__(384)
    persistent_kernel(const __grid_constant__ CUtensorMap map_a,
                      const __grid_constant__ CUtensorMap map_b, Product<Bf16> g,
                      Schedule schedule) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  char* shared = dynamic_shared<char>();
  shared += (1024 - shared_address(shared) % 1024) % 1024;
  __shared__ uint64_t full[S::kStages], empty[S::kStages];
  const int t = int(threadIdx.x) % 128, group = int(threadIdx.x) / 128;
  const int rank = int(blockIdx.x) % 2;  // in the cluster
  const int steps = int(tiles(g.k, S::kDepth));
  const int64_t cluster = blockIdx.x / 2, clusters = gridDim.x / 2;

  // A full stage has been announced by its own producer. An empty one has
  // been left by both consumers of both blocks, since the producer of either
  // writes into both.
  if (threadIdx.x == 0) {
    for (int s = 0; s < S::kStages; ++s) {
      barrier_init(&full[s], 1);
      barrier_init(&empty[s], 2 * 2);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  cooperative_groups::this_cluster().sync();

  Ring ring{S::kStages};
  if (group == 0) {
    // The producer. It goes over the same tiles in the same order as the
    // consumers, and is up to four stages ahead of them, across the border
    // between two tiles as well.
    registers_down<40>();
    if (t == 0) {
      for (int64_t tile = cluster; tile < schedule.count(); tile += clusters) {
        const Place at = schedule.at(tile);
        const int i0 = (at.row * 2 + rank) * S::kRowsA, j0 = at.column * S::kRowsB;
        for (int step = 0; step < steps; ++step, ring.next()) {
          char* to = shared + ring.stage * S::kBytes;
          uint64_t* barrier = &full[ring.stage];
          // Nobody reads this stage any more, in either block. In the first
          // round all stages are empty, and the wait for the phase before the
          // first passes at once.
          barrier_wait(&empty[ring.stage], ring.phase ^ 1);
          barrier_expect(barrier, S::kBytes);
          // Our rows of A to ourselves, our half of B's rows to both blocks.
          tma_load(to, map_a, step * S::kDepth, i0, barrier);
          tma_load_multicast(to + S::kBytesA + rank * (S::kBytesB / 2), map_b,
                             step * S::kDepth, j0 + rank * (S::kRowsB / 2), barrier,
                             3);
        }
      }
    }
  } else {
    // A consumer. Two groups times 128 threads times 232 registers, and 128
    // times 40 for the producer, are 64 512 of the 65 536 that there are.
    registers_up<232>();
    auto leave = [&] {
      if (t < 2)
        barrier_arrive(&empty[(ring.stage + S::kStages - 1) % S::kStages], t);
    };
    for (int64_t tile = cluster; tile < schedule.count(); tile += clusters) {
      const Place at = schedule.at(tile);
      // Upper or lower 64 rows of A, all 256 columns.
      float sum[128] = {};
#pragma unroll 1
      for (int step = 0; step < steps; ++step, ring.next()) {
        barrier_wait(&full[ring.stage], ring.phase);
        const uint32_t stage = shared_address(shared) +
                               uint32_t(ring.stage * S::kBytes),
                       of_a = stage + uint32_t((group - 1) * 64 * 128),
                       of_b = stage + uint32_t(S::kBytesA);
        wgmma_begin();
#pragma unroll
        for (int p = 0; p < S::kDepth * 2; p += 32)
          wgmma_256(sum, wgmma_descriptor(of_a + uint32_t(p)),
                    wgmma_descriptor(of_b + uint32_t(p)));
        wgmma_commit();
        // One group stays under way. The stage before this one has been read
        // to its end, and threads 0 and 1 say so to the two blocks.
        wgmma_wait<1>();
        if (step > 0) leave();
      }
      sums_are_ready(sum);
      leave();

      // Write the sums. The producer is already busy with the next tile.
      const int64_t i0 = int64_t{at.row} * 2 * S::kRowsA + rank * S::kRowsA +
                         (group - 1) * 64,
                    j0 = int64_t{at.column} * S::kRowsB;
#pragma unroll
      for (int r = 0; r < 128; r += 2) {
        const Place in = wgmma_c(t, r);
        const int64_t i = i0 + in.row, j = j0 + in.column;
        if (i < g.m && j < g.n)
          *reinterpret_cast<uint32_t*>(g.c + i * g.n + j) =
              uint32_t{to_bfloat16(sum[r])} | uint32_t{to_bfloat16(sum[r + 1])}
                                                  << 16;
      }
    }
  }
  // Nobody leaves while the other may still write into its memory.
  cooperative_groups::this_cluster().sync();
#endif
}

inline void persistent(const Product<Bf16>& g) {
  int device = 0, processors = 0;
  check("persistent", cudaGetDevice(&device));
  check("persistent", cudaDeviceGetAttribute(
                          &processors, cudaDevAttrMultiProcessorCount, device));
  // C in pairs of tiles, one below the other, and a pair of blocks for as
  // many of them as the GPU can hold.
  const Schedule schedule{tiles(g.m, 2 * BigStage::kRowsA),
                          tiles(g.n, BigStage::kRowsB), 8};
  const int64_t pairs = std::min<int64_t>(processors / 2, schedule.count());
  launch("persistent", persistent_kernel<BigStage>,
         {.blocks = {unsigned(2 * pairs)},
          .threads = {384},
          .shared_bytes = BigStage::kStages * BigStage::kBytes + 1024,
          .cluster = {2}},
         tensor_map(g.a, g.m, g.k, BigStage::kRowsA),
         tensor_map(g.b, g.n, g.k, BigStage::kRowsB / 2), g, schedule);
}

}  // namespace cr::backend::cuda
#endif
