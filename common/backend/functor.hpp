// # The maths of elementwise operations
//
// Each elementwise primitive is one small struct whose call operator maps numbers to a number. It is written once, for
// one element, without branches, and every backend compiles it: the CPU's vector loops, the emulator and CUDA. The list
// at the end numbers them, so that "apply Tanh" can travel through the waist as an integer.
//
// float32 functions are our own polynomials, so that the compiler can vectorise them and every instruction set gives the
// same bits; float64, which checks rather than trains, uses the C library.
#pragma once

#include <math.h>

#include <cstdint>

#include "backend/shared_math.hpp"

// Files in `cpu/isa/` are compiled once per instruction set, each with a namespace of its own; see there.
#ifndef CR_ISA
#define CR_ISA generic
#endif

namespace cr::functor {
inline namespace CR_ISA {

// ## Functions that vectorise
//
// $e^x = 2^n e^r$ with $n$ the nearest integer to $x / \ln 2$. Adding $1.5 \cdot 2^{23}$ leaves no room for a fraction:
// the sum's low bits *are* $n$. Then $|r| \le \ln 2 / 2$, where eight terms of the series reach the last bit; $2^n$ is
// multiplied in as two factors so that results below the smallest normal number come out right.
constexpr float vexp(float x) {
  float c = x > 89.f ? 89.f : x;
  c = c < -104.f ? -104.f : c;
  float shifted = c * 1.44269504f + 12582912.f;
  float n = shifted - 12582912.f;
  float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = backend::polynomial(r, 1.f, 1.f, 0.5f, 1.f / 6, 1.f / 24, 1.f / 120, 1.f / 720, 1.f / 5040);
  int32_t i = static_cast<int32_t>(__builtin_bit_cast(uint32_t, shifted) - 0x4b400000u);
  int32_t half = i >> 1;
  float low = __builtin_bit_cast(float, static_cast<uint32_t>(half + 127) << 23);
  float high = __builtin_bit_cast(float, static_cast<uint32_t>(i - half + 127) << 23);
  return p * low * high;
}
inline double vexp(double x) { return ::exp(x); }

// Numbers below the smallest normal one are scaled up first by $2^{23}$; 0, negative numbers, ∞ and NaN are set right at the end.
constexpr float vlog(float x) {
  float a = __builtin_fabsf(x);
  bool tiny = a < 1.17549435e-38f;
  float y = backend::shared_log(tiny ? a * 8388608.f : a) - (tiny ? 15.942385f : 0.f);
  y = x <= 3.40282347e38f ? y : x;  // ∞ and NaN
  y = x == 0.f ? -__builtin_inff() : y;
  return x < 0.f ? __builtin_nanf("") : y;
}
inline double vlog(double x) { return ::log(x); }

// $\ln(1 + x)$ for small x keeps the digits that 1 + x would drop: it is $\ln\frac{1 + s}{1 - s}$ with $s = x / (2 + x)$.
constexpr float vlog1p(float x) {
  float s = x / (2.f + x), z = s * s;
  float near = 2.f * s + 2.f * s * z * backend::polynomial(z, 1.f / 3, 1.f / 5, 1.f / 7, 1.f / 9);
  return x < 0.4f && x > -0.28f ? near : vlog(1.f + x);
}
inline double vlog1p(double x) { return ::log1p(x); }

// Near 0, $1 - 2 / (e^{2x} + 1)$ loses digits, so there the odd polynomial of the Cephes library stands in. It is computed
// for $|x|$ and given x's sign: as $x \to -\infty$ the difference would cost twice as much in the last place.
constexpr float vtanh(float x) {
  float a = __builtin_fabsf(x), z = x * x;
  float near = a + a * z *
                       backend::polynomial(z, -3.33332819422e-1f, 1.33314422036e-1f, -5.37397155531e-2f,
                                           2.06390887954e-2f, -5.70498872745e-3f);
  float far = 1.f - 2.f / (vexp(2.f * a) + 1.f);
  return __builtin_copysignf(z < 0.390625f ? near : far, x);
}
inline double vtanh(double x) { return ::tanh(x); }

template <class T> constexpr T vsqrt(T x) { return backend::square_root(x); }

// ## One input
//
// `kName` is what messages call it, `kArity` counts its inputs, and `kTypes` says what element types it takes: floating
// only, numbers (int64 too), or everything (bool too).
enum Types { kFloating, kNumbers, kEverything };

template <int arity, Types types> struct Elementwise {
  static constexpr int kArity = arity;
  static constexpr Types kTypes = types;
};

struct Neg : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "neg";
  template <class T> constexpr T operator()(T x) const { return -x; }
};
struct Abs : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "abs";
  template <class T> constexpr T operator()(T x) const { return x < 0 ? -x : x == 0 ? T(0) : x; }
};
struct Sign : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "sign";
  template <class T> constexpr T operator()(T x) const { return static_cast<T>(T(x > 0) - T(x < 0)); }  // 0 for NaN
};
struct Square : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "square";
  template <class T> constexpr T operator()(T x) const { return x * x; }
};
struct Relu : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "relu";
  template <class T> constexpr T operator()(T x) const { return x < 0 ? T(0) : x; }  // NaN stays NaN
};
struct Exp : Elementwise<1, kFloating> {
  static constexpr const char* kName = "exp";
  template <class T> constexpr T operator()(T x) const { return vexp(x); }
};
struct Log : Elementwise<1, kFloating> {
  static constexpr const char* kName = "log";
  template <class T> constexpr T operator()(T x) const { return vlog(x); }
};
struct Log1p : Elementwise<1, kFloating> {
  static constexpr const char* kName = "log1p";
  template <class T> constexpr T operator()(T x) const { return vlog1p(x); }
};
struct Sqrt : Elementwise<1, kFloating> {
  static constexpr const char* kName = "sqrt";
  template <class T> constexpr T operator()(T x) const { return vsqrt(x); }
};
struct Sin : Elementwise<1, kFloating> {
  static constexpr const char* kName = "sin";
  float operator()(float x) const { return ::sinf(x); }
  double operator()(double x) const { return ::sin(x); }
};
struct Cos : Elementwise<1, kFloating> {
  static constexpr const char* kName = "cos";
  float operator()(float x) const { return ::cosf(x); }
  double operator()(double x) const { return ::cos(x); }
};
struct Tanh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "tanh";
  template <class T> constexpr T operator()(T x) const { return vtanh(x); }
};
struct Sigmoid : Elementwise<1, kFloating> {
  static constexpr const char* kName = "sigmoid";
  template <class T> constexpr T operator()(T x) const { return T(1) / (T(1) + vexp(-x)); }
};

// ## Two inputs
struct Add : Elementwise<2, kEverything> {  // of bools: or
  static constexpr const char* kName = "add";
  template <class T> constexpr T operator()(T x, T y) const { return x + y; }
};
struct Sub : Elementwise<2, kNumbers> {
  static constexpr const char* kName = "sub";
  template <class T> constexpr T operator()(T x, T y) const { return x - y; }
};
struct Mul : Elementwise<2, kEverything> {  // of bools: and
  static constexpr const char* kName = "mul";
  template <class T> constexpr T operator()(T x, T y) const {
    if constexpr (__is_same(T, bool)) return x && y;
    else return x * y;
  }
};
struct Div : Elementwise<2, kFloating> {
  static constexpr const char* kName = "div";
  template <class T> constexpr T operator()(T x, T y) const { return x / y; }
};
struct Pow : Elementwise<2, kFloating> {
  static constexpr const char* kName = "pow";
  float operator()(float x, float y) const { return ::powf(x, y); }
  double operator()(double x, double y) const { return ::pow(x, y); }
};
// A NaN on either side is the result, unlike C's fmax.
struct Maximum : Elementwise<2, kEverything> {
  static constexpr const char* kName = "maximum";
  template <class T> constexpr T operator()(T x, T y) const { return x > y || x != x ? x : y; }
};
struct Minimum : Elementwise<2, kEverything> {
  static constexpr const char* kName = "minimum";
  template <class T> constexpr T operator()(T x, T y) const { return x < y || x != x ? x : y; }
};
// dy where y is positive, else 0: the derivative of relu, and linear in dy.
struct Gate : Elementwise<2, kFloating> {
  static constexpr const char* kName = "gate";
  template <class T> constexpr T operator()(T dy, T y) const { return y > 0 ? dy : T(0); }
};

struct Eq : Elementwise<2, kEverything> {
  static constexpr const char* kName = "eq";
  template <class T> constexpr bool operator()(T x, T y) const { return x == y; }
};
struct Ne : Elementwise<2, kEverything> {
  static constexpr const char* kName = "ne";
  template <class T> constexpr bool operator()(T x, T y) const { return x != y; }
};
struct Lt : Elementwise<2, kEverything> {
  static constexpr const char* kName = "lt";
  template <class T> constexpr bool operator()(T x, T y) const { return x < y; }
};
struct Le : Elementwise<2, kEverything> {
  static constexpr const char* kName = "le";
  template <class T> constexpr bool operator()(T x, T y) const { return x <= y; }
};
struct Gt : Elementwise<2, kEverything> {
  static constexpr const char* kName = "gt";
  template <class T> constexpr bool operator()(T x, T y) const { return x > y; }
};
struct Ge : Elementwise<2, kEverything> {
  static constexpr const char* kName = "ge";
  template <class T> constexpr bool operator()(T x, T y) const { return x >= y; }
};

// ## Three inputs
struct AddScaled : Elementwise<3, kNumbers> {
  static constexpr const char* kName = "add";
  template <class T> constexpr T operator()(T x, T y, T alpha) const { return x + alpha * y; }
};
struct Where : Elementwise<3, kEverything> {
  static constexpr const char* kName = "where";
  template <class T> constexpr T operator()(T condition, T x, T y) const { return condition != T(0) ? x : y; }
};

}  // namespace CR_ISA
}  // namespace cr::functor

#include "backend/functor_activation.hpp"

namespace cr::functor {
inline namespace CR_ISA {

// ## The list
//
// A functor's place in this list is its number in the waist.
template <class... F> struct List {
  static constexpr int size = sizeof...(F);
  static constexpr const char* names[] = {F::kName...};
  template <class G> static constexpr int index_of() {
    constexpr int at = [] {
      constexpr bool same[] = {__is_same(F, G)...};
      int i = 0;
      while (i < size && !same[i]) ++i;
      return i;
    }();
    static_assert(at < size, "a functor that the list lacks");
    return at;
  }
};
using Maps = List<Neg, Abs, Sign, Square, Relu, Exp, Log, Log1p, Sqrt, Sin, Cos, Tanh, Sigmoid,  //
                  Add, Sub, Mul, Div, Pow, Maximum, Minimum, Gate, Eq, Ne, Lt, Le, Gt, Ge,       //
                  AddScaled, Where,                                                              //
                  // activations and losses
                  LeakyRelu, Hardtanh, Hardsigmoid, Hardshrink, Softshrink, Threshold, GateAbove, GateBelow, Drop, Elu,
                  Selu, Celu, NormalCdf, Gelu, GeluTanh, Silu, Mish, Softplus, LogSigmoid, Hardswish, Glu, Huber,
                  Through<LeakyRelu>, Through<Hardsigmoid>, Through<Hardshrink>, Through<Softshrink>, Through<Elu>, Through<Selu>,
                  Through<Celu>, Through<Gelu>, Through<GeluTanh>, Through<Silu>, Through<Mish>, Through<Softplus>,
                  Through<LogSigmoid>, Through<Hardswish>>;

// ## Reductions
//
// Each combines numbers two at a time, beginning with `identity`. Sums of float32 meet in float64.
struct Sum {
  static constexpr const char* kName = "sum";
  static constexpr double identity = 0;
  template <class T> constexpr T operator()(T x, T y) const { return x + y; }
};
struct Prod {
  static constexpr const char* kName = "prod";
  static constexpr double identity = 1;
  template <class T> constexpr T operator()(T x, T y) const { return x * y; }
};
struct Max {
  static constexpr const char* kName = "max";
  static constexpr double identity = -__builtin_inf();
  template <class T> constexpr T operator()(T x, T y) const { return x > y || x != x ? x : y; }
};
struct Min {
  static constexpr const char* kName = "min";
  static constexpr double identity = __builtin_inf();
  template <class T> constexpr T operator()(T x, T y) const { return x < y || x != x ? x : y; }
};
using Reductions = List<Sum, Prod, Max, Min>;

}  // namespace CR_ISA
}  // namespace cr::functor
