// # CUDA's words, on a machine without CUDA
//
// A kernel is written once, in a `.cu` file. nvcc knows the words below by itself; for every other compiler this page
// and those it includes define them, so that the same source becomes ordinary C++ that `launch` (`launch.hpp`) runs,
// watches and counts, and that a debugger steps through.
//
// A kernel is called once by each **thread**. Threads come in **blocks**, blocks form the **grid**, and each thread
// learns from these variables which one it is. 32 threads of a block that follow each other are a **warp**.
#pragma once

#include <cstddef>

#include "backend/simt/atomics.hpp"
#include "backend/simt/maths.hpp"
#include "backend/simt/vectors.hpp"
#include "backend/simt/warps.hpp"

namespace cr::backend::simt {

struct dim3 {
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  unsigned x, y, z;
};
inline constinit dim3 threadIdx, blockIdx, blockDim, gridDim;

// Waits until every thread of the block is here. All of them must come, or none: see `launch`. The other three also
// count for how many threads the argument was not 0, and say how many they are, whether it was all, whether it was any.
CR_MEETING void __syncthreads();
CR_MEETING int __syncthreads_count(int predicate);
CR_MEETING int __syncthreads_and(int predicate);
CR_MEETING int __syncthreads_or(int predicate);

// They order a thread's writes for those who look on from other blocks. Here one thread runs at a time, so all is in
// order.
inline void __threadfence() {}
inline void __threadfence_block() {}

// The memory that the launch asked for with `shared_bytes`: one piece for each block, seen by all its threads, aligned
// to 16 bytes and filled with 0xff, so that a float nobody wrote reads as NaN. It stands for CUDA's `extern __shared__`.
void* dynamic_shared_bytes();
template <class T> T* dynamic_shared() { return static_cast<T*>(dynamic_shared_bytes()); }

}  // namespace cr::backend::simt

#include "backend/simt/groups.hpp"

// These stand where C++ has no word, so they must be macros. One block runs at a time, hence a variable that all of its
// threads share, and no other block, is a `static` one.
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

// Where the watcher runs, a gap before each declaration of shared variables keeps one array's end from being the next one's
// beginning; so declare one at a time. Like on a GPU they have no initialiser and no constructor: g++ sees to that here,
// clang 14 wrongly refuses `constinit` for some, and there the watcher does. Copies of structs go where they are seen.
#if CHAINRULE_SIMT_CHECKS
#define CR_JOIN_(a, b) a##b
#define CR_JOIN(a, b) CR_JOIN_(a, b)
#if defined(__clang__)
#define CR_UNCONSTRUCTED
#else
#define CR_UNCONSTRUCTED constinit
#endif
#define __shared__                                                       \
  [[gnu::used]] static char CR_JOIN(cr_shared_guard_, __COUNTER__)[256]; \
  static CR_UNCONSTRUCTED
#if defined(__SANITIZE_THREAD__)
#define CR_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CR_WATCHED 1
#endif
#endif
#ifdef CR_WATCHED
__asm__(".set memcpy, cr_simt_memcpy\n.set memmove, cr_simt_memmove\n.set memset, cr_simt_memset\n");
#endif
#else
#define __shared__ static
#endif
