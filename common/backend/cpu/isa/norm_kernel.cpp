#include "backend/cpu/isa/norm_kernel.hpp"

// Iterations do not depend on each other: outputs overlap no input.
#if defined(__clang__)
#define CR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define CR_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace cr::backend::cpu::CR_ISA {
namespace {

// Lanes that meet in float64 every 4096 numbers, as those of all our sums do: eight by eight, and at the end in pairs. What
// fills no whole row of lanes goes there directly, eight at a time while there are eight, so that the lanes stay in
// registers.
template <class T> struct Lanes {
  static constexpr int kLanes = 128 / sizeof(T);
  T lane[kLanes] = {};
  double eight[8] = {};
  void meet() {
    for (int k = 0; k < kLanes; k += 8) {
      for (int j = 0; j < 8; ++j) eight[j] += static_cast<double>(lane[k + j]);
    }
    for (int j = 0; j < kLanes; ++j) lane[j] = 0;
  }
  double total() const {
    double four[4];
    for (int j = 0; j < 4; ++j) four[j] = eight[j] + eight[j + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
  }
};

// Σ f(i)
template <class T, class F> double sum(int64_t n, const F& f) {
  constexpr int kLanes = Lanes<T>::kLanes;
  Lanes<T> a;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    int64_t end = n - begin < 4096 ? n : begin + 4096, i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (int j = 0; j < kLanes; ++j) a.lane[j] += f(i + j);
    }
    a.meet();
    for (; i + 8 <= end; i += 8) {
      for (int j = 0; j < 8; ++j) a.eight[j] += static_cast<double>(f(i + j));
    }
    for (int j = 0; i < end; ++i, ++j) a.eight[j] += static_cast<double>(f(i));
  }
  return a.total();
}

// Σ f(i) and Σ g(i), reading once what both need
struct Sums {
  double f, g;
};
template <class T, class F, class G> Sums sums(int64_t n, const F& f, const G& g) {
  constexpr int kLanes = Lanes<T>::kLanes;
  Lanes<T> a, b;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    int64_t end = n - begin < 4096 ? n : begin + 4096, i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (int j = 0; j < kLanes; ++j) a.lane[j] += f(i + j);
      for (int j = 0; j < kLanes; ++j) b.lane[j] += g(i + j);
    }
    a.meet();
    b.meet();
    for (; i + 8 <= end; i += 8) {
      for (int j = 0; j < 8; ++j) a.eight[j] += static_cast<double>(f(i + j));
      for (int j = 0; j < 8; ++j) b.eight[j] += static_cast<double>(g(i + j));
    }
    for (int j = 0; i < end; ++i, ++j) {
      a.eight[j] += static_cast<double>(f(i));
      b.eight[j] += static_cast<double>(g(i));
    }
  }
  return {a.total(), b.total()};
}

// x − mean. A mean of 10000 has only three decimals in float32, so it is taken away in two parts: what fits a T, and the
// rest.
template <class T> struct Centered {
  const T* x;
  T high, low;
  Centered(const T* numbers, double mean)
      : x(numbers), high(static_cast<T>(mean)), low(static_cast<T>(mean - static_cast<double>(high))) {}
  T operator()(int64_t i) const { return (x[i] - high) - low; }
};

template <class T> T scale_of(double var, double eps) { return static_cast<T>(1 / __builtin_sqrt(var + eps)); }

// Adding up numbers near 10000 rounds each sum to their digits. So the first mean is only near; what is left around it
// gives the rest, and the squares, from which only the square of that small rest is taken away.
struct Moments {
  double mean, squares;  // squares: Σ (x − mean)²
};
template <class T> Moments moments_of(int64_t n, const T* x) {
  const double count = static_cast<double>(n);
  const T near = static_cast<T>(sum<T>(n, [x](int64_t i) { return x[i]; }) / count);
  const Sums around = sums<T>(
      n, [x, near](int64_t i) { return x[i] - near; }, [x, near](int64_t i) { return (x[i] - near) * (x[i] - near); });
  const double rest = around.f / count, squares = around.g - rest * around.f;
  return {static_cast<double>(near) + rest, squares < 0 ? 0 : squares};
}

template <class T>
void forward(int64_t n, void* y_bytes, const void* x_bytes, const void* weight_bytes, const void* bias_bytes,
             double eps, bool center, double* mean, double* var) {
  auto* x = static_cast<const T*>(x_bytes);
  auto* y = static_cast<T*>(y_bytes);
  auto* weight = static_cast<const T*>(weight_bytes);
  auto* bias = static_cast<const T*>(bias_bytes);
  double count = static_cast<double>(n);
  if (center) {
    const Moments own = moments_of(n, x);
    *mean = own.mean;
    *var = own.squares / count;
  } else {
    *mean = 0;
    *var = sum<T>(n, [x](int64_t i) { return x[i] * x[i]; }) / count;
  }
  Centered<T> d(x, *mean);
  T scale = scale_of<T>(*var, eps);
  if (weight && bias) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = d(i) * scale * weight[i] + bias[i];
  } else if (weight) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = d(i) * scale * weight[i];
  } else if (bias) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = d(i) * scale + bias[i];
  } else {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = d(i) * scale;
  }
}

// With g = dy · weight and x̂ = (x − mean) / √(var + eps):  dx = (g − mean g − x̂ · mean(g x̂)) / √(var + eps).
template <class T, class G>
void backward_row(int64_t n, T* dx, const G& g, const Centered<T>& d, T scale, bool center) {
  double count = static_cast<double>(n);
  Sums both = sums<T>(n, g, [&](int64_t i) { return g(i) * (d(i) * scale); });
  T level = center ? static_cast<T>(both.f / count) : T(0), slope = static_cast<T>(both.g / count);
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) dx[i] = scale * (g(i) - level - d(i) * scale * slope);
}

template <class T>
void backward(int64_t n, void* dx_bytes, void* dweight_bytes, void* dbias_bytes, const void* dy_bytes,
              const void* x_bytes, const void* weight_bytes, double eps, bool center, double mean, double var) {
  auto* dx = static_cast<T*>(dx_bytes);
  auto* dweight = static_cast<T*>(dweight_bytes);
  auto* dbias = static_cast<T*>(dbias_bytes);
  auto* dy = static_cast<const T*>(dy_bytes);
  auto* weight = static_cast<const T*>(weight_bytes);
  Centered<T> d(static_cast<const T*>(x_bytes), mean);
  T scale = scale_of<T>(var, eps);
  if (weight)
    backward_row<T>(
        n, dx, [dy, weight](int64_t i) { return dy[i] * weight[i]; }, d, scale, center);
  else
    backward_row<T>(
        n, dx, [dy](int64_t i) { return dy[i]; }, d, scale, center);
  if (dweight && dbias) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) {
      dweight[i] += dy[i] * (d(i) * scale);
      dbias[i] += dy[i];
    }
  } else if (dweight) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) dweight[i] += dy[i] * (d(i) * scale);
  } else if (dbias) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) dbias[i] += dy[i];
  }
}

template <class T> void move(int64_t n, double* total, void* bytes) {
  auto* x = static_cast<T*>(bytes);
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    total[i] += static_cast<double>(x[i]);
    x[i] = T(0);
  }
}

// ## Batch norm
//
// What belongs to a channel: one number for the whole run, or one for each of its numbers.
template <class T, bool across> struct OfChannel {
  const T* p;
  T value;
  OfChannel(const T* numbers) : p(numbers), value(numbers[0]) {}
  T operator()(int64_t i) const {
    if constexpr (across) return p[i];
    else return value;
  }
};

template <class T, bool across> struct Batch {
  using C = OfChannel<T, across>;
  // A run's own moments, as those of a row of layer norm, are merged into what the runs before it gave.
  static void moments(int64_t n, const T* x, int64_t before, double* mean, double* squares) {
    const double seen = static_cast<double>(before);
    auto merge = [&](int64_t c, const Moments& own, double count) {
      const double step = own.mean - mean[c], share = step / (seen + 1);
      mean[c] += share;
      squares[c] += own.squares + step * (share * seen * count);
    };
    if constexpr (across) {
      CR_INDEPENDENT
      for (int64_t i = 0; i < n; ++i) merge(i, {static_cast<double>(x[i]), 0}, 1);
    } else {
      merge(0, moments_of(n, x), static_cast<double>(n));
    }
  }
  static void apply(int64_t n, T* y, const T* x, const T* highs, const T* lows, const T* scales, const T* shifts) {
    C high(highs), low(lows), scale(scales), shift(shifts);
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = ((x[i] - high(i)) - low(i)) * scale(i) + shift(i);
  }
  static void backward_sums(int64_t n, const T* dy, const T* x, const T* highs, const T* lows, const T* scales,
                            double* total, double* total_x) {
    C high(highs), low(lows), scale(scales);
    auto plain = [&](int64_t i) { return dy[i]; };
    auto times_x = [&](int64_t i) { return dy[i] * (((x[i] - high(i)) - low(i)) * scale(i)); };
    if constexpr (across) {
      CR_INDEPENDENT
      for (int64_t i = 0; i < n; ++i) total[i] += static_cast<double>(plain(i));
      CR_INDEPENDENT
      for (int64_t i = 0; i < n; ++i) total_x[i] += static_cast<double>(times_x(i));
    } else {
      Sums both = sums<T>(n, plain, times_x);
      *total += both.f;
      *total_x += both.g;
    }
  }
  static void backward(int64_t n, T* dx, const T* dy, const T* x, const T* highs, const T* lows, const T* scales,
                       const T* levels, const T* slopes, const T* factors) {
    C high(highs), low(lows), scale(scales), level(levels), slope(slopes), factor(factors);
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) {
      dx[i] = (dy[i] - level(i) - ((x[i] - high(i)) - low(i)) * scale(i) * slope(i)) * factor(i);
    }
  }
  static constexpr BatchKernel<T> kernel = {moments, apply, backward_sums, backward};
};

}  // namespace

constinit const NormKernels norm_kernels = {{forward<float>, forward<double>},
                                            {backward<float>, backward<double>},
                                            {move<float>, move<double>},
                                            {Batch<float, false>::kernel, Batch<float, true>::kernel},
                                            {Batch<double, false>::kernel, Batch<double, true>::kernel}};

}  // namespace cr::backend::cpu::CR_ISA
