// # Copies across the grain
//
// A transposed copy reads along one dimension of memory and writes along another. Whichever the inner loop follows, the
// other side touches a new cache line for every number, and at sizes that are powers of two these lines even fight for
// the same places of the cache. So we move square blocks: whole lines in, turned in a small buffer, whole lines out.
#include "backend/cpu/cpu.hpp"
#include "backend/cpu/nest.hpp"

namespace cr::backend::cpu {
namespace {

// A cache line and a tile of them: within a tile both sides stay in the caches and in few pages.
template <class T> constexpr int64_t kBlock = sizeof(T) <= 2 ? 32 : 16;
constexpr int64_t kTileRows = 64, kTileColumns = 256;

// out[i + j * so] = x[j + i * sx] for i < n, j < m
template <class T> void turn(T* out, int64_t so, const T* x, int64_t sx, int64_t n, int64_t m) {
  constexpr int64_t size = kBlock<T>;
  T block[size][size];
  for (int64_t i0 = 0; i0 < n; i0 += size) {
    for (int64_t j0 = 0; j0 < m; j0 += size) {
      const T* from = x + i0 * sx + j0;
      T* to = out + j0 * so + i0;
      int64_t rows = std::min(size, n - i0), columns = std::min(size, m - j0);
      if (rows == size && columns == size) {
        for (int64_t i = 0; i < size; ++i) {
          for (int64_t j = 0; j < size; ++j) block[j][i] = from[i * sx + j];
        }
        for (int64_t j = 0; j < size; ++j) {
          for (int64_t i = 0; i < size; ++i) to[j * so + i] = block[j][i];
        }
      } else {
        for (int64_t j = 0; j < columns; ++j) {
          for (int64_t i = 0; i < rows; ++i) to[j * so + i] = from[i * sx + j];
        }
      }
    }
  }
}

}  // namespace

bool copy_transposed(const Tensor& out, const Tensor& x) {
  Nest<2> nest(out.shape(), {&out, &x});
  int along_out = -1, along_x = -1;
  for (int d = 0; d < nest.sizes.size(); ++d) {
    if (nest.sizes[d] < 16) continue;
    if (nest.strides[0][d] == 1) along_out = d;
    if (nest.strides[1][d] == 1) along_x = d;
  }
  if (along_out < 0 || along_x < 0 || along_out == along_x) return false;
  int64_t n = nest.sizes[along_out], m = nest.sizes[along_x];
  int64_t so = nest.strides[0][along_x], sx = nest.strides[1][along_out];

  // What is left are the other dimensions.
  Shape others = nest.sizes;
  others[along_out] = others[along_x] = 1;
  Tensor o = window(out, others, nest.strides[0], 0), p = window(x, others, nest.strides[1], 0);
  Nest<2> outer(others, {&o, &p});
  int64_t down = (n + kTileRows - 1) / kTileRows, across = (m + kTileColumns - 1) / kTileColumns;
  int64_t tiles = outer.runs() * outer.run() * down * across;
  auto move = [&](auto t) {
    using T = decltype(t);
    T* to = static_cast<T*>(out.impl()->storage->data()) + out.impl()->offset;
    const T* from = static_cast<const T*>(x.impl()->storage->data()) + x.impl()->offset;
    auto one = [&](int64_t tile) {
      int64_t item = tile / (down * across), i = tile / across % down * kTileRows, j = tile % across * kTileColumns;
      int64_t run = outer.run(), k = item % run;
      outer.walk(item / run, item / run + 1, [&](int64_t, const auto& offset, const auto& step) {
        turn(to + offset[0] + k * step[0] + i + j * so, so, from + offset[1] + k * step[1] + j + i * sx, sx,
             std::min(kTileRows, n - i), std::min(kTileColumns, m - j));
      });
    };
    if (out.numel() < kParallelElements) {
      for (int64_t tile = 0; tile < tiles; ++tile) one(tile);
    } else {
      parallel_for(tiles, one);
    }
  };
  dispatch_size(out.dtype(), move);
  return true;
}

}  // namespace cr::backend::cpu
