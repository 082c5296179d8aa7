// ## WGMMA on paper
//
// No Hopper is needed to find out whether a descriptor points to the right
// bytes. We let the copy engine put a tile into an image of shared memory,
// number by number, at `tma_place`. We let the multiplier read it as the
// manual says: from the descriptor's beginning, groups of eight rows at its
// distance, rows at 128 bytes, and the swizzle over the address. And we let
// each thread write its sums where `wgmma_c` says. Whole numbers, so nothing
// is rounded: the result must be the product, exactly.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/generator.hpp"
#include "hopper.hpp"

// A tile of `rows` rows by 64, as the copy engine leaves it in shared memory,
// and beside it as it was before.
class PaperTile {
 public:
  PaperTile(int rows, cr::Generator& random)
      : image_(size_t(rows * 64)), plain_(image_) {
    for (int row = 0; row < rows; ++row)
      for (int p = 0; p < 64; ++p) {
        const int number = int(random.uniform_double() * 9) - 4;
        image_[size_t(tma_place(row, 2 * p) / 2)] = number;
        plain_[size_t(row * 64 + p)] = number;
      }
  }
  int plain(int row, int p) const { return plain_[size_t(row * 64 + p)]; }
  int by_descriptor(uint64_t descriptor, int row, int p) const {
    // Take the descriptor apart again: where the tile begins, and how far
    // apart groups of eight rows are, both in bytes.
    const int begin = int(descriptor & 0x3fff) << 4,
              step = int(descriptor >> 32 & 0x3fff) << 4;
    const int address = begin + row / 8 * step + row % 8 * 128 + 2 * p;
    return image_[size_t(swizzle_128(address) / 2)];
  }

 private:
  std::vector<int> image_, plain_;
};

// The largest gap of a 128 × `columns` tile of C, made by two warpgroups in
// four steps of 16.
inline int paper_wgmma_gap(int columns, cr::Generator& random) {
  const PaperTile a(128, random), b(columns, random);
  int worst = 0;
  for (int group = 0; group < 2; ++group)
    for (int t = 0; t < 128; ++t)
      for (int r = 0; r < columns / 2; ++r) {
        const Place at = wgmma_c(t, r);
        // What the multiplier adds up, and what it should.
        int sum = 0, right = 0;
        for (int p = 0; p < 128; p += 32)
          for (int q = 0; q < 16; ++q)
            sum += a.by_descriptor(wgmma_descriptor(uint32_t(group * 64 * 128 + p)),
                                   at.row, q) *
                   b.by_descriptor(wgmma_descriptor(uint32_t(p)), at.column, q);
        for (int p = 0; p < 64; ++p)
          right += a.plain(group * 64 + at.row, p) * b.plain(at.column, p);
        worst = std::max(worst, std::abs(sum - right));
      }
  return worst;
}

// ## The ring on paper
//
// Two blocks of a cluster, each with a producer and two consumers, and an
// order in which they move that chance decides. A step of a producer is what
// rung 13 does: wait for the empty stage, announce, copy its own half of B to
// both. A consumer waits for the full stage, reads it, and says so to both
// blocks. What must hold: a consumer finds the step that it expects, from
// both halves; nobody overwrites what is still to be read; all arrive at the
// end. The number of violations is returned.
struct RingOptions {
  int steps = 50, stages = 4;
  bool wait_for_empty = true;  // what if the producers do not look back?
};
inline int ring_violations(cr::Generator& random, const RingOptions& o = {}) {
  struct Stage {
    PaperBarrier full{1 + 2}, empty{4};  // announced, and two halves arrived
    int half[2] = {-1, -1}, readers = 0;
  };
  struct Walker {
    Ring ring;
    int step = 0;
  };
  std::vector<Stage> stages[2] = {std::vector<Stage>(size_t(o.stages)),
                                  std::vector<Stage>(size_t(o.stages))};
  std::vector<Walker> walkers(
      6, Walker{Ring{o.stages}});  // block w / 3; w % 3 == 0 produces
  // Who has nothing to do passes. If everybody has passed for long, nobody
  // will ever move again: a deadlock.
  int wrong = 0, idle = 0;
  auto done = [&] {
    return std::all_of(walkers.begin(), walkers.end(),
                       [&](const Walker& w) { return w.step == o.steps; });
  };
  while (!done() && idle < 10'000) {
    const int who = int(random.uniform_double() * 6), block = who / 3;
    Walker& w = walkers[size_t(who)];
    Stage& mine = stages[block][size_t(w.ring.stage)];
    ++idle;
    if (w.step == o.steps) continue;
    // A producer announces its stage, then its half arrives in both blocks.
    // In reality these arrivals come later and in any order; the barrier
    // counts them all the same.
    if (who % 3 == 0) {
      if (o.wait_for_empty && !mine.empty.over(w.ring.phase ^ 1)) continue;
      mine.full.arrive();
      for (std::vector<Stage>& of_block : stages) {
        Stage& to = of_block[size_t(w.ring.stage)];
        if (to.half[block] >= 0 && to.readers < 2)
          ++wrong;  // not everyone has read it
        to.half[block] = w.step;
        if (to.half[1 - block] == w.step) to.readers = 0;
        to.full.arrive();
      }
    } else {
      // A consumer must find both halves of just the step it is at.
      if (!mine.full.over(w.ring.phase)) continue;
      if (mine.half[0] != w.step || mine.half[1] != w.step) ++wrong;
      ++mine.readers;
      for (std::vector<Stage>& of_block : stages)
        of_block[size_t(w.ring.stage)].empty.arrive();
    }
    ++w.step, w.ring.next();
    idle = 0;
  }
  return wrong + (done() ? 0 : 1);
}
