// # Copies across the grain
//
// A transposed copy reads along one dimension of memory and writes along another. Whichever the inner loop follows, the
// other side touches a new cache line for every number, and at sizes that are powers of two these lines even fight for
// the same places of the cache. So we move blocks of 16 x 16: whole lines in, turned in a small buffer, whole lines out.
#include "backend/cpu/cpu.hpp"
#include "backend/cpu/nest.hpp"

namespace cr::backend::cpu {
namespace {

constexpr int64_t kBlock = 16;

// out[i + j * so] = x[j + i * sx] for i < n, j < m
template <class T> void turn(T* out, int64_t so, const T* x, int64_t sx, int64_t n, int64_t m) {
  T block[kBlock][kBlock];
  for (int64_t i0 = 0; i0 < n; i0 += kBlock) {
    int64_t rows = std::min(kBlock, n - i0);
    for (int64_t j0 = 0; j0 < m; j0 += kBlock) {
      int64_t columns = std::min(kBlock, m - j0);
      if (rows == kBlock && columns == kBlock) {
        for (int64_t i = 0; i < kBlock; ++i) {
          for (int64_t j = 0; j < kBlock; ++j) block[j][i] = x[(i0 + i) * sx + j0 + j];
        }
        for (int64_t j = 0; j < kBlock; ++j) {
          for (int64_t i = 0; i < kBlock; ++i) out[(j0 + j) * so + i0 + i] = block[j][i];
        }
      } else {
        for (int64_t j = 0; j < columns; ++j) {
          for (int64_t i = 0; i < rows; ++i) out[(j0 + j) * so + i0 + i] = x[(i0 + i) * sx + j0 + j];
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
    if (nest.sizes[d] < kBlock) continue;
    if (nest.strides[0][d] == 1) along_out = d;
    if (nest.strides[1][d] == 1) along_x = d;
  }
  if (along_out < 0 || along_x < 0 || along_out == along_x) return false;
  int64_t n = nest.sizes[along_out], m = nest.sizes[along_x];
  int64_t so = nest.strides[0][along_x], sx = nest.strides[1][along_out];

  // What is left are the other dimensions, and strips of the longer side.
  Shape others = nest.sizes;
  others[along_out] = others[along_x] = 1;
  Tensor o = window(out, others, nest.strides[0], 0), p = window(x, others, nest.strides[1], 0);
  Nest<2> outer(others, {&o, &p});
  int64_t strip = std::max(kBlock, kTileElements / m / kBlock * kBlock), strips = (n + strip - 1) / strip;
  int64_t count = outer.runs() * outer.run();
  auto move = [&](auto t) {
    using T = decltype(t);
    T* to = static_cast<T*>(out.impl()->storage->data()) + out.impl()->offset;
    const T* from = static_cast<const T*>(x.impl()->storage->data()) + x.impl()->offset;
    auto one = [&](int64_t tile) {
      int64_t item = tile / strips, begin = tile % strips * strip, length = std::min(strip, n - begin);
      int64_t run = outer.run();
      outer.walk(item / run, item / run + 1, [&](int64_t, const auto& offset, const auto& step) {
        int64_t k = item % run;
        turn(to + offset[0] + k * step[0] + begin, so, from + offset[1] + k * step[1] + begin * sx, sx, length, m);
      });
    };
    if (out.numel() < kParallelElements) {
      for (int64_t tile = 0; tile < count * strips; ++tile) one(tile);
    } else {
      parallel_for(count * strips, one);
    }
  };
  switch (size_of(out.dtype())) {
    case 1: move(uint8_t{}); break;
    case 2: move(uint16_t{}); break;
    case 4: move(uint32_t{}); break;
    default: move(uint64_t{}); break;
  }
  return true;
}

}  // namespace cr::backend::cpu
