// # Comparison and logic
//
// Results are bool tensors (bits excepted) and have no gradient. Two tensors broadcast; different element types are
// compared as their common type. All throw ShapeError for shapes that do not broadcast.
#pragma once

#include "tensor/tensor.hpp"

namespace cr {

// A number is anything arithmetic. Left unconstrained, `Tensor` would be considered for it as well.
template <class N>
concept Number = std::is_arithmetic_v<N>;

// ## Comparison
//
// Nothing equals NaN, and everything is unequal to it.
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

// Close: |x - y| ≤ atol + rtol · |y|, or equal. `equal_nan` makes NaN close to NaN. DTypeError unless the types are the same.
Tensor isclose(const Tensor& x, const Tensor& y, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
bool allclose(const Tensor& x, const Tensor& y, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
bool equal(const Tensor& x, const Tensor& y);  // the same shape and the same numbers

// ## What kind of number?
//
// Integers are finite, and so are bools.
Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
Tensor isfinite(const Tensor& x);
Tensor isposinf(const Tensor& x);
Tensor isneginf(const Tensor& x);
Tensor signbit(const Tensor& x);  // also of -0

// ## Logic: what is not zero is true, NaN too
Tensor logical_not(const Tensor& x);
Tensor logical_and(const Tensor& x, const Tensor& y);
Tensor logical_or(const Tensor& x, const Tensor& y);
Tensor logical_xor(const Tensor& x, const Tensor& y);

// ## Bits of int64 and bool tensors, in that type. DTypeError for others
Tensor bitwise_not(const Tensor& x);
Tensor bitwise_and(const Tensor& x, const Tensor& y);
Tensor bitwise_or(const Tensor& x, const Tensor& y);
Tensor bitwise_xor(const Tensor& x, const Tensor& y);
Tensor bitwise_and(const Tensor& x, Scalar s);
Tensor bitwise_or(const Tensor& x, Scalar s);
Tensor bitwise_xor(const Tensor& x, Scalar s);
Tensor bitwise_left_shift(const Tensor& x, const Tensor& y);   // x · 2ʸ; 0 for y outside 0 … 63
Tensor bitwise_right_shift(const Tensor& x, const Tensor& y);  // x / 2ʸ, rounded down
Tensor bitwise_left_shift(const Tensor& x, Scalar s);
Tensor bitwise_right_shift(const Tensor& x, Scalar s);

inline Tensor operator~(const Tensor& x) { return bitwise_not(x); }
inline Tensor operator&(const Tensor& x, const Tensor& y) { return bitwise_and(x, y); }
inline Tensor operator|(const Tensor& x, const Tensor& y) { return bitwise_or(x, y); }
inline Tensor operator^(const Tensor& x, const Tensor& y) { return bitwise_xor(x, y); }

}  // namespace cr
