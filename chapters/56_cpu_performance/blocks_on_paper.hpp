//
// ? A cache for 256 numbers, so $b = 8$ fits. What happens with blocks of 16?
// - [ ] half the traffic of 8: so says the formula, but it was made for blocks that stay
// - [ ] the same traffic as 8: the larger blocks lose about what they gain
// - [x] four times the traffic of 8: the block of B alone fills the cache, so it is gone each time before its first row is needed again
#pragma once

#include <cmath>
#include <vector>

#include "layout.hpp"
#include "workbench.hpp"

static void blocks_on_paper(Chapter& chapter) {
  chapter.section("Cache blocks, on paper");
  const int64_t n = chapter.pick(48, 96, 96), numbers = 256;
  const Layout at = {n, 1};
  auto fetched = [&](int64_t b) {
    PaperCache cache(1, numbers, 1);
    count_blocks(cache, at, b);
    return double(cache.misses);
  };
  auto formula = [&](double b) {
    return 2 * std::pow(double(n), 3) / b + double(n * n);
  };
  std::vector<double> side, counted, predicted;
  for (int64_t b : {2, 3, 4, 6, 8, 12, 16, 24}) {
    side.push_back(double(b));
    counted.push_back(fetched(b));
    predicted.push_back(formula(double(b)));
  }
  if (!chapter.full())
    chapter.figure("blocks", "numbers fetched, by the side of the blocks")
        .line(side, counted, "counted")
        .dashed(side, predicted, "2n³/b + n²")
        .vline(8, "4b² = M")
        .axes("b", "fetched")
        .log_x()
        .log_y();
  const double eight = fetched(8);
  chapter.claim("block-traffic",
                "b = 8: numbers fetched, over what the formula says",
                eight / formula(8), exactly(1), identity);
  chapter.claim("block-cliff", "twice that side fetches so many times as much",
                fetched(16) / eight, between(3, 6), identity);
}

// And the blocks of rung 4, 64 rows of B by 256 columns? Count the lines that the second
// cache misses, 2 MB in 2048 sets of 16. Every line counts once for each visit of a row of
// A: within a visit nothing is driven out.
static double misses_of_blocks(const Layout& at, int64_t depth, int64_t width) {
  PaperCache second(2048, 16);
  auto row = [&](int64_t from, int64_t to) {
    for (int64_t address = from / 64 * 64; address < to; address += 64)
      second.touch(address);
  };
  const int64_t n = at.n;
  for (int64_t j = 0; j < n; j += width)
    for (int64_t p0 = 0; p0 < n; p0 += depth)
      for (int64_t i = 0; i < n; ++i) {
        const int64_t p1 = std::min(p0 + depth, n), j1 = std::min(j + width, n);
        row(at.a(i, p0), at.a(i, p1));
        row(at.c(i, j), at.c(i, j1));
        for (int64_t p = p0; p < p1; ++p) row(at.b(p, j), at.b(p, j1));
      }
  return double(second.misses) / double(n);
}
