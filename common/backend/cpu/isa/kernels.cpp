#include "backend/cpu/isa/kernels.hpp"

#include "backend/cpu/isa/vectors.hpp"
#include "backend/functor_convert.hpp"

// Promise the compiler that iterations do not depend on each other, so that it need not check at run time whether inputs
// and outputs overlap. They overlap exactly (in place) or not at all.
#if defined(__clang__)
#define CR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#pragma clang diagnostic ignored "-Wpass-failed"  // a loop around a library call such as sin stays as it is
#else
#define CR_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace cr::backend::cpu::CR_ISA {
namespace {

template <int type> struct Element;
template <> struct Element<0> { using T = bool; };
template <> struct Element<1> { using T = int64_t; };
template <> struct Element<2> { using T = float; };
template <> struct Element<3> { using T = double; };
template <> struct Element<4> { using T = Float16; };
template <> struct Element<5> { using T = BFloat16; };

// ## Elementwise
//
// Inputs without gaps get a loop that vectorises, the rest takes strides. A number in place of an input is spread over a
// block first, so that one loop serves for both.
//
// Some functors are `fast` where their arguments `fits`: then a few vectors are looked over before they are computed. The
// functor itself chooses in the same way, so that a number's bits do not depend on its neighbours.
constexpr int64_t kBlock = 1024, kLook = 64;

template <class F, class T, class... X>
concept HasFastPath = __is_same(T, float) && requires(X... x) {
  F::fits(x...);
};

template <class F, class R, class... X> [[gnu::always_inline]] inline void map_look(int64_t n, R* out, const X*... in) {
  int misfits = 0;
  for (int64_t i = 0; i < n; ++i) misfits |= !F::fits(in[i]...);
  if (misfits) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) out[i] = F{}(in[i]...);
  } else {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) out[i] = F::fast(in[i]...);
  }
}

template <class F, class T, class R, class... X> void map_run(int64_t n, R* out, const X*... in) {
  if constexpr (HasFastPath<F, T, X...>) {
    int64_t i = 0;
    for (; i + kLook <= n; i += kLook) map_look<F>(kLook, out + i, (in + i)...);
    map_look<F>(n - i, out + i, (in + i)...);
  } else {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) out[i] = F{}(in[i]...);
  }
}

template <class F, class T> void map_kernel(int64_t n, void* out_bytes, const void* const* in, const int64_t* s) {
  constexpr F f{};
  auto input = [&](int k) { return static_cast<const T*>(in[k]); };
  if constexpr (F::kArity == 1) {
    auto* out = static_cast<decltype(f(T()))*>(out_bytes);
    auto* a = input(0);
    if (s[0] == 1 && s[1] == 1) return map_run<F, T>(n, out, a);
    for (int64_t i = 0; i < n; ++i) out[i * s[0]] = f(a[i * s[1]]);
  } else {
    bool dense = s[0] == 1, numbers = false;
    for (int k = 1; k <= F::kArity; ++k) {
      dense = dense && (s[k] == 0 || s[k] == 1);
      numbers = numbers || s[k] == 0;
    }
    // The inputs of a block: where they are, or copies of a number.
    T copies[F::kArity][kBlock];
    for (int k = 0; k < F::kArity && dense; ++k) {
      if (s[k + 1] != 0) continue;
      T number = *input(k);
      int64_t count = n < kBlock ? n : kBlock;
      for (int64_t i = 0; i < count; ++i) copies[k][i] = number;
    }
    auto at = [&](int k, int64_t i) { return s[k + 1] == 0 ? copies[k] : input(k) + i; };
    int64_t block = numbers ? kBlock : n;
    if constexpr (F::kArity == 2) {
      auto* out = static_cast<decltype(f(T(), T()))*>(out_bytes);
      for (int64_t i = 0; dense && i < n; i += block) {
        map_run<F, T>(n - i < block ? n - i : block, out + i, at(0, i), at(1, i));
      }
      if (dense) return;
      auto *a = input(0), *b = input(1);
      for (int64_t i = 0; i < n; ++i) out[i * s[0]] = f(a[i * s[1]], b[i * s[2]]);
    } else {
      auto* out = static_cast<decltype(f(T(), T(), T()))*>(out_bytes);
      for (int64_t i = 0; dense && i < n; i += block) {
        map_run<F, T>(n - i < block ? n - i : block, out + i, at(0, i), at(1, i), at(2, i));
      }
      if (dense) return;
      auto *a = input(0), *b = input(1), *c = input(2);
      for (int64_t i = 0; i < n; ++i) out[i * s[0]] = f(a[i * s[1]], b[i * s[2]], c[i * s[3]]);
    }
  }
}

// ## Reductions
//
// A sum of a million float32 numbers, one after another, loses four digits. So 32 lanes run side by side, at most 4096
// numbers at a time, and the lanes' totals meet in float64. float64 has lanes for speed.
template <class T> struct Accumulator { using A = int64_t; };
template <> struct Accumulator<float> { using A = double; };
template <> struct Accumulator<double> { using A = double; };

template <class F, class T> constexpr T identity() {
  constexpr bool most = __is_same(F, functor::Min), least = __is_same(F, functor::Max);
  if constexpr (__is_same(T, int64_t)) return most ? INT64_MAX : least ? INT64_MIN : static_cast<T>(F::identity);
  else return static_cast<T>(F::identity);
}

// Number i of x joins lane i mod `lanes`, as long as there is one for each; n is at least `lanes`. Returns how many numbers
// that were.
template <class F, class T, int V>
[[gnu::always_inline]] inline int64_t in_lanes(int64_t n, const T* x, Vector<T> (&lane)[V]) {
  constexpr F f{};
  constexpr int W = kWidth<T>, lanes = V * W;
#pragma GCC unroll 16
  for (int j = 0; j < V; ++j) lane[j] = load(x + j * W);
  int64_t i = lanes;
#pragma GCC unroll 1
  for (; i + lanes <= n; i += lanes) {
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) lane[j] = f(lane[j], load(x + i + j * W));
  }
  return i;
}

// Lane i becomes lane i + by, in a circle.
template <int by, class V> [[gnu::always_inline]] inline V turned(V v) {
  constexpr int W = sizeof(V) / sizeof(v[0]);
  if constexpr (W == 2) return __builtin_shufflevector(v, v, by % 2, (1 + by) % 2);
  if constexpr (W == 4) return __builtin_shufflevector(v, v, by % 4, (1 + by) % 4, (2 + by) % 4, (3 + by) % 4);
  if constexpr (W == 8)
    return __builtin_shufflevector(v, v, by % 8, (1 + by) % 8, (2 + by) % 8, (3 + by) % 8, (4 + by) % 8, (5 + by) % 8,
                                   (6 + by) % 8, (7 + by) % 8);
}

// All lanes as one number: eight at a time, and then halves, which does not wait for one addition after another.
template <class F, class T, int V> [[gnu::always_inline]] inline double joined(const Vector<T> (&lane)[V]) {
  constexpr F f{};
  constexpr int W = kWidth<double>, parts = V * kWidth<T> / W, side_by_side = 8 / W;
  DoubleVector part[parts];
#pragma GCC unroll 16
  for (int j = 0; j < V; ++j) {
    if constexpr (parts == V) {
      part[j] = lane[j];
    } else {
      part[2 * j] = wide_low(lane[j]);
      part[2 * j + 1] = wide_high(lane[j]);
    }
  }
#pragma GCC unroll 16
  for (int j = side_by_side; j < parts; ++j) part[j % side_by_side] = f(part[j % side_by_side], part[j]);
#pragma GCC unroll 4
  for (int half = side_by_side / 2; half > 0; half /= 2)
#pragma GCC unroll 4
    for (int j = 0; j < half; ++j) part[j] = f(part[j], part[j + half]);
  if constexpr (W > 4) part[0] = f(part[0], turned<4>(part[0]));
  if constexpr (W > 2) part[0] = f(part[0], turned<2>(part[0]));
  return f(part[0], turned<1>(part[0]))[0];
}

template <class F, class T, class A>
[[gnu::always_inline]] inline A reduce_row(int64_t n, const T* x, int64_t stride, A total) {
  constexpr F f{};
  if constexpr (__is_same(T, float)) {
    constexpr int kLanes = 32, V = kLanes / kWidth<T>;
    for (int64_t begin = 0; begin < n; begin += 4096) {
      const int64_t count = n - begin < 4096 ? n - begin : 4096;
      const T* block = x + begin * stride;
      Vector<T> lane[V];
      int64_t i = 0;
      if (stride == 1 && count >= kLanes) {
        i = in_lanes<F>(count, block, lane);
      } else {
#pragma GCC unroll 16
        for (int j = 0; j < V; ++j) lane[j] = splat(identity<F, T>());
      }
      if (i < count) {  // the rest, one at a time
        T number[kLanes];
        __builtin_memcpy(number, lane, sizeof number);
        for (; i < count; ++i) number[i % kLanes] = f(number[i % kLanes], block[i * stride]);
        __builtin_memcpy(lane, number, sizeof number);
      }
      total = f(total, joined<F, T>(lane));
    }
  } else if constexpr (__is_same(T, double)) {
    constexpr int kLanes = 16, V = kLanes / kWidth<T>;
    int64_t i = 0;
    if (stride == 1 && n >= 2 * kLanes) {
      Vector<T> lane[V];
      i = in_lanes<F>(n, x, lane);
      total = f(total, joined<F, T>(lane));
    }
    for (; i < n; ++i) total = f(total, x[i * stride]);
  } else {
    for (int64_t i = 0; i < n; ++i) total = f(total, static_cast<A>(x[i * stride]));
  }
  return total;
}

template <class F, class T>
void reduce_kernel(int64_t rows, int64_t n, const void* bytes, int64_t row_stride, int64_t stride, void* totals) {
  using A = typename Accumulator<T>::A;
  auto* x = static_cast<const T*>(bytes);
  auto* total = static_cast<A*>(totals);
  for (int64_t r = 0; r < rows; ++r) total[r] = reduce_row<F>(n, x + r * row_stride, stride, total[r]);
}

// Down the columns the lanes are the columns themselves; every 128 rows the float32 partial sums move to float64.
template <class F, class T>
void reduce_columns_kernel(int64_t rows, int64_t columns, const void* bytes, int64_t stride, void* totals) {
  constexpr F f{};
  using A = typename Accumulator<T>::A;
  auto* x = static_cast<const T*>(bytes);
  auto* total = static_cast<A*>(totals);
  if constexpr (__is_same(T, float)) {
    constexpr int kStrip = 256;
    T partial[kStrip];
    for (int64_t left = 0; left < columns; left += kStrip) {
      int64_t width = columns - left < kStrip ? columns - left : kStrip;
      for (int64_t top = 0; top < rows; top += 128) {
        int64_t bottom = rows < top + 128 ? rows : top + 128;
        for (int64_t j = 0; j < width; ++j) partial[j] = identity<F, T>();
        int64_t i = top;
        for (; i + 4 <= bottom; i += 4) {
          const T *a = x + i * stride + left, *b = a + stride, *c = b + stride, *d = c + stride;
          for (int64_t j = 0; j < width; ++j) partial[j] = f(f(f(f(partial[j], a[j]), b[j]), c[j]), d[j]);
        }
        for (; i < bottom; ++i) {
          const T* row = x + i * stride + left;
          for (int64_t j = 0; j < width; ++j) partial[j] = f(partial[j], row[j]);
        }
        for (int64_t j = 0; j < width; ++j) total[left + j] = f(total[left + j], static_cast<A>(partial[j]));
      }
    }
  } else {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) total[j] = f(total[j], static_cast<A>(x[i * stride + j]));
    }
  }
}

// ## Copies
template <class To, class From>
void copy_kernel(int64_t n, void* out_bytes, int64_t so, const void* x_bytes, int64_t sx) {
  auto* out = static_cast<To*>(out_bytes);
  auto* x = static_cast<const From*>(x_bytes);
  if (so == 1 && sx == 1) {
    if constexpr (__is_same(To, From)) {
      __builtin_memcpy(out, x, static_cast<size_t>(n) * sizeof(To));
    } else {
      CR_INDEPENDENT
      for (int64_t i = 0; i < n; ++i) out[i] = functor::convert<To>(x[i]);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) out[i * so] = functor::convert<To>(x[i * sx]);
  }
}

// ## Softmax and cross-entropy
//
// The largest number is subtracted first: $e^{1000}$ overflows, $e^{1000 - 1000}$ does not, and the quotient is the same.
template <class T> T largest(int64_t n, const T* x) {
  return static_cast<T>(reduce_row<functor::Max>(n, x, 1, -__builtin_inf()));
}

// The smallest and the largest number of a row. A NaN may be missed, because the sum will have it. The lanes meet in loops of
// known length, which stay in registers.
template <class T> struct Range { T least, most; };
template <int lanes, class T> [[gnu::always_inline]] inline Range<T> range_of_lanes(T* least, T* most) {
  if constexpr (lanes == 1) {
    return {least[0], most[0]};
  } else {
    constexpr int kHalf = lanes / 2;
    for (int j = 0; j < kHalf; ++j) least[j] = least[j + kHalf] < least[j] ? least[j + kHalf] : least[j];
    for (int j = 0; j < kHalf; ++j) most[j] = most[j + kHalf] > most[j] ? most[j + kHalf] : most[j];
    return range_of_lanes<kHalf>(least, most);
  }
}
template <class T> Range<T> range_of(int64_t n, const T* x) {
  constexpr int kLanes = 32;
  if (n < kLanes) {
    Range<T> r{x[0], x[0]};
    for (int64_t i = 1; i < n; ++i) r = {x[i] < r.least ? x[i] : r.least, x[i] > r.most ? x[i] : r.most};
    return r;
  }
  T least[kLanes], most[kLanes];
  for (int j = 0; j < kLanes; ++j) least[j] = most[j] = x[j];
  // The last step may take some numbers for the second time.
  for (int64_t i = kLanes; i < n; i += kLanes) {
    const T* step = x + (i + kLanes <= n ? i : n - kLanes);
    for (int j = 0; j < kLanes; ++j) least[j] = step[j] < least[j] ? step[j] : least[j];
    for (int j = 0; j < kLanes; ++j) most[j] = step[j] > most[j] ? step[j] : most[j];
  }
  return range_of_lanes<kLanes>(least, most);
}

// out = $e^{x - m}$ of a row whose largest number is m (no `out`: nothing is written), and the sum of it all.
template <class T, class Exp> double exp_below(int64_t n, T* out, const T* x, T m, const Exp& e) {
  constexpr int kLanes = 128 / sizeof(T);
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    int64_t end = n - begin < 4096 ? n : begin + 4096, i = begin;
    T lane[kLanes] = {}, y[kLanes];
    for (; i + kLanes <= end; i += kLanes) {
      for (int j = 0; j < kLanes; ++j) y[j] = e(x[i + j] - m);
      for (int j = 0; j < kLanes; ++j) lane[j] += y[j];
      if (!out) continue;
      for (int j = 0; j < kLanes; ++j) out[i + j] = y[j];
    }
    for (int64_t j = 0; j < end - i; ++j) y[j] = e(x[i + j] - m);
    for (int64_t j = 0; j < end - i; ++j) lane[j] += y[j];
    for (int64_t j = 0; out && j < end - i; ++j) out[i + j] = y[j];
    Vector<T> lanes[kLanes / kWidth<T>];
    __builtin_memcpy(lanes, lane, sizeof lane);
    sum += joined<functor::Sum, T>(lanes);
  }
  return sum;
}
template <class T> double exp_below(int64_t n, T* out, const T* x, Range<T> range) {
  if constexpr (__is_same(T, float)) {
    if (functor::exp_fits(range.least - range.most)) {
      return exp_below(n, out, x, range.most, [](T d) { return functor::exp_inside(d); });
    }
  }
  return exp_below(n, out, x, range.most, [](T d) { return functor::vexp(d); });
}

template <class T> double logsumexp_kernel(int64_t n, const void* bytes) {
  auto* x = static_cast<const T*>(bytes);
  Range<T> range = range_of(n, x);
  T top = range.most;
  if (!(top > -__builtin_inf()) || top == __builtin_inf()) return largest(n, x);  // or NaN
  double sum = exp_below<T>(n, nullptr, x, range);
  if constexpr (__is_same(T, float)) return top + functor::wide_log(sum);
  else return top + functor::vlog(sum);
}

// What is left of a log-sum-exp when its part `high` that fits a T is taken away. At logits near 1000, float32's last digit
// is 0.00006: taking both parts away one after the other keeps what matters, the small differences to the largest.
template <class T> constexpr T rest_of(double logsumexp, T high) {
  double rest = logsumexp - static_cast<double>(high);
  return rest == rest ? static_cast<T>(rest) : T(0);  // infinite: nothing is left
}

template <class T> void softmax_kernel(int64_t n, void* out_bytes, const void* bytes, bool log) {
  auto* x = static_cast<const T*>(bytes);
  auto* out = static_cast<T*>(out_bytes);
  if (log) {
    double lse = logsumexp_kernel<T>(n, x);
    T high = static_cast<T>(lse), low = rest_of<T>(lse, high);
    for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - high) - low;
    return;
  }
  T scale = static_cast<T>(1 / exp_below(n, out, x, range_of(n, x)));
  for (int64_t i = 0; i < n; ++i) out[i] *= scale;
}

template <class T>
void softmax_backward_kernel(int64_t n, void* dx_bytes, const void* y_bytes, const void* dy_bytes, bool log) {
  auto* y = static_cast<const T*>(y_bytes);
  auto* dy = static_cast<const T*>(dy_bytes);
  auto* dx = static_cast<T*>(dx_bytes);
  if (log) {
    T total = static_cast<T>(reduce_row<functor::Sum>(n, dy, 1, 0.0));
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] - functor::vexp(y[i]) * total;
    return;
  }
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * y[i];
  T total = static_cast<T>(reduce_row<functor::Sum>(n, dx, 1, 0.0));
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) dx[i] -= y[i] * total;
}

template <class T>
void cross_entropy_backward_kernel(int64_t n, void* dx_bytes, const void* bytes, int64_t target, double logsumexp,
                                   double dloss) {
  auto* x = static_cast<const T*>(bytes);
  auto* dx = static_cast<T*>(dx_bytes);
  T high = static_cast<T>(logsumexp), low = rest_of<T>(logsumexp, high), scale = static_cast<T>(dloss);
  for (int64_t i = 0; i < n; ++i) dx[i] = functor::vexp((x[i] - high) - low) * scale;
  dx[target] -= scale;
}

// ## Optimiser steps
template <class T>
void sgd_kernel(int64_t n, void* p_bytes, const void* g_bytes, void* momentum_bytes, const SgdNumbers& o) {
  auto* p = static_cast<T*>(p_bytes);
  auto* g = static_cast<const T*>(g_bytes);
  auto* m = static_cast<T*>(momentum_bytes);
  T lr = static_cast<T>(o.lr), decay = static_cast<T>(o.weight_decay), mu = static_cast<T>(o.momentum);
  T sign = o.maximize ? T(-1) : T(1);
  if (!m) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) p[i] -= lr * (sign * g[i] + decay * p[i]);
    return;
  }
  T keep = o.first ? T(0) : mu, take = o.first ? T(1) : static_cast<T>(1 - o.dampening);
  T own = o.nesterov ? T(1) : T(0), ahead = o.nesterov ? mu : T(1);
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    T d = sign * g[i] + decay * p[i];
    m[i] = keep * m[i] + take * d;
    p[i] -= lr * (own * d + ahead * m[i]);
  }
}

template <class T>
void adam_kernel(int64_t n, void* p_bytes, const void* g_bytes, void* m_bytes, void* v_bytes, void* largest_bytes,
                 const AdamNumbers& o) {
  auto* p = static_cast<T*>(p_bytes);
  auto* g = static_cast<const T*>(g_bytes);
  auto* m = static_cast<T*>(m_bytes);
  auto* v = static_cast<T*>(v_bytes);
  auto* largest = static_cast<T*>(largest_bytes);
  T beta1 = static_cast<T>(o.beta1), beta2 = static_cast<T>(o.beta2), eps = static_cast<T>(o.eps);
  T take1 = static_cast<T>(1 - o.beta1), take2 = static_cast<T>(1 - o.beta2);  // 1 - 0.999f would be 0.0013 % off
  T decay = static_cast<T>(o.weight_decay), step = static_cast<T>(o.lr / o.correction1);
  T root = functor::vsqrt(static_cast<T>(o.correction2));
  T sign = o.maximize ? T(-1) : T(1), shrink = static_cast<T>(o.shrink);
  auto update = [&](int64_t i) {
    T d = sign * g[i] + decay * p[i];
    m[i] = beta1 * m[i] + take1 * d;
    v[i] = beta2 * v[i] + take2 * d * d;
  };
  if (!largest) {
    CR_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) {
      update(i);
      p[i] = p[i] * shrink - step * m[i] / (functor::vsqrt(v[i]) / root + eps);
    }
    return;
  }
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    update(i);
    largest[i] = functor::Maximum{}(largest[i], v[i]);
    p[i] = p[i] * shrink - step * m[i] / (functor::vsqrt(largest[i]) / root + eps);
  }
}

template <class T>
void adagrad_kernel(int64_t n, void* p_bytes, const void* g_bytes, void* sum_bytes, const AdagradNumbers& o) {
  auto* p = static_cast<T*>(p_bytes);
  auto* g = static_cast<const T*>(g_bytes);
  auto* sum = static_cast<T*>(sum_bytes);
  T lr = static_cast<T>(o.lr), eps = static_cast<T>(o.eps), decay = static_cast<T>(o.weight_decay);
  T sign = o.maximize ? T(-1) : T(1);
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    T d = sign * g[i] + decay * p[i];
    sum[i] += d * d;
    p[i] -= lr * d / (functor::vsqrt(sum[i]) + eps);
  }
}

template <class T, bool centered, bool with_momentum>
void rmsprop_loop(int64_t n, T* p, const T* g, T* square, T* mean, T* m, const RmspropNumbers& o) {
  T lr = static_cast<T>(o.lr), eps = static_cast<T>(o.eps), decay = static_cast<T>(o.weight_decay);
  T keep = static_cast<T>(o.alpha), take = static_cast<T>(1 - o.alpha), mu = static_cast<T>(o.momentum);
  T sign = o.maximize ? T(-1) : T(1);
  CR_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    T d = sign * g[i] + decay * p[i];
    square[i] = keep * square[i] + take * d * d;
    T v = square[i];
    if constexpr (centered) {
      mean[i] += take * (d - mean[i]);
      v -= mean[i] * mean[i];
    }
    T push = d / (functor::vsqrt(v) + eps);
    if constexpr (with_momentum) push = m[i] = mu * m[i] + push;
    p[i] -= lr * push;
  }
}
template <class T>
void rmsprop_kernel(int64_t n, void* p_bytes, const void* g_bytes, void* square_bytes, void* mean_bytes, void* m_bytes,
                    const RmspropNumbers& o) {
  auto* p = static_cast<T*>(p_bytes);
  auto* g = static_cast<const T*>(g_bytes);
  auto* square = static_cast<T*>(square_bytes);
  auto* mean = static_cast<T*>(mean_bytes);
  auto* m = static_cast<T*>(m_bytes);
  if (mean && m) rmsprop_loop<T, true, true>(n, p, g, square, mean, m, o);
  else if (mean) rmsprop_loop<T, true, false>(n, p, g, square, mean, m, o);
  else if (m) rmsprop_loop<T, false, true>(n, p, g, square, mean, m, o);
  else rmsprop_loop<T, false, false>(n, p, g, square, mean, m, o);
}

// ## The table, filled at compile time
template <class F, int type> constexpr void add_map(Kernels& k) {
  using T = typename Element<type>::T;
  if constexpr (functor::takes<F, T>()) k.map[functor::Maps::index_of<F>()][type] = map_kernel<F, T>;
}
template <class... F> constexpr void add_maps(Kernels& k, functor::List<F...>) {
  (add_map<F, 0>(k), ...);
  (add_map<F, 1>(k), ...);
  (add_map<F, 2>(k), ...);
  (add_map<F, 3>(k), ...);
}
template <class F, int type> constexpr void add_reduction(Kernels& k) {
  using T = typename Element<type>::T;
  k.reduce[functor::Reductions::index_of<F>()][type] = reduce_kernel<F, T>;
  k.reduce_columns[functor::Reductions::index_of<F>()][type] = reduce_columns_kernel<F, T>;
}
template <class... F> constexpr void add_reductions(Kernels& k, functor::List<F...>) {
  (add_reduction<F, 0>(k), ...);
  (add_reduction<F, 1>(k), ...);
  (add_reduction<F, 2>(k), ...);
  (add_reduction<F, 3>(k), ...);
}
template <int to> constexpr void add_copies(Kernels& k) {
  using To = typename Element<to>::T;
  k.copy[to][0] = copy_kernel<To, bool>;
  k.copy[to][1] = copy_kernel<To, int64_t>;
  k.copy[to][2] = copy_kernel<To, float>;
  k.copy[to][3] = copy_kernel<To, double>;
  k.copy[to][4] = copy_kernel<To, Float16>;
  k.copy[to][5] = copy_kernel<To, BFloat16>;
}

constexpr Kernels make_kernels() {
  Kernels k{};
  add_maps(k, functor::Maps{});
  add_reductions(k, functor::Reductions{});
  add_copies<0>(k);
  add_copies<1>(k);
  add_copies<2>(k);
  add_copies<3>(k);
  add_copies<4>(k);
  add_copies<5>(k);
  k.softmax[0] = softmax_kernel<float>;
  k.softmax[1] = softmax_kernel<double>;
  k.softmax_backward[0] = softmax_backward_kernel<float>;
  k.softmax_backward[1] = softmax_backward_kernel<double>;
  k.logsumexp[0] = logsumexp_kernel<float>;
  k.logsumexp[1] = logsumexp_kernel<double>;
  k.cross_entropy_backward[0] = cross_entropy_backward_kernel<float>;
  k.cross_entropy_backward[1] = cross_entropy_backward_kernel<double>;
  k.sgd[0] = sgd_kernel<float>;
  k.sgd[1] = sgd_kernel<double>;
  k.adam[0] = adam_kernel<float>;
  k.adam[1] = adam_kernel<double>;
  k.adagrad[0] = adagrad_kernel<float>;
  k.adagrad[1] = adagrad_kernel<double>;
  k.rmsprop[0] = rmsprop_kernel<float>;
  k.rmsprop[1] = rmsprop_kernel<double>;
  return k;
}

}  // namespace

constinit const Kernels kernels = make_kernels();

}  // namespace cr::backend::cpu::CR_ISA
