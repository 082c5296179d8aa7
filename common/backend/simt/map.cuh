// # An elementwise kernel
//
// Thread $i$ computes element $i$ of the result, counted row by row. The operands are views, so $i$ has to become a
// position in each of them first.
#pragma once

#include <cstdint>

#ifndef __CUDACC__
#include "backend/simt/words.hpp"
#endif

namespace cr::backend::simt {

inline constexpr int kMaxDims = 16;

// `in[k]` is null where operand k is a number. Strides are in elements, the result's first, 0 where an operand
// repeats.
template <class T, class R> struct MapParams {
  int64_t numel;
  int dims;
  int64_t size[kMaxDims], stride[4][kMaxDims];
  R* out;
  const T* in[3];
  T number[3];
};

template <class F, class T> __device__ auto apply(F f, const T (&x)[3]) {
  if constexpr (F::kArity == 1) return f(x[0]);
  else if constexpr (F::kArity == 2) return f(x[0], x[1]);
  else return f(x[0], x[1], x[2]);
}

// A grid may have fewer threads than there are elements: then each takes every so-manieth one (a **grid-stride
// loop**). Threads that are neighbours work on elements that are neighbours, which a GPU fetches from memory together.
template <class F, class T, class R> __global__ void map_kernel(MapParams<T, R> p) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = first; i < p.numel; i += step) {
    // Split i into one index for each dimension, the last one first, and walk each operand by its own strides.
    int64_t rest = i, at[4] = {};
    for (int d = p.dims - 1; d >= 0; --d) {
      const int64_t index = rest % p.size[d];
      rest /= p.size[d];
      for (int k = 0; k <= F::kArity; ++k) at[k] += index * p.stride[k][d];
    }
    T x[3] = {};
    for (int k = 0; k < F::kArity; ++k) x[k] = p.in[k] ? p.in[k][at[k + 1]] : p.number[k];
    p.out[at[0]] = apply(F{}, x);
  }
}

}  // namespace cr::backend::simt
