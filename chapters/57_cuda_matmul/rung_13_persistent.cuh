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

#include "rung_12_wgmma.cuh"

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
                      const __grid_constant__ CUtensorMap map_b,
                      Product<BFloat16> g, Schedule schedule) {
  // A consumer leaves a stage while it multiplies the next one, so there must
  // be a next one.
  static_assert(S::kStages >= 2);
  char* shared = tiles_of_block();
  __shared__ uint64_t full[S::kStages];
  __shared__ uint64_t empty[S::kStages];
  const int t = int(threadIdx.x) % 128, group = int(threadIdx.x) / 128;
  const int rank = int(cluster_rank());
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
    show_barriers();
  }
  __syncwarp();
  sync_cluster();

  Ring ring{S::kStages};
  if (group == 0) {
    // The producer. It goes over the same tiles in the same order as the
    // consumers, and is up to four stages ahead of them, across the border
    // between two tiles as well.
    registers_down<40>();
    if (t == 0) {
      for (int64_t tile = cluster; tile < schedule.count(); tile += clusters) {
        const fragment::Place at = schedule.at(tile);
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
          tma_load(to, map_a, barrier, step * S::kDepth, i0);
          tma_load_multicast(to + S::kBytesA + rank * (S::kBytesB / 2), map_b,
                             barrier, step * S::kDepth, j0 + rank * (S::kRowsB / 2),
                             3);
        }
      }
    }
  } else {
    // A consumer. ptxas gives each of the 384 threads 168 registers, 64 512 in
    // all. Now 128 threads keep 40, and 256 take 232: 64 512 again.
    registers_up<232>();
    auto leave = [&] {
      if (t < 2)
        barrier_arrive(&empty[(ring.stage + S::kStages - 1) % S::kStages], t);
    };
    for (int64_t tile = cluster; tile < schedule.count(); tile += clusters) {
      const fragment::Place at = schedule.at(tile);
      // Upper or lower 64 rows of A, all 256 columns.
      float sum[128] = {};
#pragma unroll 1
      for (int step = 0; step < steps; ++step, ring.next()) {
        barrier_wait(&full[ring.stage], ring.phase);
        const uint64_t of_a = shared_address(shared) +
                              uint64_t(ring.stage * S::kBytes),
                       of_b = of_a + S::kBytesA;
        wgmma_begin();
#pragma unroll
        for (int p = 0; p < S::kDepth; p += 16)
          wgmma(sum, hopper::rowwise(of_a, S::kRowsA, (group - 1) * 64, p),
                hopper::rowwise(of_b, S::kRowsB, 0, p));
        wgmma_commit();
        // One group stays under way. The stage before this one has been read
        // to its end, and threads 0 and 1 say so to the two blocks.
        wgmma_wait<1>();
        if (step > 0) leave();
      }
      wgmma_wait<0>();
      sums_change(sum);
      leave();

      // Write the sums. The producer is already busy with the next tile.
      store_warpgroup(sum, g,
                      (int64_t{at.row} * 2 + rank) * S::kRowsA + (group - 1) * 64,
                      int64_t{at.column} * S::kRowsB, t);
    }
  }
  // Nobody leaves while the other may still write into its memory.
  __syncwarp();
  sync_cluster();
}

inline void persistent(const Product<BFloat16>& g) {
  const int processors = Runtime::get().properties().multiProcessorCount;
  // C in pairs of tiles, one below the other, and a pair of blocks for as
  // many of them as the GPU can hold.
  const Schedule schedule{tiles(g.m, 2 * BigStage::kRowsA),
                          tiles(g.n, BigStage::kRowsB), 8};
  const int64_t pairs = std::min<int64_t>(processors / 2, schedule.count());
  launch("persistent", persistent_kernel<BigStage>,
         {.blocks = {unsigned(2 * pairs)},
          .threads = {384},
          .shared_bytes = BigStage::kStages * BigStage::kBytes + 1024,
          .cluster = {2},
          .needs = 90},
         tensor_map(g.a, g.m, g.k, BigStage::kRowsA),
         tensor_map(g.b, g.n, g.k, BigStage::kRowsB / 2), g, schedule);
}

}  // namespace cr::backend::cuda
#endif
