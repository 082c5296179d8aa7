// # CUDA's words, on a machine without CUDA
//
// A kernel is written once, in a `.cuh` file. nvcc knows the words below by itself; for every other compiler this page
// defines them, so that the same source becomes ordinary C++ that `launch` (`launch.hpp`) runs and a debugger steps
// through.
//
// A kernel is called once by each **thread**. Threads come in **blocks**, blocks form the **grid**, and each thread
// learns from these variables which one it is.
#pragma once

#include <cstddef>

namespace cr::backend::simt {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline constinit thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

// Waits until every thread of the block is here. All of them must come, or none: see `launch`.
void __syncthreads();

// The memory that the launch asked for with `shared_bytes`: one piece for each block, seen by all its threads, aligned
// to 16 bytes and filled with 0xff, so that a float nobody wrote reads as NaN. (To nvcc: `extern __shared__ T
// memory[];`.)
void* dynamic_shared_bytes();
template <class T> T* dynamic_shared() { return static_cast<T*>(dynamic_shared_bytes()); }

}  // namespace cr::backend::simt

// These three stand where C++ has no word, so they must be macros. A block's threads take turns on one thread of the
// system, hence a variable that all of them share, and that no other block sees at the same time, is a `thread_local`
// one.
#define __global__
#define __device__ inline
#define __shared__ static thread_local
