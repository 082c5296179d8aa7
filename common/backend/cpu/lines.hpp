// # One line at a time
//
// Sorting and scanning work along one dimension and treat every line along it alike.
#pragma once

#include "backend/cpu/nest.hpp"
#include "backend/parallel.hpp"

namespace cr::backend::cpu {

template <class T> T* elements(const Tensor& x) {
  return static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset;
}

// Calls `f(offsets)` with where in each tensor a line along d begins, for all lines. `length` is how many elements a line
// is worth: tiles hold about kTileElements of them.
template <int N, class F>
void for_each_line(const std::array<const Tensor*, N>& tensors, int d, int64_t length, F&& f) {
  const Tensor& first = *tensors[0];
  int64_t lines = 1;
  for (int i = 0; i < first.dim(); ++i) lines *= i == d ? 1 : first.shape()[i];
  int64_t block = std::max<int64_t>(1, kTileElements / std::max<int64_t>(length, 1)),
          tiles = (lines + block - 1) / block;
  auto tile = [&](int64_t t) {
    for (int64_t line = t * block; line < std::min(lines, (t + 1) * block); ++line) {
      std::array<int64_t, N> offsets{};
      int64_t rest = line;
      for (int i = first.dim() - 1; i >= 0; --i) {
        if (i == d) continue;
        int64_t at = rest % first.shape()[i];
        rest /= first.shape()[i];
        for (size_t k = 0; k < N; ++k) offsets[k] += at * tensors[k]->strides()[i];
      }
      f(offsets);
    }
  };
  if (lines * length < kParallelElements) {
    for (int64_t t = 0; t < tiles; ++t) tile(t);
  } else {
    parallel_for(tiles, tile);
  }
}

}  // namespace cr::backend::cpu
