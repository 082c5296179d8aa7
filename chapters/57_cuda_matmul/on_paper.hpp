// ## WGMMA on paper
//
// Do the copy engine and the multiplier mean the same places? We play both. The
// engine puts a tile of whole numbers into an image of shared memory, by
// `put_by_tma`. The multiplier gets nothing but the descriptors of
// `hopper.hpp`. It takes them apart as the manual says, bit by bit, multiplies
// what it finds, and writes each thread's sums into C where `warpgroup_c` says.
// C must be the product that three loops make of the tiles as they were before.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <vector>

#include "backend/generator.hpp"
#include "backend/gpu/fragments.hpp"
#include "backend/gpu/hopper.hpp"
#include "schedule.hpp"

// A tile of `rows` rows by 64, as it was and as the copy engine leaves it.
struct PaperTile {
  int64_t rows;
  std::vector<int> plain, image;

  PaperTile(int64_t height, cr::Generator& random)
      : rows(height), plain(size_t(rows * 64)), image(plain) {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t p = 0; p < 64; ++p) {
        const int number = int(random.uniform_double() * 9) - 4;
        plain[size_t(row * 64 + p)] = number;
        image[size_t(cr::backend::hopper::put_by_tma(rows, row, p) / 2)] = number;
      }
  }
  // Number (row, p) as a multiplier finds it by a descriptor: where the tile
  // begins (bits 0-13), how far apart groups of eight rows are (bits 32-45),
  // both in units of 16 bytes, and the swizzle (bits 62-63, of which 1 means
  // that bits 4-6 of an address are changed by bits 7-9).
  int found(uint64_t descriptor, int row, int p) const {
    const int begin = int(descriptor % 16384) * 16,
              group = int(descriptor / (uint64_t{1} << 32) % 16384) * 16;
    const int address = begin + row / 8 * group + row % 8 * 128 + 2 * p;
    const bool swizzled = descriptor >> 62 == 1;
    const int chunk = address / 16 % 8, turn = swizzled ? address / 128 % 8 : 0;
    return image[size_t((address / 128 * 128 + (chunk ^ turn) * 16 + address % 16) /
                        2)];
  }
};

// The largest gap of a 128 × `columns` tile of C that two warpgroups make in
// four steps of 16.
inline int paper_wgmma_gap(int columns, cr::Generator& random) {
  namespace hopper = cr::backend::hopper;
  const PaperTile a(128, random), b(columns, random);
  std::vector<int> c(size_t(128 * columns), 1 << 20);  // nobody's number
  for (int group = 0; group < 2; ++group)
    for (int t = 0; t < 128; ++t)
      for (int r = 0; r < columns / 2; ++r) {
        const cr::backend::fragment::Place at =
            cr::backend::fragment::warpgroup_c(t, r);
        int sum = 0;
        for (int k = 0; k < 64; k += 16)
          for (int p = 0; p < 16; ++p)
            sum += a.found(hopper::rowwise(0, a.rows, group * 64, k), at.row, p) *
                   b.found(hopper::rowwise(0, b.rows, 0, k), at.column, p);
        c[size_t((group * 64 + at.row) * columns + at.column)] = sum;
      }
  // And the three loops.
  int worst = 0;
  for (int i = 0; i < 128; ++i)
    for (int j = 0; j < columns; ++j) {
      int right = 0;
      for (int p = 0; p < 64; ++p)
        right += a.plain[size_t(i * 64 + p)] * b.plain[size_t(j * 64 + p)];
      worst = std::max(worst, std::abs(c[size_t(i * columns + j)] - right));
    }
  return worst;
}

// ## The ring on paper
//
// A barrier as the hardware counts: arrivals, and whether a wait may pass.
struct PaperBarrier {
  int expected, missing = expected, phase = 0;
  void arrive() {
    if (--missing == 0) missing = expected, phase ^= 1;
  }
  bool over(int parity) const { return phase != parity; }
};

// Two blocks of a cluster, each with a producer and two consumers that do what
// rung 13 does, in an order that chance decides. A producer waits for the empty
// stage, announces, and orders its own half of B for both blocks; each half
// *arrives later*, whenever chance says. A consumer waits for the full stage
// and starts to multiply it, and only then, one step behind, leaves the stage
// before, to which it has held on until now. What must hold: whoever leaves a
// stage finds there, still, both halves of its own step; and all come to the
// end. The number of violations is returned.
struct RingOptions {
  int steps = 50, stages = 4;
  bool wait_for_empty = true;  // what if the producers do not look back?
};
inline int ring_violations(cr::Generator& random, const RingOptions& o = {}) {
  struct Stage {
    PaperBarrier full{1 + 2};  // the producer, and the bytes of two halves
    PaperBarrier empty{2 * 2};
    int half[2] = {-1, -1};
  };
  struct Walker {
    Ring ring;
    int step = 0, left = 0;  // steps begun, stages left
  };
  struct Copy {
    int block, stage, half, step;
  };
  std::vector<Stage> stages[2] = {std::vector<Stage>(size_t(o.stages)),
                                  std::vector<Stage>(size_t(o.stages))};
  std::vector<Walker> walkers(6, Walker{Ring{o.stages}});  // w % 3 == 0 produces
  std::deque<Copy> under_way;
  int wrong = 0, idle = 0, finished = 0;

  // A copy arrives: any of those that are under way.
  auto arrive = [&] {
    const auto which = under_way.begin() + std::ptrdiff_t(random.uniform_double() *
                                                          double(under_way.size()));
    Stage& stage = stages[which->block][size_t(which->stage)];
    stage.half[which->half] = which->step;
    stage.full.arrive();
    under_way.erase(which);
  };
  // A consumer leaves the oldest stage that it holds, in both blocks.
  auto leave = [&](Walker& w, int block) {
    const size_t stage = size_t(w.left % o.stages);
    const Stage& mine = stages[block][stage];
    wrong += mine.half[0] != w.left || mine.half[1] != w.left;
    for (std::vector<Stage>& of_block : stages) of_block[stage].empty.arrive();
    ++w.left;
  };
  // Who has nothing to do passes. If everybody has passed for long, nobody
  // will ever move again.
  while (finished < 6 && idle < 10'000) {
    ++idle;
    const int who = int(random.uniform_double() * 7), block = who / 3;
    if (who == 6) {
      if (!under_way.empty()) arrive(), idle = 0;
      continue;
    }
    Walker& w = walkers[size_t(who)];
    if (w.step == o.steps) continue;
    Stage& mine = stages[block][size_t(w.ring.stage)];
    if (who % 3 == 0) {
      if (o.wait_for_empty && !mine.empty.over(w.ring.phase ^ 1)) continue;
      mine.full.arrive();
      for (int to : {0, 1}) under_way.push_back({to, w.ring.stage, block, w.step});
    } else {
      if (!mine.full.over(w.ring.phase)) continue;
      if (w.step > 0) leave(w, block);
      if (w.step == o.steps - 1) leave(w, block);
    }
    ++w.step, w.ring.next(), idle = 0;
    finished += w.step == o.steps;
  }
  return wrong + (finished < 6 ? 1 : 0);
}
