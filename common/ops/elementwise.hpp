// # Arithmetic
//
// Each operation works on every element by itself. Two tensors broadcast against each other; different element types are
// promoted (`tensor/dtype.hpp`), and a C++ number takes the tensor's type where it can. int64 tensors become float32 where
// the result is not an integer; integers wrap around. All throw ShapeError for shapes that do not broadcast and DTypeError
// for types they do not take: bool tensors can be added and multiplied (or, and), but have no minus.
//
// Comparisons and functions of real numbers are on pages of their own.
#pragma once

#include <optional>

#include "ops/comparison.hpp"
#include "ops/special.hpp"
#include "tensor/tensor.hpp"

namespace cr {

// ## One tensor
Tensor neg(const Tensor& x);
Tensor positive(const Tensor& x);  // x itself; DTypeError for bool
Tensor abs(const Tensor& x);
Tensor sign(const Tensor& x);  // -1, 0 or 1; 0 for NaN
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);  // 1 / x
Tensor relu(const Tensor& x);        // max(x, 0); NaN stays

// ## Whole numbers nearby. Their derivative is 0, but for frac's
Tensor floor(const Tensor& x);                        // downwards
Tensor ceil(const Tensor& x);                         // upwards
Tensor trunc(const Tensor& x);                        // towards zero
Tensor round(const Tensor& x, int64_t decimals = 0);  // halves to the even neighbour
Tensor frac(const Tensor& x);                         // x - trunc(x), floating-point tensors only

// ## Sums and products
Tensor add(const Tensor& x, const Tensor& y, double alpha = 1);  // x + alpha · y
Tensor add(const Tensor& x, Scalar s, double alpha = 1);
Tensor sub(const Tensor& x, const Tensor& y, double alpha = 1);  // x - alpha · y
Tensor sub(const Tensor& x, Scalar s, double alpha = 1);
Tensor rsub(const Tensor& x, const Tensor& y, double alpha = 1);  // y - alpha · x
Tensor rsub(const Tensor& x, Scalar s, double alpha = 1);
Tensor mul(const Tensor& x, const Tensor& y);
Tensor mul(const Tensor& x, Scalar s);
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);  // x + value · a · b
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b,
               double value = 1);  // x + value · a / b, not of integers

// ## Quotients
//
// `div` of integers is a float32. With a rounding mode integers stay integers, and their division by 0 is an Error.
enum class RoundingMode { trunc, floor };
Tensor div(const Tensor& x, const Tensor& y);
Tensor div(const Tensor& x, Scalar s);
Tensor div(Scalar s, const Tensor& y);
Tensor div(const Tensor& x, const Tensor& y, RoundingMode mode);
Tensor div(const Tensor& x, Scalar s, RoundingMode mode);
Tensor floor_divide(const Tensor& x, const Tensor& y);  // rounded down
Tensor floor_divide(const Tensor& x, Scalar s);
Tensor remainder(const Tensor& x, const Tensor& y);  // x - y · floor_divide(x, y): has y's sign
Tensor remainder(const Tensor& x, Scalar s);
Tensor remainder(Scalar s, const Tensor& y);
Tensor fmod(const Tensor& x, const Tensor& y);  // rounded towards zero instead: has x's sign
Tensor fmod(const Tensor& x, Scalar s);
Tensor gcd(const Tensor& x, const Tensor& y);  // of int64 tensors
Tensor lcm(const Tensor& x, const Tensor& y);  // of int64 tensors

// ## Powers
//
// x⁰ = 1 for every x. A negative number has whole powers only, NaN otherwise. Integers stay integers; an integer to a
// negative number is an Error (to a tensor with negative numbers: 0, but for powers of 1 and -1).
Tensor pow(const Tensor& x, const Tensor& y);
Tensor pow(const Tensor& x, Scalar exponent);
Tensor pow(Scalar base, const Tensor& y);
Tensor float_power(const Tensor& x, const Tensor& y);  // in float64
Tensor float_power(const Tensor& x, Scalar exponent);
Tensor float_power(Scalar base, const Tensor& y);
Tensor ldexp(const Tensor& x, const Tensor& y);  // x · 2ʸ

// ## The larger, the smaller, and signs
Tensor maximum(const Tensor& x, const Tensor& y);  // NaN if either is; where equal, each gets half the gradient
Tensor minimum(const Tensor& x, const Tensor& y);  // in the same way
Tensor fmax(const Tensor& x, const Tensor& y);     // the other one if one is NaN; where equal, x gets half the gradient
Tensor fmin(const Tensor& x, const Tensor& y);     // likewise: NaN only if both are
Tensor copysign(const Tensor& x, const Tensor& y);  // |x| with y's sign
Tensor copysign(const Tensor& x, Scalar s);
Tensor heaviside(const Tensor& x, const Tensor& values);  // 0 below 0, 1 above, `values` at 0. No gradient

// x held between min and max, either of which may be missing (`std::nullopt`, an undefined tensor). Where min > max, max.
// The gradient passes strictly inside. Bounds that are tensors take part in it, as in `maximum`.
Tensor clamp(const Tensor& x, std::optional<Scalar> min, std::optional<Scalar> max = std::nullopt);
Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max);
Tensor clamp_min(const Tensor& x, Scalar min);
Tensor clamp_min(const Tensor& x, const Tensor& min);
Tensor clamp_max(const Tensor& x, Scalar max);
Tensor clamp_max(const Tensor& x, const Tensor& max);

// ## Choosing and mixing
//
// x where the condition holds, y elsewhere. The condition may be of any type: what is not zero holds.
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y);
Tensor where(const Tensor& condition, const Tensor& x, Scalar y);
Tensor where(const Tensor& condition, Scalar x, const Tensor& y);
Tensor where(const Tensor& condition, Scalar x, Scalar y);
// x with `value` where the mask (bool, else DTypeError) is true, of x's type. A tensor must have no dimension (ShapeError).
Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);
Tensor lerp(const Tensor& x, const Tensor& end, double weight);  // x + weight · (end - x)
Tensor lerp(const Tensor& x, const Tensor& end, const Tensor& weight);
// NaN and the infinities replaced; unless given, by 0 and by the type's largest numbers.
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = std::nullopt,
                  std::optional<double> neginf = std::nullopt);

// ## Operators
inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator+(const Tensor& x, const Tensor& y) { return add(x, y); }
inline Tensor operator-(const Tensor& x, const Tensor& y) { return sub(x, y); }
inline Tensor operator*(const Tensor& x, const Tensor& y) { return mul(x, y); }
inline Tensor operator/(const Tensor& x, const Tensor& y) { return div(x, y); }
inline Tensor operator%(const Tensor& x, const Tensor& y) { return remainder(x, y); }
inline Tensor operator+(const Tensor& x, Number auto s) { return add(x, Scalar(s)); }
inline Tensor operator-(const Tensor& x, Number auto s) { return sub(x, Scalar(s)); }
inline Tensor operator*(const Tensor& x, Number auto s) { return mul(x, Scalar(s)); }
inline Tensor operator/(const Tensor& x, Number auto s) { return div(x, Scalar(s)); }
inline Tensor operator%(const Tensor& x, Number auto s) { return remainder(x, Scalar(s)); }
inline Tensor operator+(Number auto s, const Tensor& x) { return add(x, Scalar(s)); }
inline Tensor operator-(Number auto s, const Tensor& x) { return rsub(x, Scalar(s)); }
inline Tensor operator*(Number auto s, const Tensor& x) { return mul(x, Scalar(s)); }
inline Tensor operator/(Number auto s, const Tensor& x) { return div(Scalar(s), x); }

}  // namespace cr
