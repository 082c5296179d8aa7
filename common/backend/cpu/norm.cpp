#include <cmath>
#include <vector>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/norm_kernel.hpp"
#include "backend/cpu/nest.hpp"

namespace cr::backend::cpu {
namespace {

const NormKernels& kernels() {
#if CHAINRULE_X86_DISPATCH
  switch (isa()) {
    case Isa::avx512: return avx512::norm_kernels;
    case Isa::avx2: return avx2::norm_kernels;
    default: break;
  }
#endif
  return base::norm_kernels;
}

// Where row r of a contiguous tensor lies; null for an undefined one.
char* row(const Tensor& x, int64_t r = 0, int64_t n = 0) {
  if (!x.defined()) return nullptr;
  return static_cast<char*>(x.impl()->storage->data()) + (x.impl()->offset + r * n) * size_of(x.dtype());
}
double* number(const Tensor& x, int64_t r) { return reinterpret_cast<double*>(row(x, r, 1)); }

template <class F> void for_each_tile(int64_t tiles, int64_t elements, F&& f) {
  if (elements >= kParallelElements) return parallel_for(tiles, f);
  for (int64_t t = 0; t < tiles; ++t) f(t);
}

}  // namespace

// ## Layer norm
//
// A row is read three times, for its mean, its variance and its result, but only once from memory: it stays in the cache.
void Cpu::layer_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                     const Tensor& bias, double eps) {
  int64_t rows = x.shape()[0], n = x.shape()[1], block = std::max<int64_t>(1, kTileElements / std::max<int64_t>(n, 1));
  auto* kernel = kernels().forward[x.dtype() == DType::float64];
  bool center = mean.defined();
  for_each_tile((rows + block - 1) / block, x.numel(), [&](int64_t tile) {
    double none;
    for (int64_t r = tile * block; r < std::min(rows, (tile + 1) * block); ++r) {
      kernel(n, row(y, r, n), row(x, r, n), row(weight), row(bias), eps, center, center ? number(mean, r) : &none,
             number(var, r));
    }
  });
}

// The gradients of weight and bias are sums over all rows. Each of at most 32 tiles adds up its own rows, at most 128 at a
// time in float32 before they move to float64; then the tiles meet, in order.
void Cpu::layer_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                              const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                              double eps) {
  constexpr int64_t kMostTiles = 32, kRows = 128;
  int64_t rows = x.shape()[0], n = x.shape()[1];
  int64_t block = std::max<int64_t>({1, (rows + kMostTiles - 1) / kMostTiles, kTileElements / std::max<int64_t>(n, 1)});
  int64_t tiles = (rows + block - 1) / block;
  bool sums = dweight.defined() || dbias.defined();
  int kind = x.dtype() == DType::float64;
  auto width = static_cast<size_t>(n), size = static_cast<size_t>(size_of(x.dtype()));
  std::vector<double> totals(sums ? static_cast<size_t>(tiles) * 2 * width : 0, 0.0);
  for_each_tile(tiles, x.numel(), [&](int64_t tile) {
    std::vector<char> partial(sums ? 2 * width * size : 0);  // zeros of x's type
    double* total = totals.data() + (sums ? static_cast<size_t>(tile) * 2 * width : 0);
    int64_t end = std::min(rows, (tile + 1) * block);
    for (int64_t r = tile * block, added = 1; r < end; ++r, ++added) {
      kernels().backward[kind](n, row(dx, r, n), dweight.defined() ? partial.data() : nullptr,
                               dbias.defined() ? partial.data() + width * size : nullptr, row(dy, r, n), row(x, r, n),
                               row(weight), eps, mean.defined(), mean.defined() ? *number(mean, r) : 0,
                               *number(var, r));
      if (sums && (added % kRows == 0 || r + 1 == end)) kernels().move[kind](2 * n, total, partial.data());
    }
  });
  auto meet = [&](const Tensor& out, size_t from) {
    if (!out.defined()) return;
    dispatch_floating(out.dtype(), "layer_norm", [&](auto t) {
      auto* o = reinterpret_cast<decltype(t)*>(row(out));
      for (size_t i = 0; i < width; ++i) {
        double sum = 0;
        for (size_t tile = 0; tile < static_cast<size_t>(tiles); ++tile) sum += totals[tile * 2 * width + from + i];
        o[i] = static_cast<decltype(t)>(sum);
      }
    });
  };
  meet(dweight, 0);
  meet(dbias, width);
}

// ## Batch norm
//
// A channel of x (n, channels, places) is n runs of `places` numbers. Where there is one place, as in x (n, channels), 64
// channels are taken side by side instead, and a run goes across them. A tile is one channel, or 64, so its sums are its
// own and always in the same order.
namespace {

constexpr int64_t kSide = 64;

template <class T> const BatchKernel<T>& batch_kernel(bool across) {
  if constexpr (std::is_same_v<T, float>) return kernels().batch_float[across];
  else return kernels().batch_double[across];
}

// What a tile knows of its channels.
template <class T> struct Channels {
  T high[kSide] = {}, low[kSide] = {}, scale[kSide] = {};
  void set(int64_t c, double mean, double var, double eps) {
    high[c] = static_cast<T>(mean);
    low[c] = static_cast<T>(mean - static_cast<double>(high[c]));
    scale[c] = static_cast<T>(1 / std::sqrt(var + eps));
  }
};

// Calls `f(first channel, channels, kernel, runs)` for each tile; `runs(g)` calls `g(length, offset)` for each run of it.
template <class T, class F> void for_each_channel(const Tensor& x, F&& f) {
  int64_t n = x.shape()[0], channels = x.shape()[1], places = x.shape()[2];
  bool across = places == 1;
  int64_t side = across ? kSide : 1;
  for_each_tile((channels + side - 1) / side, x.numel(), [&](int64_t tile) {
    int64_t first = tile * side, count = std::min(side, channels - first), length = across ? count : places;
    f(first, count, batch_kernel<T>(across), [&](auto&& g) {
      for (int64_t i = 0; i < n; ++i) g(length, (i * channels + first) * places);
    });
  });
}

template <class T> T* numbers(const Tensor& x, int64_t at = 0) { return reinterpret_cast<T*>(row(x, at, 1)); }

}  // namespace

void Cpu::batch_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                     const Tensor& bias, double eps) {
  dispatch_floating(x.dtype(), "batch_norm", [&](auto t) {
    using T = decltype(t);
    double count = static_cast<double>(x.shape()[0] * x.shape()[2]);
    const T* in = numbers<T>(x);
    for_each_channel<T>(x, [&](int64_t first, int64_t channels, const BatchKernel<T>& kernel, auto&& runs) {
      // The mean, near first and then the rest, as for rows; then the variance.
      T near[kSide] = {}, shift[kSide] = {};
      double total[kSide] = {}, *means = number(mean, first), *vars = number(var, first);
      runs([&](int64_t n, int64_t at) { kernel.sum(n, in + at, near, total); });
      for (int64_t c = 0; c < channels; ++c) near[c] = static_cast<T>(total[c] / count), total[c] = 0;
      runs([&](int64_t n, int64_t at) { kernel.sum(n, in + at, near, total); });
      Channels<T> own;
      for (int64_t c = 0; c < channels; ++c) {
        means[c] = static_cast<double>(near[c]) + total[c] / count;
        own.set(c, means[c], 1, 0);
        total[c] = 0;
      }
      runs([&](int64_t n, int64_t at) { kernel.squares(n, in + at, own.high, own.low, total); });
      for (int64_t c = 0; c < channels; ++c) {
        vars[c] = total[c] / count;
        own.set(c, means[c], vars[c], eps);
        if (weight.defined()) own.scale[c] *= numbers<T>(weight)[first + c];
        if (bias.defined()) shift[c] = numbers<T>(bias)[first + c];
      }
      runs([&](int64_t n, int64_t at) {
        kernel.apply(n, numbers<T>(y) + at, in + at, own.high, own.low, own.scale, shift);
      });
    });
  });
}

void Cpu::batch_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                              const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                              double eps) {
  dispatch_floating(x.dtype(), "batch_norm", [&](auto t) {
    using T = decltype(t);
    double count = static_cast<double>(x.shape()[0] * x.shape()[2]);
    const T *in = numbers<T>(x), *out = numbers<T>(dy);
    for_each_channel<T>(x, [&](int64_t first, int64_t channels, const BatchKernel<T>& kernel, auto&& runs) {
      Channels<T> own;
      for (int64_t c = 0; c < channels; ++c) own.set(c, *number(mean, first + c), *number(var, first + c), eps);
      double total[kSide] = {}, total_x[kSide] = {};
      runs([&](int64_t n, int64_t at) {
        kernel.backward_sums(n, out + at, in + at, own.high, own.low, own.scale, total, total_x);
      });
      T level[kSide] = {}, slope[kSide] = {}, factor[kSide] = {};
      for (int64_t c = 0; c < channels; ++c) {
        if (dweight.defined()) numbers<T>(dweight)[first + c] = static_cast<T>(total_x[c]);
        if (dbias.defined()) numbers<T>(dbias)[first + c] = static_cast<T>(total[c]);
        level[c] = static_cast<T>(total[c] / count);
        slope[c] = static_cast<T>(total_x[c] / count);
        factor[c] = weight.defined() ? own.scale[c] * numbers<T>(weight)[first + c] : own.scale[c];
      }
      runs([&](int64_t n, int64_t at) {
        kernel.backward(n, numbers<T>(dx) + at, out + at, in + at, own.high, own.low, own.scale, level, slope, factor);
      });
    });
  });
}

}  // namespace cr::backend::cpu
