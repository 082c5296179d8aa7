// A warp that reads one number in each lane, and writes it beside its
// neighbours'. Lane $l$ reads number `first + l * step`.
#pragma once

#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

template <class T>
__global__ void read_kernel(const T* x, T* y, int first, int step) {
  const int lane = int(threadIdx.x);
  y[lane] = x[first + lane * step];
}

// The second example: a tile of 32 × 32 numbers in shared memory is written
// row by row and read column by column. Its rows are `kStep` words long.
template <int kStep> __global__ void columns_kernel(const float* x, float* y) {
  __shared__ float tile[32][kStep];
  const int lane = int(threadIdx.x);
  for (int r = 0; r < 32; ++r) tile[r][lane] = x[r * 32 + lane];
  __syncthreads();
  for (int c = 0; c < 32; ++c) y[c * 32 + lane] = tile[lane][c];
}

}  // namespace cr::backend::CR_GPU
