// ## By the GPU's clock
//
// A kernel runs after the call that started it has returned, so the
// processor's clock sees nothing. CUDA has **events**: marks between two
// kernels, which the GPU stamps with the time when it gets there. The library
// that everybody measures against is cuBLAS, NVIDIA's own.
#pragma once

#include <string>
#include <vector>

#include "ladder.hpp"

// Seconds of one call of each rung and of cuBLAS, and each rung's largest gap
// to cuBLAS's result, relative to the largest number in it.
struct Timing {
  std::vector<double> seconds, library, gap;
};

namespace cr::backend::cuda {

// The GPU's name, or nothing where there is none.
std::string gpu();

// Rungs whose inputs are rounded to TF32 are held against cuBLAS with TF32.
Timing time_rungs(const std::vector<Rung<float>>& rungs, int64_t m, int64_t n,
                  int64_t k);
Timing time_rungs(const std::vector<Rung<Bf16>>& rungs, int64_t m, int64_t n,
                  int64_t k);

}  // namespace cr::backend::cuda
