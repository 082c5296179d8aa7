#include "backend/cpu/products.hpp"

#include <algorithm>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/gemm.hpp"
#include "backend/cpu/isa/distance_kernel.hpp"

namespace cr::backend::cpu {

Nest<3> batch_nest(const Tensor& c, const Tensor& a, const Tensor& b) {
  auto batch = [](const Tensor& x) {
    Shape shape = x.shape();
    Strides strides = x.strides();
    shape.resize(x.dim() - 2);
    strides.resize(x.dim() - 2);
    return window(x, shape, strides, 0);
  };
  Tensor over_c = batch(c), over_a = batch(a), over_b = batch(b);
  return Nest<3>(over_c.shape(), {&over_c, &over_a, &over_b});
}

namespace {

template <class T> T* elements(const Tensor& x) {
  return static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset;
}

// ## Whole numbers
//
// By the definition, row by row. Unsigned arithmetic wraps around where a sum leaves int64, as in all integer operations
// here.
void gemm(const Gemm<int64_t>& g) {
  auto row = [&](int64_t i) {
    auto* c = reinterpret_cast<uint64_t*>(g.c) + i * g.c_rs;
    if (!g.accumulate) std::fill_n(c, g.n, 0);
    for (int64_t p = 0; p < g.k; ++p) {
      const auto left = static_cast<uint64_t>(g.a[i * g.a_rs + p * g.a_cs]);
      const auto* b = reinterpret_cast<const uint64_t*>(g.b) + p * g.b_rs;
      for (int64_t j = 0; j < g.n; ++j) c[j] += left * b[j * g.b_cs];
    }
    for (int64_t j = 0; g.bias && j < g.n; ++j) c[j] += static_cast<uint64_t>(g.bias[j]);
    for (int64_t j = 0; g.relu && j < g.n; ++j) g.c[i * g.c_rs + j] = std::max<int64_t>(g.c[i * g.c_rs + j], 0);
  };
  constexpr int64_t kWork = 1 << 16;  // multiplications a tile
  const int64_t rows = std::max<int64_t>(1, kWork / std::max<int64_t>(1, g.n * g.k));
  parallel_for((g.m + rows - 1) / rows, [&](int64_t tile) {
    for (int64_t i = tile * rows; i < std::min(g.m, (tile + 1) * rows); ++i) row(i);
  });
}

// ## Many products
//
// Two ways to use several cores: each product on all of them, one after another, or each on one core, many at a time. The
// second needs no agreement between cores, so it is taken when there are enough products, or when they are small; then
// as many make a tile as are worth handing to another thread.
constexpr int64_t kManyProducts = 16;
constexpr double kSmallProduct = 4e6, kTileWork = 5e5;  // multiplications
constexpr double kCallWork = 1e4;                       // what it costs to begin a product

template <class T> void multiply(const Gemm<T>& first, const Tensor& c, const Tensor& a, const Tensor& b) {
  if (c.dim() == 2) return gemm(first);
  const Nest<3> batch = batch_nest(c, a, b);
  const int64_t products = batch.runs() * batch.run();
  auto multiply_one = [&](int64_t number) {
    Gemm<T> g = first;
    for (int d = batch.sizes.size() - 1; d >= 0; --d) {
      const int64_t at = number % batch.sizes[d];
      number /= batch.sizes[d];
      g.c += at * batch.strides[0][d];
      g.a += at * batch.strides[1][d];
      g.b += at * batch.strides[2][d];
    }
    gemm(g);
  };
  auto multiply_some = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) multiply_one(i);
  };
  const double work = static_cast<double>(first.m) * static_cast<double>(first.n) * static_cast<double>(first.k);
  if (products < kManyProducts && work >= kSmallProduct) return multiply_some(0, products);
  const auto together = static_cast<int64_t>(kTileWork / (work + kCallWork)) + 1;
  if (products <= together) return multiply_some(0, products);
  parallel_for((products + together - 1) / together,
               [&](int64_t tile) { multiply_some(tile * together, std::min(products, (tile + 1) * together)); });
}

}  // namespace

void Cpu::gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) {
  auto run = [&](auto t) {
    using T = decltype(t);
    if (c.numel() == 0) return;
    const int row = c.dim() - 2, column = c.dim() - 1;
    Gemm<T> g;
    g.m = c.shape()[row], g.n = c.shape()[column], g.k = a.shape()[column];
    g.a = elements<T>(a), g.a_rs = a.strides()[row], g.a_cs = a.strides()[column];
    g.b = elements<T>(b), g.b_rs = b.strides()[row], g.b_cs = b.strides()[column];
    g.c = elements<T>(c), g.c_rs = c.strides()[row];
    g.accumulate = options.accumulate;
    g.bias = options.bias ? elements<T>(*options.bias) : nullptr;
    g.relu = options.relu;
    multiply(g, c, a, b);
  };
  if (c.dtype() == DType::int64) return run(int64_t{});
  dispatch_floating(c.dtype(), "matmul", run);
}

// ## Distances
//
// Every row of x against every row of y. A tile takes 16 rows of x and as many of y as fill 32 kB, which stay in the first
// cache meanwhile.
static const DistanceKernels& distance_kernels() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return avx512::distance_kernels;
  if (isa() == Isa::avx2) return avx2::distance_kernels;
#endif
  return base::distance_kernels;
}

void Cpu::distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) {
  dispatch_floating(out.dtype(), "cdist", [&](auto t) {
    using T = decltype(t);
    const int64_t m = x.shape()[1], n = y.shape()[1], k = x.shape()[2], batches = x.shape()[0];
    if (out.numel() == 0) return;
    auto* row = distance_kernels().row[std::is_same_v<T, double>];
    constexpr int64_t kRows = 16;
    const int64_t columns = std::max<int64_t>(32768 / std::max<int64_t>(k * size_of(out.dtype()), 1), 4);
    const int64_t down = (m + kRows - 1) / kRows, across = (n + columns - 1) / columns;
    auto run = [&](int64_t tile) {
      const int64_t b = tile / (down * across), i0 = tile / across % down * kRows, j0 = tile % across * columns;
      for (int64_t i = i0; i < std::min(m, i0 + kRows); ++i) {
        row(std::min(columns, n - j0), k, elements<T>(out) + (b * m + i) * n + j0, elements<T>(x) + (b * m + i) * k,
            elements<T>(y) + (b * n + j0) * k, p);
      }
    };
    const double work = static_cast<double>(out.numel()) * static_cast<double>(k);
    if (work >= static_cast<double>(kParallelElements)) return parallel_for(batches * down * across, run);
    for (int64_t tile = 0; tile < batches * down * across; ++tile) run(tile);
  });
}

}  // namespace cr::backend::cpu
