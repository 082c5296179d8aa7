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
// The values are computed by the functors that tensors use, so they are the same to the last bit. The functions are
// friends, found only for dual arguments, so that `exp` alone still names the tensors' function.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "backend/functor.hpp"

namespace cr {

template <class T, int N> struct Dual;

namespace dual {

template <class N>
concept Number = std::is_arithmetic_v<N>;

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

}  // namespace dual

template <class T, int N> struct Dual {
  T value;
  std::array<T, static_cast<size_t>(N)> slope{};

  // xᵃ with the shortcuts of the tensors' pow.
  static constexpr T power(T x, double a) {
    if (a == 0.5 || a == -0.5) return a > 0 ? functor::Sqrt{}(x) : functor::Rsqrt{}(x);
    if (a == 1 || a == -1) return a > 0 ? x : T(1) / x;
    if (a == 2 || a == -2) return a > 0 ? x * x : T(1) / (x * x);
    return a == 3 ? x * x * x : functor::Pow{}(x, static_cast<T>(a));
  }

  // ## Arithmetic
  //
  // A number is a constant: it has no slopes.
  friend constexpr Dual operator-(const Dual& x) {
    return dual::make<T, N>(-x.value, [&](size_t k) { return -x.slope[k]; });
  }
  friend constexpr Dual operator+(const Dual& x, const Dual& y) {
    return dual::make<T, N>(x.value + y.value, [&](size_t k) { return x.slope[k] + y.slope[k]; });
  }
  friend constexpr Dual operator-(const Dual& x, const Dual& y) {
    return dual::make<T, N>(x.value - y.value, [&](size_t k) { return x.slope[k] - y.slope[k]; });
  }
  friend constexpr Dual operator*(const Dual& x, const Dual& y) {
    return dual::chain(x.value * y.value, x, y.value, y, x.value);
  }
  // z = x / y,  dz/dx = 1 / y, dz/dy = −z / y
  friend constexpr Dual operator/(const Dual& x, const Dual& y) {
    T z = x.value / y.value;
    return dual::chain(z, x, T(1) / y.value, y, -z / y.value);
  }
  friend constexpr Dual operator+(const Dual& x, dual::Number auto c) {
    return dual::make<T, N>(x.value + static_cast<T>(c), [&](size_t k) { return x.slope[k]; });
  }
  friend constexpr Dual operator-(const Dual& x, dual::Number auto c) {
    return dual::make<T, N>(x.value - static_cast<T>(c), [&](size_t k) { return x.slope[k]; });
  }
  friend constexpr Dual operator*(const Dual& x, dual::Number auto c) {
    return dual::chain(x.value * static_cast<T>(c), x, static_cast<T>(c));
  }
  friend constexpr Dual operator/(const Dual& x, dual::Number auto c) {
    return dual::chain(x.value / static_cast<T>(c), x, T(1) / static_cast<T>(c));
  }
  friend constexpr Dual operator+(dual::Number auto c, const Dual& x) { return x + c; }
  friend constexpr Dual operator-(dual::Number auto c, const Dual& x) { return -x + c; }
  friend constexpr Dual operator*(dual::Number auto c, const Dual& x) { return x * c; }
  friend constexpr Dual operator/(dual::Number auto c, const Dual& x) {
    T z = static_cast<T>(c) / x.value;
    return dual::chain(z, x, -z / x.value);
  }

  // ## Comparisons: of values, giving bool; `&` and `|` join two, as for tensors
  friend constexpr bool operator==(const Dual& x, const Dual& y) { return x.value == y.value; }
  friend constexpr bool operator!=(const Dual& x, const Dual& y) { return x.value != y.value; }
  friend constexpr bool operator<(const Dual& x, const Dual& y) { return x.value < y.value; }
  friend constexpr bool operator<=(const Dual& x, const Dual& y) { return x.value <= y.value; }
  friend constexpr bool operator>(const Dual& x, const Dual& y) { return x.value > y.value; }
  friend constexpr bool operator>=(const Dual& x, const Dual& y) { return x.value >= y.value; }
  friend constexpr bool operator==(const Dual& x, dual::Number auto c) { return x.value == static_cast<T>(c); }
  friend constexpr bool operator!=(const Dual& x, dual::Number auto c) { return x.value != static_cast<T>(c); }
  friend constexpr bool operator<(const Dual& x, dual::Number auto c) { return x.value < static_cast<T>(c); }
  friend constexpr bool operator<=(const Dual& x, dual::Number auto c) { return x.value <= static_cast<T>(c); }
  friend constexpr bool operator>(const Dual& x, dual::Number auto c) { return x.value > static_cast<T>(c); }
  friend constexpr bool operator>=(const Dual& x, dual::Number auto c) { return x.value >= static_cast<T>(c); }

  // ## Functions
  //
  // Each has the formula of its tensor twin in `ops/`, kinks included.
  friend constexpr Dual neg(const Dual& x) { return -x; }
  friend constexpr Dual abs(const Dual& x) { return dual::chain(functor::Abs{}(x.value), x, functor::Sign{}(x.value)); }
  friend constexpr Dual sign(const Dual& x) { return {functor::Sign{}(x.value)}; }
  friend constexpr Dual square(const Dual& x) { return dual::chain(x.value * x.value, x, 2 * x.value); }
  friend constexpr Dual relu(const Dual& x) {
    T y = functor::Relu{}(x.value);
    return dual::make<T, N>(y, [&](size_t k) { return y <= T(0) ? T(0) : x.slope[k]; });
  }
  friend constexpr Dual exp(const Dual& x) {
    T y = functor::Exp{}(x.value);
    return dual::chain(y, x, y);
  }
  friend constexpr Dual log(const Dual& x) { return dual::chain(functor::Log{}(x.value), x, T(1) / x.value); }
  friend constexpr Dual sqrt(const Dual& x) {
    T y = functor::Sqrt{}(x.value);
    return dual::chain(y, x, T(1) / (2 * y));
  }
  friend constexpr Dual sin(const Dual& x) { return dual::chain(functor::Sin{}(x.value), x, functor::Cos{}(x.value)); }
  friend constexpr Dual cos(const Dual& x) { return dual::chain(functor::Cos{}(x.value), x, -functor::Sin{}(x.value)); }
  friend constexpr Dual tanh(const Dual& x) {
    T y = functor::Tanh{}(x.value);
    return dual::chain(y, x, 1 - y * y);
  }
  friend constexpr Dual sigmoid(const Dual& x) {
    T y = functor::Sigmoid{}(x.value);
    return dual::chain(y, x, y * (1 - y));
  }
  friend constexpr Dual pow(const Dual& x, double exponent) {
    return dual::chain(power(x.value, exponent), x,
                       exponent == 0 ? T(0) : power(x.value, exponent - 1) * static_cast<T>(exponent));
  }
  friend constexpr Dual clamp(const Dual& x, double min, double max) {
    T low = static_cast<T>(min), high = static_cast<T>(max);
    T y = functor::Minimum{}(functor::Maximum{}(x.value, low), high);
    return dual::make<T, N>(y, [&](size_t k) { return x.value > low && x.value < high ? x.slope[k] : T(0); });
  }

  // Equal arguments share the slope.
  friend constexpr Dual maximum(const Dual& x, const Dual& y) {
    T half = x.value == y.value ? T(0.5) : T(1);
    return dual::chain(functor::Maximum{}(x.value, y.value), x, x.value < y.value ? T(0) : half, y,
                       x.value > y.value ? T(0) : half);
  }
  friend constexpr Dual minimum(const Dual& x, const Dual& y) {
    T half = x.value == y.value ? T(0.5) : T(1);
    return dual::chain(functor::Minimum{}(x.value, y.value), x, x.value > y.value ? T(0) : half, y,
                       x.value < y.value ? T(0) : half);
  }
  friend constexpr Dual where(bool condition, const Dual& x, const Dual& y) {
    return dual::make<T, N>(condition ? x.value : y.value,
                            [&](size_t k) { return condition ? x.slope[k] : y.slope[k]; });
  }
  friend constexpr Dual where(bool condition, const Dual& x, dual::Number auto c) {
    return where(condition, x, Dual{static_cast<T>(c)});
  }
  friend constexpr Dual where(bool condition, dual::Number auto c, const Dual& y) {
    return where(condition, Dual{static_cast<T>(c)}, y);
  }
};

}  // namespace cr
