// # What norms do to a number
#pragma once

#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

// (x − mean) / √(var + eps). A mean of 10000 has only three decimals in float32, so it is taken away in two parts: what fits
// a T, and the rest.
template <class T> struct Centered {
  T high, low, scale;
  Centered() = default;
  __device__ Centered(double mean, double var, double eps)
      : high(static_cast<T>(mean)),
        low(static_cast<T>(mean - static_cast<double>(high))),
        scale(static_cast<T>(1 / functor::Sqrt{}(var + eps))) {}
  __device__ T operator()(T x) const { return ((x - high) - low) * scale; }
};

}  // namespace cr::backend::CR_GPU
