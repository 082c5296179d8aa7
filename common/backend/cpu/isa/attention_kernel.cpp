#include "backend/cpu/isa/attention_kernel.hpp"

#include <math.h>

#include "backend/cpu/isa/vectors.hpp"

namespace cr::backend::cpu::CR_ISA {
namespace {

typedef uint32_t BitVector __attribute__((vector_size(kBytes)));  // the bits of a FloatVector
template <class T> constexpr int64_t kLanes = AttentionKernel<T>::kLanes;

// 0, 1, 2, …
template <class T> [[gnu::always_inline]] inline Vector<T> places() {
  Vector<T> v;
  for (int i = 0; i < kWidth<T>; ++i) v[i] = static_cast<T>(i);
  return v;
}

// Sum and largest element: the halves of the vector, then the halves of that, down to one number. NaN is in every sum; whether
// it is the largest does not matter then.
#if defined(__AVX512F__)
[[gnu::always_inline]] inline float sum_of(FloatVector v) { return _mm512_reduce_add_ps(v); }
[[gnu::always_inline]] inline double sum_of(DoubleVector v) { return _mm512_reduce_add_pd(v); }
[[gnu::always_inline]] inline float largest_of(FloatVector v) { return _mm512_reduce_max_ps(v); }
[[gnu::always_inline]] inline double largest_of(DoubleVector v) { return _mm512_reduce_max_pd(v); }
#else
template <class V> [[gnu::always_inline]] inline auto sum_of(V v) {
  constexpr int W = sizeof(V) / sizeof v[0];
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) v[i] += v[i + half];
  return v[0];
}
template <class V> [[gnu::always_inline]] inline auto largest_of(V v) {
  constexpr int W = sizeof(V) / sizeof v[0];
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) v[i] = v[i] > v[i + half] ? v[i] : v[i + half];
  return v[0];
}
#endif

// ## $e^x$
//
// As `functor_math.hpp` has it, $e^x = 2^n e^r$ with eight terms of the series, but each term costs one instruction here, and no
// x is larger than 20. Below $-87.3$, where $2^n$ would no longer be a normal number, the result is 0: next to the row's
// largest, which counts 1, it is nothing. NaN stays NaN.
[[gnu::always_inline]] inline FloatVector exp_of(FloatVector x) {
  const FloatVector magic = splat(12582912.f), shifted = fma(x, splat(1.44269504f), magic), n = shifted - magic;
  const FloatVector r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), x));
  FloatVector p = splat(1.f / 5040);
  p = fma(p, r, splat(1.f / 720));
  p = fma(p, r, splat(1.f / 120));
  p = fma(p, r, splat(1.f / 24));
  p = fma(p, r, splat(1.f / 6));
  p = fma(p, r, splat(0.5f));
  p = fma(p, r, splat(1.f));
  p = fma(p, r, splat(1.f));
  const BitVector power = (reinterpret_cast<BitVector>(shifted) << 23) + 0x3f800000u;
  return x < splat(-87.3f) ? splat(0.f) : p * reinterpret_cast<FloatVector>(power);
}

// float64 checks rather than trains: the C library's, one number at a time.
[[gnu::always_inline]] inline DoubleVector exp_of(DoubleVector x) {
  for (int i = 0; i < kWidth<double>; ++i) x[i] = ::exp(x[i]);
  return x;
}

// ## One row
constexpr float kNever = -__builtin_inff();

template <class T> struct Row {
  static constexpr int W = kWidth<T>;
  T* scores;
  const T* bias;
  int64_t bias_step, limit;  // how many columns are seen
  Vector<T> scale, same_bias;

  [[gnu::always_inline]] Row(const ScoreRows<T>& s, int64_t r)
      : scores(s.scores + r * s.step),
        bias(s.bias ? s.bias + r * s.bias_row : nullptr),
        bias_step(s.bias_step),
        limit(s.columns),
        scale(splat(s.scale)),
        same_bias(splat(bias && bias_step == 0 && s.columns > 0 ? bias[0] : T(0))) {
    if (s.causal && s.seen + r < limit) limit = s.seen + r > 0 ? s.seen + r : 0;
  }

  // The scores from column j < limit on; −∞ where they are not seen.
  [[gnu::always_inline]] Vector<T> at(int64_t j) const {
    const Vector<T> b = bias && bias_step ? load(bias + j, limit - j) : same_bias;
    const Vector<T> x = fma(load(scores + j), scale, b);
    return limit - j >= W ? x : hidden(j, x, splat(T(kNever)));
  }

  // x, but `other` beyond the limit
  [[gnu::always_inline]] Vector<T> hidden(int64_t j, Vector<T> x, Vector<T> other) const {
    return places<T>() < splat(static_cast<T>(limit - j)) ? x : other;
  }
};

// Any top that is near the largest score serves as well as the largest itself: e²⁰ and sums of it fit into a float, and lose no
// digits. So the top moves only when a score exceeds it by more than that, which after the first block is rare: nearly all
// rows keep their top, and what was summed need not be scaled.
constexpr float kRoom = 20;

// Two loops, so that a row need not wait for the row before: its largest number comes out of a chain of comparisons.
template <class T> void softmax(const ScoreRows<T>& s, T* tops, T* sums, T* factors) {
  constexpr int W = kWidth<T>;
  for (int64_t r = 0; r < s.rows; ++r) {
    const Row<T> row(s, r);
    Vector<T> largest = splat(T(kNever));
    for (int64_t j = 0; j < row.limit; j += W) {
      const Vector<T> x = row.at(j);
      store(row.scores + j, x);
      largest = x > largest ? x : largest;
    }
    const T before = tops[r], top = largest_of(largest);
    factors[r] = T(1);
    if (!(top > before + T(kRoom))) continue;
    tops[r] = top;
    factors[r] = before == T(kNever) ? T(0) : exp_of(splat(before) - splat(top))[0];
  }
  for (int64_t r = 0; r < s.rows; ++r) {
    const Row<T> row(s, r);
    // As long as nothing is seen, top is −∞, and −∞ − (−∞) is not what we want.
    const Vector<T> top = splat(tops[r] == T(kNever) ? T(0) : tops[r]);
    Vector<T> sum = load(sums + r * kLanes<T>) * splat(factors[r]);
    int64_t j = 0;
    for (; j < row.limit; j += W) {
      const Vector<T> p = exp_of(load(row.scores + j) - top);
      store(row.scores + j, p);
      sum = sum + p;
    }
    for (; j < s.columns; j += W) store(row.scores + j, splat(T(0)));
    store(sums + r * kLanes<T>, sum);
  }
}

template <class T>
void finish(int64_t rows, int64_t n, T* out, int64_t out_row, const T* tops, const T* sums, T* normalizer) {
  for (int64_t r = 0; r < rows; ++r, out += out_row) {
    const T sum = sum_of(load(sums + r * kLanes<T>)), factor = sum == 0 ? T(1) : T(1) / sum;
    normalizer[2 * r] = tops[r] == T(kNever) ? T(0) : tops[r];
    normalizer[2 * r + 1] = sum == 0 ? T(0) : factor;
    for (int64_t i = 0; i < n; ++i) out[i] *= factor;
  }
}

template <class T> void gradient(const ScoreRows<T>& s, T* dp_rows, const T* normalizer, const T* d_rows) {
  constexpr int W = kWidth<T>;
  const Vector<T> scale = splat(s.scale), zero = splat(T(0));
  for (int64_t r = 0; r < s.rows; ++r) {
    const Row<T> row(s, r);
    T* dp = dp_rows + r * s.step;
    const Vector<T> top = splat(normalizer[2 * r]), share = splat(normalizer[2 * r + 1]), d = splat(d_rows[r]);
    int64_t j = 0;
    for (; j < row.limit; j += W) {
      const Vector<T> p = exp_of(row.at(j) - top) * share, g = p * (load(dp + j) - d) * scale;
      store(row.scores + j, p);
      store(dp + j, row.limit - j >= W ? g : row.hidden(j, g, zero));
    }
    for (; j < s.columns; j += W) store(row.scores + j, zero), store(dp + j, zero);
  }
}

template <class T> void scale(int64_t rows, int64_t n, T* x, int64_t x_row, const T* factor) {
  for (int64_t r = 0; r < rows; ++r, x += x_row) {
    if (factor[r] == T(1)) continue;
    for (int64_t i = 0; i < n; ++i) x[i] *= factor[r];
  }
}

template <class T> void add(int64_t rows, int64_t n, T* y, int64_t y_row, const T* x, int64_t x_row) {
  for (int64_t r = 0; r < rows; ++r, y += y_row, x += x_row)
    for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

template <class T> void dots(int64_t rows, int64_t n, const T* x, int64_t x_row, const T* y, int64_t y_row, T* out) {
  constexpr int W = kWidth<T>;
  for (int64_t r = 0; r < rows; ++r, x += x_row, y += y_row) {
    Vector<T> sum = splat(T(0));
    for (int64_t i = 0; i < n; i += W) sum = fma(load(x + i, n - i), load(y + i, n - i), sum);
    out[r] = sum_of(sum);
  }
}

template <class T> constexpr AttentionKernel<T> table() {
  return {softmax<T>, finish<T>, gradient<T>, scale<T>, add<T>, dots<T>};
}

}  // namespace

const AttentionKernel<float> attention_float = table<float>();
const AttentionKernel<double> attention_double = table<double>();

}  // namespace cr::backend::cpu::CR_ISA
