// # Tensors as kernels see them
#pragma once

#include <algorithm>
#include <array>

#include "backend/gpu/gpu.cuh"
#include "tensor/tensor.hpp"

namespace cr::backend::CR_GPU {

// Where a tensor's numbers begin; null for an undefined one.
template <class T> T* numbers(const Tensor& x) {
  return x.defined() ? static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset : nullptr;
}

inline int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }

// Blocks for so many threads of work, `size` threads each; a grid of more than 2³⁰ is left to grid-stride loops.
inline unsigned blocks_for(int64_t count, int64_t size) {
  return static_cast<unsigned>(std::clamp<int64_t>(pieces(count, size), 1, int64_t{1} << 30));
}

// Calls f(T{}) for float32, float64 or int64.
template <class F> void with_number(const Tensor& x, const char* op, F&& f) {
  if (x.dtype() == DType::int64) f(int64_t{});
  else dispatch_floating(x.dtype(), op, f);
}

// Memory for a kernel's own use. It is given back in the order of the stream, so it may go before the kernel is done.
template <class T> struct Scratch {
  Tensor memory;
  Scratch(int64_t count, Device device) {
    constexpr DType kType = sizeof(T) == 4 ? DType::float32 : std::is_same_v<T, double> ? DType::float64 : DType::int64;
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    if (count > 0) memory = empty({count}, kType, device);
  }
  T* data() const { return numbers<T>(memory); }
};

}  // namespace cr::backend::CR_GPU
