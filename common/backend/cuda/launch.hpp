// # Launching a kernel on the GPU
//
// The same words as on the emulator (`simt/launch.hpp`): a kernel's source does not know which of the two it is.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "backend/cuda/runtime.hpp"

namespace cr::backend::cuda {

// How many blocks of how many threads, as between CUDA's `<<<` and `>>>`. Blocks of a `cluster` (compute capability 9) run
// together and see each other's shared memory. A kernel that `needs` compute capability 8.0 says 80, one that WGMMA is in 90,
// which is exactly that: code for 9.0a runs nowhere else.
struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;
  dim3 cluster = {1, 1, 1};
  int needs = 0;
};

// The memory that the launch asked for with `shared_bytes`: one piece for each block, seen by all its threads.
template <class T> static __device__ T* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
}

// Queues kernel(args…) in the current stream and returns. Throws DeviceError, naming the kernel, for a grid that the GPU
// does not take and for a kernel that needs another GPU; what goes wrong inside is reported by a later call, or with `--sync`
// here.
template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), const Grid& grid, const A&... args) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  Runtime& runtime = Runtime::get();
  if (grid.needs) runtime.require(grid.needs, name);
  // Beyond 48 kB a kernel has to ask for shared memory by name.
  if (grid.shared_bytes > 48 * 1024) {
    runtime.check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.shared_bytes)),
        name);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks, config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.shared_bytes, config.stream = runtime.stream();
  cudaLaunchAttribute cluster{};
  if (grid.cluster.x * grid.cluster.y * grid.cluster.z > 1) {
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {grid.cluster.x, grid.cluster.y, grid.cluster.z};
    config.attrs = &cluster, config.numAttrs = 1;
  }
  // Code is loaded when it is first launched, and that takes memory, which our cache may hold.
  auto start = [&] { return cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...); };
  if (start() == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    runtime.release_cached();
    start();
  }
  runtime.launched(name);
}

}  // namespace cr::backend::cuda
