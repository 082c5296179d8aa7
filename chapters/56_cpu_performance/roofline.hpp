#pragma once

#include "skinny.hpp"

static void roofline(Chapter& chapter, Ladder& ladder, std::vector<Dot> dots) {
  chapter.section("The roofline");
  const double peak = ladder.machine.peak / 1e9,
               tiles = ladder.machine.peak_tiles / 1e9,
               bandwidth = ladder.machine.bandwidth / 1e9;
  // Every dot is one thread's. Its height is measured; its place from left to right is
  // counted by hand, as above: n / 6 for a square product. No dot lies far above the roof.
  // If one does, its operations or its bytes are counted wrongly, or its numbers came from
  // a cache, of which this roof knows nothing.
  std::vector<Contestant> rungs = {{"three loops", three_loops, ladder.spare()},
                                   {"library", library_alone}};
  if (tiles > 0) rungs.push_back({"bf16 tiles", bf16_tiles, 1, false, kBf16Error});
  const std::vector<double> rates = ladder.climb(ladder.square, rungs, 3);
  for (size_t k = 0; k < rungs.size(); ++k)
    dots.push_back({rungs[k].name, double(ladder.n) / 6, rates[k], 0.85});
  // The roof rises with the bandwidth until it meets the peak, at the **ridge**. bfloat16
  // raises the flat part only. So its ridge lies further to the right: faster arithmetic
  // wants more operations for each byte.
  if (!chapter.full()) {
    Figure figure = chapter.figure(
        "roofline",
        "one thread: what this machine allows, and what programs make of it");
    figure.size(720, 420);
    figure.line({1.0 / 16, peak / bandwidth, 1000}, {bandwidth / 16, peak, peak},
                "float32");
    if (tiles > 0)
      figure.line({1.0 / 16, tiles / bandwidth, 1000},
                  {bandwidth / 16, tiles, tiles}, "bfloat16");
    std::vector<double> across, up;
    for (const Dot& dot : dots) {
      across.push_back(dot.intensity);
      up.push_back(dot.gflops);
      figure.note(1.2 * dot.intensity, dot.lift * dot.gflops, dot.name);
    }
    figure.scatter(across, up).axes("operations per byte", "GFLOP/s");
    figure.xlim(1.0 / 16, 2000).log_x().log_y();
  }
  chapter.say("The ridge lies at {:.1f} operations per byte.", peak / bandwidth);
  if (tiles > 0)
    chapter.say("With bfloat16 tiles it lies at {:.1f}.", tiles / bandwidth);
}
