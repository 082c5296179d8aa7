// Thirty-two threads, the **lanes** of a warp, walk in step and can read each
// other's registers. To add up one number from each of them takes five exchanges:
// with the lane 16 away, then 8, 4, 2, 1. Afterwards all of them know the sum.
#pragma once

#include <math.h>

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "backend/gpu/gpu.cuh"
#include "tensor/error.hpp"

namespace attention::CR_GPU {
using namespace cr::backend::CR_GPU;

constexpr unsigned kAll = 0xffffffff;  // every lane takes part

template <class T> __device__ T warp_sum(T x) {
  for (int apart = 16; apart > 0; apart /= 2) x += __shfl_xor_sync(kAll, x, apart);
  return x;
}

// One instruction on a GPU. A NaN is passed over, but not lost: its exponential is
// NaN, and so is the row's sum.
inline __device__ float larger(float a, float b) { return fmaxf(a, b); }
inline __device__ double larger(double a, double b) { return fmax(a, b); }

template <class T> __device__ T warp_max(T x) {
  for (int apart = 16; apart > 0; apart /= 2)
    x = larger(x, __shfl_xor_sync(kAll, x, apart));
  return x;
}

template <class T> __device__ constexpr T minus_infinity() {
  return -std::numeric_limits<T>::infinity();
}

// Kernels are compiled once for each width that a head can have; those with tensor
// cores begin at 64. Other widths can be had by padding q, k and v with zeros up to
// the next of these: that changes no score.
template <int kLeast = 32, class F> void with_width(int64_t width, F run) {
  if constexpr (kLeast <= 32)
    if (width == 32) return run(std::integral_constant<int, 32>());
  if (width == 64) return run(std::integral_constant<int, 64>());
  if (width == 128) return run(std::integral_constant<int, 128>());
  if (width == 256) return run(std::integral_constant<int, 256>());
  throw cr::ShapeError(
      std::string(kLeast <= 32 ? "attention: heads of 32, 64, 128 or 256 numbers"
                               : "tensor cores: heads of 64, 128 or 256 numbers") +
      ", not " + std::to_string(width));
}

// What the GPU lacks that a rung is made of, in a table's words, or null.
inline const char* missing(int rung) {
#if defined(__CUDACC__)
  const Runtime& gpu = Runtime::get();
  if (rung == 5 && !gpu.has(80)) return "needs 8.0";
  if (rung == 6 && !gpu.has(90)) return "needs 9.0";
  return nullptr;
#else
  return rung == 6 ? "needs a GPU" : nullptr;
#endif
}

}  // namespace attention::CR_GPU
