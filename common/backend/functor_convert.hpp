// # From one element type to another
//
// From floating to integer numbers beyond int64's range (and NaN) become its smallest, as x86 does it.
//
// The 16-bit types go through float32, and are rounded to the nearest, of two equally near ones to the even. A bfloat16 is
// a float32 without its lower half. A float16 has another exponent: below its smallest normal number, $2^{-14}$, numbers
// are multiples of $2^{-24}$, and that is the spacing of float32 just above 0.5: adding 0.5 does the rounding.
#pragma once

#include "backend/functor_kinds.hpp"
#include "tensor/half.hpp"

namespace cr::functor {
inline namespace CR_ISA {

constexpr float widened(BFloat16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }
constexpr float widened(Float16 x) {
  uint32_t sign = (x.bits & 0x8000u) << 16, rest = x.bits & 0x7fffu;
  float small = static_cast<float>(static_cast<int32_t>(rest)) * 5.9604644775390625e-8f;  // 2⁻²⁴
  uint32_t normal = (rest << 13) + (rest >= 0x7c00u ? 0x70000000u : 0x38000000u);
  return __builtin_bit_cast(float, (rest < 0x400u ? __builtin_bit_cast(uint32_t, small) : normal) | sign);
}
constexpr BFloat16 narrowed(float x, BFloat16) {
  uint32_t u = __builtin_bit_cast(uint32_t, x);
  return {static_cast<uint16_t>(x != x ? 0x7fc0u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}
constexpr Float16 narrowed(float x, Float16) {
  uint32_t u = __builtin_bit_cast(uint32_t, x), sign = u >> 16 & 0x8000u, rest = u & 0x7fffffffu;
  float a = __builtin_bit_cast(float, rest);
  uint32_t small = __builtin_bit_cast(uint32_t, a + 0.5f) - 0x3f000000u;
  uint32_t normal = (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1u)) >> 13;
  uint32_t bits = a < 6.103515625e-5f ? small : a < 65520.f ? normal : 0x7c00u;
  return {static_cast<uint16_t>((x != x ? 0x7e00u : bits) | sign)};
}
template <class T> inline constexpr bool kStored = __is_same(T, Float16) || __is_same(T, BFloat16);

template <class To, class From> constexpr To convert(From x) {
  if constexpr (__is_same(To, From)) return x;
  else if constexpr (kStored<From>) return convert<To>(widened(x));
  else if constexpr (kStored<To>) return narrowed(static_cast<float>(x), To{});
  else if constexpr (__is_same(To, bool)) return x != From(0);
  else if constexpr (__is_same(To, int64_t) && (__is_same(From, float) || __is_same(From, double)))
    return x >= From(-9223372036854775808.0) && x < From(9223372036854775808.0) ? static_cast<To>(x) : INT64_MIN;
  else return static_cast<To>(x);
}

}  // namespace CR_ISA
}  // namespace cr::functor
