// # Sums of a block
//
// Threads that share out a long sum add up what they have in pairs, always the same ones: half of the threads take what
// the other half has, then a quarter, until one number is left. So the result does not depend on who was first.
#pragma once

#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

// The sum of all threads' numbers, known to all of them. The threads of a block, a power of two, must all come. With
// `lanes` (a power of two as well) the threads t, t + lanes, t + 2 lanes, … have a sum of their own.
template <int kThreads, class T> __device__ T block_sum(T number, int lanes = 1) {
  __shared__ T shared[kThreads];
  const int t = static_cast<int>(threadIdx.x);
  shared[t] = number;
  for (int left = kThreads / 2; left >= lanes; left /= 2) {
    __syncthreads();
    if (t < left) shared[t] += shared[t + left];
  }
  __syncthreads();
  const T sum = shared[t & (lanes - 1)];
  __syncthreads();  // nobody writes the next sum's numbers before all have read this one
  return sum;
}

// A thread's own long sum: 32 terms at a time in their own type, which then meet in float64.
template <class T> struct LongSum {
  double total = 0;
  T part = 0;
  int terms = 0;
  __device__ void add(T x) {
    part += x;
    if (++terms < 32) return;
    total += static_cast<double>(part);
    part = 0, terms = 0;
  }
  __device__ double value() const { return total + static_cast<double>(part); }
};

// Σ f(i) over i = first, first + step, … < n, for one thread.
template <class T, class F> __device__ double sum_of(int64_t first, int64_t n, int64_t step, const F& f) {
  LongSum<T> sum;
  for (int64_t i = first; i < n; i += step) sum.add(f(i));
  return sum.value();
}

}  // namespace cr::backend::CR_GPU
