// # Elementwise operations
//
// Each works on every element by itself. Two tensors broadcast against each other; different element types are promoted
// (`tensor/dtype.hpp`), and a C++ number takes the tensor's type where it can. int64 tensors become float32 where the
// result is not an integer. All throw ShapeError for shapes that do not broadcast and DTypeError for types they do not take.
#pragma once

#include "tensor/tensor.hpp"

namespace cr {

// ## One tensor
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor sign(const Tensor& x);
Tensor square(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor pow(const Tensor& x, double exponent);
Tensor clamp(const Tensor& x, double min, double max);

// ## Two tensors, or a tensor and a number
Tensor add(const Tensor& x, const Tensor& y, double alpha = 1);  // x + alpha · y
Tensor sub(const Tensor& x, const Tensor& y, double alpha = 1);
Tensor mul(const Tensor& x, const Tensor& y);
Tensor div(const Tensor& x, const Tensor& y);
Tensor maximum(const Tensor& x, const Tensor& y);  // NaN if either is; where equal, each gets half the gradient
Tensor minimum(const Tensor& x, const Tensor& y);
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y);
Tensor add(const Tensor& x, Scalar s);
Tensor sub(const Tensor& x, Scalar s);
Tensor mul(const Tensor& x, Scalar s);
Tensor div(const Tensor& x, Scalar s);
Tensor div(Scalar s, const Tensor& y);

// A number is anything arithmetic. Left unconstrained, `Tensor` would be considered for it as well.
template <class N>
concept Number = std::is_arithmetic_v<N>;

inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator+(const Tensor& x, const Tensor& y) { return add(x, y); }
inline Tensor operator-(const Tensor& x, const Tensor& y) { return sub(x, y); }
inline Tensor operator*(const Tensor& x, const Tensor& y) { return mul(x, y); }
inline Tensor operator/(const Tensor& x, const Tensor& y) { return div(x, y); }
inline Tensor operator+(const Tensor& x, Number auto s) { return add(x, Scalar(s)); }
inline Tensor operator-(const Tensor& x, Number auto s) { return sub(x, Scalar(s)); }
inline Tensor operator*(const Tensor& x, Number auto s) { return mul(x, Scalar(s)); }
inline Tensor operator/(const Tensor& x, Number auto s) { return div(x, Scalar(s)); }
inline Tensor operator+(Number auto s, const Tensor& x) { return add(x, Scalar(s)); }
inline Tensor operator-(Number auto s, const Tensor& x) { return add(neg(x), Scalar(s)); }
inline Tensor operator*(Number auto s, const Tensor& x) { return mul(x, Scalar(s)); }
inline Tensor operator/(Number auto s, const Tensor& x) { return div(Scalar(s), x); }

// ## Comparisons: bool tensors, no gradient
Tensor eq(const Tensor& x, const Tensor& y);
Tensor ne(const Tensor& x, const Tensor& y);
Tensor lt(const Tensor& x, const Tensor& y);
Tensor le(const Tensor& x, const Tensor& y);
Tensor gt(const Tensor& x, const Tensor& y);
Tensor ge(const Tensor& x, const Tensor& y);
Tensor eq(const Tensor& x, Scalar s);
Tensor ne(const Tensor& x, Scalar s);
Tensor lt(const Tensor& x, Scalar s);
Tensor le(const Tensor& x, Scalar s);
Tensor gt(const Tensor& x, Scalar s);
Tensor ge(const Tensor& x, Scalar s);

inline Tensor operator==(const Tensor& x, const Tensor& y) { return eq(x, y); }
inline Tensor operator!=(const Tensor& x, const Tensor& y) { return ne(x, y); }
inline Tensor operator<(const Tensor& x, const Tensor& y) { return lt(x, y); }
inline Tensor operator<=(const Tensor& x, const Tensor& y) { return le(x, y); }
inline Tensor operator>(const Tensor& x, const Tensor& y) { return gt(x, y); }
inline Tensor operator>=(const Tensor& x, const Tensor& y) { return ge(x, y); }
inline Tensor operator==(const Tensor& x, Number auto s) { return eq(x, Scalar(s)); }
inline Tensor operator!=(const Tensor& x, Number auto s) { return ne(x, Scalar(s)); }
inline Tensor operator<(const Tensor& x, Number auto s) { return lt(x, Scalar(s)); }
inline Tensor operator<=(const Tensor& x, Number auto s) { return le(x, Scalar(s)); }
inline Tensor operator>(const Tensor& x, Number auto s) { return gt(x, Scalar(s)); }
inline Tensor operator>=(const Tensor& x, Number auto s) { return ge(x, Scalar(s)); }

}  // namespace cr
