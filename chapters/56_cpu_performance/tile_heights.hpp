// ? AVX-512 has 32 registers. A tile of $r$ rows needs $2r + 3$ of them. What happens at $r = 18$?
// - [ ] nothing: the processor has far more registers inside than it has names for; but the program can only use those with a name
// - [ ] it does not compile: a compiler never runs out of registers, it only gets slow
// - [x] it gets slower: sums without a register are kept on the stack, and travel again
#pragma once

#include "rung_7_avx512.hpp"
#include "workbench.hpp"

template <int... kRows>
static std::vector<double> tile_rates([[maybe_unused]] bool wide) {
  Tensor memory = ones({128 * 64 + 32 * 32});
  std::vector<Racer> tiles;
  std::vector<double> work;
  [[maybe_unused]] auto add = [&](const Kernel& kernel) {
    const float* a = memory.data<float>();
    float* c = memory.mutable_data<float>() + 128 * 64;
    tiles.push_back([=] {
      kernel.multiply({128, a, a + 128 * 32, kernel.columns, c, 32, kernel.rows});
    });
    work.push_back(2e-9 * 128 * double(kernel.rows * kernel.columns));
  };
#if CHAINRULE_X86_DISPATCH
  (add(wide ? Kernel{kRows, 32, tile_avx512<kRows>}
            : Kernel{kRows, 16, tile_avx2<kRows>}),
   ...);
#endif
  // The tiles take turns, so that a slow moment of the machine meets all of them. What counts
  // is work for time: a high tile does more at once, and may take longer.
  std::vector<double> rates = race(tiles, 7, 0.001);
  for (size_t k = 0; k < rates.size(); ++k) rates[k] = work[k] / rates[k];
  return rates;
}

// One tile by itself, 128 steps, with everything in the first cache.
static void tile_heights(Chapter& chapter) {
  if (!has(Isa::avx2)) return;
  chapter.section("How high a tile?");
  chapter.say("The speed of one tile, everything in the first cache, by height.");
  const std::vector<int> rows = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18};
  auto rates = [](bool wide) {
    return tile_rates<1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18>(wide);
  };
  const bool both = has(Isa::avx512);
  const std::vector<double> narrow = rates(false),
                            wide = both ? rates(true) : std::vector<double>();
  if (!chapter.full()) {
    Figure figure = chapter.figure("tiles", "speed of one tile, by its height");
    figure.line(rows, narrow, "AVX2").axes("rows", "GFLOP/s");
    if (both) figure.line(rows, wide, "AVX-512");
  }
  chapter.claim("spill-avx2", "AVX2: six rows are so many times as fast as eight",
                narrow[5] / narrow[7], at_least(1.02), found);
  if (both)
    chapter.claim("spill-avx512",
                  "AVX-512: 14 rows are so many times as fast as 18",
                  wide[10] / wide[12], at_least(0.9), found);
}
