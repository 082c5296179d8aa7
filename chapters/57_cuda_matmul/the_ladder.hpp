#pragma once

#include "timing.hpp"
#include "workbench.hpp"

// "41.2 TFLOP/s, 88 %" where a GPU has been asked, else what there is to say.
static std::vector<std::string> times_of(const std::vector<std::string>& names,
                                         [[maybe_unused]] const Kernels& here,
                                         [[maybe_unused]] int64_t n) {
  std::vector<std::string> cells(names.size(), "not measured yet");
#if CHAINRULE_CUDA
  if (backend::cuda::gpu().empty()) return cells;
  const Kernels there = backend::cuda::kernels();
  const Timing floats = backend::cuda::time_rungs(there.ladder, n, n, n),
               halves = backend::cuda::time_rungs(there.halves, n, n, n);
  size_t cell = 0;
  for (const Timing* t : {&floats, &halves})
    for (size_t r = 0; r < t->seconds.size() && cell < cells.size(); ++r)
      cells[cell++] = fmt::format("{:.1f} TFLOP/s, {:.0f} %, gap {:.1g}",
                                  2e-12 * std::pow(double(n), 3) / t->seconds[r],
                                  100 * t->library[r] / t->seconds[r], t->gap[r]);
#endif
  return cells;
}

// The table has a row for each rung, also for those that need a GPU. What was
// counted here is true of a GPU as well, since it is a property of the
// addresses; the times are not ours to tell.
static void the_ladder(Chapter& chapter, Ladder& ladder) {
  chapter.section("The ladder");
  // What the formula says of the tiles, rung by rung: rows and columns of a
  // block's tile.
  const std::vector<double> side = {0, 0, 32, 64, 128, 128, 128, 128, 128, 128};
  std::vector<std::string> names;
  for (const Rung<float>& rung : ladder.kernels.ladder) names.push_back(rung.name);
  const size_t counted = names.size();
  for (const char* name : {"bf16", "wgmma", "persistent"}) names.push_back(name);
  const std::vector<std::string> times = times_of(names, ladder.kernels, 4096);

  // Wavefronts for eight steps of a thread that has 64 sums; for kernels with
  // fewer sums a thread the same number of multiply-adds is meant.
  Table table =
      chapter.table({"rung", "bytes / multiply-add", "wavefronts / 8 steps",
                     "barriers", "on a GPU, n = 4096, % of cuBLAS"});
  double worst = 0;
  std::vector<double> sides, bytes;
  for (size_t r = 0; r < names.size(); ++r) {
    const std::string rung = fmt::format("{} {}", r + 1, names[r]);
    if (r >= counted) {
      table.row(rung, "", "", "", times[r]);
      continue;
    }
    const simt::LineCounts& c = ladder.seen[r];
    table.row(rung, ladder.bytes(c), ladder.wavefronts_of_eight(c), c.barriers,
              times[r]);
    if (side[r] == 0) continue;
    sides.push_back(side[r]), bytes.push_back(ladder.bytes(c));
    worst = std::max(worst, std::abs(ladder.bytes(c) / (8 / side[r]) - 1));
  }
  // Seven kernels on one line: all that a block's tile decides is its
  // traffic.
  std::vector<double> every, formula;
  for (double s = 16; s <= 256; s *= 2)
    every.push_back(s), formula.push_back(8 / s);
  chapter
      .figure("traffic",
              "bytes fetched for a multiply-add, by the side of a block's tile")
      .scatter(sides, bytes, "counted")
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
