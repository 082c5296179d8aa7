// ## Hopper's arithmetic
//
// Three more pictures from the manual, as functions. First: `wgmma`
// multiplies 64 rows by up to 256 columns, and its sums lie in the registers
// of a **warpgroup**, four warps. Sum $r$ of thread $t$ is here:
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>

#include "fragments.hpp"

constexpr Place wgmma_c(int t, int r) {
  return {t / 32 * 16 + t % 32 / 4 + r / 2 % 2 * 8, r / 4 * 8 + t % 4 * 2 + r % 2};
}

// Second: it finds its inputs in shared memory, by a **descriptor** of 64
// bits. Where the tile begins (bits 0-13), how far apart groups of eight rows
// are (bits 32-45, here eight rows of 128 bytes), both in units of 16 bytes,
// and which swizzle (bits 62-63, 1 for 128 bytes). Bits 16-29 are not used
// with that swizzle and are 1 by custom.
constexpr uint64_t wgmma_descriptor(uint32_t shared_address) {
  return uint64_t{(shared_address & 0x3ffff) >> 4} | uint64_t{1} << 16 |
         uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
}

// Third: **TMA** (*tensor memory accelerator*) copies a box of a matrix into
// shared memory, swizzled, when one single thread asks for it. Byte `byte` of
// row `row` of a box whose rows are 128 bytes lands here, from the box's
// beginning (a multiple of 1024):
constexpr int tma_place(int row, int byte) { return swizzle_128(row * 128 + byte); }

// ## Whose turn
//
// As many blocks as the GPU can hold, for the whole of a kernel: each takes
// one tile of C after another. Which? Blocks that run at the same time should
// need the same rows of A and columns of B, because then the second cache has
// them. So the tiles are numbered in bands of `band` tile rows, and within a
// band column by column.
struct Schedule {
  int64_t rows, columns, band;  // tiles of C, and of a band
  constexpr int64_t count() const { return rows * columns; }
  // The tile of this number. The last band may have fewer rows than the
  // others.
  constexpr Place at(int64_t number) const {
    const int64_t first = number / (band * columns) * band;  // the band's first row
    const int64_t high = std::min(band, rows - first);
    const int64_t in_band = number - first * columns;
    return {int(first + in_band % high), int(in_band / high)};
  }
};

// How many rows and columns of tiles do the tiles `from` … `to - 1` need
// together?
inline int64_t panels(const Schedule& schedule, int64_t from, int64_t to) {
  std::set<int> rows, columns;
  for (int64_t number = from; number < std::min(to, schedule.count()); ++number) {
    rows.insert(schedule.at(number).row);
    columns.insert(schedule.at(number).column);
  }
  return std::ssize(rows) + std::ssize(columns);
}

// ## The ring
//
// A **producer** fills the stages of a ring, **consumers** empty them, and
// both go round at their own pace. Each stage has two barriers, *full* and
// *empty*. A barrier knows only its **phase**, a bit that flips each time all
// expected arrivals are in; who waits, waits for the phase with the parity it
// names to be over. So each side keeps the number of its stage and one bit,
// which flips whenever it has been round.
struct Ring {
  int stages, stage = 0, phase = 0;
  constexpr void next() {
    if (++stage == stages) stage = 0, phase ^= 1;
  }
};

// Such a barrier on paper: `arrive` as the hardware counts, `over(parity)` as
// it lets waiters pass. A fresh barrier is in phase 0, so a wait for parity
// 1, the phase before, passes at once: that is why producers begin with it.
struct PaperBarrier {
  int expected, missing = expected, phase = 0;
  void arrive() {
    if (--missing == 0) missing = expected, phase ^= 1;
  }
  bool over(int parity) const { return phase != parity; }
};
