// Eight numbers a vector or sixteen, 3 billion cycles a second: the peak is a product of a
// few such numbers. But who knows at which frequency the processor runs just now? It slows
// down when it gets warm, and for wide vectors. So we measure.
//
// ? A multiply-add takes 4 cycles, and two can begin in each. How many chains must run side by side to keep everything busy?
// - [ ] 2: so many begin in one cycle, but in the next cycle these two are still on their way
// - [ ] 4: so many cycles one takes; that would do if one could begin in each cycle
// - [x] 8: four cycles with two beginnings each; with fewer chains some cycles go by in which nothing can begin
#pragma once

#include <algorithm>
#include <vector>

#include "backend/parallel.hpp"
#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "clock.hpp"
#include "machine.hpp"

using namespace cr;

struct Machine {
  double peak = 0, peak_all = 0;  // operations in a second: one thread, all threads
  double peak_tiles = 0;          // one thread, bfloat16
  double bandwidth = 0;           // bytes in a second, one thread
};

// How many operations per second each number of chains reaches.
template <int... kCounts> std::vector<double> chain_rates(int rounds) {
  const int64_t steps = 300'000;
  std::vector<double> rates = race({[] { chains<kCounts>(steps); }...}, rounds);
  const double operations[] = {chains<kCounts>(1)...};
  for (size_t k = 0; k < rates.size(); ++k)
    rates[k] = operations[k] * double(steps) / rates[k];
  return rates;
}

// The same chains on one thread and on all.
inline std::vector<Racer> chains_alone_and_together() {
  const int64_t steps = 1'000'000;
  return {{[] { chains<12>(steps); }, true},
          {[] {
             backend::parallel_for(backend::num_threads(),
                                   [](int64_t) { chains<12>(steps); });
           },
           true}};
}

// AVX-512's peak over AVX2's: as many chains of vectors twice as wide.
inline double peak_of_wide_over_narrow() {
#if CHAINRULE_X86_DISPATCH
  const int64_t steps = 1'000'000;
  const std::vector<double> times = race(
      {[] { chains_avx2<12>(steps); }, [] { chains_avx512<12>(steps); }}, 9, 0.002);
  return 2 * times[0] / times[1];
#else
  return 1;
#endif
}

static void peak(Chapter& chapter, Machine& machine) {
  chapter.section("How fast could it be?");
  const std::vector<int> counts = {1, 2, 3, 4, 6, 8, 10, 12, 16};
  const std::vector<double> rates =
      chain_rates<1, 2, 3, 4, 6, 8, 10, 12, 16>(chapter.pick(2, 7, 7));
  machine.peak = *std::max_element(rates.begin(), rates.end());
  Table table = chapter.table({"chains", "GFLOP/s"});
  std::vector<double> billions;
  for (size_t k = 0; k < counts.size(); ++k) {
    billions.push_back(rates[k] / 1e9);
    table.row(counts[k], billions[k]);
  }
  if (!chapter.full())
    chapter.figure("chains", "multiply-adds in so many chains side by side")
        .line(counts, billions, "measured")
        .axes("chains", "GFLOP/s")
        .ylim(0, 1.1e-9 * machine.peak);

  // Twice the chains, twice the speed, until the assembly line is full. (A little more than
  // eight are needed in practice, since the processor does not plan perfectly.) One chain,
  // which is what `sum += a * b` compiles to, leaves most of the line empty: it costs a
  // factor of {claim:chains}, and no cache is to blame. The highest point is this core's
  // **peak**. It is measured in **FLOP/s**, floating-point operations per second; a
  // multiply-add counts as two, and a GFLOP is a billion.
  chapter.claim("chains", "many chains are so many times as fast as one",
                machine.peak / rates[0], at_least(3), found);

  // How many such cores are there? Let all threads do it at once and see what they reach
  // together. If the system says two processors and the peak doubles, there are two cores.
  // If the peak stays where it was, one core poses as two: it has two programs under way
  // and gives the circuits to whichever can use them (**simultaneous multithreading**).
  // That helps where one program leaves gaps. It does not help a loop without any.
  const int count = backend::num_threads();
  const std::vector<double> times = race(chains_alone_and_together(), 25, 0.002);
  const double grown = count * times[0] / times[1];
  machine.peak_all = machine.peak * grown;
  chapter.say("Peak: one thread {:.0f} GFLOP/s, {} threads together {:.0f}.",
              machine.peak / 1e9, count, machine.peak_all / 1e9);
  if (count > 1 && grown < 1.3)
    chapter.say(
        "ATTENTION: {} threads together make only {:.2f} times what one makes. Either "
        "these processors are one core, or other programs run. Of what follows, do not "
        "publish what all threads do.",
        count, grown);
}

// The other bound is memory. A loop that does next to nothing with its numbers shows how
// fast they come. Its three arrays together are the **working set**. As long as that fits
// into the first cache (32 or 48 KB), every line is there when it is wanted. A larger set
// comes from the second cache (half a megabyte to two), from the third, which all cores
// share, and at last from memory.
static void bandwidth(Chapter& chapter, Machine& machine) {
  const int64_t most = int64_t{1} << chapter.pick(22, 25, 26);
  Tensor memory = zeros({3 * most});  // (3 n,)
  float* a = memory.mutable_data<float>();
  std::vector<double> size, rate;
  for (int64_t n = 1 << 10; n <= most; n *= 2) {
    const double time =
        race({[&] { triad(a, a + n, a + 2 * n, n); }}, n > 1 << 24 ? 2 : 5)[0];
    size.push_back(12e-3 * double(n));
    rate.push_back(12e-9 * double(n) / time);
    if (n == 1 << 22) machine.bandwidth = 1e9 * rate.back();
  }
  chapter.say(
      "Bandwidth: {:.0f} GB/s from the first cache, {:.0f} GB/s for "
      "arrays of 16 MB, {:.0f} GB/s for the largest.",
      rate[1], machine.bandwidth / 1e9, rate.back());
  if (!chapter.full()) {
    Figure figure =
        chapter.figure("staircase", "how fast numbers come, by how many there are");
    figure.line(size, rate).axes("working set, KB", "GB/s").log_x().log_y();
    for (int level : {1, 2})
      if (const double bytes = double(cache_bytes(level)); bytes > 0)
        figure.vline(bytes / 1e3, level == 1 ? "first cache" : "second cache");
  }
  // With vectors of 16 bytes the loop itself can be as slow as a large third cache.
  chapter.claim(
      "staircase", "a small working set comes so many times as fast as 48 MB",
      rate[1] * 1e9 / machine.bandwidth, at_least(by_isa(0.8, 2, 3)), found);
}
