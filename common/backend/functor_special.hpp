// # Functions of real numbers, as functors
//
// The functions themselves are in `functor_math.hpp`.
#pragma once

#include "backend/functor_math.hpp"

namespace cr::functor {
inline namespace CR_ISA {

// ## One input
struct Expm1 : Elementwise<1, kFloating> {
  static constexpr const char* kName = "expm1";
  template <class T> constexpr T operator()(T x) const { return vexpm1(x); }
};
struct Exp2 : Elementwise<1, kFloating> {
  static constexpr const char* kName = "exp2";
  template <class T> constexpr T operator()(T x) const { return vexp2(x); }
};
struct Log2 : Elementwise<1, kFloating> {
  static constexpr const char* kName = "log2";
  template <class T> constexpr T operator()(T x) const { return vlog2(x); }
};
struct Log10 : Elementwise<1, kFloating> {
  static constexpr const char* kName = "log10";
  template <class T> constexpr T operator()(T x) const { return vlog10(x); }
};
struct Sinh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "sinh";
  template <class T> constexpr T operator()(T x) const { return vsinh(x); }
};
struct Cosh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "cosh";
  template <class T> constexpr T operator()(T x) const { return vcosh(x); }
};
struct Asin : Elementwise<1, kFloating> {
  static constexpr const char* kName = "asin";
  template <class T> constexpr T operator()(T x) const { return vasin(x); }
};
struct Acos : Elementwise<1, kFloating> {
  static constexpr const char* kName = "acos";
  template <class T> constexpr T operator()(T x) const { return vacos(x); }
};
struct Atan : Elementwise<1, kFloating> {
  static constexpr const char* kName = "atan";
  template <class T> constexpr T operator()(T x) const { return vatan(x); }
};
struct Asinh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "asinh";
  template <class T> constexpr T operator()(T x) const { return vasinh(x); }
};
struct Acosh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "acosh";
  template <class T> constexpr T operator()(T x) const { return vacosh(x); }
};
struct Atanh : Elementwise<1, kFloating> {
  static constexpr const char* kName = "atanh";
  template <class T> constexpr T operator()(T x) const { return vatanh(x); }
};
struct Erf : Elementwise<1, kFloating> {
  static constexpr const char* kName = "erf";
  template <class T> constexpr T operator()(T x) const { return verf(x); }
};
struct Erfc : Elementwise<1, kFloating> {
  static constexpr const char* kName = "erfc";
  template <class T> constexpr T operator()(T x) const { return verfc(x); }
};
struct Erfinv : Elementwise<1, kFloating> {
  static constexpr const char* kName = "erfinv";
  template <class T> constexpr T operator()(T x) const { return verfinv(x); }
};
struct Lgamma : Elementwise<1, kFloating> {
  static constexpr const char* kName = "lgamma";
  template <class T> constexpr T operator()(T x) const { return vlgamma(x); }
};
struct Digamma : Elementwise<1, kFloating> {
  static constexpr const char* kName = "digamma";
  template <class T> constexpr T operator()(T x) const { return vdigamma(x); }
};
struct Rsqrt : Elementwise<1, kFloating> {
  static constexpr const char* kName = "rsqrt";
  template <class T> constexpr T operator()(T x) const { return T(1) / vsqrt(x); }
};

// `fast` is right where `fits`; beyond, angles of float32 go through the C library's float64. Loops over many numbers look
// ahead, and nearly always find that all fit.
template <class F> struct OfAngle : Elementwise<1, kFloating> {
  static constexpr bool fits(float x) { return x < kLargestAngle && x > -kLargestAngle; }
  CR_DEVICE float operator()(float x) const { return fits(x) ? F::fast(x) : static_cast<float>(F::far(x)); }
  CR_DEVICE double operator()(double x) const { return F::far(x); }
};
struct Sin : OfAngle<Sin> {
  static constexpr const char* kName = "sin";
  static constexpr float fast(float x) { return vsin(x); }
  CR_DEVICE static double far(double x) { return ::sin(x); }
};
struct Cos : OfAngle<Cos> {
  static constexpr const char* kName = "cos";
  static constexpr float fast(float x) { return vcos(x); }
  CR_DEVICE static double far(double x) { return ::cos(x); }
};
struct Tan : OfAngle<Tan> {
  static constexpr const char* kName = "tan";
  static constexpr float fast(float x) { return vtan(x); }
  CR_DEVICE static double far(double x) { return ::tan(x); }
};

// ## Two inputs
struct Atan2 : Elementwise<2, kFloating> {
  static constexpr const char* kName = "atan2";
  template <class T> constexpr T operator()(T y, T x) const { return vatan2(y, x); }
};
// Of float32 numbers the squares neither overflow nor vanish in float64.
struct Hypot : Elementwise<2, kFloating> {
  static constexpr const char* kName = "hypot";
  CR_DEVICE float operator()(float x, float y) const {
    double a = x, b = y;
    float z = static_cast<float>(vsqrt(a * a + b * b)), inf = __builtin_inff();
    return vabs(x) == inf || vabs(y) == inf ? inf : z;
  }
  CR_DEVICE double operator()(double x, double y) const { return ::hypot(x, y); }
};
// x ln y, and 0 where x is 0, unless y is NaN.
struct Xlogy : Elementwise<2, kFloating> {
  static constexpr const char* kName = "xlogy";
  template <class T> constexpr T operator()(T x, T y) const { return x == 0 && y == y ? T(0) : x * vlog(y); }
};
struct Xlog1py : Elementwise<2, kFloating> {
  static constexpr const char* kName = "xlog1py";
  template <class T> constexpr T operator()(T x, T y) const { return x == 0 && y == y ? T(0) : x * vlog1p(y); }
};
// ln(eˣ + eʸ) = max + ln(1 + e^-|x - y|). Equal infinities have no difference; there the sum says it all.
struct Logaddexp : Elementwise<2, kFloating> {
  static constexpr const char* kName = "logaddexp";
  template <class T> constexpr T operator()(T x, T y) const {
    T z = (x > y ? x : y) + vlog1p(vexp(-vabs(x - y)));
    return x - y == x - y ? z : x + y;
  }
};
struct Logaddexp2 : Elementwise<2, kFloating> {
  static constexpr const char* kName = "logaddexp2";
  template <class T> constexpr T operator()(T x, T y) const {
    T z = (x > y ? x : y) + vlog1p(vexp2(-vabs(x - y))) * T(1.44269504088896340736);
    return x - y == x - y ? z : x + y;
  }
};
struct Zeta : Elementwise<2, kFloating> {
  static constexpr const char* kName = "zeta";
  template <class T> constexpr T operator()(T s, T q) const { return vzeta(s, q); }
};

}  // namespace CR_ISA
}  // namespace cr::functor
