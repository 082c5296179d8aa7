// # Vectors
//
// g++ and clang know vectors as types: `+` adds all elements at once, and `v[i]` is one of them. Instruction sets differ
// in how wide they are, in whether they multiply and add with one rounding, and in loads and stores of a part.
//
// For files of this folder only. Everything lies in the namespace of one instruction set and in an unnamed one within, so
// that no file shares a function with another.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace cr::backend::cpu::CR_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

typedef float FloatVector __attribute__((vector_size(kBytes)));
typedef double DoubleVector __attribute__((vector_size(kBytes)));
template <class T> struct VectorOf;
template <> struct VectorOf<float> { using type = FloatVector; };
template <> struct VectorOf<double> { using type = DoubleVector; };
template <class T> using Vector = typename VectorOf<T>::type;
template <class T> constexpr int kWidth = kBytes / static_cast<int>(sizeof(T));

// Numbers in memory are aligned to themselves only. `memcpy` says so, and becomes one unaligned load.
template <class T> [[gnu::always_inline]] inline Vector<T> load(const T* from) {
  Vector<T> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <class T> [[gnu::always_inline]] inline void store(T* to, Vector<T> v) { __builtin_memcpy(to, &v, sizeof v); }

// The bits of lanes 0 … count - 1, any count.
[[gnu::always_inline]] inline uint32_t lanes_below(int64_t count) {
  return count <= 0 ? 0 : count >= 32 ? ~0u : (1u << count) - 1;
}

// - `load_between(p, lo, hi)`: lanes lo … hi - 1 only; the others are zero, and their memory is not touched.
// - `store_below(p, v, count)`: lanes below count only.
// - `store_chosen(p, v, mask)`: the lanes of the mask, side by side.
// - `wide_low(v)`, `wide_high(v)`: the first and the second half of a vector of float32, as float64.
#if defined(__AVX512F__)

[[gnu::always_inline]] inline FloatVector splat(float x) { return _mm512_set1_ps(x); }
[[gnu::always_inline]] inline DoubleVector splat(double x) { return _mm512_set1_pd(x); }
[[gnu::always_inline]] inline FloatVector fma(FloatVector a, FloatVector b, FloatVector c) {
  return _mm512_fmadd_ps(a, b, c);
}
[[gnu::always_inline]] inline DoubleVector fma(DoubleVector a, DoubleVector b, DoubleVector c) {
  return _mm512_fmadd_pd(a, b, c);
}
[[gnu::always_inline]] inline DoubleVector wide_low(FloatVector v) {
  return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}
[[gnu::always_inline]] inline DoubleVector wide_high(FloatVector v) {
  return _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
}
[[gnu::always_inline]] inline FloatVector load_between(const float* p, int64_t lo, int64_t hi) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes_below(hi) & ~lanes_below(lo)), p);
}
[[gnu::always_inline]] inline DoubleVector load_between(const double* p, int64_t lo, int64_t hi) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>(lanes_below(hi) & ~lanes_below(lo)), p);
}
[[gnu::always_inline]] inline void store_below(float* p, FloatVector v, int64_t count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>(lanes_below(count)), v);
}
[[gnu::always_inline]] inline void store_below(double* p, DoubleVector v, int64_t count) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>(lanes_below(count)), v);
}
[[gnu::always_inline]] inline void store_chosen(float* p, FloatVector v, uint32_t mask) {
  store_below(p, _mm512_maskz_compress_ps(static_cast<__mmask16>(mask), v), __builtin_popcount(mask));
}
[[gnu::always_inline]] inline void store_chosen(double* p, DoubleVector v, uint32_t mask) {
  store_below(p, _mm512_maskz_compress_pd(static_cast<__mmask8>(mask), v), __builtin_popcount(mask));
}

#else
#if defined(__AVX2__)

[[gnu::always_inline]] inline FloatVector splat(float x) { return _mm256_set1_ps(x); }
[[gnu::always_inline]] inline DoubleVector splat(double x) { return _mm256_set1_pd(x); }
[[gnu::always_inline]] inline FloatVector fma(FloatVector a, FloatVector b, FloatVector c) {
  return _mm256_fmadd_ps(a, b, c);
}
[[gnu::always_inline]] inline DoubleVector fma(DoubleVector a, DoubleVector b, DoubleVector c) {
  return _mm256_fmadd_pd(a, b, c);
}
[[gnu::always_inline]] inline DoubleVector wide_low(FloatVector v) {
  return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}
[[gnu::always_inline]] inline DoubleVector wide_high(FloatVector v) {
  return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}
[[gnu::always_inline]] inline int clamped(int64_t lane) { return static_cast<int>(lane < 0 ? 0 : lane > 8 ? 8 : lane); }
[[gnu::always_inline]] inline __m256i between(float, int64_t lo, int64_t hi) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(clamped(lo)), lane),
                             _mm256_cmpgt_epi32(_mm256_set1_epi32(clamped(hi)), lane));
}
[[gnu::always_inline]] inline __m256i between(double, int64_t lo, int64_t hi) {
  const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
  return _mm256_andnot_si256(_mm256_cmpgt_epi64(_mm256_set1_epi64x(lo), lane),
                             _mm256_cmpgt_epi64(_mm256_set1_epi64x(hi), lane));
}
[[gnu::always_inline]] inline FloatVector load_between(const float* p, int64_t lo, int64_t hi) {
  return _mm256_maskload_ps(p, between(0.0f, lo, hi));
}
[[gnu::always_inline]] inline DoubleVector load_between(const double* p, int64_t lo, int64_t hi) {
  return _mm256_maskload_pd(p, between(0.0, lo, hi));
}
[[gnu::always_inline]] inline void store_below(float* p, FloatVector v, int64_t count) {
  _mm256_maskstore_ps(p, between(0.0f, 0, count), v);
}
[[gnu::always_inline]] inline void store_below(double* p, DoubleVector v, int64_t count) {
  _mm256_maskstore_pd(p, between(0.0, 0, count), v);
}

#else

[[gnu::always_inline]] inline FloatVector splat(float x) { return FloatVector{x, x, x, x}; }
[[gnu::always_inline]] inline DoubleVector splat(double x) { return DoubleVector{x, x}; }
template <class V> [[gnu::always_inline]] inline V fma(V a, V b, V c) { return a * b + c; }
[[gnu::always_inline]] inline DoubleVector wide_low(FloatVector v) { return DoubleVector{v[0], v[1]}; }
[[gnu::always_inline]] inline DoubleVector wide_high(FloatVector v) { return DoubleVector{v[2], v[3]}; }
template <class T> [[gnu::always_inline]] inline Vector<T> load_between(const T* p, int64_t lo, int64_t hi) {
  Vector<T> v = splat(T{0});
  for (int64_t i = lo < 0 ? 0 : lo; i < kWidth<T> && i < hi; ++i) v[i] = p[i];
  return v;
}
template <class V, class T> [[gnu::always_inline]] inline void store_below(T* p, V v, int64_t count) {
  for (int64_t i = 0; i < kWidth<T> && i < count; ++i) p[i] = v[i];
}

#endif

template <class V, class T> [[gnu::always_inline]] inline void store_chosen(T* p, V v, uint32_t mask) {
  if ((mask & (mask + 1)) == 0) return store_below(p, v, __builtin_popcount(mask));
  T lanes[kWidth<T>];
  store(lanes, v);
  for (; mask; mask &= mask - 1) *p++ = lanes[__builtin_ctz(mask)];
}

#endif

// The first `count` elements only, any count from 0; the rest reads as zero. Memory beyond the count is never touched, so
// the end of an array needs no loop of its own. Masks are free in AVX-512; the others take the plain instruction where they
// can.
template <class T> [[gnu::always_inline]] inline Vector<T> load(const T* p, int64_t count) {
#if !defined(__AVX512F__)
  if (count >= kWidth<T>) return load(p);
#endif
  return load_between(p, 0, count);
}
template <class T> [[gnu::always_inline]] inline void store(T* p, Vector<T> v, int64_t count) {
#if !defined(__AVX512F__)
  if (count >= kWidth<T>) return store(p, v);
#endif
  store_below(p, v, count);
}

// Interleaving like a perfect shuffle of cards, a0 b0 a1 b1 …: `zip_low` is the first half of that, `zip_high` the second.
template <class V> [[gnu::always_inline]] inline V zip_low(V a, V b) {
  constexpr int W = sizeof(V) / sizeof(a[0]);
  if constexpr (W == 2) return __builtin_shufflevector(a, b, 0, 2);
  if constexpr (W == 4) return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  if constexpr (W == 8) return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  if constexpr (W == 16) return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
template <class V> [[gnu::always_inline]] inline V zip_high(V a, V b) {
  constexpr int W = sizeof(V) / sizeof(a[0]);
  if constexpr (W == 2) return __builtin_shufflevector(a, b, 1, 3);
  if constexpr (W == 4) return __builtin_shufflevector(a, b, 2, 6, 3, 7);
  if constexpr (W == 8) return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  if constexpr (W == 16)
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// To zip the upper half of the rows into the lower half moves the highest bit of the row's number to the lowest bit of
// the column's. After log2(W) rounds all bits have changed sides: row and column are swapped.
template <class T> [[gnu::always_inline]] inline void transpose(Vector<T> (&rows)[kWidth<T>]) {
  constexpr int W = kWidth<T>;
#pragma GCC unroll 4
  for (int round = 1; round < W; round *= 2) {
    Vector<T> next[W];
#pragma GCC unroll 16
    for (int i = 0; i < W / 2; ++i) {
      next[2 * i] = zip_low(rows[i], rows[i + W / 2]);
      next[2 * i + 1] = zip_high(rows[i], rows[i + W / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) rows[i] = next[i];
  }
}

}  // namespace
}  // namespace cr::backend::cpu::CR_ISA
