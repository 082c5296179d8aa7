#include "backend/cpu/isa/recurrent_kernel.hpp"

#include "backend/functor.hpp"

// Iterations do not depend on each other: a row's outputs overlap no input but where they replace it.
#if defined(__clang__)
#define CR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#pragma clang diagnostic ignored "-Wpass-failed"  // float64 calls the C library and stays as it is
#else
#define CR_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace cr::backend::cpu::CR_ISA {
namespace {

// ## Squashing
//
// A step has five of these functions for every unit, so in float32 they are shorter than those of `functor_math.hpp`: they
// multiply and add in one instruction where there is one, and their arguments end where the result does.
#if defined(__FMA__)
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
inline float fma(float a, float b, float c) { return a * b + c; }
#endif

// $e^x = 2^n (1 + q)$ for $-87 \le x \le 87$: n is the nearest integer to $x / \ln 2$ (see `functor::vexp`), and
// $q = e^r - 1$ of what is left, $|r| \le \ln 2 / 2$.
struct Exponential {
  float power, q;
};
inline Exponential exponential(float x) {
  float shifted = fma(x, 1.44269504f, 12582912.f), n = shifted - 12582912.f;
  float r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x));
  float p = fma(r, 1.f / 5040, 1.f / 720);
  p = fma(p, r, 1.f / 120);
  p = fma(p, r, 1.f / 24);
  p = fma(p, r, 1.f / 6);
  p = fma(p, r, 0.5f);
  uint32_t exponent = __builtin_bit_cast(uint32_t, shifted) - 0x4b400000u + 127;
  return {__builtin_bit_cast(float, exponent << 23), fma(p, r * r, r)};
}

// $\sigma(x) = 1 / (1 + e^{-x})$, which is 0 to every purpose below −87, and 1 from 17 on.
inline float sigmoid(float x) {
  float c = x < -87.f ? -87.f : x > 30.f ? 30.f : x;
  Exponential e = exponential(-c);
  float y = 1.f / (1.f + fma(e.power, e.q, e.power));
  return x < -87.f ? 0.f : y;
}
inline double sigmoid(double x) { return functor::Sigmoid{}(x); }

// $\tanh x = -t / (t + 2)$ with $t = e^{-2x} - 1 = 2^n q + (2^n - 1)$, which near 0 is q itself and loses no digits.
inline float tanh(float x) {
  float a = __builtin_fabsf(x), c = a > 15.f ? 15.f : a;
  Exponential e = exponential(-2.f * c);
  float t = fma(e.power, e.q, e.power - 1.f);
  return __builtin_copysignf(t / (t + 2.f), x);
}
inline double tanh(double x) { return functor::vtanh(x); }

// Calls `f` with what gives d = dh + dy: chosen outside the loop, so that the loop has no branch.
template <class T, class F> void with_gradient(const T* dh, const T* dy, const F& f) {
  if (dy) f([dh, dy](int64_t j) { return dh[j] + dy[j]; });
  else f([dh](int64_t j) { return dh[j]; });
}

template <class T> void rnn(int64_t n, bool relu, T* h) {
  if (relu) {
    CR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) h[j] = h[j] < 0 ? T(0) : h[j];
  } else {
    CR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) h[j] = tanh(h[j]);
  }
}

template <class T> void rnn_backward(int64_t n, bool relu, T* dsums, const T* dh, const T* dy, const T* h) {
  with_gradient(dh, dy, [=](const auto& d) {
    if (relu) {
      CR_INDEPENDENT
      for (int64_t j = 0; j < n; ++j) dsums[j] = h[j] <= 0 ? T(0) : d(j);
    } else {
      CR_INDEPENDENT
      for (int64_t j = 0; j < n; ++j) dsums[j] = d(j) * (1 - h[j] * h[j]);
    }
  });
}

template <class T> void lstm(int64_t n, T* h, T* c, T* gates, const T* c0) {
  T *gate_i = gates, *gate_f = gates + n, *gate_g = gates + 2 * n, *gate_o = gates + 3 * n;
  CR_INDEPENDENT
  for (int64_t j = 0; j < n; ++j) {
    T i = sigmoid(gate_i[j]), f = sigmoid(gate_f[j]), g = tanh(gate_g[j]), o = sigmoid(gate_o[j]);
    T cell = f * c0[j] + i * g;
    gate_i[j] = i, gate_f[j] = f, gate_g[j] = g, gate_o[j] = o;
    c[j] = cell;
    h[j] = o * tanh(cell);
  }
}

// From h = o tanh c and c = f c₀ + i g; the slope of σ is σ (1 − σ), that of tanh 1 − tanh².
template <class T>
void lstm_backward(int64_t n, T* dgates, T* dc, const T* dh, const T* dy, const T* gates, const T* c, const T* c0) {
  const T *gate_i = gates, *gate_f = gates + n, *gate_g = gates + 2 * n, *gate_o = gates + 3 * n;
  T *di = dgates, *df = dgates + n, *dg = dgates + 2 * n, *d_o = dgates + 3 * n;
  with_gradient(dh, dy, [=](const auto& dstate) {
    CR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      T i = gate_i[j], f = gate_f[j], g = gate_g[j], o = gate_o[j], t = tanh(c[j]), d = dstate(j);
      T dcell = dc[j] + d * o * (1 - t * t);
      di[j] = dcell * g * (i * (1 - i));
      df[j] = dcell * c0[j] * (f * (1 - f));
      dg[j] = dcell * i * (1 - g * g);
      d_o[j] = d * t * (o * (1 - o));
      dc[j] = dcell * f;
    }
  });
}

template <class T> void gru(int64_t n, T* h, T* gates, const T* h0) {
  T *gate_r = gates, *gate_z = gates + n, *gate_n = gates + 2 * n, *m = gates + 3 * n;
  CR_INDEPENDENT
  for (int64_t j = 0; j < n; ++j) {
    T r = sigmoid(gate_r[j]), z = sigmoid(gate_z[j]), candidate = tanh(gate_n[j] + r * m[j]);
    gate_r[j] = r, gate_z[j] = z, gate_n[j] = candidate;
    h[j] = candidate + z * (h0[j] - candidate);
  }
}

// From h = n + z (h₀ − n) and n = tanh(… + r m).
template <class T> void gru_backward(int64_t n, T* dgates, T* dh, const T* dy, const T* gates, const T* h0) {
  const T *gate_r = gates, *gate_z = gates + n, *gate_n = gates + 2 * n, *m = gates + 3 * n;
  T *dr = dgates, *dz = dgates + n, *dn = dgates + 2 * n, *dm = dgates + 3 * n;
  with_gradient<T>(dh, dy, [=](const auto& dstate) {
    CR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      T r = gate_r[j], z = gate_z[j], candidate = gate_n[j], d = dstate(j);
      T dsum = d * (1 - z) * (1 - candidate * candidate);
      dr[j] = dsum * m[j] * (r * (1 - r));
      dz[j] = d * (h0[j] - candidate) * (z * (1 - z));
      dn[j] = dsum;
      dm[j] = dsum * r;
      dh[j] = d * z;
    }
  });
}

template <class T> void add(int64_t n, T* sum, const T* x) {
  CR_INDEPENDENT
  for (int64_t j = 0; j < n; ++j) sum[j] += x[j];
}

template <class T> constexpr RecurrentKernel<T> table() {
  return {rnn<T>, rnn_backward<T>, lstm<T>, lstm_backward<T>, gru<T>, gru_backward<T>, add<T>};
}

}  // namespace

constinit const RecurrentKernel<float> recurrent_float = table<float>();
constinit const RecurrentKernel<double> recurrent_double = table<double>();

}  // namespace cr::backend::cpu::CR_ISA
