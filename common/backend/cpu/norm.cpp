#include <cmath>
#include <vector>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/norm_kernel.hpp"
#include "backend/cpu/nest.hpp"
#include "backend/cpu/tiles.hpp"
#include "backend/cpu/workspace.hpp"

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

}  // namespace

// ## Layer norm
//
// A row is read three times, for its mean, its variance and its result, but only once from memory: it stays in the cache.
void Cpu::layer_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                     const Tensor& bias, double eps) {
  int64_t rows = x.shape()[0], n = x.shape()[1], block = std::max<int64_t>(1, kTileElements / std::max<int64_t>(n, 1));
  auto* kernel = kernels().forward[x.dtype() == DType::float64];
  bool center = mean.defined();
  for_tiles(pieces(rows, block), x.numel() >= kParallelElements, [&](int64_t tile) {
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
  for_tiles(tiles, x.numel() >= kParallelElements, [&](int64_t tile) {
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
// A channel of x (n, channels, places) is n runs of `places` numbers. Where there is one place, as in x (n, channels), the
// channels of an image are one run across. A tile is some images and, where these are few, some of their channels. So it
// reads what lies together, which the thread that has this tile has often just written; what tiles add up meets in order.
namespace {

template <class T> const BatchKernel<T>& batch_kernel(bool across) {
  if constexpr (std::is_same_v<T, float>) return kernels().batch_float[across];
  else return kernels().batch_double[across];
}

template <class T> class Batch {
  static constexpr int64_t kTiles = 16;

 public:
  const int64_t images, channels, places, parts;  // of images

  explicit Batch(const Tensor& x)
      : images(x.shape()[0]),
        channels(x.shape()[1]),
        places(x.shape()[2]),
        parts(std::clamp<int64_t>(images, 1, kTiles)),
        kernel(batch_kernel<T>(places == 1)),
        threads_(x.numel() >= kParallelElements) {}

  int64_t first(int64_t part) const { return images * part / parts; }
  double count() const { return static_cast<double>(images * places); }

  // Calls f(part, runs before in this part, channel, length, where) for every run, channel being its first one.
  template <class F> void for_each_run(F&& f) const {
    const int64_t blocks = std::clamp<int64_t>(kTiles / parts, 1, channels);
    for_tiles(parts * blocks, threads_, [&](int64_t tile) {
      const int64_t part = tile / blocks, block = tile % blocks;
      const int64_t begin = channels * block / blocks, end = channels * (block + 1) / blocks;
      for (int64_t i = first(part); i < first(part + 1); ++i) {
        const int64_t before = i - first(part);
        if (places == 1) f(part, before, begin, end - begin, i * channels + begin);
        else
          for (int64_t c = begin; c < end; ++c) f(part, before, c, places, (i * channels + c) * places);
      }
    });
  }

  const BatchKernel<T>& kernel;

 private:
  bool threads_;
};

// What is known of every channel. The mean is taken away in two parts, as in layer norm.
template <class T> struct Channels {
  Workspace<T> numbers;
  T *high, *low, *scale, *shift, *level, *slope, *factor;
  explicit Channels(int64_t n) : numbers(7 * n) {
    T** const all[7] = {&high, &low, &scale, &shift, &level, &slope, &factor};
    for (int i = 0; i < 7; ++i) *all[i] = numbers.data() + i * n;
  }
  void set(int64_t c, double mean, double var, double eps) {
    high[c] = static_cast<T>(mean);
    low[c] = static_cast<T>(mean - static_cast<double>(high[c]));
    scale[c] = static_cast<T>(1 / std::sqrt(var + eps));
  }
};

// Two sums a channel, for every part of the images.
struct PartSums {
  int64_t channels;
  Workspace<double> numbers;
  PartSums(int64_t parts, int64_t n) : channels(n), numbers(2 * parts * n) {
    std::fill_n(numbers.data(), 2 * parts * n, 0.0);
  }
  double* a(int64_t part) const { return numbers.data() + 2 * part * channels; }
  double* b(int64_t part) const { return a(part) + channels; }
};

template <class T> T* numbers(const Tensor& x, int64_t at = 0) { return reinterpret_cast<T*>(row(x, at, 1)); }

}  // namespace

void Cpu::batch_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                     const Tensor& bias, double eps) {
  if (x.shape()[1] == 0) return;
  dispatch_floating(x.dtype(), "batch_norm", [&](auto t) {
    using T = decltype(t);
    const Batch<T> batch(x);
    const T* in = numbers<T>(x);
    PartSums sums(batch.parts, batch.channels);
    batch.for_each_run([&](int64_t part, int64_t before, int64_t c, int64_t n, int64_t at) {
      batch.kernel.moments(n, in + at, before, sums.a(part) + c, sums.b(part) + c);
    });
    Channels<T> own(batch.channels);
    for (int64_t c = 0; c < batch.channels; ++c) {
      // Parts are merged as runs are, but differ in their number of images.
      double &m = *number(mean, c), squares = 0;
      m = 0;
      for (int64_t part = 0; part < batch.parts; ++part) {
        const double before = static_cast<double>(batch.first(part)), all = static_cast<double>(batch.first(part + 1));
        const double step = sums.a(part)[c] - m, share = step * ((all - before) / all);
        m += share;
        squares += sums.b(part)[c] + step * (share * before * static_cast<double>(batch.places));
      }
      *number(var, c) = squares / batch.count();
      own.set(c, m, *number(var, c), eps);
      if (weight.defined()) own.scale[c] *= numbers<T>(weight)[c];
      own.shift[c] = bias.defined() ? numbers<T>(bias)[c] : T{0};
    }
    batch.for_each_run([&](int64_t, int64_t, int64_t c, int64_t n, int64_t at) {
      batch.kernel.apply(n, numbers<T>(y) + at, in + at, own.high + c, own.low + c, own.scale + c, own.shift + c);
    });
  });
}

void Cpu::batch_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                              const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                              double eps) {
  if (x.shape()[1] == 0) return;
  dispatch_floating(x.dtype(), "batch_norm", [&](auto t) {
    using T = decltype(t);
    const Batch<T> batch(x);
    const T *in = numbers<T>(x), *out = numbers<T>(dy);
    Channels<T> own(batch.channels);
    for (int64_t c = 0; c < batch.channels; ++c) own.set(c, *number(mean, c), *number(var, c), eps);
    PartSums sums(batch.parts, batch.channels);
    batch.for_each_run([&](int64_t part, int64_t, int64_t c, int64_t n, int64_t at) {
      batch.kernel.backward_sums(n, out + at, in + at, own.high + c, own.low + c, own.scale + c, sums.a(part) + c,
                                 sums.b(part) + c);
    });
    for (int64_t c = 0; c < batch.channels; ++c) {
      double total = 0, total_x = 0;
      for (int64_t part = 0; part < batch.parts; ++part) total += sums.a(part)[c], total_x += sums.b(part)[c];
      if (dweight.defined()) numbers<T>(dweight)[c] = static_cast<T>(total_x);
      if (dbias.defined()) numbers<T>(dbias)[c] = static_cast<T>(total);
      own.level[c] = static_cast<T>(total / batch.count());
      own.slope[c] = static_cast<T>(total_x / batch.count());
      own.factor[c] = weight.defined() ? own.scale[c] * numbers<T>(weight)[c] : own.scale[c];
    }
    batch.for_each_run([&](int64_t, int64_t, int64_t c, int64_t n, int64_t at) {
      batch.kernel.backward(n, numbers<T>(dx) + at, out + at, in + at, own.high + c, own.low + c, own.scale + c,
                            own.level + c, own.slope + c, own.factor + c);
    });
  });
}

}  // namespace cr::backend::cpu
