// How large the pieces are, and who waits for which phase: functions of the host as
// well, so that the section's end and the test can ask them.
#pragma once

#include <cstddef>
#include <cstdint>

// Two consumers of 64 queries. A tile of keys has 128 rows, or 64 where the heads
// are 256 wide and two tiles of each kind would not fit otherwise. The bytes: the
// queries, two tiles of keys and two of values, what it takes to begin at a multiple
// of 1024, and barriers.
constexpr int kPlaces = 2;  // of the ring
template <int kWidth> struct Shape6 {
  static constexpr int kConsumers = 2, kRows = 64 * kConsumers,
                       kColumns = kWidth <= 128 ? 128 : 64;
  static constexpr int kThreads = 128 * (kConsumers + 1),
                       kTile = kColumns * kWidth;  // numbers of a tile of keys
  static constexpr size_t kBytes =
      2 * size_t(kRows * kWidth + 2 * kPlaces * kTile) + 1024 + 128;
};

// Tile `n` goes to place `n mod 2`. A barrier's phases are 0, 1, 0, …, and who waits
// says for the end of which: the tile's turn round the ring, mod 2. A producer waits
// for the end of the phase before, in which the place was emptied; for the first
// turn that counts as over.
constexpr int place_of(int64_t tile) { return int(tile % kPlaces); }
constexpr int full_phase(int64_t tile) { return int(tile / kPlaces % 2); }
constexpr int empty_phase(int64_t tile) { return full_phase(tile) ^ 1; }
