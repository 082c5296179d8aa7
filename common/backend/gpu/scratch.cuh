// # Memory for a kernel's own use
#pragma once

#include <algorithm>
#include <type_traits>

#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "tensor/tensor.hpp"

namespace cr::backend::CR_GPU {

inline int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }

// How many parts a sum of so many terms is cut into that has `blocks` blocks to itself: enough for a GPU, none too short.
constexpr int64_t kShortestSum = 512;
inline int64_t parts_of(int64_t terms, int64_t blocks, int64_t shortest = kShortestSum) {
  return std::clamp<int64_t>(terms / shortest, 1, std::max<int64_t>(kEnoughBlocks / blocks, 1));
}

// A grid has at most 65 535 blocks along z: what is numbered there takes every so-manieth of them.
inline unsigned deep(int64_t count) { return static_cast<unsigned>(std::clamp<int64_t>(count, 1, 65535)); }

// Calls f(T{}) for float32, float64 or int64.
template <class F> void dispatch_numbers(DType type, const char* op, F&& f) {
  if (type == DType::int64) f(int64_t{});
  else dispatch_floating(type, op, f);
}

// `count` numbers on a device, or none. The memory is given back in the order of the stream, so this may go before the
// kernels are done.
template <class T> struct Scratch {
  Tensor memory;
  Scratch(int64_t count, Device device) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    constexpr DType kType = sizeof(T) == 4 ? DType::float32 : DType::float64;
    if (count > 0) memory = empty({count}, kType, device);
  }
  T* data() const { return elements<T>(memory); }
};

}  // namespace cr::backend::CR_GPU
