#include "backend/cpu/cpu.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/pool_kernel.hpp"
#include "backend/cpu/nest.hpp"

namespace cr::backend::cpu {
namespace {

const PoolKernels& kernels() {
#if CHAINRULE_X86_DISPATCH
  switch (isa()) {
    case Isa::avx512: return avx512::pool_kernels;
    case Isa::avx2: return avx2::pool_kernels;
    default: break;
  }
#endif
  return base::pool_kernels;
}
const PoolKernel<float>& kernel_of(float) { return kernels().of_float; }
const PoolKernel<double>& kernel_of(double) { return kernels().of_double; }
const PoolKernel<int64_t>& kernel_of(int64_t) { return kernels().of_int64; }

template <class T> T* elements(const Tensor& x) {
  return static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset;
}

// Do all windows have as many taps and lie equally far apart?
void find_stride(PoolAxis& a) {
  int64_t length = a.end[0] - a.begin[0];
  a.taps = (length + a.step - 1) / a.step;
  a.stride = a.outputs > 1 ? a.begin[1] - a.begin[0] : 1;
  for (int64_t i = 1; i < a.outputs; ++i) {
    bool same = a.begin[i] - a.begin[i - 1] == a.stride && a.end[i] - a.begin[i] == length;
    if (!same) a.stride = 0;
  }
}

// Three axes, of which the first have one place where x has fewer, and what a plane of each side holds. Planes are shared
// out among the threads.
struct Planes {
  static constexpr int64_t kZero = 0, kOne = 1;
  PoolAxis axes[3];
  int64_t count, places = 1, outputs = 1;

  Planes(const Tensor& x, std::span<const PoolSpan> spans) : count(x.shape()[0]) {
    int missing = 3 - static_cast<int>(spans.size());
    for (int d = 0; d < 3; ++d) {
      axes[d] = {1, 1, 1, 1, 1, &kZero, &kOne, &kOne};
      if (d < missing) continue;
      const PoolSpan& s = spans[static_cast<size_t>(d - missing)];
      axes[d].places = x.shape()[d - missing + 1];
      axes[d].outputs = static_cast<int64_t>(s.begin.size());
      axes[d].step = s.step;
      axes[d].begin = s.begin.data();
      axes[d].end = s.end.data();
      axes[d].size = s.size.data();
      if (axes[d].outputs > 0) find_stride(axes[d]);
      places *= axes[d].places;
      outputs *= axes[d].outputs;
    }
  }

  template <class F> void for_each(F&& f) const {
    if (outputs == 0) return;
    int64_t each = std::max<int64_t>({1, places, outputs});
    int64_t block = std::max<int64_t>(1, kTileElements / each), tiles = (count + block - 1) / block;
    auto run = [&](int64_t tile) {
      for (int64_t p = tile * block; p < std::min(count, (tile + 1) * block); ++p) f(p);
    };
    if (count * each >= kParallelElements) return parallel_for(tiles, run);
    for (int64_t t = 0; t < tiles; ++t) run(t);
  }
};

template <class F> void dispatch_numbers(const Tensor& x, F&& f) {
  dispatch(x.dtype(), [&](auto t) {
    if constexpr (!std::is_same_v<decltype(t), bool>) f(t);
  });
}

}  // namespace

void Cpu::max_pool(const Tensor& y, const Tensor& indices, const Tensor& x, std::span<const PoolSpan> spans) {
  Planes planes(x, spans);
  dispatch_numbers(x, [&](auto t) {
    using T = decltype(t);
    planes.for_each([&](int64_t p) {
      int64_t* at = indices.defined() ? elements<int64_t>(indices) + p * planes.outputs : nullptr;
      kernel_of(t).max(planes.axes, elements<T>(y) + p * planes.outputs, at, elements<T>(x) + p * planes.places);
    });
  });
}

void Cpu::max_pool_backward(const Tensor& dx, const Tensor& dy, const Tensor& indices,
                            std::span<const PoolSpan> spans) {
  Planes planes(dx, spans);
  if (planes.outputs == 0) return fill(dx, 0);
  dispatch_numbers(dx, [&](auto t) {
    using T = decltype(t);
    planes.for_each([&](int64_t p) {
      kernel_of(t).max_backward(planes.axes, elements<T>(dx) + p * planes.places, elements<T>(dy) + p * planes.outputs,
                                elements<int64_t>(indices) + p * planes.outputs);
    });
  });
}

void Cpu::avg_pool(const Tensor& y, const Tensor& x, std::span<const PoolSpan> spans) {
  Planes planes(x, spans);
  dispatch_numbers(x, [&](auto t) {
    using T = decltype(t);
    planes.for_each([&](int64_t p) {
      kernel_of(t).avg(planes.axes, elements<T>(y) + p * planes.outputs, elements<T>(x) + p * planes.places);
    });
  });
}

void Cpu::avg_pool_backward(const Tensor& dx, const Tensor& dy, std::span<const PoolSpan> spans) {
  Planes planes(dx, spans);
  if (planes.outputs == 0) return fill(dx, 0);
  dispatch_numbers(dx, [&](auto t) {
    using T = decltype(t);
    planes.for_each([&](int64_t p) {
      kernel_of(t).avg_backward(planes.axes, elements<T>(dx) + p * planes.places, elements<T>(dy) + p * planes.outputs);
    });
  });
}

}  // namespace cr::backend::cpu
