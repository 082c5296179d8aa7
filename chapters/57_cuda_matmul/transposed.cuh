// **By hand, twice more.** A tile of 32 × 32 numbers in shared memory, read column by column:
// lane $l$ reads row $l$. In the first kernel a row is 32 words long, in the second 33.
#pragma once

#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

template <int kStep> __global__ void column_by_column(const float* x, float* y) {
  __shared__ float tile[32][kStep];
  const int lane = int(threadIdx.x);
  for (int r = 0; r < 32; ++r) tile[r][lane] = x[r * 32 + lane];
  __syncthreads();
  for (int c = 0; c < 32; ++c) y[c * 32 + lane] = tile[lane][c];
}

}  // namespace cr::backend::CR_GPU
