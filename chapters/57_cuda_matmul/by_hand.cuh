// A warp that reads one number in each lane, and writes it beside its neighbours'. Lane $l$
// reads number `first + l * step`.
#pragma once

#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

template <class T> __global__ void read_kernel(const T* x, T* y, int first, int step) {
  const int lane = int(threadIdx.x);
  y[lane] = x[first + lane * step];
}

}  // namespace cr::backend::CR_GPU
