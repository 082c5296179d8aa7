// **Rung 6, the register tile.** AVX2 machines have sixteen registers of 256 bits, eight
// numbers each, and an instruction that multiplies and adds in one (**FMA**, *fused
// multiply-add*). So two things can make the next kernel faster: what these machines have,
// and where we keep the sums. To tell them apart we take one after the other. This kernel
// takes the instructions only. Its loops run to `t.rows`, a number that no compiler knows,
// so `sum[i]` is found by an address.
//
// `target` compiles one function for AVX2; the rest of the program does without, and asks
// the processor before it calls it. The names that begin with `_mm256` are **intrinsics**:
// each is one instruction.
#pragma once

#include "rung_5_packing.hpp"

#if CHAINRULE_X86_DISPATCH
#include <immintrin.h>

[[gnu::target("avx2,fma")]] inline void tile_in_memory(const Tile& t) {
  __m256 sum[6][2];
  for (int64_t i = 0; i < t.rows; ++i) sum[i][0] = sum[i][1] = _mm256_setzero_ps();

  const float *a = t.a, *b = t.b;
  for (int64_t p = t.k; p > 0; --p, a += 6, b += t.b_step) {
    const __m256 left = _mm256_loadu_ps(b), right = _mm256_loadu_ps(b + 8);
    for (int64_t i = 0; i < t.rows; ++i) {
      const __m256 x = _mm256_broadcast_ss(a + i);
      sum[i][0] = _mm256_fmadd_ps(x, left, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(x, right, sum[i][1]);
    }
  }

  for (int64_t i = 0; i < t.rows; ++i) {
    float* c = t.c + i * t.c_row;
    _mm256_storeu_ps(c, _mm256_add_ps(_mm256_loadu_ps(c), sum[i][0]));
    _mm256_storeu_ps(c + 8, _mm256_add_ps(_mm256_loadu_ps(c + 8), sum[i][1]));
  }
}

// And now the sums in registers: the same lines, but the number of rows is constant, and
// the loops over `i` are **unrolled**. Now each `sum[i][j]` is a name and not a place in
// memory. Six rows of 16 numbers are twelve registers. Two more hold B's row and one holds
// the number of A that meets it: fifteen of sixteen.
//
// Per step: 2 loads of B, 6 of A, 12 multiply-adds, and nothing is written. Rung 4 needed 2
// loads and a store for each single one. (The rows are a parameter, because we want to see
// what other heights do.)
template <int kRows> [[gnu::target("avx2,fma")]] void tile_avx2(const Tile& t) {
  __m256 sum[kRows][2];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = _mm256_setzero_ps();

  const float *a = t.a, *b = t.b;
  for (int64_t p = t.k; p > 0; --p, a += kRows, b += t.b_step) {
    const __m256 left = _mm256_loadu_ps(b), right = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const __m256 x = _mm256_broadcast_ss(a + i);
      sum[i][0] = _mm256_fmadd_ps(x, left, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(x, right, sum[i][1]);
    }
  }

#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    float* c = t.c + i * t.c_row;
    _mm256_storeu_ps(c, _mm256_add_ps(_mm256_loadu_ps(c), sum[i][0]));
    _mm256_storeu_ps(c + 8, _mm256_add_ps(_mm256_loadu_ps(c + 8), sum[i][1]));
  }
}

inline constexpr Kernel kInMemory = {6, 16, tile_in_memory};
inline constexpr Kernel kAvx2 = {6, 16, tile_avx2<6>};
#else
inline constexpr Kernel kInMemory = {6, 16, nullptr};
inline constexpr Kernel kAvx2 = {6, 16, nullptr};
#endif

inline void sums_in_memory(const Product& g) { five_loops(g, kInMemory); }
inline void register_tile(const Product& g) { five_loops(g, kAvx2); }
