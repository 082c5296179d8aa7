// # Walking several strided tensors at once
//
// An elementwise operation on views is a nest of loops, one for each dimension, in which every operand has a stride of
// its own (0 where it is broadcast). Dimensions that all operands walk without a gap are merged into one, so contiguous
// tensors of any rank become a single long run, and only the innermost loop, the **run**, is handed to a kernel.
#pragma once

#include <algorithm>
#include <array>

#include "backend/parallel.hpp"
#include "tensor/tensor.hpp"

namespace cr::backend::cpu {

// Below this many elements handing work to another thread costs more than it saves.
inline constexpr int64_t kParallelElements = 1 << 16;
inline constexpr int64_t kTileElements = 1 << 14;

template <int N> struct Nest {
  Dims sizes;                   // outermost first, at least one
  std::array<Dims, N> strides;  // of each operand, in elements

  // `sizes` is the shape walked over; operands broadcast to it. A null operand stands still.
  Nest(const Shape& shape, const std::array<const Tensor*, N>& operands) : sizes(shape) {
    for (int k = 0; k < N; ++k) {
      strides[k] = Dims(shape.size(), 0);
      if (!operands[k]) continue;
      const Shape& own = operands[k]->shape();
      for (int d = 1; d <= own.size(); ++d) {
        if (own[own.size() - d] != 1) strides[k][shape.size() - d] = operands[k]->strides()[own.size() - d];
      }
    }
    merge();
  }

  int64_t run() const { return sizes.back(); }
  int64_t runs() const {
    int64_t n = 1;
    for (int d = 0; d + 1 < sizes.size(); ++d) n *= sizes[d];
    return n;
  }

  // Calls `f(n, offsets, strides of the run)` for the runs begin … end - 1.
  template <class F> void walk(int64_t begin, int64_t end, F&& f) const {
    if (begin >= end) return;
    int last = sizes.size() - 1;
    std::array<int64_t, N> offset{}, step{};
    Dims at(last, 0);
    int64_t rest = begin;
    for (int d = last - 1; d >= 0; --d) {
      at[d] = rest % sizes[d];
      rest /= sizes[d];
      for (int k = 0; k < N; ++k) offset[k] += at[d] * strides[k][d];
    }
    for (int k = 0; k < N; ++k) step[k] = strides[k][last];
    for (int64_t r = begin; r < end; ++r) {
      f(sizes[last], offset, step);
      for (int d = last - 1; d >= 0; --d) {
        for (int k = 0; k < N; ++k) offset[k] += strides[k][d];
        if (++at[d] < sizes[d]) break;
        for (int k = 0; k < N; ++k) offset[k] -= sizes[d] * strides[k][d];
        at[d] = 0;
      }
    }
  }

  // The same for everything, on all threads where that pays. Tiles follow from the sizes alone.
  template <class F> void parallel(F&& f) const {
    int64_t count = runs(), n = run();
    if (count * n < kParallelElements) {
      walk(0, count, f);
    } else if (n >= kTileElements || count == 1) {
      int64_t pieces = (n + kTileElements - 1) / kTileElements;
      parallel_for(count * pieces, [&](int64_t tile) {
        int64_t start = tile % pieces * kTileElements, length = std::min(kTileElements, n - start);
        walk(tile / pieces, tile / pieces + 1, [&](int64_t, std::array<int64_t, N> offset, const auto& step) {
          for (int k = 0; k < N; ++k) offset[k] += start * step[k];
          f(length, offset, step);
        });
      });
    } else {
      int64_t rows = std::max<int64_t>(1, kTileElements / n);
      parallel_for((count + rows - 1) / rows,
                   [&](int64_t tile) { walk(tile * rows, std::min(count, (tile + 1) * rows), f); });
    }
  }

 private:
  void merge() {
    if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) {  // nothing to walk: one empty run, not 2³⁰ of them
      sizes = Dims{0};
      for (int k = 0; k < N; ++k) strides[k] = Dims{0};
      return;
    }
    int kept = 0;  // dimensions 0 … kept - 1 are final
    for (int d = 0; d < sizes.size(); ++d) {
      if (sizes[d] == 1) continue;
      bool joins = kept > 0;
      for (int k = 0; k < N && joins; ++k) joins = strides[k][kept - 1] == strides[k][d] * sizes[d];
      if (joins) {
        sizes[kept - 1] *= sizes[d];
        for (int k = 0; k < N; ++k) strides[k][kept - 1] = strides[k][d];
      } else {
        sizes[kept] = sizes[d];
        for (int k = 0; k < N; ++k) strides[k][kept] = strides[k][d];
        ++kept;
      }
    }
    if (kept == 0) {
      sizes = Dims{1};
      for (int k = 0; k < N; ++k) strides[k] = Dims{0};
    } else {
      sizes.resize(kept);
      for (int k = 0; k < N; ++k) strides[k].resize(kept);
    }
  }
};

}  // namespace cr::backend::cpu
