// # What the kernels of products share
#pragma once

#include <algorithm>

#include "backend/functor.hpp"
#include "backend/gpu/products.hpp"
#include "backend/gpu/scratch.cuh"

namespace cr::backend::CR_GPU {

// C, A and B of product `number`.
template <class T> __device__ Product<T> one_of(const Product<T>& p, int64_t number) {
  int64_t at[3];
  p.batch.find(number, at);
  Product<T> one = p;
  one.c += at[0], one.a += at[1], one.b += at[2];
  return one;
}

__device__ inline float rectify(float x) { return functor::Relu{}(x); }
__device__ inline double rectify(double x) { return functor::Relu{}(x); }
__device__ inline uint64_t rectify(uint64_t x) { return x >> 63 ? 0 : x; }  // a negative int64

// What becomes of a sum, for an element of C that held `before`.
template <class T> __device__ T finished(const Product<T>& p, int64_t i, int64_t j, T sum, T before) {
  if (p.accumulate) sum += before;
  if (p.bias) sum += p.bias[i * p.bias_row + j * p.bias_column];
  return p.relu ? rectify(sum) : sum;
}
template <class T> __device__ void finish(const Product<T>& p, int64_t i, int64_t j, T sum) {
  T& c = p.c[i * p.c_row + j * p.c_column];
  c = finished(p, i, j, sum, p.accumulate ? c : T(0));
}

// Neighbours in a row of C that fill 16 bytes are stored at once, where `packs` says that they lie so.
template <class T, int n>
__device__ void finish_row(const Product<T>& p, bool packs, int64_t i, int64_t j, const T (&sum)[n]) {
  if (packs && j + n <= p.n) {
    T* c = p.c + i * p.c_row + j;
    Pack<T> pack{};
    if (p.accumulate) pack = load_pack(c);
#pragma unroll
    for (int k = 0; k < n; ++k) pack.x[k] = finished(p, i, j + k, sum[k], pack.x[k]);
    store_pack(c, pack);
  } else {
#pragma unroll
    for (int k = 0; k < n; ++k)
      if (j + k < p.n) finish(p, i, j + k, sum[k]);
  }
}

// ## Long sums
//
// A long sum for few tiles, as for the gradient of weights, would leave most of a GPU idle: it is cut into parts. Part after
// part of each product they lie in memory, (products, parts, m, n), and `add_parts` adds them up, in order.
template <class T> int64_t parts_of(const Product<T>& p, int64_t tiles) { return parts_of(p.k, tiles * p.batch.numel); }
template <class T> void add_parts(const Product<T>& p, int64_t parts, const T* partial);

// Factors rounded as `gpu_options().precision` says, sums in float32: `rounded_products.cu`.
void multiply_rounded(const Product<float>& p, Device device);

}  // namespace cr::backend::CR_GPU
