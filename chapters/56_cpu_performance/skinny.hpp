// For a picture at the end of the chapter we keep both numbers of a program: what it does
// with each byte, and how fast it is.
#pragma once

#include "the_ladder.hpp"

struct Dot {
  std::string name;
  double intensity, gflops;
  double lift = 1;  // moves its name up
};

// ? One row times a 1000 × 1000 matrix. What share of the peak can the best program reach?
// - [ ] all of it: there are a thousand independent sums, so chains are no problem; but each needs its own thousand numbers of B
// - [ ] a thousandth, since there is one row instead of a thousand: the work shrinks as well
// - [x] a third at best, with AVX-512, and on many machines less than a tenth: half an operation per byte, and the bytes come from beyond the second cache
static void skinny(Chapter& chapter, const Machine& machine,
                   std::vector<Dot>& dots) {
  chapter.section("Small and skinny");
  Generator random(chapter.seed());
  const Rung ours = [](const Product& g) { five_loops(g, best_kernel()); };
  struct Case {
    const char* what;
    int64_t m, n, k;
  };
  const std::vector<Case> cases = {{"one row", 1, 1000, 1000},
                                   {"a few rows", 8, 1000, 1000},
                                   {"a step of an LSTM, batch 32", 32, 512, 128},
                                   {"tiny", 16, 16, 16},
                                   {"small", 64, 64, 64},
                                   {"one past a tile", 57, 65, 300},
                                   {"long and thin", 1000, 10, 1000}};
  Table table = chapter.table(
      {"product", "m, n, k", "five loops", "library", "OpenBLAS", "flop per byte"});
  const bool blas = OpenBlas().here();
  double worst = 0, one_row = 0, gain = 0;
  // A product that is small or thin has few operations for each number it fetches. So the
  // last column says what to expect before anything is timed: a machine that does many
  // operations in the time it takes to fetch a byte cannot be kept busy by half an operation
  // a byte, however good its register tile.
  for (const Case& c : cases) {
    Workbench bench(c.m, c.n, c.k, random);
    const Product g = bench.product();
    std::vector<Racer> contestants;
    for (Rung rung : {ours, Rung(library_alone), Rung(openblas<1>)}) {
      if (rung == Rung(openblas<1>) && !blas) continue;
      bench.spoil();
      rung(g);
      worst = std::max(worst, bench.error());
      contestants.push_back([rung, g] { rung(g); });
    }
    const std::vector<double> times = race(contestants, 7, 0.002);
    // Each matrix is fetched once at least, and C is written: what is counted here is the
    // least that any program must move.
    const double bytes = 4 * double(c.m * c.k + c.k * c.n + c.m * c.n);
    const double intensity = 2 * double(c.m * c.k * c.n) / bytes;
    if (c.m == 1 || c.m == 8)
      dots.push_back({c.what, intensity, gflops(g, times[1])});
    table.row(c.what, fmt::format("{}, {}, {}", c.m, c.n, c.k), gflops(g, times[0]),
              gflops(g, times[1]),
              blas ? book::show(gflops(g, times[2])) : "not here", intensity);
    if (c.m == 1)
      one_row = 1e9 * gflops(g, times[1]) / machine.peak,
      gain = times[0] / times[1];
  }
  chapter.claim("skinny-right", "largest error, in units of its bound", worst,
                at_most(1), identity);
  chapter.claim("one-row", "one row: the share of the peak that is left", one_row,
                at_most(by_isa(0.8, 0.5, 0.45)), found, {.unit = "%"});
  chapter.claim(
      "one-row-gain",
      "one row: leaving B in place is so many times as fast as five loops", gain,
      at_least(1.2), found);
}
