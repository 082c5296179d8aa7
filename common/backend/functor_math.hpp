// # Functions that vectorise
//
// The C library's functions are called one number at a time, and may differ in the last bit from one library to the
// next. For float32 we write our own: no branches, no tables, only additions, multiplications, divisions, roots and
// integer arithmetic, which IEEE 754 defines to the bit. So the compiler can compute 4, 8 or 16 at a time, and every
// instruction set gives the same bits. float64, which checks rather than trains, uses the C library.
//
// `tests/common/test_accuracy.cpp` holds each one against float64.
#pragma once

#include <math.h>

#include <cstdint>

#include "backend/functor_kinds.hpp"
#include "backend/shared_math.hpp"

namespace cr::functor {
inline namespace CR_ISA {

template <class T> constexpr T vsqrt(T x) { return backend::square_root(x); }
constexpr float vabs(float x) { return __builtin_fabsf(x); }
constexpr double vabs(double x) { return __builtin_fabs(x); }
constexpr float with_sign_of(float x, float sign) { return __builtin_copysignf(x, sign); }
constexpr double with_sign_of(double x, double sign) { return __builtin_copysign(x, sign); }
constexpr double with_sign_of(double x, float sign) { return __builtin_copysign(x, static_cast<double>(sign)); }

// ## In float32 alone: what training calls all the time
//
// By Horner's rule each step of a polynomial waits for the one before, and a processor that could add and multiply 32
// numbers meanwhile waits as well. In pairs, $(c_0 + c_1 x) + x^2 ((c_2 + c_3 x) + \dots)$, half as many steps wait.
template <class T> constexpr T paired(T, T, T c0) { return c0; }
template <class T> constexpr T paired(T x, T, T c0, T c1) { return c0 + x * c1; }
template <class T, class... Rest> constexpr T paired(T x, T square, T c0, T c1, Rest... rest) {
  return (c0 + x * c1) + square * paired(x, square, rest...);
}

// $e^x = 2^n e^r$ with $n$ the nearest integer to $x / \ln 2$. Adding $1.5 \cdot 2^{23}$ leaves no room for a fraction:
// the sum's low bits *are* $n$. With 127 added as well they are the exponent's bits of $2^n$, and moving them into their
// place is all it takes. $\ln 2$ is taken away in two parts, of which the first has so few bits that n times it is exact.
// For $|r| \le \ln 2 / 2$ the polynomial (fitted) is exact to $3 \cdot 10^{-9}$.
constexpr float exp_inside(float x, uint32_t more = 0) {  // of −87 ≤ x ≤ 88; `more` is added to the exponent
  float shifted = x * 1.44269504f + 12583039.f;
  float n = shifted - 12583039.f;
  float r = (x - n * 0.693359375f) - n * -2.12194440e-4f, square = r * r;
  float power = __builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, shifted) + more) << 23);
  float p = paired(r, square, 0.49999994f, 0.166665211f, 0.041668389f, 0.00836874545f, 0.00138145383f);
  return (1.f + (r + square * p)) * power;
}

// Where $e^x$ comes near the smallest normal number, the exponent is raised by 64 first, and the product lowered again, so that
// it is rounded once; near the largest it is the other way round. Inside of that nothing needs care, and loops over many numbers
// look ahead whether they are `exp_fits`.
constexpr bool exp_fits(float x) { return x >= -86.f && x <= 88.f; }
constexpr float vexp(float x) {
  float c = x > 89.f ? 89.f : x;
  c = c < -104.f ? -104.f : c;
  bool tiny = c<-86.f, huge = c> 88.f;
  float y = exp_inside(c, tiny ? 64u : huge ? ~0u : 0u);
  return y * (tiny ? 5.42101086e-20f : huge ? 2.f : 1.f);  // 2⁻⁶⁴
}
CR_DEVICE inline double vexp(double x) { return ::exp(x); }

// Numbers below the smallest normal one are scaled up first by $2^{23}$; 0, negative numbers, ∞ and NaN are set right at the end.
constexpr float vlog(float x) {
  float a = __builtin_fabsf(x);
  bool tiny = a < 1.17549435e-38f;
  float y = backend::shared_log(tiny ? a * 8388608.f : a) - (tiny ? 15.942385f : 0.f);
  y = x <= 3.40282347e38f ? y : x;  // ∞ and NaN
  y = x == 0.f ? -__builtin_inff() : y;
  return x < 0.f ? __builtin_nanf("") : y;
}
CR_DEVICE inline double vlog(double x) { return ::log(x); }

// $\sigma(x) = 1 / (1 + e^{-x})$. With a quotient for $e^{-x}$ one division does it all:
//
// $$e^r = \frac{C + r}{C - r} \quad\text{with}\quad C = r \coth \frac r2 = 2 + \frac{r^2}{6} - \frac{r^4}{360} + \dots$$
//
// The exponent's bits are those of $2^{n-1}$ here, which does not overflow.
constexpr float vsigmoid(float x) {
  float c = x < -89.f ? 89.f : -x;
  c = c < -86.f ? -86.f : c;
  float shifted = c * 1.44269504f + 12583038.f;
  float n = shifted - 12583038.f;
  float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
  float power = __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, shifted) << 23);
  float even = backend::polynomial(r * r, 2.f, 0.166666165f, -0.00276592351f);
  float up = (even - r) * 0.5f;
  return up / (up + power * (even + r));
}
CR_DEVICE inline double vsigmoid(double x) { return 1 / (1 + ::exp(-x)); }

// $\tanh u = u / A$ with $A = u \coth u = 1 + \frac{u^2}{3} - \dots$ for small u. Further out, $1 - 2 / (e^{2a} + 1)$ loses no
// digits. With $a = \frac n2 \ln 2 + u$ and $e^{2u} = (A + u) / (A - u)$ that is $1 - 2 (A - u) / (2^n (A + u) + (A - u))$: the
// same A, and one division for whichever it is. It is computed for $|x|$ and given x's sign.
constexpr float vtanh(float x) {
  float a = __builtin_fabsf(x);
  float held = a > 10.f ? 10.f : a;
  float shifted = held * 2.88539008f + 12583039.f;  // the low bits are n + 127, the exponent's bits of 2ⁿ
  float n = shifted - 12583039.f;
  float rest = (held - n * 0.3466796875f) - n * -1.06097220e-4f;
  float power = __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, shifted) << 23);
  bool near = a < 0.55f;
  float u = near ? a : rest;
  float c = backend::polynomial(u * u, 1.f, 0.333332211f, -0.0222003814f, 0.00199435605f), less = c - u;
  float up = near ? u : -2.f * less, down = near ? c : power * (c + u) + less;
  return __builtin_copysignf((near ? 0.f : 1.f) + up / down, x);
}
CR_DEVICE inline double vtanh(double x) { return ::tanh(x); }

// $\operatorname{erf} x = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt$ is $x (1 + P(x^2))$ near 0; further out it is $1 - e^{-Q(|x|)}$.
// Both polynomials have the least possible largest error on their interval (Remez).
constexpr float verf(float x) {
  float a = __builtin_fabsf(x), z = x * x, t = a > 4.f ? 4.f : a;
  float near = a + a * backend::polynomial(z, 0.1283791668f, -0.3761263498f, 0.1128371504f, -0.02686050862f,
                                           0.005203859564f, -0.000817564407f, 8.513124992e-5f);
  float q = backend::polynomial(t, 1.775141111e-4f, 1.127749473f, 0.637059922f, 0.1040371949f, -0.02227699918f,
                                0.003055583291f, -1.9717902e-4f);
  float far = 1.f - vexp(-q);
  float y = a < 0.9f ? near : far;
  return __builtin_copysignf(x == x ? y : x, x);
}
CR_DEVICE inline double verf(double x) { return ::erf(x); }

// ## In float64, rounded once
//
// The rest takes an easier road. A float64 has 29 bits more than a float32, so a formula may lose some of them to
// cancellation and a series may stop early: as long as 30 or so bits are right, the only error that shows is the last
// rounding, and results lie within 0.51 units in the last place. The price is half as many numbers at a time.
//
// $e^x$ for $|x| < 700$, to $10^{-11}$. Here $2^n$ is added to the exponent's bits directly.
constexpr double wide_exp(double x) {
  double shifted = x * 0x1.71547652b82fep+0 + 0x1.8p52;
  double n = shifted - 0x1.8p52;
  double r = (x - n * 0x1.62e42fefap-1) - n * 0x1.cf79abc9e3b3ap-40;
  double p =
      backend::polynomial(r, 1., 1., 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880);
  return __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, p) + (__builtin_bit_cast(uint64_t, shifted) << 52));
}

// $\ln x$, to $10^{-13}$ of the result, for every float64 but those below the smallest normal one; see `shared_log`.
// $e + 1024$ becomes a float64 by being written into the low bits of $2^{52}$: no instruction of AVX2 converts it.
constexpr double wide_log(double x) {
  uint64_t bits = __builtin_bit_cast(uint64_t, x), e = (bits - 0x3fe6a09e667f3bcd + (uint64_t{1024} << 52)) >> 52;
  double m = __builtin_bit_cast(double, bits - ((e - 1024) << 52));
  double exponent = __builtin_bit_cast(double, e | 0x4330000000000000) - (0x1p52 + 1024);
  double s = (m - 1) / (m + 1), z = s * s;
  double y = exponent * 0x1.62e42fefa39efp-1 +
             (2 * s + 2 * s * z * backend::polynomial(z, 1. / 3, 1. / 5, 1. / 7, 1. / 9, 1. / 11, 1. / 13, 1. / 15));
  y = x <= 0x1.fffffffffffffp1023 ? y : x;  // ∞ and NaN
  y = x == 0 ? -__builtin_inf() : y;
  return x < 0 ? __builtin_nan("") : y;
}

// x held between lo and hi; NaN stays NaN.
constexpr double held(double x, double lo, double hi) {
  double c = x > hi ? hi : x;
  return c < lo ? lo : c;
}

// $2^x$
constexpr float vexp2(float x) {
  float y = static_cast<float>(wide_exp(held(x, -160, 140) * 0x1.62e42fefa39efp-1));
  return x == x ? y : x;
}
CR_DEVICE inline double vexp2(double x) { return ::exp2(x); }

// $e^x - 1$; near 0 the 1 is never added.
constexpr float vexpm1(float x) {
  double c = held(x, -30, 90), near = c + c * c * (0.5 + c * (1. / 6 + c * (1. / 24)));
  double far = wide_exp(c) - 1;
  float y = with_sign_of(static_cast<float>(vabs(c) < 0x1p-8 ? near : far), x);
  return x == x ? y : x;
}
CR_DEVICE inline double vexpm1(double x) { return ::expm1(x); }

// $\ln(1 + x)$: in float64, 1 + x keeps all of x that matters until $|x| < 2^{-20}$.
constexpr float vlog1p(float x) {
  double c = x, near = c - 0.5 * c * c, far = wide_log(1 + c);
  float y = static_cast<float>(vabs(c) < 0x1p-20 ? near : far);
  return x == 0 ? x : y;
}
CR_DEVICE inline double vlog1p(double x) { return ::log1p(x); }

constexpr float vlog2(float x) { return static_cast<float>(wide_log(x) * 0x1.71547652b82fep+0); }
CR_DEVICE inline double vlog2(double x) { return ::log2(x); }
constexpr float vlog10(float x) { return static_cast<float>(wide_log(x) * 0x1.bcb7b1526e50ep-2); }
CR_DEVICE inline double vlog10(double x) { return ::log10(x); }

// $x^y = e^{y \ln x}$. What the formula cannot say is set right after it: the sign of a negative number's odd power, NaN
// for its broken powers, and 1 for $x^0$ and $1^y$ whatever the other is.
//
// (`&` and `|` instead of `&&` and `||`: without jumps, the compiler vectorises.)
CR_DEVICE inline float vpow(float x, float y) {
  float a = __builtin_fabsf(x), inf = __builtin_inff();
  double e = y * wide_log(a);
  float p = static_cast<float>(wide_exp(held(e, -160, 160)));
  p = e == e ? p : __builtin_nanf("");
  bool whole = __builtin_floorf(y) == y, odd = whole & (__builtin_floorf(0.5f * y) * 2 != y);
  bool one = (y == 0) | (x == 1) | ((x == -1) & (vabs(y) == inf));
  p = odd ? __builtin_copysignf(p, x) : p;
  p = ((x < 0) & (x != -inf) & !whole) ? __builtin_nanf("") : p;
  return one ? 1.f : p;
}
CR_DEVICE inline double vpow(double x, double y) { return ::pow(x, y); }

// ## Angles
//
// Which quarter of the circle, and how far from its middle axis: $x = q \frac{\pi}{2} + r$ with $|r| \le \pi / 4$. The
// first part of $\pi / 2$ has 33 bits, so q times it is exact while q has 20: `kLargestAngle` is the end of that.
inline constexpr float kLargestAngle = 1.6e6f;
struct Angle {
  double sin, cos;   // of r
  uint64_t quarter;  // q modulo 4 in its last two bits
};
constexpr Angle angle(float x) {
  double shifted = x * 0x1.45f306dc9c883p-1 + 0x1.8p52, n = shifted - 0x1.8p52;
  double r = (x - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34, z = r * r;
  return {r + r * z * backend::polynomial(z, -1. / 6, 1. / 120, -1. / 5040, 1. / 362880, -1. / 39916800),
          1 - z * backend::polynomial(z, 1. / 2, -1. / 24, 1. / 720, -1. / 40320, 1. / 3628800, -1. / 479001600),
          __builtin_bit_cast(uint64_t, shifted)};
}
// Flips x's sign if the second-last bit of `quarter` is set.
constexpr double turned(double x, uint64_t quarter) {
  return __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, x) ^ ((quarter & 2) << 62));
}
constexpr float vsin(float x) {
  Angle a = angle(x);
  float y = static_cast<float>(turned(a.quarter & 1 ? a.cos : a.sin, a.quarter));
  return x == 0 ? x : y;
}
constexpr float vcos(float x) {
  Angle a = angle(x);
  return static_cast<float>(turned(a.quarter & 1 ? a.sin : a.cos, a.quarter + 1));
}
constexpr float vtan(float x) {
  Angle a = angle(x);
  float y = static_cast<float>((a.quarter & 1 ? -a.cos : a.sin) / (a.quarter & 1 ? a.sin : a.cos));
  return x == 0 ? x : y;
}

// $\arctan \frac{y}{x}$ in the right quarter. The quotient is brought below $\tan \frac{\pi}{8}$ by
// $\arctan t = \frac{\pi}{4} + \arctan \frac{t - 1}{t + 1} = \frac{\pi}{2} + \arctan \frac{-1}{t}$, with one division.
constexpr double wide_atan2(double y, double x) {
  double a = vabs(y), b = vabs(x), inf = __builtin_inf();
  bool both = a == inf && b == inf;
  a = both ? 1 : a;
  b = both ? 1 : b;
  bool low = a <= 0.4142135623730950488 * b, high = a > 2.414213562373095 * b;
  double up = low ? a : high ? -b : a - b, down = low ? b : high ? a : a + b;
  double t = up / (down == 0 ? 1 : down), z = t * t;
  double r = t + t * z *
                     backend::polynomial(z, -0.333333332964162377, 0.199999944042077884, -0.142854265478557223,
                                         0.11104054408685706, -0.0899728133946695392, 0.0699311180360935091,
                                         -0.0379561110104373699);
  r += low ? 0 : high ? 0x1.921fb54442d18p+0 : 0x1.921fb54442d18p-1;
  r = with_sign_of(1, x) < 0 ? 0x1.921fb54442d18p+1 - r : r;
  return with_sign_of(r, y);
}
constexpr float vatan2(float y, float x) { return static_cast<float>(wide_atan2(y, x)); }
CR_DEVICE inline double vatan2(double y, double x) { return ::atan2(y, x); }
constexpr float vatan(float x) { return static_cast<float>(wide_atan2(x, 1)); }
CR_DEVICE inline double vatan(double x) { return ::atan(x); }

// $\arcsin x$ for $0 \le x \le \frac{1}{2}$, to $10^{-11}$. Beyond, $\arcsin x = \frac{\pi}{2} - 2 \arcsin \sqrt{(1 - x) / 2}$.
constexpr double wide_asin_of_small(double x) {
  double z = x * x;
  return x + x * z *
                 backend::polynomial(z, 0.166666671898738592, 0.0749994815389123487, 0.0446601639361314691,
                                     0.0301102499975092014, 0.0246183693405345751, 0.00746913092652169437,
                                     0.0346929398449376417);
}
CR_DEVICE inline float vasin(float x) {
  double a = vabs(static_cast<double>(x));
  double r = wide_asin_of_small(a > 0.5 ? vsqrt((1 - a) / 2) : a);
  return static_cast<float>(with_sign_of(a > 0.5 ? 0x1.921fb54442d18p+0 - 2 * r : r, x));
}
CR_DEVICE inline double vasin(double x) { return ::asin(x); }
CR_DEVICE inline float vacos(float x) {
  double a = vabs(static_cast<double>(x));
  double r = wide_asin_of_small(a > 0.5 ? vsqrt((1 - a) / 2) : a);
  double far = x < 0 ? 0x1.921fb54442d18p+1 - 2 * r : 2 * r;
  return static_cast<float>(a > 0.5 ? far : 0x1.921fb54442d18p+0 - with_sign_of(r, x));
}
CR_DEVICE inline double vacos(double x) { return ::acos(x); }

// ## Hyperbolic functions
constexpr float vsinh(float x) {
  double a = held(vabs(static_cast<double>(x)), 0, 100), z = a * a, e = wide_exp(a);
  double near = a + a * z * backend::polynomial(z, 1. / 6, 1. / 120, 1. / 5040, 1. / 362880, 1. / 39916800);
  float y = with_sign_of(static_cast<float>(z < 1 ? near : 0.5 * (e - 1 / e)), x);
  return x == x ? y : x;
}
CR_DEVICE inline double vsinh(double x) { return ::sinh(x); }
constexpr float vcosh(float x) {
  double e = wide_exp(held(x, -100, 100));
  float y = static_cast<float>(0.5 * (e + 1 / e));
  return x == x ? y : x;
}
CR_DEVICE inline double vcosh(double x) { return ::cosh(x); }

// $\operatorname{arsinh} x = \ln(x + \sqrt{x^2 + 1})$, and the first terms of its series where x drowns in the 1.
CR_DEVICE inline float vasinh(float x) {
  double a = vabs(static_cast<double>(x)), z = a * a;
  double y = a < 0x1p-10 ? a - a * z * (1. / 6) : wide_log(a + vsqrt(z + 1));
  return static_cast<float>(with_sign_of(y, x));
}
CR_DEVICE inline double vasinh(double x) { return ::asinh(x); }
CR_DEVICE inline float vacosh(float x) {
  double a = x;
  return x < 1 ? __builtin_nanf("") : static_cast<float>(wide_log(a + vsqrt(a * a - 1)));
}
CR_DEVICE inline double vacosh(double x) { return ::acosh(x); }
CR_DEVICE inline float vatanh(float x) {
  double a = vabs(static_cast<double>(x));
  double y = a < 0x1p-10 ? a + a * a * a * (1. / 3) : 0.5 * wide_log((1 + a) / (1 - a));
  return static_cast<float>(with_sign_of(y, x));
}
CR_DEVICE inline double vatanh(double x) { return ::atanh(x); }

// ## The error function's tail
//
// $1 - \operatorname{erf} x$ would have no digit left at $x = 4$. For $x \ge 0$, $(1 + 2x)\, e^{x^2} \operatorname{erfc} x$
// is nearly constant, and a polynomial in $\frac{x - 3}{x + 3}$, to $10^{-9}$.
constexpr double wide_erfc_of_positive(double x) {
  double q = (x - 3) / (x + 3);
  return wide_exp(-x * x) / (1 + 2 * x) *
         backend::polynomial(q, 1.25300805894598036, -0.135621112697056031, -0.0475623842315517432, 0.12964541482833454,
                             -0.119271621334580026, 0.0683059424366874055, -0.0237877467334876791,
                             0.00252981911891210342, 0.001950397324324394, -0.000741614628004686153,
                             -0.00018303928937645788, 0.0000352162494669032722);
}
constexpr float verfc(float x) {
  double a = held(vabs(static_cast<double>(x)), 0, 10.2), y = wide_erfc_of_positive(a);
  float r = static_cast<float>(x < 0 ? 2 - y : y);
  return x == x ? r : x;
}
CR_DEVICE inline double verfc(double x) { return ::erfc(x); }

// The inverse of erf: Giles' approximation ("Approximating the erfinv function", 2010) and one step of Newton's method.
// Near 0, where $1 - x$ has lost x's digits, the series.
CR_DEVICE inline double erfinv_start(double x, double w) {  // $w = -\ln(1 - x^2)$
  double near = backend::polynomial(w - 2.5, 1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087,
                                    -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08);
  double far = backend::polynomial(vsqrt(w) - 3, 2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773,
                                   -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257);
  return x * (w < 5 ? near : far);
}
CR_DEVICE inline float verfinv(float x) {
  double a = vabs(static_cast<double>(x)), z = a * a, w = -wide_log(1 - z);
  double start = erfinv_start(a, w < 40 ? w : 40.);
  double far = start + (wide_erfc_of_positive(start) - (1 - a)) * 0.886226925452758014 * wide_exp(start * start);
  double near = a * backend::polynomial(z, 0.886226925452758014, 0.232013666534654500, 0.127556175305597910,
                                        0.0865521292415475, 0.0649596177453854, 0.0517312819846164);
  float y = static_cast<float>(with_sign_of(a < 0.15 ? near : far, x));
  y = a == 1 ? __builtin_copysignf(__builtin_inff(), x) : y;
  return a <= 1 ? y : __builtin_nanf("");
}
CR_DEVICE inline double verfinv(double x) {
  double a = vabs(x);
  if (!(a < 1)) return a == 1 ? with_sign_of(__builtin_inf(), x) : __builtin_nan("");
  if (a < 1e-8) return x * 0.886226925452758014;
  double y = erfinv_start(a, -::log1p(-a * a));
  for (int i = 0; i < 3; ++i) {
    double error = a < 0.5 ? ::erf(y) - a : (1 - a) - ::erfc(y);
    y -= error * 0.886226925452758014 * ::exp(y * y);
  }
  return with_sign_of(y, x);
}

// ## The gamma function's family
//
// One number at a time, in float64.
CR_DEVICE inline double vlgamma(double x) {
#ifdef __CUDA_ARCH__
  return ::lgamma(x);
#else
  int sign;
  return ::lgamma_r(x, &sign);  // `lgamma` itself writes a global variable: two threads must not
#endif
}
CR_DEVICE inline float vlgamma(float x) { return static_cast<float>(vlgamma(static_cast<double>(x))); }

// $\psi(x) = \frac{d}{dx} \ln \Gamma(x)$. Negative numbers are reflected, $\psi(1 - x) - \psi(x) = \pi / \tan \pi x$; small ones climb
// by $\psi(x) = \psi(x + 1) - 1 / x$ to where the asymptotic series is exact.
CR_DEVICE inline double vdigamma(double x) {
  if (x == 0) return with_sign_of(__builtin_inf(), -x);
  double y = 0;
  if (x < 0) {
    if (__builtin_floor(x) == x) return __builtin_nan("");
    double fraction = x - __builtin_trunc(x);  // tan repeats itself, and far from 0 it has no digits left
    y = -M_PI / ::tan(M_PI * fraction);
    x = 1 - x;
  }
  for (; x < 10; ++x) y -= 1 / x;
  double z = 1 / (x * x);
  return y + ::log(x) - 0.5 / x -
         z * backend::polynomial(z, 1. / 12, -1. / 120, 1. / 252, -1. / 240, 1. / 132, -691. / 32760, 1. / 12);
}
CR_DEVICE inline float vdigamma(float x) { return static_cast<float>(vdigamma(static_cast<double>(x))); }

// Hurwitz's $\zeta(s, q) = \sum_{k \ge 0} (q + k)^{-s}$ for $s > 1$: nine terms or more, and the Euler-Maclaurin formula for the
// rest, as in the Cephes library.
CR_DEVICE inline double zeta_of_positive(double s, double q) {
  double sum = ::pow(q, -s), a = q, b = sum;
  for (int i = 0; i < 9 || a <= 9; ++i) {
    a += 1;
    b = ::pow(a, -s);
    sum += b;
    if (b < 0x1p-54 * sum) return sum;
  }
  sum += b * a / (s - 1) - 0.5 * b;
  // The Bernoulli numbers' $(2k)! / B_{2k}$.
  constexpr double kTerm[] = {12.,
                              -720.,
                              30240.,
                              -1209600.,
                              47900160.,
                              -1.8924375803183791606e9,
                              7.47242496e10,
                              -2.950130727918164224e12,
                              1.1646782814350067249e14,
                              -4.5979787224074726105e15,
                              1.8152105401943546773e17,
                              -7.1661652561756670113e18};
  double factor = 1, k = 0;
  for (double term : kTerm) {
    factor *= s + k;
    b /= a;
    double t = factor * b / term;
    sum += t;
    if (vabs(t) < 0x1p-54 * vabs(sum)) break;
    k += 1;
    factor *= s + k;
    b /= a;
    k += 1;
  }
  return sum;
}
// For negative q a sum over all whole numbers, which depends on q's fraction only, less the terms that do not belong:
// $\zeta(s, q) = \zeta(s, f) + (-1)^s (\zeta(s, 1 - f) - \zeta(s, 1 - q))$. It has a value for whole s.
CR_DEVICE inline double vzeta(double s, double q) {
  if (s == 1) return __builtin_inf();
  if (!(s > 1) || q != q) return __builtin_nan("");
  if (q == __builtin_inf()) return 0;
  if (q > 0) return zeta_of_positive(s, q);
  double f = q - __builtin_floor(q);
  if (!(f > 0)) return __builtin_inf();
  if (__builtin_floor(s) != s) return __builtin_nan("");
  double sign = __builtin_floor(s / 2) * 2 == s ? 1 : -1;
  return zeta_of_positive(s, f) + sign * (zeta_of_positive(s, 1 - f) - zeta_of_positive(s, 1 - q));
}
CR_DEVICE inline float vzeta(float s, float q) {
  return static_cast<float>(vzeta(static_cast<double>(s), static_cast<double>(q)));
}

}  // namespace CR_ISA
}  // namespace cr::functor
