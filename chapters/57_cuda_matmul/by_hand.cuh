// A GPU's program is a **kernel**: what one thread does. `__global__` marks
// it; `threadIdx`, a built-in variable, says which thread this is. (`CR_GPU`
// is the namespace: `cuda` if NVIDIA's compiler nvcc reads the file, `simt`
// if ours does, for the emulator.) Here lane $l$ reads number `first + l *
// step`, and writes it beside its neighbours'.
#pragma once

#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

template <class T>
__global__ void read_kernel(const T* x, T* y, int first, int step) {
  const int lane = int(threadIdx.x);
  y[lane] = x[first + lane * step];
}

// `launch` starts it: a name for error messages, the kernel, how many threads,
// and the arguments. (CUDA's own way to write it is
// `read_kernel<<<blocks, threads>>>(x, y, first, step)`.)
inline void read(const float* x, float* y, int lanes, int first, int step) {
  launch("read", read_kernel<float>, {.blocks = {1}, .threads = {unsigned(lanes)}},
         x, y, first, step);
}

}  // namespace cr::backend::CR_GPU
