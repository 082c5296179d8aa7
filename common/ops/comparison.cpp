#include "ops/comparison.hpp"

#include <cmath>

#include "ops/elementwise.hpp"
#include "ops/types.hpp"

namespace cr {

// ## Comparison
template <class F> static Tensor compare(const Tensor& x, const Tensor& y) {
  DType type = common_type(x, y);
  return backend::map(to_dtype(x.detach(), type), to_dtype(y.detach(), type), F{});
}
template <class F> static Tensor compare(const Tensor& x, Scalar s) {
  return backend::map(adapted(x.detach(), s), s, F{});
}
Tensor eq(const Tensor& x, const Tensor& y) { return compare<functor::Eq>(x, y); }
Tensor ne(const Tensor& x, const Tensor& y) { return compare<functor::Ne>(x, y); }
Tensor lt(const Tensor& x, const Tensor& y) { return compare<functor::Lt>(x, y); }
Tensor le(const Tensor& x, const Tensor& y) { return compare<functor::Le>(x, y); }
Tensor gt(const Tensor& x, const Tensor& y) { return compare<functor::Gt>(x, y); }
Tensor ge(const Tensor& x, const Tensor& y) { return compare<functor::Ge>(x, y); }
Tensor eq(const Tensor& x, Scalar s) { return compare<functor::Eq>(x, s); }
Tensor ne(const Tensor& x, Scalar s) { return compare<functor::Ne>(x, s); }
Tensor lt(const Tensor& x, Scalar s) { return compare<functor::Lt>(x, s); }
Tensor le(const Tensor& x, Scalar s) { return compare<functor::Le>(x, s); }
Tensor gt(const Tensor& x, Scalar s) { return compare<functor::Gt>(x, s); }
Tensor ge(const Tensor& x, Scalar s) { return compare<functor::Ge>(x, s); }

Tensor isclose(const Tensor& x, const Tensor& y, double rtol, double atol, bool equal_nan) {
  if (!same_type(x, y)) {
    throw DTypeError(std::string("isclose: compares tensors of one type, not ") + name(x.dtype()) + " with " +
                     name(y.dtype()));
  }
  if (rtol < 0 || atol < 0) throw Error("isclose: rtol and atol must not be negative");
  NoGrad quiet;
  Tensor close = x == y;
  if (equal_nan && is_floating(x.dtype())) close = close | (isnan(x) & isnan(y));
  Tensor a = real(x), b = real(y), error = abs(a - b);
  return close | (isfinite(error) & (error <= abs(b) * rtol + atol));
}

bool allclose(const Tensor& x, const Tensor& y, double rtol, double atol, bool equal_nan) {
  return !anywhere(logical_not(isclose(x, y, rtol, atol, equal_nan)));
}
bool equal(const Tensor& x, const Tensor& y) { return x.shape() == y.shape() && !anywhere(x != y); }

// ## What kind of number?
static Tensor all_of_them(bool value, const Tensor& x) {
  return backend::full(x.shape(), value, DType::boolean, x.device());
}
// 16-bit numbers are looked at as float32.
static Tensor looked_at(const Tensor& x) { return is_storage(x.dtype()) ? x.detach().to(DType::float32) : x.detach(); }
static Tensor where_floating(const Tensor& x, Tensor (*f)(const Tensor&), bool otherwise) {
  Tensor numbers = looked_at(x);
  return is_floating(numbers.dtype()) ? f(numbers) : all_of_them(otherwise, x);
}
Tensor isnan(const Tensor& x) {
  return where_floating(
      x, [](const Tensor& y) { return y != y; }, false);
}
Tensor isinf(const Tensor& x) {
  return where_floating(
      x, [](const Tensor& y) { return abs(y) == INFINITY; }, false);
}
Tensor isfinite(const Tensor& x) {
  return where_floating(
      x, [](const Tensor& y) { return abs(y) < INFINITY; }, true);
}
Tensor isposinf(const Tensor& x) {
  return where_floating(
      x, [](const Tensor& y) { return y == INFINITY; }, false);
}
Tensor isneginf(const Tensor& x) {
  return where_floating(
      x, [](const Tensor& y) { return y == -INFINITY; }, false);
}
Tensor signbit(const Tensor& x) {
  Tensor y = looked_at(x);
  return is_floating(y.dtype()) ? backend::map(1, y, functor::Copysign{}) < 0 : y < 0;
}

// ## Logic
//
// The logic of numbers is that of the bits of their truths.
static Tensor truth(const Tensor& x) { return x.dtype() == DType::boolean ? x : x != 0; }
template <class F> static Tensor of_truths(const char* op, const Tensor& x, const Tensor& y) {
  broadcast_shapes(x.shape(), y.shape(), op);  // throws in the name of the operation
  return backend::map(truth(x), truth(y), F{});
}
Tensor logical_not(const Tensor& x) { return x == 0; }
Tensor logical_and(const Tensor& x, const Tensor& y) { return of_truths<functor::BitAnd>("logical_and", x, y); }
Tensor logical_or(const Tensor& x, const Tensor& y) { return of_truths<functor::BitOr>("logical_or", x, y); }
Tensor logical_xor(const Tensor& x, const Tensor& y) { return of_truths<functor::BitXor>("logical_xor", x, y); }

// ## Bits
//
// Of a bool the other bit is its opposite, of an integer all 64 are: both are "exclusive or" with nothing but ones.
Tensor bitwise_not(const Tensor& x) {
  return x.dtype() == DType::boolean ? x == false : backend::map(x, int64_t{-1}, functor::BitXor{});
}
template <class F> static Tensor bits(const Tensor& x, const Tensor& y) {
  DType type = common_type(x, y);
  return backend::map(to_dtype(x, type), to_dtype(y, type), F{});
}
template <class F> static Tensor bits(const Tensor& x, Scalar s) { return backend::map(adapted(x, s), s, F{}); }
Tensor bitwise_and(const Tensor& x, const Tensor& y) { return bits<functor::BitAnd>(x, y); }
Tensor bitwise_or(const Tensor& x, const Tensor& y) { return bits<functor::BitOr>(x, y); }
Tensor bitwise_xor(const Tensor& x, const Tensor& y) { return bits<functor::BitXor>(x, y); }
Tensor bitwise_and(const Tensor& x, Scalar s) { return bits<functor::BitAnd>(x, s); }
Tensor bitwise_or(const Tensor& x, Scalar s) { return bits<functor::BitOr>(x, s); }
Tensor bitwise_xor(const Tensor& x, Scalar s) { return bits<functor::BitXor>(x, s); }
Tensor bitwise_left_shift(const Tensor& x, const Tensor& y) { return bits<functor::ShiftLeft>(x, y); }
Tensor bitwise_right_shift(const Tensor& x, const Tensor& y) { return bits<functor::ShiftRight>(x, y); }
Tensor bitwise_left_shift(const Tensor& x, Scalar s) { return bits<functor::ShiftLeft>(x, s); }
Tensor bitwise_right_shift(const Tensor& x, Scalar s) { return bits<functor::ShiftRight>(x, s); }

}  // namespace cr
