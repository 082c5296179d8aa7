// Images and weights change their layout and their type once, on the way in, and
// back once at the end; a network that runs on tensor cores keeps them as they are
// in between. With `turned` weights swap filters and channels: (o, c, taps) becomes
// (c, taps, o).
#pragma once

#include "product.cuh"
#include "rung_4_tensor_cores.cuh"

namespace cr::backend::CR_GPU {

// A thread for each number of the result, so writes are in a row and reads are not:
// from one channel to the next it is a whole plane. A tile in shared memory would
// mend that (chapter 57 transposes so); here it is no part of what we compare.
//
// x (a, b, inner) → (a, inner, padded b), or for `turned` (b, inner, padded a)
template <class From>
__global__ void last_kernel(int a, int b, int inner, bool turned, const From* from,
                            uint16_t* to) {
  const int outer = turned ? b : a, last = turned ? a : b, wide = padded(last);
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= int64_t{outer} * inner * wide) return;
  const int column = int(at % wide), middle = int(at / wide % inner),
            row = int(at / wide / inner);
  const int64_t source = turned ? (int64_t{column} * b + row) * inner + middle
                                : (int64_t{row} * b + column) * inner + middle;
  to[at] = column < last ? to_bfloat16(from[source]) : uint16_t{0};
}

// (a, inner, padded b) → (a, b, inner)
constexpr float as_float(uint16_t x) { return from_bfloat16(x); }
constexpr float as_float(float x) { return x; }

template <class From>
__global__ void first_kernel(int a, int b, int inner, const From* from, float* to) {
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= int64_t{a} * b * inner) return;
  const int middle = int(at % inner), column = int(at / inner % b),
            row = int(at / inner / b);
  to[at] = as_float(from[(int64_t{row} * inner + middle) * padded(b) + column]);
}

inline void channels_last(int a, int b, int inner, bool turned, const float* from,
                          uint16_t* to) {
  const int64_t size = int64_t{turned ? b : a} * inner * padded(turned ? a : b);
  launch("channels last", last_kernel<float>,
         {.blocks = {blocks_for(size, 128)}, .threads = {128}}, a, b, inner, turned,
         from, to);
}

template <class From>
void channels_first(int a, int b, int inner, const From* from, float* to) {
  launch("channels first", first_kernel<From>,
         {.blocks = {blocks_for(int64_t{a} * b * inner, 128)}, .threads = {128}}, a,
         b, inner, from, to);
}

}  // namespace cr::backend::CR_GPU
