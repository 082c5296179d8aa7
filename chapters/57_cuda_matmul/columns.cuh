// A warp writes a tile of 32 × 32 numbers row by row and reads it column by
// column. Its rows are `kStep` words long.
#pragma once

#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

template <int kStep> __global__ void columns_kernel(const float* x, float* y) {
  __shared__ float tile[32][kStep];
  const int lane = int(threadIdx.x);
  for (int r = 0; r < 32; ++r) tile[r][lane] = x[r * 32 + lane];
  __syncthreads();
  for (int c = 0; c < 32; ++c) y[c * 32 + lane] = tile[lane][c];
}

inline void columns(const float* x, float* y, bool longer_rows) {
  launch("columns", longer_rows ? columns_kernel<33> : columns_kernel<32>,
         {.blocks = {1}, .threads = {32}}, x, y);
}

}  // namespace cr::backend::CR_GPU
