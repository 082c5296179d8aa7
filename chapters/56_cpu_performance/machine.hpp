// Two numbers bound every program: how many operations a core can do in a second, and how
// many bytes it can fetch. Both are measured here by loops that do nothing else.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "backend/cpu/cpu_features.hpp"

#if CHAINRULE_X86_DISPATCH
#include <immintrin.h>
#endif

// The widest instructions that we may use: asked of the processor when the program runs.
// `CHAINRULE_ISA=avx2 ./run 56` pretends that there is no AVX-512.
using cr::backend::cpu::Isa;
inline bool has(Isa isa) { return cr::backend::cpu::isa() >= isa; }

// Narrow vectors leave less to gain: a bound of a claim may depend on the instructions.
inline double by_isa(double base, double avx2, double avx512) {
  return has(Isa::avx512) ? avx512 : has(Isa::avx2) ? avx2 : base;
}

// **The peak.** A multiply-add takes some cycles from start to end, its **latency**; a new
// one can begin before the last is finished. A **chain** is a row of multiply-adds in which
// each waits for the one before. `kChains` of them run side by side, all in registers. The
// result says how many operations were made (two for each number in each vector), and
// `sink` keeps the compiler from leaving the work out.
inline volatile float sink;

template <int kChains> double chains_plain(int64_t steps) {
  typedef float Vector __attribute__((vector_size(16)));
  const Vector x = {0.9f, 0.9f, 0.9f, 0.9f}, y = {0.1f, 0.1f, 0.1f, 0.1f};
  Vector sum[kChains];
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sum[i] = y * static_cast<float>(i);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * x + y;
  }
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sink = sum[i][0];
  return 2.0 * 4 * kChains * static_cast<double>(steps);
}

// The same with vectors of 8 and of 16 numbers, which multiply and add in one.
#if CHAINRULE_X86_DISPATCH
template <int kChains>
[[gnu::target("avx2,fma")]] double chains_avx2(int64_t steps) {
  const __m256 x = _mm256_set1_ps(0.9f), y = _mm256_set1_ps(0.1f);
  __m256 sum[kChains];
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sum[i] = _mm256_set1_ps(sink + float(i));
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; ++i) sum[i] = _mm256_fmadd_ps(sum[i], x, y);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sink = _mm256_cvtss_f32(sum[i]);
  return 2.0 * 8 * kChains * static_cast<double>(steps);
}

template <int kChains>
[[gnu::target("avx512f")]] double chains_avx512(int64_t steps) {
  const __m512 x = _mm512_set1_ps(0.9f), y = _mm512_set1_ps(0.1f);
  __m512 sum[kChains];
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(sink + float(i));
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_fmadd_ps(sum[i], x, y);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sink = _mm512_cvtss_f32(sum[i]);
  return 2.0 * 16 * kChains * static_cast<double>(steps);
}
#endif

// The widest that there is.
template <int kChains> double chains(int64_t steps) {
#if CHAINRULE_X86_DISPATCH
  if (has(Isa::avx512)) return chains_avx512<kChains>(steps);
  if (has(Isa::avx2)) return chains_avx2<kChains>(steps);
#endif
  return chains_plain<kChains>(steps);
}

// **The bandwidth.** McCalpin's triad, $a_i = b_i + s\,c_i$: two operations for two numbers
// read and one written. What is counted is 12 bytes; the cache may fetch the old $a$ as
// well before it is overwritten, and then 16 are moved. The first cache hands out a whole
// vector at a time, so narrow vectors would measure instructions and not the cache: this
// loop too is there in three widths. `n` is a multiple of 16.
inline void triad_plain(float* __restrict a, const float* __restrict b,
                        const float* __restrict c, int64_t n) {
  constexpr int64_t kStrip = 16;
  for (int64_t i = 0; i + kStrip <= n; i += kStrip)
    for (int64_t s = 0; s < kStrip; ++s) a[i + s] = b[i + s] + 0.5f * c[i + s];
}

#if CHAINRULE_X86_DISPATCH
[[gnu::target("avx2,fma")]] inline void triad_avx2(float* a, const float* b,
                                                   const float* c, int64_t n) {
  const __m256 half = _mm256_set1_ps(0.5f);
#pragma GCC unroll 4
  for (int64_t i = 0; i < n; i += 8)
    _mm256_storeu_ps(a + i, _mm256_fmadd_ps(half, _mm256_loadu_ps(c + i),
                                            _mm256_loadu_ps(b + i)));
}

[[gnu::target("avx512f")]] inline void triad_avx512(float* a, const float* b,
                                                    const float* c, int64_t n) {
  const __m512 half = _mm512_set1_ps(0.5f);
#pragma GCC unroll 4
  for (int64_t i = 0; i < n; i += 16)
    _mm512_storeu_ps(a + i, _mm512_fmadd_ps(half, _mm512_loadu_ps(c + i),
                                            _mm512_loadu_ps(b + i)));
}
#endif

inline void triad(float* a, const float* b, const float* c, int64_t n) {
#if CHAINRULE_X86_DISPATCH
  if (has(Isa::avx512)) return triad_avx512(a, b, c, n);
  if (has(Isa::avx2)) return triad_avx2(a, b, c, n);
#endif
  triad_plain(a, b, c, n);
}

// **The caches.** What the system says about them, in bytes; 0 where it does not know.
inline int64_t cache_bytes(int level) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  const int what[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE,
                      _SC_LEVEL3_CACHE_SIZE};
  return std::max<int64_t>(0, sysconf(what[level - 1]));
#else
  return level * 0;
#endif
}
