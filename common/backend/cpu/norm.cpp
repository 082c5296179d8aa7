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

}  // namespace cr::backend::cpu
