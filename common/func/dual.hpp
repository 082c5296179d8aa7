// # Dual numbers
//
// Derivatives can be computed along with values, without a graph. A **dual number** is a value together with its
// slopes: its derivatives with respect to the N arguments of a formula. Argument k starts with slope 1 in place k and
// 0 elsewhere, and every function carries the slopes on by the chain rule. For $z = x \cdot y$ that is $z' = y\,x' +
// x\,y'$, and so on for the short list below; it is the elementwise vocabulary of tensors, so one generic lambda takes
// either.
//
//     auto f = [](auto a, auto b) { return relu(a * b + a); };
//     f(Dual<float, 2>{3, {1, 0}}, Dual<float, 2>{2, {0, 1}});  // value 9, slopes {3, 3}
//
// The values are computed by the functors that tensors use, so they are the same to the last bit.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "backend/functor.hpp"

namespace cr {

template <class T, int N> struct Dual {
  T value;
  std::array<T, static_cast<size_t>(N)> slope{};
};

namespace dual {

// A dual number with slopes g(0), g(1), … Spelled out, so that no loop remains for the compiler to see through.
template <class T, int N, class G> constexpr Dual<T, N> make(T value, G&& g) {
  Dual<T, N> y;
  y.value = value;
  [&]<size_t... k>(std::index_sequence<k...>) { ((y.slope[k] = g(k)), ...); }
  (std::make_index_sequence<size_t(N)>());
  return y;
}

// What does not depend on an argument has slope 0, whatever it is multiplied by: 0 · ∞ would be NaN.
template <class T> constexpr T times(T slope, T factor) { return slope == T(0) ? T(0) : slope * factor; }

// The chain rule: y = f(x) with dy/dx; z = f(x, y) with dz/dx and dz/dy.
template <class T, int N> constexpr Dual<T, N> chain(T y, const Dual<T, N>& x, T dydx) {
  return make<T, N>(y, [&](size_t k) { return times(x.slope[k], dydx); });
}
template <class T, int N> constexpr Dual<T, N> chain(T z, const Dual<T, N>& x, T dzdx, const Dual<T, N>& y, T dzdy) {
  return make<T, N>(z, [&](size_t k) { return times(x.slope[k], dzdx) + times(y.slope[k], dzdy); });
}

template <class N>
concept Number = std::is_arithmetic_v<N>;

}  // namespace dual

// ## Arithmetic
template <class T, int N> constexpr Dual<T, N> operator-(const Dual<T, N>& x) {
  return dual::make<T, N>(-x.value, [&](size_t k) { return -x.slope[k]; });
}
template <class T, int N> constexpr Dual<T, N> operator+(const Dual<T, N>& x, const Dual<T, N>& y) {
  return dual::make<T, N>(x.value + y.value, [&](size_t k) { return x.slope[k] + y.slope[k]; });
}
template <class T, int N> constexpr Dual<T, N> operator-(const Dual<T, N>& x, const Dual<T, N>& y) {
  return dual::make<T, N>(x.value - y.value, [&](size_t k) { return x.slope[k] - y.slope[k]; });
}
template <class T, int N> constexpr Dual<T, N> operator*(const Dual<T, N>& x, const Dual<T, N>& y) {
  return dual::chain(x.value * y.value, x, y.value, y, x.value);
}
// z = x / y,  dz/dx = 1 / y, dz/dy = −z / y
template <class T, int N> constexpr Dual<T, N> operator/(const Dual<T, N>& x, const Dual<T, N>& y) {
  T z = x.value / y.value;
  return dual::chain(z, x, T(1) / y.value, y, -z / y.value);
}

// A number is a constant: it has no slopes.
template <class T, int N> constexpr Dual<T, N> operator+(const Dual<T, N>& x, dual::Number auto c) {
  return dual::make<T, N>(x.value + static_cast<T>(c), [&](size_t k) { return x.slope[k]; });
}
template <class T, int N> constexpr Dual<T, N> operator-(const Dual<T, N>& x, dual::Number auto c) {
  return dual::make<T, N>(x.value - static_cast<T>(c), [&](size_t k) { return x.slope[k]; });
}
template <class T, int N> constexpr Dual<T, N> operator*(const Dual<T, N>& x, dual::Number auto c) {
  return dual::chain(x.value * static_cast<T>(c), x, static_cast<T>(c));
}
template <class T, int N> constexpr Dual<T, N> operator/(const Dual<T, N>& x, dual::Number auto c) {
  return dual::chain(x.value / static_cast<T>(c), x, T(1) / static_cast<T>(c));
}
template <class T, int N> constexpr Dual<T, N> operator+(dual::Number auto c, const Dual<T, N>& x) { return x + c; }
template <class T, int N> constexpr Dual<T, N> operator-(dual::Number auto c, const Dual<T, N>& x) { return -x + c; }
template <class T, int N> constexpr Dual<T, N> operator*(dual::Number auto c, const Dual<T, N>& x) { return x * c; }
template <class T, int N> constexpr Dual<T, N> operator/(dual::Number auto c, const Dual<T, N>& x) {
  T z = static_cast<T>(c) / x.value;
  return dual::chain(z, x, -z / x.value);
}

// ## Comparisons: of values, giving bool; `&` and `|` join two, as for tensors
template <class T, int N> constexpr bool operator==(const Dual<T, N>& x, const Dual<T, N>& y) {
  return x.value == y.value;
}
template <class T, int N> constexpr bool operator!=(const Dual<T, N>& x, const Dual<T, N>& y) {
  return x.value != y.value;
}
template <class T, int N> constexpr bool operator<(const Dual<T, N>& x, const Dual<T, N>& y) {
  return x.value < y.value;
}
template <class T, int N> constexpr bool operator<=(const Dual<T, N>& x, const Dual<T, N>& y) {
  return x.value <= y.value;
}
template <class T, int N> constexpr bool operator>(const Dual<T, N>& x, const Dual<T, N>& y) {
  return x.value > y.value;
}
template <class T, int N> constexpr bool operator>=(const Dual<T, N>& x, const Dual<T, N>& y) {
  return x.value >= y.value;
}
template <class T, int N> constexpr bool operator==(const Dual<T, N>& x, dual::Number auto c) {
  return x.value == static_cast<T>(c);
}
template <class T, int N> constexpr bool operator!=(const Dual<T, N>& x, dual::Number auto c) {
  return x.value != static_cast<T>(c);
}
template <class T, int N> constexpr bool operator<(const Dual<T, N>& x, dual::Number auto c) {
  return x.value < static_cast<T>(c);
}
template <class T, int N> constexpr bool operator<=(const Dual<T, N>& x, dual::Number auto c) {
  return x.value <= static_cast<T>(c);
}
template <class T, int N> constexpr bool operator>(const Dual<T, N>& x, dual::Number auto c) {
  return x.value > static_cast<T>(c);
}
template <class T, int N> constexpr bool operator>=(const Dual<T, N>& x, dual::Number auto c) {
  return x.value >= static_cast<T>(c);
}

// ## Functions
//
// Each has the formula of its tensor twin in `ops/elementwise.cpp`, kinks included.
template <class T, int N> constexpr Dual<T, N> neg(const Dual<T, N>& x) { return -x; }
template <class T, int N> constexpr Dual<T, N> abs(const Dual<T, N>& x) {
  return dual::chain(functor::Abs{}(x.value), x, functor::Sign{}(x.value));
}
template <class T, int N> constexpr Dual<T, N> sign(const Dual<T, N>& x) { return {functor::Sign{}(x.value)}; }
template <class T, int N> constexpr Dual<T, N> square(const Dual<T, N>& x) {
  return dual::chain(x.value * x.value, x, 2 * x.value);
}
template <class T, int N> constexpr Dual<T, N> relu(const Dual<T, N>& x) {
  T y = functor::Relu{}(x.value);
  return dual::make<T, N>(y, [&](size_t k) { return y > T(0) ? x.slope[k] : T(0); });
}
template <class T, int N> constexpr Dual<T, N> exp(const Dual<T, N>& x) {
  T y = functor::Exp{}(x.value);
  return dual::chain(y, x, y);
}
template <class T, int N> constexpr Dual<T, N> log(const Dual<T, N>& x) {
  return dual::chain(functor::Log{}(x.value), x, T(1) / x.value);
}
template <class T, int N> constexpr Dual<T, N> sqrt(const Dual<T, N>& x) {
  T y = functor::Sqrt{}(x.value);
  return dual::chain(y, x, T(1) / (2 * y));
}
template <class T, int N> constexpr Dual<T, N> sin(const Dual<T, N>& x) {
  return dual::chain(functor::Sin{}(x.value), x, functor::Cos{}(x.value));
}
template <class T, int N> constexpr Dual<T, N> cos(const Dual<T, N>& x) {
  return dual::chain(functor::Cos{}(x.value), x, -functor::Sin{}(x.value));
}
template <class T, int N> constexpr Dual<T, N> tanh(const Dual<T, N>& x) {
  T y = functor::Tanh{}(x.value);
  return dual::chain(y, x, 1 - y * y);
}
template <class T, int N> constexpr Dual<T, N> sigmoid(const Dual<T, N>& x) {
  T y = functor::Sigmoid{}(x.value);
  return dual::chain(y, x, y * (1 - y));
}
template <class T, int N> constexpr Dual<T, N> pow(const Dual<T, N>& x, double exponent) {
  T a = static_cast<T>(exponent);
  if (exponent == 2) return square(x);
  return dual::chain(functor::Pow{}(x.value, a), x, exponent == 0 ? T(0) : a * functor::Pow{}(x.value, a - 1));
}
template <class T, int N> constexpr Dual<T, N> clamp(const Dual<T, N>& x, double min, double max) {
  T low = static_cast<T>(min), high = static_cast<T>(max);
  T y = functor::Minimum{}(functor::Maximum{}(x.value, low), high);
  return dual::make<T, N>(y, [&](size_t k) { return x.value > low && x.value < high ? x.slope[k] : T(0); });
}

// Equal arguments share the slope.
template <class T, int N> constexpr Dual<T, N> maximum(const Dual<T, N>& x, const Dual<T, N>& y) {
  T half = x.value == y.value ? T(0.5) : T(1);
  return dual::chain(functor::Maximum{}(x.value, y.value), x, x.value < y.value ? T(0) : half, y,
                     x.value > y.value ? T(0) : half);
}
template <class T, int N> constexpr Dual<T, N> minimum(const Dual<T, N>& x, const Dual<T, N>& y) {
  T half = x.value == y.value ? T(0.5) : T(1);
  return dual::chain(functor::Minimum{}(x.value, y.value), x, x.value > y.value ? T(0) : half, y,
                     x.value < y.value ? T(0) : half);
}
template <class T, int N> constexpr Dual<T, N> where(bool condition, const Dual<T, N>& x, const Dual<T, N>& y) {
  return dual::make<T, N>(condition ? x.value : y.value, [&](size_t k) { return condition ? x.slope[k] : y.slope[k]; });
}
template <class T, int N> constexpr Dual<T, N> where(bool condition, const Dual<T, N>& x, dual::Number auto c) {
  return where(condition, x, Dual<T, N>{static_cast<T>(c)});
}
template <class T, int N> constexpr Dual<T, N> where(bool condition, dual::Number auto c, const Dual<T, N>& y) {
  return where(condition, Dual<T, N>{static_cast<T>(c)}, y);
}

}  // namespace cr
