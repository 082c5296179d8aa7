// The instructions of Hopper (compute capability 9.0) that rungs 12 and 13
// are made of, each wrapped in a function. They exist on that GPU only, so
// the emulator does without, and what can be tested of them elsewhere is
// [their arithmetic](hopper.hpp).
#pragma once

#if defined(__CUDACC__)
#include <cuda.h>

#include "backend/gpu/gpu.cuh"
#include "bfloat16.hpp"
#include "hopper.hpp"
#include "product.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cuda {

// Throws DeviceError where the runtime reports an error.
inline void check(const char* where, cudaError_t error) {
  if (error != cudaSuccess)
    throw DeviceError(std::string(where) + ": " + cudaGetErrorString(error));
}

__device__ inline uint32_t shared_address(const void* p) {
  return uint32_t(__cvta_generic_to_shared(p));
}

// ## Barriers that count
//
// `__syncthreads()` knows one question: are all threads of the block here?
// The barriers of Hopper are objects, as many as one likes, each with its own
// count. Threads may arrive without waiting, and wait without arriving. And
// bytes can arrive, too: that is how a copy engine, which is no thread, says
// that it is done.
//
// An **mbarrier** lies in shared memory. It expects so many arrivals, and,
// where TMA writes, so many bytes.
__device__ inline void barrier_init(uint64_t* barrier, int arrivals) {
  asm volatile(
      "mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(arrivals)
      : "memory");
}

// Arrives, and announces `bytes` more to come.
__device__ inline void barrier_expect(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   shared_address(barrier)),
               "r"(bytes)
               : "memory");
}

// Arrives at the barrier that lies at the same place in block `rank` of the
// cluster.
__device__ inline void barrier_arrive(uint64_t* barrier, int rank) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}

// Waits until the phase of this parity is over.
__device__ inline void barrier_wait(uint64_t* barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred over;\n"
      "again:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 over, [%0], %1;\n"
      "@over bra.uni done;\n"
      "bra.uni again;\n"
      "done:\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// ## TMA
//
// One thread asks, and goes on. Where the box lies in memory, how its rows
// are to be swizzled and where the matrix ends is written in a `CUtensorMap`,
// which was made beforehand; so the request itself is two coordinates.
//
// The box of `map` that begins at column p and row `row` goes to `to`; its
// bytes count towards `barrier`. With a mask it goes to the same place in
// every block of the cluster whose bit is set, and counts there.
__device__ inline void tma_load(void* to, const CUtensorMap& map, int p, int row,
                                uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(p), "r"(row)
      : "memory");
}
__device__ inline void tma_load_multicast(void* to, const CUtensorMap& map, int p,
                                          int row, uint64_t* barrier,
                                          uint16_t mask) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(
          shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(p), "r"(row), "h"(mask)
      : "memory");
}

// ## WGMMA
//
// `mma.sync` takes its inputs from registers and keeps its warp busy until it
// is done. `wgmma` takes them from shared memory, four warps at a time.
//
// It runs beside the program. `wgmma_begin` says that registers and shared
// memory are ready, `commit` closes a group, `wait` waits until at most
// `kOpen` groups are under way.
__device__ inline void wgmma_begin() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kOpen> __device__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kOpen) : "memory");
}

// The compiler must not touch the sums before the last group is done. This
// tells it that they changed here. (Without it, it moves the first additions
// and conversions of the epilogue into the loop, and then, as ptxas reports,
// runs one `wgmma` after the other.)
template <int kSums> __device__ void sums_are_ready(float (&sum)[kSums]) {
  wgmma_wait<0>();
#pragma unroll
  for (int r = 0; r < kSums; ++r) asm volatile("" : "+f"(sum[r])::"memory");
}

// C (64, 256) += A (64, 16) · B (256, 16)ᵀ, both tiles in shared memory, each
// given by its descriptor. (The list of registers is written out because the
// assembler wants each by its name. What stands behind the descriptors: yes,
// add to C; neither input is negated; neither is turned over.)
__device__ inline void wgmma_256(float (&c)[128], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, 1, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
      "}, %128, %129, p, 1, 1, 0, 0;\n"
      "}"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]),
        "+f"(c[6]), "+f"(c[7]), "+f"(c[8]), "+f"(c[9]), "+f"(c[10]), "+f"(c[11]),
        "+f"(c[12]), "+f"(c[13]), "+f"(c[14]), "+f"(c[15]), "+f"(c[16]),
        "+f"(c[17]), "+f"(c[18]), "+f"(c[19]), "+f"(c[20]), "+f"(c[21]),
        "+f"(c[22]), "+f"(c[23]), "+f"(c[24]), "+f"(c[25]), "+f"(c[26]),
        "+f"(c[27]), "+f"(c[28]), "+f"(c[29]), "+f"(c[30]), "+f"(c[31]),
        "+f"(c[32]), "+f"(c[33]), "+f"(c[34]), "+f"(c[35]), "+f"(c[36]),
        "+f"(c[37]), "+f"(c[38]), "+f"(c[39]), "+f"(c[40]), "+f"(c[41]),
        "+f"(c[42]), "+f"(c[43]), "+f"(c[44]), "+f"(c[45]), "+f"(c[46]),
        "+f"(c[47]), "+f"(c[48]), "+f"(c[49]), "+f"(c[50]), "+f"(c[51]),
        "+f"(c[52]), "+f"(c[53]), "+f"(c[54]), "+f"(c[55]), "+f"(c[56]),
        "+f"(c[57]), "+f"(c[58]), "+f"(c[59]), "+f"(c[60]), "+f"(c[61]),
        "+f"(c[62]), "+f"(c[63]), "+f"(c[64]), "+f"(c[65]), "+f"(c[66]),
        "+f"(c[67]), "+f"(c[68]), "+f"(c[69]), "+f"(c[70]), "+f"(c[71]),
        "+f"(c[72]), "+f"(c[73]), "+f"(c[74]), "+f"(c[75]), "+f"(c[76]),
        "+f"(c[77]), "+f"(c[78]), "+f"(c[79]), "+f"(c[80]), "+f"(c[81]),
        "+f"(c[82]), "+f"(c[83]), "+f"(c[84]), "+f"(c[85]), "+f"(c[86]),
        "+f"(c[87]), "+f"(c[88]), "+f"(c[89]), "+f"(c[90]), "+f"(c[91]),
        "+f"(c[92]), "+f"(c[93]), "+f"(c[94]), "+f"(c[95]), "+f"(c[96]),
        "+f"(c[97]), "+f"(c[98]), "+f"(c[99]), "+f"(c[100]), "+f"(c[101]),
        "+f"(c[102]), "+f"(c[103]), "+f"(c[104]), "+f"(c[105]), "+f"(c[106]),
        "+f"(c[107]), "+f"(c[108]), "+f"(c[109]), "+f"(c[110]), "+f"(c[111]),
        "+f"(c[112]), "+f"(c[113]), "+f"(c[114]), "+f"(c[115]), "+f"(c[116]),
        "+f"(c[117]), "+f"(c[118]), "+f"(c[119]), "+f"(c[120]), "+f"(c[121]),
        "+f"(c[122]), "+f"(c[123]), "+f"(c[124]), "+f"(c[125]), "+f"(c[126]),
        "+f"(c[127])
      : "l"(a), "l"(b));
}

// Gives registers back to the block's pool, or takes more from it; the same
// for all four warps of a warpgroup.
template <int kRegisters> __device__ void registers_down() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters> __device__ void registers_up() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// ## What TMA has to know of a matrix
//
// Its address, sizes, distance of rows and the box to copy: 128 bytes, made
// by the driver. (Asked for by name, so that the program starts where there
// is no driver.) Throws DeviceError where the driver refuses.
CUtensorMap tensor_map(const Bf16* matrix, int64_t rows, int64_t k, int box_rows);

}  // namespace cr::backend::cuda
#endif
