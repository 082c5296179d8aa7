// # A logarithm, a sine and a cosine with the same bits everywhere
//
// The C library's `log`, `sin` and `cos` may differ in the last bit from one library to the next, and on a GPU they do.
// A seed should mean the same numbers on every machine, so the few functions that random numbers need are written here
// in additions, multiplications and one division, which IEEE 754 defines to the bit. One condition remains: the
// compiler must not fuse a product and a sum (`-ffp-contract=off`; nvcc: `-fmad=false`).
//
// The arguments are reduced to such short intervals that plain Taylor series are enough: there is no table to trust.
#pragma once

#include <math.h>

#include <cstdint>

// nvcc lets a kernel call what is `constexpr`, and what is marked so.
#ifdef __CUDACC__
#define CR_DEVICE __host__ __device__
#else
#define CR_DEVICE
#endif

namespace cr::backend {

// $c_0 + c_1 x + c_2 x^2 + \dots$ by Horner's rule.
template <typename T> static constexpr T polynomial(T, T c0) { return c0; }
template <typename T, typename... Rest> static constexpr T polynomial(T x, T c0, Rest... rest) {
  return c0 + x * polynomial(x, rest...);
}

// A square root is correctly rounded by IEEE 754 itself, so the machine's own will do.
CR_DEVICE static inline float square_root(float x) { return ::sqrtf(x); }
CR_DEVICE static inline double square_root(double x) { return ::sqrt(x); }

// $\ln m$ for $m$ in $[\sqrt{1/2}, \sqrt 2)$. With $s = (m - 1) / (m + 1)$, so $|s| < 0.172$,
//
// $$\ln m = \ln\frac{1 + s}{1 - s} = 2 \left( s + \frac{s^3}{3} + \frac{s^5}{5} + \dots \right) .$$
//
// Each term is 34 times smaller than the one before: five reach float32's last bit, eleven float64's.
static constexpr float log_near_one(float m) {
  float s = (m - 1) / (m + 1), z = s * s;
  return 2 * s + 2 * s * z * polynomial(z, 1.f / 3, 1.f / 5, 1.f / 7, 1.f / 9);
}
static constexpr double log_near_one(double m) {
  double s = (m - 1) / (m + 1), z = s * s;
  return 2 * s +
         2 * s * z *
             polynomial(z, 1. / 3, 1. / 5, 1. / 7, 1. / 9, 1. / 11, 1. / 13, 1. / 15, 1. / 17, 1. / 19, 1. / 21);
}

// Natural logarithm of a positive, finite, normal number, good to about one unit in the last place. Take the binary
// exponent $e$ out of the bits: $x = 2^e m$ and $\ln x = e \ln 2 + \ln m$. The first part of $\ln 2$ has so few bits
// that $e$ times it is exact; the second part is what is left.
static constexpr float shared_log(float x) {
  uint32_t bits = __builtin_bit_cast(uint32_t, x);
  int32_t e = static_cast<int32_t>(bits - 0x3f3504f3u) >> 23;  // 0x3f3504f3 is the float √½
  float m = __builtin_bit_cast(float, bits - (static_cast<uint32_t>(e) << 23));
  return static_cast<float>(e) * 0.693359375f + (static_cast<float>(e) * -2.12194440e-4f + log_near_one(m));
}
static constexpr double shared_log(double x) {
  int64_t bits = __builtin_bit_cast(int64_t, x);
  int64_t e = (bits - 0x3fe6a09e667f3bcd) >> 52;
  double m = __builtin_bit_cast(double, bits - e * (int64_t{1} << 52));
  return static_cast<double>(e) * 0x1.62e42fefap-1 + (static_cast<double>(e) * 0x1.cf79abc9e3b3ap-40 + log_near_one(m));
}

template <typename T> struct SinCos { T sin, cos; };

// Sine and cosine for $|x| \le \pi / 4$.
static constexpr SinCos<float> sin_cos_near_zero(float x) {
  float z = x * x;
  return {x + x * z * polynomial(z, -1.f / 6, 1.f / 120, -1.f / 5040, 1.f / 362880),
          1 - z * polynomial(z, 1.f / 2, -1.f / 24, 1.f / 720, -1.f / 40320, 1.f / 3628800)};
}
static constexpr SinCos<double> sin_cos_near_zero(double x) {
  double z = x * x;
  return {x + x * z *
                  polynomial(z, -1. / 6, 1. / 120, -1. / 5040, 1. / 362880, -1. / 39916800, 1. / 6227020800,
                             -1. / 1307674368000, 1. / 355687428096000),
          1 - z * polynomial(z, 1. / 2, -1. / 24, 1. / 720, -1. / 40320, 1. / 3628800, -1. / 479001600,
                             1. / 87178291200, -1. / 20922789888000, 1. / 6402373705728000)};
}

// Turn the sine and cosine of an angle by `quarters` quarter turns.
template <typename T> static constexpr SinCos<T> turn_quarters(SinCos<T> a, unsigned quarters) {
  SinCos<T> b = quarters & 1 ? SinCos<T>{a.cos, -a.sin} : a;
  return quarters & 2 ? SinCos<T>{-b.sin, -b.cos} : b;
}

// Sine and cosine of `turn` / $2^{32}$ (or $2^{64}$) of a full turn. A random angle starts as an integer, so reducing
// it to within an eighth of a turn of a quarter is integer arithmetic, and exact.
template <typename T> static constexpr SinCos<T> sin_cos_turn(uint32_t turn) {
  uint32_t quarters = (turn + 0x20000000u) >> 30;
  int32_t rest = static_cast<int32_t>(turn - (quarters << 30));
  return turn_quarters(sin_cos_near_zero(static_cast<T>(rest) * static_cast<T>(0x1.921fb54442d18p-30)), quarters);
}
template <typename T> static constexpr SinCos<T> sin_cos_turn(uint64_t turn) {
  uint64_t quarters = (turn + 0x2000000000000000u) >> 62;
  int64_t rest = static_cast<int64_t>(turn - (quarters << 62));
  return turn_quarters(sin_cos_near_zero(static_cast<T>(rest) * static_cast<T>(0x1.921fb54442d18p-62)),
                       static_cast<unsigned>(quarters));
}

}  // namespace cr::backend
