#pragma once

#include "timing.hpp"

struct Row {
  std::string rung;
  double bytes, wavefronts, cycles;
  std::string steps, target = "";  // steps of p from one barrier to the next
};

// Rungs 12 and 13 on paper. For each step a block fetches so many numbers of A
// and B; 64 rows of A for each warpgroup and 256 of B arrive, and each
// warpgroup reads its 64 and all 256, at 128 bytes a wavefront.
static Row on_paper(const std::string& rung, int fetched, int groups,
                    const std::string& steps) {
  const double adds = groups * 64.0 * 256, step = 16384 / adds;
  const double bytes = 2 * fetched / adds;
  const double through = 2 * (groups * 64 + 256) + groups * 2 * (64 + 256);
  return {rung, bytes, step * through / 128, 8, steps};
}

static void the_ladder(Chapter& chapter, Ladder& ladder) {
  chapter.section("The ladder");
  // What the formula says of the tiles, rung by rung: rows and columns of a
  // block's tile.
  const std::vector<double> side = {0, 0, 32, 64, 128, 128, 128, 128, 128, 128};
  // A multiprocessor of an H100 makes 128 multiply-adds in a cycle, 1024 in
  // TF32 and 2048 in bfloat16.
  std::vector<Row> rows;
  double worst = 0;
  std::vector<double> sides, bytes;
  for (size_t r = 0; r < ladder.seen.size(); ++r) {
    const simt::LineCounts& c = ladder.seen[r];
    rows.push_back({fmt::format("{} {}", r + 1, ladder.kernels.ladder[r].name),
                    ladder.bytes(c), ladder.wavefronts_of_eight(c),
                    16384 / (r == 9 ? 1024.0 : 128.0), "none"});
    if (side[r] == 0) continue;
    const Product<float> g = ladder.square.product();
    const double steps =
        double(g.m * g.n * g.k) / (side[r] * side[r]) / double(c.barriers);
    rows.back().steps = fmt::format("{:g}", steps);
    sides.push_back(side[r]), bytes.push_back(ladder.bytes(c));
    worst = std::max(worst, std::abs(ladder.bytes(c) / (8 / side[r]) - 1));
  }
  const double half_steps = 128.0 * 128 * 128 / 32;
  rows.push_back(
      {"11 bf16", double(ladder.seen_of_bf16.load_sectors) / half_steps,
       double(ladder.seen_of_bf16.wavefronts) / half_steps * 512, 8,
       fmt::format("{:g}", 128.0 / double(ladder.seen_of_bf16.barriers))});
  rows.push_back(on_paper("12 wgmma", 64 + 256, 1, "64"));
  rows.push_back(on_paper("13 persistent", 128 + 128, 2, "none"));
  rows[8].target = "93 %", rows[12].target = "100 %";

  // And a GPU, if there is one.
  std::vector<std::string> times(rows.size(), "not measured yet"),
      larger(rows.size());
  larger[10] = larger[11] = larger[12] = "not measured yet";
  std::string gpu;
#if CHAINRULE_CUDA
  gpu = backend::cuda::gpu_name();
  if (!gpu.empty() && !chapter.quick()) {
    Generator random(chapter.seed());
    const Kernels there = backend::cuda::kernels();
    times = times_of(there.ladder, 4096, random);
    for (const std::string& cell : times_of(there.halves, 4096, random))
      times.push_back(cell);
    if (chapter.full()) {
      const std::vector<std::string> cells = times_of(there.halves, 8192, random);
      std::copy(cells.begin(), cells.end(), larger.begin() + 10);
    }
  }
#endif
  if (gpu.empty()) chapter.say("No GPU here: the last two columns wait for one.");
  else chapter.say("The GPU is a {}.", gpu);

  Table table =
      chapter.table({"rung", "bytes", "wavefronts", "cycles", "steps / barrier",
                     "target", "n = 4096", "n = 8192"});
  for (size_t r = 0; r < rows.size(); ++r)
    table.row(rows[r].rung, rows[r].bytes, rows[r].wavefronts, rows[r].cycles,
              rows[r].steps, rows[r].target, times[r], larger[r]);
  // Rungs 3 to 10 on one line: all that a block's tile decides is its traffic.
  std::vector<double> every, formula;
  for (double s = 16; s <= 256; s *= 2)
    every.push_back(s), formula.push_back(8 / s);
  chapter
      .figure("traffic",
              "bytes fetched for a multiply-add, by the side of a block's tile")
      .scatter(sides, bytes, "rungs 3 to 10, counted")
      .dashed(every, formula, "8 / side")
      .axes("side", "bytes")
      .log_x()
      .log_y();
  chapter.claim("traffic",
                "bytes fetched, against the formula: largest relative gap", worst,
                exactly(0), identity);
  chapter.claim("right", "largest error of rungs 1 to 10, in units of its bound",
                ladder.worst, at_most(1), identity);
}
