// **Rung 7, AVX-512.** Twice as wide, sixteen numbers, and twice as many registers,
// thirty-two. Fourteen rows of two registers are 28 sums, with 2 for B and 1 for A:
// thirty-one of thirty-two. Otherwise line by line the same.
#pragma once

#include "rung_6_avx2.hpp"

#if CHAINRULE_X86_DISPATCH
template <int kRows> [[gnu::target("avx512f")]] void tile_avx512(const Tile& t) {
  __m512 sum[kRows][2];
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_ps();

  const float *a = t.a, *b = t.b;
  for (int64_t p = t.k; p > 0; --p, a += kRows, b += t.b_step) {
    const __m512 left = _mm512_loadu_ps(b), right = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512 x = _mm512_set1_ps(a[i]);
      sum[i][0] = _mm512_fmadd_ps(x, left, sum[i][0]);
      sum[i][1] = _mm512_fmadd_ps(x, right, sum[i][1]);
    }
  }

#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    float* c = t.c + i * t.c_row;
    _mm512_storeu_ps(c, _mm512_add_ps(_mm512_loadu_ps(c), sum[i][0]));
    _mm512_storeu_ps(c + 16, _mm512_add_ps(_mm512_loadu_ps(c + 16), sum[i][1]));
  }
}

inline constexpr Kernel kAvx512 = {14, 32, tile_avx512<14>};
#else
inline constexpr Kernel kAvx512 = {14, 32, nullptr};
#endif

inline void avx512(const Product& g) { five_loops(g, kAvx512); }
