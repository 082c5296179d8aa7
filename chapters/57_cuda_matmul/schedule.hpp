// ## Whose turn
//
// Rung 13 starts as many blocks as the GPU can hold, once, and each makes one
// tile of C after another. Which? Blocks that run at the same time should need
// the same rows of A and columns of B, because then L2 has them. So the tiles
// are numbered in bands of `band` tile rows, and within a band column by
// column.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>

#include "backend/gpu/fragments.hpp"

struct Schedule {
  int64_t rows, columns, band;  // tiles of C, and of a band
  constexpr int64_t count() const { return rows * columns; }
  // The tile of this number. The last band may have fewer rows than the
  // others.
  constexpr cr::backend::fragment::Place at(int64_t number) const {
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
// *empty*. A barrier shows one bit, the parity of its **phase**: it begins as
// 0 and flips each time when all expected arrivals are in. `wait(parity)`
// passes once the phase of that parity is over. With two stages, the first
// one's barriers see this:
//
//     step                        full of stage 0     empty of stage 0
//     producer, steps 0 and 1     arrives, phase 0    waits for parity 1: passes, nothing was there yet
//     consumers, step 0           wait for 0          arrive, phase 0
//     producer, step 2            arrives, phase 1    waits for parity 0
//     consumers, step 2           wait for 1          arrive, phase 1
//
// So each side keeps the number of its stage and one bit, which flips whenever
// it has been round; a producer waits for the opposite of its bit.
struct Ring {
  int stages, stage = 0, phase = 0;
  constexpr void next() {
    if (++stage == stages) stage = 0, phase ^= 1;
  }
};
