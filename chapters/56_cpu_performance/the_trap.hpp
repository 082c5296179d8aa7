#pragma once

#include "layout.hpp"
#include "rung_6_avx2.hpp"
#include "workbench.hpp"

static void the_trap(Chapter& chapter, Ladder& ladder) {
  chapter.section("1024 is not 1000");
  // First on paper, where nothing disturbs: the second cache has 2048 sets of 16 lines. Down
  // a column of B, at n = 1024, one step is 4096 bytes, so only every 64th set is ever used.
  auto misses = [](int64_t n) {
    return misses_of_a_row(PaperCache(2048, 16), count_columns, n) / double(n * n);
  };
  chapter.claim("trap-misses",
                "on paper, misses of the second cache: n = 1024 over n = 1000",
                misses(1024) / misses(1000), near(16, 0.01), identity);
  const std::vector<Contestant> loops = {
      {"three loops", three_loops, ladder.spare()}};
  const double good_size = ladder.climb(ladder.square, loops, 3)[0],
               power = ladder.climb(ladder.power, loops, 3)[0];
  chapter.say("Three loops: {:.2f} GFLOP/s for n = {}, {:.2f} for n = {}.",
              good_size, ladder.n, power, ladder.trap);
  chapter.claim("trap", "three loops: a multiply-add takes so many times as long",
                good_size / power, at_least(1.3), found);

  // And here the blocks and the packing pay at last. Take the register tile of rung 6 and
  // leave them out: one block as large as the matrix, and B read where it lies. At $n =
  // 1000$ that costs little. At $n = 1024$ the tile walks down strips of B whose rows all
  // fall on the same places, and takes {claim:bare-tile} times as long. (On the Xeon where
  // this was written it was 2.4 times; a processor with a quick third cache hardly notices.)
  // A block of 256 rows still fits, and a packed strip lies in one piece, so either of them
  // helps; and with both every cache gets what it can hold. What they buy is not speed at a
  // good size. It is that every size is a good one, on every machine.
  if (!has(Isa::avx2)) return;
  const int64_t all = int64_t{1} << 20;
  std::vector<Contestant> tiles = {{"neither", nullptr},
                                   {"blocks", nullptr},
                                   {"packing", nullptr},
                                   {"both", ::register_tile}};
  tiles[0].multiply = [](const Product& g) {
    five_loops(g, kAvx2, {all, all, all, false});
  };
  tiles[1].multiply = [](const Product& g) {
    five_loops(g, kAvx2, {.pack_b = false});
  };
  tiles[2].multiply = [](const Product& g) {
    five_loops(g, kAvx2, {all, all, all});
  };
  const std::vector<double> good = ladder.climb(ladder.square, tiles, 5),
                            bad = ladder.climb(ladder.power, tiles, 5);
  Table table =
      chapter.table({"register tile with", "GFLOP/s", "GFLOP/s, power of two"});
  for (size_t k = 0; k < 4; ++k) table.row(tiles[k].name, good[k], bad[k]);
  chapter.claim("bare-tile", "neither blocks nor packing: so many times as long",
                good[0] / bad[0], at_least(0.7), found);
  chapter.claim("packed-tile", "with both: so many times as long", good[3] / bad[3],
                between(0.6, 1.3), found);
}
