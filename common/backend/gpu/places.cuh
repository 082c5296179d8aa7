// # From an element's number to its place
//
// A kernel's thread knows one number, i: it has element i of the result, counted row by row. Views lie in memory by their
// strides, so i becomes an index along each dimension, and the indices a distance from the first element. Dimensions that
// all operands walk without a gap are merged on the host beforehand; what is left is mostly one, and then nothing is
// divided.
#pragma once

#include <array>
#include <string>

#include "backend/gpu/gpu.cuh"
#include "tensor/tensor.hpp"

namespace cr::backend::CR_GPU {

inline constexpr int kMaxDims = 16;

// The first element of x, as a kernel takes it; null if x is undefined.
template <class T> T* elements(const Tensor& x) {
  return x.defined() ? static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset : nullptr;
}

// How many blocks of `threads` serve n threads, and no more than `most`: each thread of a grid that is too small takes every
// so-manieth element (a **grid-stride loop**).
inline unsigned blocks_for(int64_t n, int64_t threads, int64_t most) {
  int64_t blocks = (n + threads - 1) / threads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

// A GPU has over a hundred multiprocessors, and each wants several blocks to switch between while one waits for memory. So
// long sums are cut into parts until there are about so many blocks: a fixed number, so that the same sum is cut, and
// rounded, the same way on every GPU.
inline constexpr int64_t kEnoughBlocks = 1024;

// And no grid needs more, if its threads can take more than one element.
inline constexpr int64_t kGridBlocks = 1 << 16;

// To the emulator each thread is work.
#ifdef __CUDACC__
inline constexpr int64_t kMostBlocks = kGridBlocks;
#else
inline constexpr int64_t kMostBlocks = 16;
#endif

// One thread for each of n elements: blocks of 256, or a smaller one where that is enough.
inline Grid grid_for(int64_t n) {
  const int64_t threads = n >= 256 ? 256 : n <= 32 ? 32 : (n + 31) / 32 * 32;
  return {.blocks = {blocks_for(n, threads, kMostBlocks)}, .threads = {static_cast<unsigned>(threads)}};
}

// `for (int64_t i = first_element(); i < n; i += all_threads())` is what such a thread does.
__device__ inline int64_t first_element() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t all_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// The sizes walked over, and the stride of each of N operands along each: in elements, and 0 where an operand repeats.
template <int N> struct Places {
  int64_t numel;
  int dims;
  int64_t size[kMaxDims] = {}, stride[N][kMaxDims] = {};

  // offset[k] is how far element i of operand k lies from its first one. Divisions of 64 bits take a GPU four times as
  // long as those of 32, which nearly always are enough.
  __device__ void find(int64_t i, int64_t (&offset)[N]) const {
    if (numel <= 0x7fffffff) find_by(static_cast<uint32_t>(i), offset);
    else find_by(i, offset);
  }

 private:
  template <class I> __device__ void find_by(I rest, int64_t (&offset)[N]) const {
    for (int k = 0; k < N; ++k) offset[k] = 0;
    for (int d = dims - 1; d > 0; --d) {
      const I n = static_cast<I>(size[d]), up = rest / n, index = rest - up * n;
      for (int k = 0; k < N; ++k) offset[k] += static_cast<int64_t>(index) * stride[k][d];
      rest = up;
    }
    for (int k = 0; k < N; ++k) offset[k] += static_cast<int64_t>(rest) * stride[k][0];
  }
};

// Operands broadcast to `shape`; a null one stands still. Throws DeviceError, naming `op`, where more dimensions are left
// than a kernel takes.
template <int N> Places<N> places(const char* op, const Shape& shape, const std::array<const Tensor*, N>& operands) {
  Places<N> p{};
  p.numel = numel(shape);
  int last = -1;  // the dimensions 0 … last are made
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    int64_t stride[N] = {};
    bool joins = last >= 0;
    for (int k = 0; k < N; ++k) {
      if (!operands[k]) continue;
      const int own = d - shape.size() + operands[k]->dim();
      if (own >= 0 && operands[k]->shape()[own] != 1) stride[k] = operands[k]->strides()[own];
    }
    for (int k = 0; k < N && joins; ++k) joins = p.stride[k][last] == stride[k] * shape[d];
    if (!joins && ++last == kMaxDims) throw DeviceError(std::string(op) + ": more dimensions than a kernel takes");
    p.size[last] = joins ? p.size[last] * shape[d] : shape[d];
    for (int k = 0; k < N; ++k) p.stride[k][last] = stride[k];
  }
  if (last < 0) last = 0, p.size[0] = 1;
  p.dims = last + 1;
  return p;
}

// Do all operands lie as the result does, one element after the other from the first to the last?
template <int N> bool in_a_row(const Places<N>& p) {
  if (p.dims != 1) return false;
  for (int k = 0; k < N; ++k) {
    if (p.stride[k][0] != 1 && p.size[0] != 1) return false;
  }
  return true;
}

// ## Sixteen bytes at once
//
// The widest load and store that a thread has. A warp's 32 threads move 512 bytes then by one instruction instead of four;
// that keeps more bytes on their way from memory, and it is what makes a kernel that only copies fast.
template <class T> struct Pack {
  static constexpr int kSize = 16 / sizeof(T);
  T x[kSize];
};
template <class T> __device__ Pack<T> load_pack(const T* p) {
  const float4 bytes = *reinterpret_cast<const float4*>(p);
  Pack<T> pack;
  __builtin_memcpy(&pack, &bytes, 16);
  return pack;
}
template <class T> __device__ void store_pack(T* p, const Pack<T>& pack) {
  float4 bytes;
  __builtin_memcpy(static_cast<void*>(&bytes), &pack, 16);
  *reinterpret_cast<float4*>(p) = bytes;
}
// Results of another size than what they were made of: what a pack makes of them if it is 16 bytes, or one by one.
template <class T, int n> __device__ void store_all(T* p, const T (&x)[n]) {
  if constexpr (n == Pack<T>::kSize) {
    Pack<T> pack;
    for (int j = 0; j < n; ++j) pack.x[j] = x[j];
    store_pack(p, pack);
  } else {
    for (int j = 0; j < n; ++j) p[j] = x[j];
  }
}
inline bool is_aligned(const void* p, size_t bytes = 16) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

}  // namespace cr::backend::CR_GPU
