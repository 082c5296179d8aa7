// # The maths of activations and losses
//
// A struct with a `slope` is a function and its derivative; `Through<F>` multiplies a gradient by that slope, so that
// going back takes one pass over memory as well.
#pragma once

#include "backend/functor_math.hpp"

namespace cr::functor {
inline namespace CR_ISA {

// $e^x - 1$ for $x \le 0$. As in `vexp`, $e^x = 2^n e^r$; with $q = e^r - 1$ the result is $2^n q + (2^n - 1)$, where nothing
// cancels: for $n = 0$ it is q itself. Below −18 float32 knows only −1.
constexpr float expm1_negative(float x) {
  float c = x < -18.f ? -18.f : x;
  float shifted = c * 1.44269504f + 12582912.f;
  float n = shifted - 12582912.f;
  float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
  float q = r + r * r * backend::polynomial(r, 0.5f, 1.f / 6, 1.f / 24, 1.f / 120, 1.f / 720, 1.f / 5040);
  float power = __builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, shifted) - 0x4b400000u + 127u) << 23);
  return power * q + (power - 1.f);
}
CR_DEVICE inline double expm1_negative(double x) { return ::expm1(x); }

// $\ln(1 + t)$ for $0 \le t \le 1$: with $u = t / (2 + t)$ it is $\ln\frac{1 + u}{1 - u} = 2u + \frac23 u^3 + \dots$, whose
// coefficients here are moved a little so that five of them reach the last bit.
constexpr float log1p_unit(float t) {
  float u = t / (2.f + t), z = u * u;
  return u * backend::polynomial(z, 2.f, 0.666663147f, 0.400249101f, 0.279606047f, 0.28178326f);
}
CR_DEVICE inline double log1p_unit(double t) { return ::log1p(t); }

// **The normal distribution**: $\Phi(x) = \frac12 \mathrm{erfc}(-x / \sqrt 2)$ and the bell $e^{-x^2/2}$ under it. In the left
// tail, with $a = |x|$, the quotient of the two falls slowly, from ½ towards $1 / (a \sqrt{2\pi})$, and a quotient of two
// polynomials P and Q (fitted) follows it to $6 \cdot 10^{-8}$ at 0, and further out to less than what the rounding of $x^2$
// costs. So the tail keeps its digits, where $1 + \mathrm{erf}$ would have lost them all at $x = -6$; the right side is $1$ minus
// it.
//
// The bell is $2^y = 2^n 2^f$ with $n$ the integer nearest to y, and $2^f = (C + f) / (C - f)$ as in `vsigmoid`: one division serves
// for both quotients. Where y is below −126.5, the exponent's bits are all 0, and so is the bell.
template <class T> struct Normal { T cdf, bell; };
constexpr Normal<float> vnormal(float x) {
  float a = __builtin_fabsf(x);
  a = a > 13.25f ? 13.25f : a;
  float y = a * a * -0.72134752f;                                  // 1 / (2 ln 2)
  float shifted = y + 12583039.f, f = y - (shifted - 12583039.f);  // the low bits are n + 127
  float power = __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, shifted) << 23);
  float c = backend::polynomial(f * f, 2.88539004f, 0.115523949f, -0.000920429535f);
  float up = power * (c + f), down = c - f;
  float p = backend::polynomial(a, 0.5f, 0.324650198f, 0.0996528268f, 0.0126230875f, 4.70642645e-7f);
  float q = backend::polynomial(a, 1.f, 1.44718301f, 0.854010522f, 0.248936951f, 0.0316902921f);
  float tail = (up * p) / (down * q);
  return {x > 0.f ? 1.f - tail : tail, up / down};
}
CR_DEVICE inline Normal<double> vnormal(double x) {
  return {0.5 * ::erfc(-x * 0.70710678118654752440), ::exp(-0.5 * (x * x))};
}

// $x \Phi(x) = \max(x, 0) - |x| \Phi(-|x|)$ for $|x| \le 3\frac14$, where nearly all activations are: there $\sqrt{\Phi(-a)}$ is
// a polynomial in $2\frac34 - a$ (fitted to 3 · 10⁻⁸ of Φ), and its square keeps the tail's digits without a bell and without a
// division. The larger one of x and −0 is x itself at both zeros.
constexpr float gelu_inside(float x) {
  float a = vabs(x), t = 2.75f - a;
  float root =
      paired(t, t * t, 0.0545872077f, 0.0832938924f, 0.0509806015f, 0.0133122718f, -0.000574261998f, -0.00127324625f,
             -0.000236088497f, 3.80682213e-05f, 1.70612111e-05f, 4.66088659e-06f, -2.57668194e-06f, 2.49930281e-07f);
  return (-0.f > x ? -0.f : x) - a * (root * root);
}

// dy · f′(x), of a function of x alone or of x and a number.
template <class F> struct Through : Elementwise<F::kArity + 1, kFloating> {
  static constexpr const char* kName = F::kName;
  template <class T> constexpr T operator()(T dy, T x) const { return dy * F::slope(x); }
  template <class T> constexpr T operator()(T dy, T x, T a) const { return dy * F::slope(x, a); }
};

// ## Straight pieces
struct LeakyRelu : Elementwise<2, kFloating> {
  static constexpr const char* kName = "leaky_relu";
  template <class T> constexpr T operator()(T x, T a) const { return x > 0 ? x : a * x; }
  template <class T> static constexpr T slope(T x, T a) { return x > 0 ? T(1) : a; }
};
struct Hardtanh : Elementwise<3, kNumbers> {
  static constexpr const char* kName = "hardtanh";
  template <class T> constexpr T operator()(T x, T lo, T hi) const {
    T low = x < lo ? lo : x;
    return low > hi ? hi : low;
  }
};
struct Hardsigmoid : Elementwise<1, kFloating> {
  static constexpr const char* kName = "hardsigmoid";
  template <class T> constexpr T operator()(T x) const { return Hardtanh{}(x + 3, T(0), T(6)) / 6; }
  template <class T> static constexpr T slope(T x) { return x > -3 && x < 3 ? T(1) / 6 : T(0); }
};
struct Hardshrink : Elementwise<2, kFloating> {
  static constexpr const char* kName = "hardshrink";
  template <class T> constexpr T operator()(T x, T a) const { return x >= -a && x <= a ? T(0) : x; }
  template <class T> static constexpr T slope(T x, T a) { return x >= -a && x <= a ? T(0) : T(1); }
};
struct Softshrink : Elementwise<2, kFloating> {
  static constexpr const char* kName = "softshrink";
  template <class T> constexpr T operator()(T x, T a) const { return x > a ? x - a : x < -a ? x + a : x * 0; }
  template <class T> static constexpr T slope(T x, T a) { return Hardshrink::slope(x, a); }
};
struct Threshold : Elementwise<3, kNumbers> {
  static constexpr const char* kName = "threshold";
  template <class T> constexpr T operator()(T x, T at, T value) const { return x <= at ? value : x; }
};
// dy where x is not at or beyond the bound: the slopes of the two above.
struct GateAbove : Elementwise<3, kFloating> {
  static constexpr const char* kName = "gate_above";
  template <class T> constexpr T operator()(T dy, T x, T bound) const { return x <= bound ? T(0) : dy; }
};
struct GateBelow : Elementwise<3, kFloating> {
  static constexpr const char* kName = "gate_below";
  template <class T> constexpr T operator()(T dy, T x, T bound) const { return x >= bound ? T(0) : dy; }
};
// u is uniform over [0, 1): x falls out with probability p, and what stays grows by 1 / (1 − p).
struct Drop : Elementwise<3, kFloating> {
  static constexpr const char* kName = "dropout";
  template <class T> constexpr T operator()(T x, T u, T p) const { return x * (u < p ? T(0) : 1 / (1 - p)); }
};

// ## Curves
struct Elu : Elementwise<2, kFloating> {
  static constexpr const char* kName = "elu";
  template <class T> constexpr T operator()(T x, T a) const { return x < 0 ? a * expm1_negative(x) : x; }
  template <class T> static constexpr T slope(T x, T a) { return x <= 0 ? a * vexp(x) : T(1); }
};
// Klambauer et al. 2017: with these two numbers, activations of mean 0 and variance 1 stay so from layer to layer.
struct Selu : Elementwise<1, kFloating> {
  static constexpr const char* kName = "selu";
  static constexpr double kAlpha = 1.6732632423543772848, kScale = 1.0507009873554804934;
  template <class T> constexpr T operator()(T x) const {
    return x < 0 ? T(kAlpha * kScale) * expm1_negative(x) : T(kScale) * x;
  }
  template <class T> static constexpr T slope(T x) { return x <= 0 ? T(kAlpha * kScale) * vexp(x) : T(kScale); }
};
struct Celu : Elementwise<2, kFloating> {
  static constexpr const char* kName = "celu";
  template <class T> constexpr T operator()(T x, T a) const { return x < 0 ? a * expm1_negative(x * (1 / a)) : x; }
  template <class T> static constexpr T slope(T x, T a) { return x <= 0 ? vexp(x * (1 / a)) : T(1); }
};
struct NormalCdf : Elementwise<1, kFloating> {
  static constexpr const char* kName = "normal_cdf";
  template <class T> constexpr T operator()(T x) const { return vnormal(x).cdf; }
};
struct Gelu : Elementwise<1, kFloating> {
  static constexpr const char* kName = "gelu";
  static constexpr bool fits(float x) { return vabs(x) <= 3.25f; }
  static constexpr float fast(float x) { return gelu_inside(x); }
  constexpr float operator()(float x) const { return fits(x) ? fast(x) : x * vnormal(x).cdf; }
  CR_DEVICE double operator()(double x) const { return x * vnormal(x).cdf; }
  template <class T> static constexpr T slope(T x) {
    Normal<T> n = vnormal(x);
    return n.cdf + x * (n.bell * T(0.39894228040143267794));  // 1 / √(2π)
  }
};
struct Silu : Elementwise<1, kFloating> {
  static constexpr const char* kName = "silu";
  template <class T> constexpr T operator()(T x) const { return x * vsigmoid(x); }
  template <class T> static constexpr T slope(T x) {
    T s = vsigmoid(x);
    return s * (1 + x * (1 - s));
  }
};
// $\frac12 (1 + \tanh u) = \sigma(2u)$, with $2u = x (c_1 + c_3 x^2)$.
struct GeluTanh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "gelu";
  static constexpr double k1 = 1.5957691216057307117, k3 = k1 * 0.044715;
  template <class T> static constexpr T gate(T x) { return vsigmoid(x * (T(k1) + T(k3) * (x * x))); }
  template <class T> constexpr T operator()(T x) const { return x * gate(x); }
  // At ±22 one of s and 1 − s is 0. Further out the cube would become infinite, and 0 · ∞ is NaN.
  template <class T> static constexpr T slope(T x) {
    T c = Hardtanh{}(x, T(-22), T(22)), s = gate(c);
    return s * (1 + (1 - s) * (c * (T(k1) + T(3 * k3) * (c * c))));
  }
};
// $\tanh \ln(1 + e^x) = n / (n + 2)$ with $n = e^x (e^x + 2)$, which is 1 from $x = 20$ on, long before it overflows.
struct Mish : Elementwise<1, kFloating> {
  static constexpr const char* kName = "mish";
  template <class T> constexpr T operator()(T x) const {
    T e = vexp(x > 20 ? T(20) : x), n = e * (e + 2);
    return x * (n / (n + 2));
  }
  template <class T> static constexpr T slope(T x) {
    T e = vexp(x > 20 ? T(20) : x), n = e * (e + 2);
    return x > 20 ? T(1) : n / (n + 2) + 4 * (e / (n + 2)) * x * ((1 + e) / (n + 2));  // 4 x may overflow
  }
};
struct Softplus : Elementwise<2, kFloating> {
  static constexpr const char* kName = "softplus";
  template <class T> constexpr T operator()(T x, T threshold) const {
    T soft = (x > 0 ? x : T(0)) + log1p_unit(vexp(x > 0 ? -x : x));
    return x > threshold ? x : soft;
  }
  template <class T> static constexpr T slope(T x, T threshold) { return x > threshold ? T(1) : vsigmoid(x); }
};
struct LogSigmoid : Elementwise<1, kFloating> {
  static constexpr const char* kName = "logsigmoid";
  template <class T> constexpr T operator()(T x) const { return (x > 0 ? T(0) : x) - log1p_unit(vexp(x > 0 ? -x : x)); }
  template <class T> static constexpr T slope(T x) { return vsigmoid(-x); }
};
struct Hardswish : Elementwise<1, kFloating> {
  static constexpr const char* kName = "hardswish";
  template <class T> constexpr T operator()(T x) const { return x * Hardtanh{}(x + 3, T(0), T(6)) / 6; }
  template <class T> static constexpr T slope(T x) { return x <= -3 ? T(0) : x < 3 ? x / 3 + T(0.5) : T(1); }
};
struct Glu : Elementwise<2, kFloating> {
  static constexpr const char* kName = "glu";
  template <class T> constexpr T operator()(T x, T gate) const { return x * vsigmoid(gate); }
};

// dy · f′(x) of functions whose slope is written in their result y.
struct TanhSlope : Elementwise<2, kFloating> {
  static constexpr const char* kName = "tanh";
  template <class T> constexpr T operator()(T dy, T y) const { return dy * (1 - y * y); }
};
struct SigmoidSlope : Elementwise<2, kFloating> {
  static constexpr const char* kName = "sigmoid";
  template <class T> constexpr T operator()(T dy, T y) const { return dy * (y * (1 - y)); }
};

// ## Losses
//
// A parabola that goes on as a straight line from ±δ.
struct Huber : Elementwise<2, kFloating> {
  static constexpr const char* kName = "huber_loss";
  template <class T> constexpr T operator()(T d, T delta) const {
    T a = d < 0 ? -d : d;
    return a <= delta ? T(0.5) * d * d : delta * (a - T(0.5) * delta);
  }
};

// $\max(z, 0) - z y + \ln(1 + e^{-|z|})$; $\infty \cdot 0$ is 0. Its slope in z is $\sigma(z) - y$.
struct BinaryLogits : Elementwise<2, kFloating> {
  static constexpr const char* kName = "binary_cross_entropy_with_logits";
  template <class T> constexpr T operator()(T z, T y) const {
    T soft = log1p_unit(vexp(-vabs(z)));
    return (z > 0 ? z : T(0)) - (y == 0 ? T(0) : z * y) + soft;
  }
};
struct BinaryLogitsSlope : Elementwise<3, kFloating> {
  static constexpr const char* kName = "binary_cross_entropy_with_logits";
  template <class T> constexpr T operator()(T dy, T z, T y) const { return dy * (vsigmoid(z) - y); }
};

}  // namespace CR_ISA
}  // namespace cr::functor
