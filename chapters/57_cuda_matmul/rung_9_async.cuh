// **Rung 9, double buffering.** Two pairs of tiles. While one is multiplied,
// the next is on its way into the other. The instruction is `cp.async`: it
// asks memory to put some bytes into shared memory, without passing through
// registers, and the thread goes on at once. `cp.async.commit_group` closes a
// parcel of such requests, and `wait_group` waits until it has come.
#pragma once

#include "rung_6_vectors.cuh"

namespace cr::backend::CR_GPU {

// Brings `kBytes` bytes (4, 8 or 16), or zeros where `valid` is false; `from`
// is not read then, but must be an address. On the emulator memory answers at
// once.
template <int kBytes>
__device__ void copy_async(void* to, const void* from, bool valid) {
#if defined(__CUDACC__)
  const unsigned shared = unsigned(__cvta_generic_to_shared(to));
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared),
                 "l"(from), "r"(valid ? 16 : 0));
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(shared),
                 "l"(from), "r"(valid ? kBytes : 0), "n"(kBytes));
#else
  if constexpr (kBytes == 16)
    *static_cast<uint4*>(to) =
        valid ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
  else *static_cast<float*>(to) = valid ? *static_cast<const float*>(from) : 0.0f;
#endif
}

__device__ inline void close_parcel() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;");
#endif
}

// Waits until at most `kOpen` parcels of this thread are still on their way.
template <int kOpen> __device__ void wait_for_parcels() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
#endif
}

// The two tiles of one stage. A's is turned over, one number at a time: 8
// lanes take 32 bytes of a row of A, which are one sector, and 4 rows; in
// shared memory these lie in 32 different banks, because a row is 132 words.
struct Stage {
  static constexpr int kDepth = 16;
  float a[kDepth][Warps::kStep];
  float b[kDepth][kSide];

  __device__ void fill(const Product<float>& g, int64_t i0, int64_t j0, int64_t p0,
                       int64_t end, int t) {
#pragma unroll
    for (int s = 0; s < kSide * kDepth / kThreads; ++s) {
      const int deep = t % 8 + s % 2 * 8, row = t / 8 + s / 2 * 32;
      const bool valid = i0 + row < g.m && p0 + deep < end;
      copy_async<4>(&a[deep][row], valid ? g.a + (i0 + row) * g.k + p0 + deep : g.a,
                    valid);
    }
    // B's goes as it is, 16 bytes at a time, if its rows begin at multiples
    // of 16 bytes.
    const bool whole = g.n % 4 == 0;
#pragma unroll
    for (int s = 0; s < kSide * kDepth / 4 / kThreads; ++s) {
      const int deep = t / 32 + s * 8, column = t % 32 * 4;
      const float* from = g.b + (p0 + deep) * g.n + j0 + column;
      if (whole) {
        const bool valid = p0 + deep < end && j0 + column < g.n;
        copy_async<16>(&b[deep][column], valid ? from : g.b, valid);
      } else {
        for (int e = 0; e < 4; ++e) {
          const bool valid = p0 + deep < end && j0 + column + e < g.n;
          copy_async<4>(&b[deep][column + e], valid ? from + e : g.b, valid);
        }
      }
    }
    close_parcel();
  }
};

// Now one barrier is enough. It says two things at once: this stage's tiles
// are complete, and everyone has finished with the other stage's, which is
// the one that is filled next.
//
// Block z sums over the z-th slice of $p$ only, and writes to the z-th of
// `slices` matrices. That is for the thin products below; with one slice it
// is the product.
template <int kStages>
__global__ void __launch_bounds__(kThreads)
    async_kernel(Product<float> g, int64_t slice) {
  __shared__ __align__(16) Stage stages[kStages];
  const int t = int(threadIdx.x);
  const int64_t i0 = int64_t{blockIdx.y} * kSide, j0 = int64_t{blockIdx.x} * kSide;
  // The slice of p that is ours.
  const int64_t begin = slice * blockIdx.z;
  const int64_t end = begin + slice < g.k ? begin + slice : g.k;
  g.c += int64_t{blockIdx.z} * g.m * g.n;

  // The first stages are ordered before anything is multiplied.
  Sums<Warps> sums;
  for (int s = 0; s < kStages - 1; ++s)
    stages[s].fill(g, i0, j0, begin + s * Stage::kDepth, end, t);
  int now = 0;
  for (int64_t p0 = begin; p0 < end; p0 += Stage::kDepth) {
    // My parcels for this stage have come; behind the barrier, everybody's
    // have.
    wait_for_parcels<kStages - 2>();
    __syncthreads();
    // Order what will be needed next, into the stage that was multiplied
    // last. Beyond the end of the slice that is zeros, which nobody will
    // read.
    const int64_t ahead = p0 + (kStages - 1) * Stage::kDepth;
    stages[(now + kStages - 1) % kStages].fill(g, i0, j0, ahead, end, t);
    // Multiply, while it comes.
#pragma unroll
    for (int p = 0; p < Stage::kDepth; ++p)
      sums.step(stages[now].a[p], stages[now].b[p], t);
    now = (now + 1) % kStages;
  }
  sums.store(g, i0, j0, t);
}

inline void async_slices(const Product<float>& g, int slices) {
  const int64_t slice = tiles(tiles(g.k, slices), Stage::kDepth) * Stage::kDepth;
  launch("double buffers", async_kernel<2>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide)),
                     unsigned(slices)},
          .threads = {kThreads}},
         g, slice);
}

inline void double_buffers(const Product<float>& g) { async_slices(g, 1); }

}  // namespace cr::backend::CR_GPU
