// **Rung 9, bfloat16 tiles.** A **bfloat16** is the upper half of a float32: sign, the same
// 8 bits of exponent, 7 bits of fraction. Rounding to it changes a number by at most one
// part in 256. Two of them fit where one float did.
//
// What do we gain? Half the bytes to fetch, and a multiplier for 8 binary digits takes a
// tenth of the room of one for 24: its size grows with the square. So the makers of
// processors put in many.
//
// **AMX** (*advanced matrix extensions*) has eight registers that are matrices: 16 rows of
// 64 bytes. One instruction multiplies 16 × 32 bfloat16 by 32 × 16 and adds the products,
// in float32, to a tile of 16 × 16: 8192 multiply-adds.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "machine.hpp"
#include "rung_1_loops.hpp"

// What rounding does to a number at most, relative to it.
inline constexpr double kBf16Error = 1.0 / 256;

// A float32 rounded to the nearest bfloat16, to an even last bit where two are as near. (Of
// finite numbers only.)
[[gnu::always_inline]] inline uint32_t to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline float from_bfloat16(uint32_t x) { return std::bit_cast<float>(x << 16); }

#if CHAINRULE_X86_DISPATCH && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>

// The system keeps a thread's registers when another thread has its turn. Eight matrices
// are 8 KB more, so a process has to ask for them first; Linux knows the request by the
// number 0x1023, and the tiles as feature 18.
inline bool ask_for_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool tiles = d >> 24 & 1, bf16 = d >> 22 & 1;
  return tiles && bf16 && has(Isa::avx512) &&
         syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

inline bool has_tiles() {
  static const bool yes = ask_for_tiles();
  return yes;
}

// How large the eight registers are: rows, and bytes in a row.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileShapes kTileShapes;

// A row of such a register, on a cache line of its own. (Were it to lie across two lines,
// each load would fetch both, and the speed fall to a third.)
struct alignas(64) TileRow {
  uint16_t x[32];
};

// The next 32 numbers of a row; behind its end stand zeros.
struct Next {
  float x[32] = {};
  [[gnu::always_inline]] Next(const float* row, int64_t left) {
    if (left >= 32) std::memcpy(x, row, sizeof x);
    else if (left > 0) std::copy_n(row, left, x);
  }
};

// The instruction wants A as it is: 16 rows of 32 numbers are a tile, and the next 32 steps
// of $p$ are the next tile.
[[gnu::target("avx512f,avx512bw")]] inline void pack_tiles_a(TileRow* to,
                                                             const Product& g,
                                                             int64_t i0) {
  for (int64_t p = 0; p < g.k; p += 32) {
    for (int64_t i = i0; i < i0 + 16; ++i, ++to) {
      const Next row(g.a + i * g.a_rs + p, i < g.m ? g.k - p : 0);
      for (int j = 0; j < 32; ++j) to->x[j] = uint16_t(to_bfloat16(row.x[j]));
    }
  }
}

// Of B it wants **pairs**: the numbers of rows $p$ and $p + 1$ that stand one above the
// other lie side by side, 16 pairs in a row of the register. 32 columns make two tiles,
// `left` and `right`.
[[gnu::target("avx512f,avx512bw")]] inline void pack_tiles_b(TileRow* left,
                                                             TileRow* right,
                                                             const Product& g,
                                                             int64_t j) {
  for (int64_t p = 0; p < (g.k + 31) / 32 * 32; p += 2, ++left, ++right) {
    const float* b = g.b + p * g.b_rs + j;
    const Next upper(b, p < g.k ? g.n - j : 0),
        lower(b + g.b_rs, p + 1 < g.k ? g.n - j : 0);
    uint32_t pairs[32];
    for (int q = 0; q < 32; ++q)
      pairs[q] = to_bfloat16(upper.x[q]) | to_bfloat16(lower.x[q]) << 16;
    std::memcpy(left, pairs, 64);
    std::memcpy(right, pairs + 16, 64);
  }
}

// Two tiles of A by two of B make four of C, 32 rows by 32 columns. So each tile that is
// loaded is used twice.
[[gnu::target("amx-tile,amx-bf16")]] inline void multiply_tiles(
    int64_t steps, const TileRow* a0, const TileRow* a1, const TileRow* b0,
    const TileRow* b1, float* c) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (; steps > 0; --steps, a0 += 16, a1 += 16, b0 += 16, b1 += 16) {
    _tile_loadd(4, a0, 64);
    _tile_loadd(5, a1, 64);
    _tile_loadd(6, b0, 64);
    _tile_loadd(7, b1, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, 128);
  _tile_stored(1, c + 16, 128);
  _tile_stored(2, c + 16 * 32, 128);
  _tile_stored(3, c + 16 * 32 + 16, 128);
}

[[gnu::target("amx-tile")]] inline void begin_tiles() {
  _tile_loadconfig(&kTileShapes);
}
[[gnu::target("amx-tile")]] inline void end_tiles() { _tile_release(); }

// The peak, as for the multiply-adds of vectors: six chains of tiles, no loads. Returns the
// number of operations.
[[gnu::target("amx-tile,amx-bf16")]] inline double tile_chains(int64_t steps) {
  begin_tiles();
  for (int64_t s = 0; s < steps; ++s) {
    _tile_dpbf16ps(0, 6, 7);
    _tile_dpbf16ps(1, 6, 7);
    _tile_dpbf16ps(2, 6, 7);
    _tile_dpbf16ps(3, 6, 7);
    _tile_dpbf16ps(4, 6, 7);
    _tile_dpbf16ps(5, 6, 7);
  }
  end_tiles();
  return 6.0 * 2 * 8192 * static_cast<double>(steps);
}

// Everything is packed at once, since a bfloat16 takes half the room: A and B of a thousand
// rows are 2 MB each. Blocks of 256 rows of A stay in the second cache while B passes by.
inline void bf16_tiles(const Product& g) {
  const int64_t m = (g.m + 31) / 32 * 32, n = (g.n + 31) / 32 * 32;
  const int64_t steps = (g.k + 31) / 32, panel = 16 * steps;  // in rows of tiles
  static thread_local std::vector<TileRow> a, b;
  a.resize(static_cast<size_t>(m / 16 * panel));
  b.resize(static_cast<size_t>(n / 16 * panel));
  auto of_a = [&](int64_t i) { return a.data() + i / 16 * panel; };
  auto of_b = [&](int64_t j) { return b.data() + j / 16 * panel; };
  for (int64_t i = 0; i < m; i += 16) pack_tiles_a(of_a(i), g, i);
  for (int64_t j = 0; j < n; j += 32) pack_tiles_b(of_b(j), of_b(j + 16), g, j);

  begin_tiles();
  alignas(64) float c[32 * 32];
  for (int64_t i0 = 0; i0 < m; i0 += 256) {
    for (int64_t j = 0; j < n; j += 32) {
      for (int64_t i = i0; i < std::min(m, i0 + 256); i += 32) {
        multiply_tiles(steps, of_a(i), of_a(i + 16), of_b(j), of_b(j + 16), c);
        for (int64_t r = 0; r < std::min<int64_t>(32, g.m - i); ++r)
          std::copy_n(c + r * 32, std::min<int64_t>(32, g.n - j),
                      g.c + (i + r) * g.c_rs + j);
      }
    }
  }
  end_tiles();
}
#else
inline bool has_tiles() { return false; }
inline double tile_chains(int64_t) { return 0; }
inline void bf16_tiles(const Product&) {}
#endif
