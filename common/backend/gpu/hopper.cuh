// # Hopper's instructions
//
// Barriers that count, copies of whole tiles, products of four warps: each wrapped in a function. They exist from compute
// capability 9.0 on (WGMMA on 9.0a only), so the emulator does without them; what can be tested of them elsewhere is their
// arithmetic, `hopper.hpp`. Say `.needs = 90` where such a kernel is launched.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "backend/gpu/hopper.hpp"

#if defined(__CUDACC__)
#include <cuda.h>

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
#define CR_HOPPER(...) asm volatile(__VA_ARGS__)
#else
#define CR_HOPPER(...) __trap()
#endif

namespace cr::backend::cuda {

__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// ## Barriers that count
//
// `__syncthreads()` knows one question: are all threads of the block here? An **mbarrier** is an object in shared memory, and
// a block may have many. Each counts arrivals and bytes: its **phase** ends when as many threads have arrived as it was made
// for and all announced bytes have come. Threads may arrive without waiting, and wait without arriving; and the copy engine,
// which is no thread, reports its bytes. (They order what copies and products do with shared memory. With a wider scope in the
// instruction they would flush caches for numbers that ordinary instructions have written, and here there are none.)
//
// One thread makes them, then `show_barriers`, then a barrier for everybody.
__device__ inline void barrier_init(uint64_t* barrier, int arrivals) {
  CR_HOPPER("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ inline void show_barriers() { CR_HOPPER("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ inline void barrier_arrive(uint64_t* barrier) {
  CR_HOPPER("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Arrives, and announces `bytes` more to come.
__device__ inline void barrier_expect(uint64_t* barrier, int bytes) {
  CR_HOPPER("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
            : "memory");
}
// Arrives at the barrier that lies at the same place in block `rank` of the cluster.
__device__ inline void barrier_arrive(uint64_t* barrier, int rank) {
  CR_HOPPER(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}
// Waits until the phase of this parity is over. `try_wait` sleeps for a while by itself, so the loop hardly turns.
__device__ inline void barrier_wait(uint64_t* barrier, int parity) {
  CR_HOPPER(
      "{\n"
      ".reg .pred over;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
      "@!over bra again;\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// ## TMA
//
// One thread asks, and goes on. Where the box lies in memory, how its rows are swizzled and where the matrix ends stands in a
// `CUtensorMap` (`cuda/tensor_map.hpp`), made beforehand and handed to the kernel as a `const __grid_constant__` argument; so
// the request itself is a place. What lies outside arrives as zeros.
//
// The box of `map` that begins at `column` and `row` (of matrix `matrix`) goes to `to`; its bytes count towards `barrier`.
// With a mask it goes to the same place in every block of the cluster whose bit is set, and counts there.
__device__ inline void tma_load(void* to, const CUtensorMap& map, uint64_t* barrier, int column, int row) {
  CR_HOPPER(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::
          "r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row)
      : "memory");
}
__device__ inline void tma_load(void* to, const CUtensorMap& map, uint64_t* barrier, int column, int row, int matrix) {
  CR_HOPPER(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row), "r"(matrix)
      : "memory");
}
__device__ inline void tma_load_multicast(void* to, const CUtensorMap& map, uint64_t* barrier, int column, int row,
                                          uint16_t mask) {
  CR_HOPPER(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row), "h"(mask)
      : "memory");
}

// ## Clusters
//
// The number of this block in its cluster; and a barrier for all threads of it.
__device__ inline unsigned cluster_rank() {
  unsigned rank = 0;
  CR_HOPPER("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ inline void sync_cluster() {
  CR_HOPPER("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// ## Registers
//
// A warpgroup gives registers back to the block's pool, or takes more from it: so many for each thread from now on.
template <int kRegisters> __device__ inline void registers_down() {
  CR_HOPPER("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters> __device__ inline void registers_up() {
  CR_HOPPER("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// ## WGMMA
//
// `mma.sync` takes its inputs from registers and keeps its warp busy until it is done. `wgmma` takes B, and A if one likes,
// from shared memory, for four warps at a time, and runs beside the program. `wgmma_begin` says that the registers written
// before are ready, `wgmma_commit` closes a group of products, `wgmma_wait` waits until all but the last `kOpen` groups are
// done.
__device__ inline void wgmma_begin() { CR_HOPPER("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() { CR_HOPPER("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kOpen> __device__ inline void wgmma_wait() {
  CR_HOPPER("wgmma.wait_group.sync.aligned %0;" ::"n"(kOpen) : "memory");
}

// The compiler does not know that a product goes on behind its back, and may move what uses the sums ahead of the wait. This
// tells it that they change here.
template <int kSums> __device__ inline void sums_change(float (&c)[kSums]) {
#pragma unroll
  for (int r = 0; r < kSums; ++r) asm volatile("" : "+f"(c[r])::"memory");
}

// C (64, 2 · sums) = A (64, 16) · B (16, 2 · sums), bfloat16, added to what C was if `add` says so; the sums lie as in
// `fragment::warpgroup_c`. A and B are descriptors, or A is four registers, which lie as in `fragment::a`, 16 rows to each
// warp. An operand is *turned* if it has the summed index down its columns in shared memory (`hopper::columnwise`).
//
// The instruction wants each of a thread's sums by name. Macros write the lists, for 64, 128 and 256 columns.
#define CR_NAMES_32                                                        \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define CR_NAMES_64                                                                  \
  CR_NAMES_32                                                                        \
  ", "                                                                               \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define CR_NAMES_128                                                                             \
  CR_NAMES_64                                                                                    \
  ", "                                                                                           \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "             \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "             \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define CR_SUMS_8(i)                                                                                          \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), \
      "+f"(c[i + 7])
#define CR_SUMS_32(i) CR_SUMS_8(i), CR_SUMS_8(i + 8), CR_SUMS_8(i + 16), CR_SUMS_8(i + 24)
#define CR_SUMS_64(i) CR_SUMS_32(i), CR_SUMS_32(i + 32)
#define CR_SUMS_128(i) CR_SUMS_64(i), CR_SUMS_64(i + 64)

// `p0` … are the names of the operands behind the sums.
#define CR_WGMMA(columns, sums, p0, p1, p2, p3, p4, p5, p6)                                           \
  template <bool kTurnedA = false, bool kTurnedB = false>                                             \
  __device__ inline void wgmma(float(&c)[sums], uint64_t a, uint64_t b, bool add = true) {            \
    CR_HOPPER("{.reg .pred add; setp.ne.b32 add, " p2                                                 \
              ", 0;\n"                                                                                \
              "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" CR_NAMES_##sums      \
              "}, " p0 ", " p1 ", add, 1, 1, " p3 ", " p4 ";}"                                        \
              : CR_SUMS_##sums(0)                                                                     \
              : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(static_cast<int>(kTurnedA)),          \
                "n"(static_cast<int>(kTurnedB)));                                                     \
  }                                                                                                   \
  template <bool kTurnedB = false>                                                                    \
  __device__ inline void wgmma(float(&c)[sums], const uint32_t(&a)[4], uint64_t b, bool add = true) { \
    CR_HOPPER("{.reg .pred add; setp.ne.b32 add, " p5                                                 \
              ", 0;\n"                                                                                \
              "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" CR_NAMES_##sums      \
              "}, {" p0 ", " p1 ", " p2 ", " p3 "}, " p4 ", add, 1, 1, " p6 ";}"                      \
              : CR_SUMS_##sums(0)                                                                     \
              : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)),       \
                "n"(static_cast<int>(kTurnedB)));                                                     \
  }
CR_WGMMA(64, 32, "%32", "%33", "%34", "%35", "%36", "%37", "%38")
CR_WGMMA(128, 64, "%64", "%65", "%66", "%67", "%68", "%69", "%70")
CR_WGMMA(256, 128, "%128", "%129", "%130", "%131", "%132", "%133", "%134")
#undef CR_WGMMA
#undef CR_SUMS_8
#undef CR_SUMS_32
#undef CR_SUMS_64
#undef CR_SUMS_128
#undef CR_NAMES_32
#undef CR_NAMES_64
#undef CR_NAMES_128

}  // namespace cr::backend::cuda
#endif
