// # The maths of elementwise operations
//
// Each elementwise primitive is one small struct whose call operator maps numbers to a number. It is written once, for
// one element, without branches, and every backend compiles it: the CPU's vector loops, the emulator and CUDA. The list
// at the end numbers them, so that "apply Tanh" can travel through the waist as an integer.
//
// Functions of real numbers have pages of their own: their maths is in `functor_math.hpp`, the structs in
// `functor_special.hpp`; so have activations and losses, in `functor_activation.hpp`.
#pragma once

#include "backend/functor_activation.hpp"
#include "backend/functor_special.hpp"

namespace cr::functor {
inline namespace CR_ISA {

// Integers wrap around at the ends of int64, as processors do it; C++ leaves that open for signed numbers.
template <class T> struct Unsigned { using U = T; };
template <> struct Unsigned<int64_t> { using U = uint64_t; };
template <class T> constexpr T plus(T x, T y) {
  using U = typename Unsigned<T>::U;
  return static_cast<T>(static_cast<U>(x) + static_cast<U>(y));
}
template <class T> constexpr T minus(T x, T y) {
  using U = typename Unsigned<T>::U;
  return static_cast<T>(static_cast<U>(x) - static_cast<U>(y));
}
template <class T> constexpr T times(T x, T y) {
  using U = typename Unsigned<T>::U;
  return static_cast<T>(static_cast<U>(x) * static_cast<U>(y));
}

// ## One input
struct Neg : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "neg";
  template <class T> constexpr T operator()(T x) const {
    if constexpr (__is_same(T, int64_t)) return minus(T(0), x);
    else return -x;
  }
};
struct Abs : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "abs";
  template <class T> constexpr T operator()(T x) const { return x < 0 ? minus(T(0), x) : x == 0 ? T(0) : x; }
};
struct Sign : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "sign";
  template <class T> constexpr T operator()(T x) const { return static_cast<T>(T(x > 0) - T(x < 0)); }  // 0 for NaN
};
struct Square : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "square";
  template <class T> constexpr T operator()(T x) const { return times(x, x); }
};
struct Relu : Elementwise<1, kNumbers> {
  static constexpr const char* kName = "relu";
  template <class T> constexpr T operator()(T x) const { return x < 0 ? T(0) : x; }  // NaN stays NaN
};
struct Exp : Elementwise<1, kFloating> {
  static constexpr const char* kName = "exp";
  static constexpr bool fits(float x) { return exp_fits(x); }
  static constexpr float fast(float x) { return exp_inside(x); }
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
struct Tanh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "tanh";
  template <class T> constexpr T operator()(T x) const { return vtanh(x); }
};
struct Sigmoid : Elementwise<1, kFloating> {
  static constexpr const char* kName = "sigmoid";
  template <class T> constexpr T operator()(T x) const { return vsigmoid(x); }
};

// ## Whole numbers nearby
struct Floor : Elementwise<1, kFloating> {
  static constexpr const char* kName = "floor";
  CR_DEVICE float operator()(float x) const { return __builtin_floorf(x); }
  CR_DEVICE double operator()(double x) const { return __builtin_floor(x); }
};
struct Ceil : Elementwise<1, kFloating> {
  static constexpr const char* kName = "ceil";
  CR_DEVICE float operator()(float x) const { return __builtin_ceilf(x); }
  CR_DEVICE double operator()(double x) const { return __builtin_ceil(x); }
};
struct Trunc : Elementwise<1, kFloating> {
  static constexpr const char* kName = "trunc";
  CR_DEVICE float operator()(float x) const { return __builtin_truncf(x); }
  CR_DEVICE double operator()(double x) const { return __builtin_trunc(x); }
};
// Halves go to the even neighbour.
struct Round : Elementwise<1, kFloating> {
  static constexpr const char* kName = "round";
  CR_DEVICE float operator()(float x) const { return __builtin_rintf(x); }
  CR_DEVICE double operator()(double x) const { return __builtin_rint(x); }
};

// ## Two inputs
struct Add : Elementwise<2, kEverything> {  // of bools: or
  static constexpr const char* kName = "add";
  template <class T> constexpr T operator()(T x, T y) const { return plus(x, y); }
};
struct Sub : Elementwise<2, kNumbers> {
  static constexpr const char* kName = "sub";
  template <class T> constexpr T operator()(T x, T y) const { return minus(x, y); }
};
struct Mul : Elementwise<2, kEverything> {  // of bools: and
  static constexpr const char* kName = "mul";
  template <class T> constexpr T operator()(T x, T y) const {
    if constexpr (__is_same(T, bool)) return x && y;
    else return times(x, y);
  }
};
struct Div : Elementwise<2, kFloating> {
  static constexpr const char* kName = "div";
  template <class T> constexpr T operator()(T x, T y) const { return x / y; }
};
// Whole powers of integers; below 0 only 1 and -1 have one that is not a fraction.
struct Pow : Elementwise<2, kNumbers> {
  static constexpr const char* kName = "pow";
  template <class T> constexpr T operator()(T x, T y) const {
    if constexpr (__is_same(T, int64_t)) {
      if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
      T z = 1;
      for (; y > 0; y >>= 1, x = times(x, x)) z = y & 1 ? times(z, x) : z;
      return z;
    } else {
      return vpow(x, y);
    }
  }
};

// ## Division with a remainder
//
// C's remainder has the sign of x (fmod), Python's that of y. Two integer divisions would stop the processor: that by 0, which
// the operations refuse, and that of the smallest int64, which has no negative, by -1.
//
// The C library subtracts bit by bit. If the quotient stays below $2^{28}$, float64 has its whole part exactly: a quotient
// that is not whole is $2^{-24}$ away from the next whole number or more, and rounding moves it less.
CR_DEVICE inline float c_remainder(float x, float y) { return ::fmodf(x, y); }
CR_DEVICE inline double c_remainder(double x, double y) { return ::fmod(x, y); }
constexpr int64_t c_remainder(int64_t x, int64_t y) { return y == 0 || y == -1 ? 0 : x % y; }
template <class F> struct ByRemainder : Elementwise<2, kNumbers> {
  template <class T> constexpr T operator()(T x, T y) const { return F::of(c_remainder(x, y), x, y); }
  CR_DEVICE static bool fits(float x, float y) {
    double q = static_cast<double>(x) / y;
    return vabs(q) + 0 * vabs(y) < 0x1p28;  // 0 · ∞ is NaN: an infinite y does not fit
  }
  CR_DEVICE static float fast(float x, float y) {
    double a = x, b = y;
    return F::of(with_sign_of(static_cast<float>(a - __builtin_trunc(a / b) * b), x), x, y);
  }
};
struct Fmod : ByRemainder<Fmod> {
  static constexpr const char* kName = "fmod";
  template <class T> static constexpr T of(T r, T, T) { return r; }
};
struct Remainder : ByRemainder<Remainder> {
  static constexpr const char* kName = "remainder";
  template <class T> static constexpr T of(T r, T, T y) { return ((r != 0) & ((r < 0) != (y < 0))) ? plus(r, y) : r; }
};
// Rounded towards zero.
struct DivTrunc : Elementwise<2, kNumbers> {
  static constexpr const char* kName = "div";
  template <class T> constexpr T operator()(T x, T y) const {
    if constexpr (__is_same(T, int64_t)) return y == 0 || y == -1 ? times(x, y) : x / y;
    else if constexpr (__is_same(T, float)) return __builtin_truncf(x / y);
    else return __builtin_trunc(x / y);
  }
};
// Rounded down. x / y itself may be rounded up to a whole number that y does not go into; x less the remainder is a multiple
// of y, and its quotient at most a last bit away from a whole number.
struct FloorDivide : ByRemainder<FloorDivide> {
  static constexpr const char* kName = "floor_divide";
  template <class T> static constexpr T of(T r, T x, T y) {
    bool other_sign = (r != 0) & ((r < 0) != (y < 0));
    if constexpr (__is_same(T, int64_t)) {
      return DivTrunc{}(x, y) - other_sign;
    } else {
      T q = (x - r) / y;
      q = other_sign ? q - 1 : q;
      T down = static_cast<T>(__builtin_floor(q));
      down = q - down > T(0.5) ? down + 1 : down;
      down = q == 0 ? with_sign_of(T(0), x / y) : down;
      return y == 0 ? x / y : down;
    }
  }
};

// ## The larger and the smaller
// A NaN on either side is the result, unlike C's fmax.
struct Maximum : Elementwise<2, kEverything> {
  static constexpr const char* kName = "maximum";
  template <class T> constexpr T operator()(T x, T y) const { return x > y || x != x ? x : y; }
};
struct Minimum : Elementwise<2, kEverything> {
  static constexpr const char* kName = "minimum";
  template <class T> constexpr T operator()(T x, T y) const { return x < y || x != x ? x : y; }
};
// C's fmax: the other one where one is NaN.
struct Fmax : Elementwise<2, kEverything> {
  static constexpr const char* kName = "fmax";
  template <class T> constexpr T operator()(T x, T y) const { return x >= y || y != y ? x : y; }
};
struct Fmin : Elementwise<2, kEverything> {
  static constexpr const char* kName = "fmin";
  template <class T> constexpr T operator()(T x, T y) const { return x <= y || y != y ? x : y; }
};
struct Copysign : Elementwise<2, kFloating> {
  static constexpr const char* kName = "copysign";
  template <class T> constexpr T operator()(T x, T y) const { return with_sign_of(x, y); }
};
// dy where y is positive (or NaN), else 0: the derivative of relu, and linear in dy.
struct Gate : Elementwise<2, kFloating> {
  static constexpr const char* kName = "gate";
  template <class T> constexpr T operator()(T dy, T y) const { return y <= 0 ? T(0) : dy; }
};

// ## Comparisons
struct Eq : Predicate<2, kEverything> {
  static constexpr const char* kName = "eq";
  template <class T> constexpr bool operator()(T x, T y) const { return x == y; }
};
struct Ne : Predicate<2, kEverything> {
  static constexpr const char* kName = "ne";
  template <class T> constexpr bool operator()(T x, T y) const { return x != y; }
};
struct Lt : Predicate<2, kEverything> {
  static constexpr const char* kName = "lt";
  template <class T> constexpr bool operator()(T x, T y) const { return x < y; }
};
struct Le : Predicate<2, kEverything> {
  static constexpr const char* kName = "le";
  template <class T> constexpr bool operator()(T x, T y) const { return x <= y; }
};
struct Gt : Predicate<2, kEverything> {
  static constexpr const char* kName = "gt";
  template <class T> constexpr bool operator()(T x, T y) const { return x > y; }
};
struct Ge : Predicate<2, kEverything> {
  static constexpr const char* kName = "ge";
  template <class T> constexpr bool operator()(T x, T y) const { return x >= y; }
};

// ## Bits and whole numbers
struct BitAnd : Elementwise<2, kWhole> {
  static constexpr const char* kName = "bitwise_and";
  template <class T> constexpr T operator()(T x, T y) const { return x & y; }
};
struct BitOr : Elementwise<2, kWhole> {
  static constexpr const char* kName = "bitwise_or";
  template <class T> constexpr T operator()(T x, T y) const { return x | y; }
};
struct BitXor : Elementwise<2, kWhole> {
  static constexpr const char* kName = "bitwise_xor";
  template <class T> constexpr T operator()(T x, T y) const { return x ^ y; }
};
// Shifted by 64 or more (or by a negative number) nothing is left but the sign.
struct ShiftLeft : Elementwise<2, kIntegers> {
  static constexpr const char* kName = "bitwise_left_shift";
  constexpr int64_t operator()(int64_t x, int64_t y) const {
    return y < 0 || y > 63 ? 0 : static_cast<int64_t>(static_cast<uint64_t>(x) << y);
  }
};
struct ShiftRight : Elementwise<2, kIntegers> {
  static constexpr const char* kName = "bitwise_right_shift";
  constexpr int64_t operator()(int64_t x, int64_t y) const { return x >> (y < 0 || y > 63 ? 63 : y); }
};
// Euclid's algorithm, on numbers without sign.
struct Gcd : Elementwise<2, kIntegers> {
  static constexpr const char* kName = "gcd";
  constexpr int64_t operator()(int64_t x, int64_t y) const {
    uint64_t a = static_cast<uint64_t>(Abs{}(x)), b = static_cast<uint64_t>(Abs{}(y));
    while (b != 0) {
      uint64_t rest = a % b;
      a = b;
      b = rest;
    }
    return static_cast<int64_t>(a);
  }
};
struct Lcm : Elementwise<2, kIntegers> {
  static constexpr const char* kName = "lcm";
  constexpr int64_t operator()(int64_t x, int64_t y) const {
    int64_t g = Gcd{}(x, y);
    return g == 0 ? 0 : Abs{}(times(DivTrunc{}(x, g), y));
  }
};

// ## Three inputs
// NaN wins, as in `Maximum`.
struct Clamp : Elementwise<3, kNumbers> {
  static constexpr const char* kName = "clamp";
  template <class T> constexpr T operator()(T x, T lo, T hi) const {
    T y = ((x < lo) | (lo != lo)) ? lo : x;
    return ((y > hi) | (hi != hi)) ? hi : y;
  }
};
// Both formulas are x + w (y - x); each is exact at its own end.
struct Lerp : Elementwise<3, kFloating> {
  static constexpr const char* kName = "lerp";
  template <class T> constexpr T operator()(T x, T y, T w) const {
    return w < T(0.5) && w > T(-0.5) ? x + w * (y - x) : y - (y - x) * (1 - w);
  }
};
struct AddScaled : Elementwise<3, kNumbers> {
  static constexpr const char* kName = "add";
  template <class T> constexpr T operator()(T x, T y, T alpha) const { return plus(x, times(alpha, y)); }
};
struct Where : Elementwise<3, kEverything> {
  static constexpr const char* kName = "where";
  template <class T> constexpr T operator()(T condition, T x, T y) const { return condition != T(0) ? x : y; }
};

// ## The list
//
// A functor's place in this list is its number in the waist.
template <class... F> struct List {
  static constexpr bool is_predicate(int i) {
    constexpr bool k[] = {F::kPredicate...};
    return k[i];
  }
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
using Maps =
    List<Neg, Abs, Sign, Square, Relu, Exp, Log, Log1p, Sqrt, Sin, Cos, Tanh, Sigmoid,  //
         Add, Sub, Mul, Div, Pow, Maximum, Minimum, Gate, Eq, Ne, Lt, Le, Gt, Ge,       //
         // whole numbers and bits, special functions
         Floor, Ceil, Round, Trunc, Fmod, Remainder, DivTrunc, FloorDivide, Fmax, Fmin, Copysign, Clamp, Lerp, BitAnd,
         BitOr, BitXor, ShiftLeft, ShiftRight, Gcd, Lcm, Expm1, Exp2, Log2, Log10, Rsqrt, Tan, Asin, Acos, Atan, Sinh,
         Cosh, Asinh, Acosh, Atanh, Atan2, Erf, Erfc, Erfinv, Lgamma, Digamma, Zeta, Hypot, Xlogy, Xlog1py, Logaddexp,
         Logaddexp2, AddScaled, Where,  //
         // activations and losses
         LeakyRelu, Hardtanh, Hardsigmoid, Hardshrink, Softshrink, Threshold, GateAbove, GateBelow, Drop, Elu, Selu,
         Celu, NormalCdf, Gelu, GeluTanh, Silu, Mish, Softplus, LogSigmoid, Hardswish, Glu, Huber, Through<LeakyRelu>,
         Through<Hardsigmoid>, Through<Hardshrink>, Through<Softshrink>, Through<Elu>, Through<Selu>, Through<Celu>,
         Through<Gelu>, Through<GeluTanh>, Through<Silu>, Through<Mish>, Through<Softplus>, Through<LogSigmoid>,
         Through<Hardswish>, TanhSlope, SigmoidSlope, BinaryLogits, BinaryLogitsSlope>;

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
