// This file is the whole chapter, in the order in which one reads it. What can be used
// elsewhere lies in headers of its own, each of which is read where it is included.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "backend/parallel.hpp"
#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// # A billion multiply-adds
//
// Two matrices of 1000 × 1000 numbers, and their product
//
// $$C_{ij} = \sum_{p} A_{ip}\, B_{pj} .$$
//
// Each of the million sums has a thousand terms: a billion multiplications and a billion
// additions, however we go about it. The three loops that everybody writes first take most
// of a second. The library does the same billion multiply-adds on the same processor, gets
// the same result up to rounding, and is {claim:ladder} times as fast.
//
// So a loop can waste nearly all of a processor, and nobody notices. In this chapter we get
// it back, one rung of a ladder at a time. We climb it for the matrix product, because most
// of what a network computes is one ([everything is a matrix
// product](../05_neural_network/main.cpp#everything-is-a-matrix-product)), and because
// every idea that we meet on the way is needed again for everything else.
//
// # By hand: sixteen numbers
//
// The processor never fetches one number. It fetches a **cache line**, 64 bytes, which is
// 16 numbers of float32, and keeps it in a **cache**, a small fast memory of its own, until
// the place is needed for another line. If the next number wanted lies in the same line, it
// is there already: a **hit**. If not, the program waits: a **miss**.
//
// Make everything small. Three matrices of 4 × 4 numbers; a line holds four numbers, so it
// is just a row; the cache holds four lines, and the line that goes is always the one that
// was used longest ago. Now take the three loops, in the order $i$, $j$, $p$, and count on
// paper:
//
// - For each of the 16 sums we walk down a column of B: four rows, four lines. Until we come back to the first of them, we
// have used the other three, a row of A and a row of C. That is five lines, and the cache
// holds four. So it is gone, and so are all the others: 16 × 4 = 64 misses.
// - The row of C is used once for each sum, and then five other lines come: 16 misses.
// - The row of A is used at every step. It misses only when $i$ moves on: 4.
//
// Together 84. Now the order $i$, $p$, $j$: for each number of A we walk along a row of B
// and a row of C. Between two uses of them no other line is touched. B's row changes with
// every $p$: 16 misses. C's row and A's row change with $i$: 4 and 4. Together 24. The same
// 64 multiply-adds, and less than a third of the waiting.
//
// To count larger cases, we need someone more patient.
#include "cache.hpp"

// The three matrices lie one behind the other in memory, row by row; `number` is how many
// bytes one number takes.
struct Layout {
  int64_t n, number = 4;
  int64_t a(int64_t i, int64_t p) const { return (i * n + p) * number; }
  int64_t b(int64_t p, int64_t j) const { return a(n + p, j); }
  int64_t c(int64_t i, int64_t j) const { return a(2 * n + i, j); }
};

// Which bytes the two orders touch, for the rows of C from `begin` to `end`.
static void count_columns(PaperCache& cache, const Layout& at, int64_t begin,
                          int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    for (int64_t j = 0; j < at.n; ++j) {
      for (int64_t p = 0; p < at.n; ++p) {
        cache.touch(at.a(i, p));
        cache.touch(at.b(p, j));
      }
      cache.touch(at.c(i, j));
    }
}

static void count_rows(PaperCache& cache, const Layout& at, int64_t begin,
                       int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    for (int64_t p = 0; p < at.n; ++p) {
      cache.touch(at.a(i, p));
      for (int64_t j = 0; j < at.n; ++j) {
        cache.touch(at.b(p, j));
        cache.touch(at.c(i, j));
      }
    }
}

static void by_hand(Chapter& chapter) {
  chapter.section("By hand: sixteen numbers");
  chapter.say(
      "A 4 x 4 product, lines of four numbers, a cache of four lines. How often "
      "does each order of the loops miss? (\"Library\" is the cache on paper.)");
  PaperCache first(1, 4, 16), second(1, 4, 16);
  count_columns(first, {4}, 0, 4);
  count_rows(second, {4}, 0, 4);
  chapter.check("misses in the order i, j, p", 64 + 16 + 4,
                static_cast<double>(first.misses));
  chapter.check("misses in the order i, p, j", 16 + 4 + 4,
                static_cast<double>(second.misses));
}

// # How fast could it be?
//
// Before we make something faster, we want to know when to stop. There is a speed that no
// program on this machine can pass, and it can be measured in a few lines.
//
// A **core** has a few circuits that multiply and add, and each takes a whole vector at a
// time. Two things matter. How long does one multiply-add take? Its **latency** is about 4
// cycles of the clock. And how often can one begin? On most larger processors two in each
// cycle, the **throughput**: the circuit is an assembly line, and the next pair starts long
// before the last is finished. But only if it can: `sum = sum * x + y` has to wait for the
// old `sum`.
#include "clock.hpp"

// Every measurement in this chapter is such a race. In the first one the same multiply-adds
// run in one chain, in two, in three …
#include "machine.hpp"

// Eight numbers a vector or sixteen, 3 billion cycles a second: the peak is a product of a
// few such numbers. But who knows at which frequency the processor runs just now? It slows
// down when it gets warm, and for wide vectors. So we measure.
//
// ? A multiply-add takes 4 cycles, and two can begin in each. How many chains must run side by side to keep everything busy?
// - [ ] 2: so many begin in one cycle, but in the next cycle these two are still on their way
// - [ ] 4: so many cycles one takes; that would do if one could begin in each cycle
// - [x] 8: four cycles with two beginnings each; with fewer chains some cycles go by in which nothing can begin
struct Machine {
  double peak = 0, peak_all = 0;  // operations in a second: one thread, all threads
  double bandwidth = 0;           // bytes in a second, one thread
};

static std::vector<double> in_billions(std::vector<double> rates) {
  for (double& rate : rates) rate /= 1e9;
  return rates;
}

// How many operations per second each number of chains reaches.
template <int... kCounts> static std::vector<double> chain_rates(int rounds) {
  const int64_t steps = 300'000;
  std::vector<double> rates = race({[] { chains<kCounts>(steps); }...}, rounds);
  const double operations[] = {chains<kCounts>(1)...};
  for (size_t k = 0; k < rates.size(); ++k)
    rates[k] = operations[k] * double(steps) / rates[k];
  return rates;
}

static void peak(Chapter& chapter, Machine& machine) {
  chapter.section("How fast could it be?");
  const std::vector<int> counts = {1, 2, 3, 4, 6, 8, 10, 12, 16};
  const std::vector<double> rates =
      chain_rates<1, 2, 3, 4, 6, 8, 10, 12, 16>(chapter.pick(2, 7, 7));
  machine.peak = *std::max_element(rates.begin(), rates.end());
  Table table = chapter.table({"chains", "GFLOP/s"});
  for (size_t k = 0; k < counts.size(); ++k) table.row(counts[k], rates[k] / 1e9);
  if (!chapter.full())
    chapter.figure("chains", "multiply-adds in so many chains side by side")
        .line(counts, in_billions(rates), "measured")
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
  const int64_t steps = 1'000'000;
  auto alone = [] { chains<12>(steps); };
  auto together = [&] {
    backend::parallel_for(count, [](int64_t) { chains<12>(steps); });
  };
  const std::vector<double> times =
      race({{alone, true}, {together, true}}, 25, 0.002);
  machine.peak_all = machine.peak * count * times[0] / times[1];
  chapter.say("Peak: one thread {:.0f} GFLOP/s, {} threads together {:.0f}.",
              machine.peak / 1e9, count, machine.peak_all / 1e9);
  chapter.claim("all-threads-peak",
                "all threads together reach so many times the peak of one",
                machine.peak_all / machine.peak, between(0.25, 1.2 * count), found);
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
    figure.line(size, rate).axes("working set, KB", "GB/s").log_x();
    figure.ylim(0, 1.15 * *std::max_element(rate.begin(), rate.end()));
    for (int level : {1, 2})
      if (const double bytes = double(cache_bytes(level)); bytes > 0)
        figure.vline(bytes / 1e3, level == 1 ? "first cache" : "second cache");
  }
  chapter.claim("staircase",
                "a small working set comes so many times as fast as 48 MB",
                rate[1] * 1e9 / machine.bandwidth, at_least(1.5), found);
}

// Within a cache the speed hardly depends on the size; between two caches it drops by a
// step. What counts as memory below are arrays of 16 MB. On a server whose third cache
// holds hundreds of megabytes that is still the third cache, or the share of it that other
// programs leave us; on a laptop it is memory. For programs the difference is small: both
// are far away. `--full` takes larger arrays.
//
// Divide the two numbers: while one float32 comes from far away, the core could have made
// dozens of operations. So a number that came should be used dozens of times before it
// goes. That one sentence is the plan for everything below.
//
// # Three loops
//
// The workbench: two matrices of random numbers, and the true product, computed in float64.
// How wrong may a rung be? Rounding to float32 changes a number by a factor of at most $1 +
// u$ with $u = 2^{-24}$, and each of the sums goes through $k$ multiply-adds, so whatever
// the order in which it is added up,
//
// $$|\,\hat C_{ij} - C_{ij}\,| \;\le\; \frac{k u}{1 - k u} \sum_p |A_{ip}|\,|B_{pj}| .$$
//
// The error is given in units of this bound: a rung that is right stays below 1, whatever
// the size. (Usually far below, because rounding errors go up as often as down.)
#include "rung_1_loops.hpp"

// A rung is a function of that struct, and the workbench makes such structs and looks at
// the results.
using Rung = void (*)(const Product&);

class Workbench {
 public:
  Workbench(int64_t m, int64_t n, int64_t k, Generator& random)
      : a_(randn({m, k}, random)), b_(randn({k, n}, random)), c_(zeros({m, n})) {
    Tensor a = a_.to(DType::float64), b = b_.to(DType::float64);
    true_ = matmul(a, b);            // (m, n)
    size_ = matmul(abs(a), abs(b));  // (m, n)
  }

  // The product, or its first rows only: one part of so many. All rows are alike, and who
  // is slow need not do them all.
  Product product(int64_t part = 1) const {
    Product g = product_of(a_, b_, c_);
    g.m /= part;
    return g;
  }

  // The largest error of what was computed last, in units of its bound; each input may be
  // wrong by `input` as well.
  double error(int64_t part = 1, double input = 0) const {
    const int64_t rows = c_.size(0) / part;
    const double k = double(a_.size(1)), ku = k * std::ldexp(1.0, -24);
    const double bound = (1 + input) * (1 + input) * (1 + ku / (1 - ku)) - 1;
    Tensor gap = abs(c_.to(DType::float64) - true_) / (bound * size_);
    const double worst = amax(gap.narrow(0, 0, rows)).item();
    return std::isnan(worst) ? INFINITY : worst;
  }

  // Who forgets a number of C shall not find the right one there from the rung before.
  void spoil() { c_.fill_(NAN); }

  const Tensor& result() const { return c_; }
  const Tensor& truth() const { return true_; }

 private:
  Tensor a_, b_, c_, true_, size_;
};

static std::string percent(double share) {
  return fmt::format("{:.0f}", 100 * share);
}

static double gflops(const Product& g, double time) {
  return 2e-9 * double(g.m) * double(g.n) * double(g.k) / time;
}

// A contestant: a name, a function, and which part of the rows it has to do.
struct Contestant {
  std::string name;
  Rung multiply;
  int64_t part = 1;
  bool threads = false;
  double input = 0;  // relative error of the inputs, if they are rounded first
};

// Before a rung is timed it has to be right: at an odd size, with something left over at
// every edge of every tile, and at the size of the race.
struct Ladder {
  const Machine& machine;
  int64_t n, trap;  // 1000 and 1024
  Workbench odd, square, power;
  double worst = 0;  // the largest error, in units of its bound

  // The slowest do a few dozen rows.
  int64_t spare() const { return std::max<int64_t>(1, n * n / 32768); }

  std::vector<double> climb(Workbench& bench, std::vector<Contestant> rungs,
                            int rounds) {
    std::vector<Racer> contestants;
    for (const Contestant& r : rungs) {
      odd.spoil();
      r.multiply(odd.product());
      worst = std::max(worst, odd.error(1, r.input));
      bench.spoil();
      r.multiply(bench.product(r.part));
      worst = std::max(worst, bench.error(r.part, r.input));
      contestants.push_back(
          {[&bench, r] { r.multiply(bench.product(r.part)); }, r.threads});
    }
    std::vector<double> rates = race(contestants, rounds);
    for (size_t k = 0; k < rates.size(); ++k)
      rates[k] = gflops(bench.product(rungs[k].part), rates[k]);
    return rates;
  }

  // The last one's speed over the first one's, and one line about both.
  double step(Chapter& chapter, const std::vector<Contestant>& two) {
    const std::vector<double> rates = climb(square, two, 5);
    chapter.say("{}: {:.1f} GFLOP/s. {}: {:.1f} GFLOP/s, {:.1f} % of the peak.",
                two[0].name, rates[0], two[1].name, rates[1],
                1e11 * rates[1] / machine.peak);
    return rates[1] / rates[0];
  }
};

static void three(Chapter& chapter, Ladder& ladder) {
  chapter.section("Three loops");
  const std::vector<double> rates = ladder.climb(
      ladder.square, {{"three loops", three_loops, ladder.spare()}}, 5);
  chapter.say("Three loops, n = {}: {:.2f} GFLOP/s, {:.1f} % of the peak.",
              ladder.n, rates[0], 1e11 * rates[0] / ladder.machine.peak);
}

// # The order of the loops
//
// By hand, 4 × 4, the order $i, p, j$ missed a third as often. With a thousand rows and
// real lines of 16 numbers the two differ more. A column of B now passes through a thousand
// lines, and the first cache of the paper machine, 48 KB in 64 sets of 12, holds 768:
// whatever we fetch is gone before we come back for its right neighbour.
//
// ? How many times as often does the order $i, j, p$ miss, for $n = 1000$?
// - [ ] about 3.5 times, as by hand: there a line held four numbers, and the row of C was driven out as well
// - [x] about 17 times: the walk down a column misses at every step, a walk along a row once in 16 steps; and A adds its own misses to the columns
// - [ ] 1000 times: that would be so if a row were a single line
static void loop_order(Chapter& chapter, Ladder& ladder) {
  chapter.section("The order of the loops");
  // The first row of C warms the cache up, the second one is counted.
  auto second_row = [&](auto count) {
    PaperCache cache(64, 12);
    count(cache, Layout{1000}, 0, 1);
    const int64_t before = cache.misses;
    count(cache, Layout{1000}, 1, 2);
    return double(cache.misses - before) / 1e6;
  };
  const double columns = second_row(count_columns), rows = second_row(count_rows);
  chapter.say(
      "Misses for each multiply-add, on paper: {:.4f} in the order i, j, "
      "p and {:.4f} in the order i, p, j.",
      columns, rows);
  chapter.claim("order-misses",
                "columns miss so many times as often as rows, n = 1000",
                columns / rows, near(17, 0.01), identity);

  // Measured, the order alone gains a factor of {claim:order}: less than the misses
  // promise. A processor does not stand still at a miss. It looks ahead in the program and
  // fetches a dozen lines at the same time; and when it sees us walk along memory with even
  // steps, it fetches the next lines before we ask (**prefetching**). And an addition that
  // waits for the one before is slow without any miss: the innermost line of the three
  // loops is one chain.
  chapter.claim(
      "order", "the new order is so many times as fast",
      ladder.step(chapter, {{"three loops", three_loops, ladder.spare()},
                            {"loop order", ::loop_order, ladder.spare()}}),
      at_least(1.05), found);

  // The new order has a second gift. The steps along a row do not wait for each other: each
  // adds to a number of its own. So they may be done together, four at a time with the
  // registers that every x86-64 processor has. That is rung 3.
  chapter.claim("vectors",
                "with vectors it is so many times as fast as three loops",
                ladder.step(chapter, {{"three loops", three_loops, ladder.spare()},
                                      {"vectors", vectors, 4}}),
                at_least(1.5), found);
}

// # Cache blocks
//
// Rung 3 fetches all of B, 4 MB, once for every row of A: a thousand times. Nothing of it
// is ever used twice before it has to leave. A **block** of B that fits into the cache can
// be used for all rows of A while it is there.
//
// How much does that save? Count numbers this time, not lines. Take a cache for $M$
// numbers, and cut all three matrices into blocks of $b \times b$. There are $(n/b)^3$
// products of blocks. Each fetches a block of A and one of B, $2 b^2$ numbers, and the
// block of C stays while its sum is completed:
//
// $$\text{fetched} = \frac{n^3}{b^3} \cdot 2 b^2 + n^2 = \frac{2 n^3}{b} + n^2 .$$
//
// Twice the block, half the traffic, as long as it fits. Three blocks must be there at a
// time. And a cache that drops what was used longest ago needs room for a fourth: it keeps
// the old block of A, because it cannot know that nobody will ask for it again. So $4 b^2 =
// M$, and the best that blocks can do is $4 n^3 / \sqrt M + n^2$. (Hong and Kung showed in
// 1981 that no order of the multiply-adds needs less than a constant times $n^3/\sqrt M$.)
//
// ? A cache for 256 numbers, so $b = 8$ fits. What happens with blocks of 16?
// - [ ] half the traffic of 8: so says the formula, but it was made for blocks that stay
// - [ ] the same traffic as 8: the larger blocks lose about what they gain
// - [x] four times the traffic of 8: the block of B alone fills the cache, so it is gone each time before its first row is needed again
static void blocks_on_paper(Chapter& chapter) {
  chapter.section("Cache blocks, on paper");
  const int64_t n = chapter.pick(48, 96, 96), numbers = 256;
  const Layout at = {n, 1};
  auto fetched = [&](int64_t b) {
    PaperCache cache(1, numbers, 1);
    for (int64_t i0 = 0; i0 < n; i0 += b)
      for (int64_t j0 = 0; j0 < n; j0 += b)
        for (int64_t p0 = 0; p0 < n; p0 += b)
          for (int64_t i = i0; i < i0 + b; ++i)
            for (int64_t p = p0; p < p0 + b; ++p)
              for (int64_t j = j0; j < j0 + b; ++j) {
                cache.touch(at.a(i, p));
                cache.touch(at.b(p, j));
                cache.touch(at.c(i, j));
              }
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

// On the real machine: blocks of B of 64 by 256 numbers, 64 KB, stay in the second cache
// while all rows of A pass by. B comes once from far away instead of a thousand times. (In
// exchange each row of C comes 16 times, once for each block above it.)
//
// ? And the time? How much of rung 3's does rung 4 take?
// - [ ] a tenth of it: so it would be if rung 3 had done nothing but wait for B
// - [ ] a third of it: that is what the order of the loops gained on paper for 4 × 4
// - [x] nearly all of it: rung 3 did not wait for B; it walks along rows, the processor sees that and fetches them ahead of time
static void cache_blocks(Chapter& chapter, Ladder& ladder) {
  chapter.section("Cache blocks, measured");
  chapter.claim("blocks", "with blocks it is so many times as fast",
                ladder.step(chapter, {{"vectors", vectors, 4},
                                      {"cache blocks", ::cache_blocks, 4}}),
                between(0.6, 2), found);
}

// So {claim:blocks} is the factor, for a plan that looked so good on paper. That is worth a
// minute. We removed nearly all misses of the second cache, and the speed barely moved; so
// they were not what we waited for. Look at the innermost line instead: `c[j] += x * b[j]`.
// For one vector multiply-add the processor loads a vector of C and a vector of B, and
// stores one. It can do two loads and a store in a cycle, at best, and in the same cycle
// two multiply-adds: so at best half of them are used. And each sum goes out to the cache
// and comes back a thousand times, once for every $p$.
//
// A bottleneck hides all others. Making anything else faster shows nothing, however right
// it is. (Amdahl said so in 1967 of programs that are parallel only in part.) The blocks
// will pay, and we shall see when. First the sums must stop travelling.
//
// # Packing
//
// So turn it round. Do not take one number of A and a long row of B. Take a *few* numbers
// of each, and multiply each of the few with each of the others: $r$ of A and $c$ of B give
// $r \cdot c$ multiply-adds for $r + c$ loads. It is the idea of the blocks once more, on
// the smallest scale.
#include "rung_5_packing.hpp"

// That was the longest program of this chapter. What does it bring?
static void packing(Chapter& chapter, Ladder& ladder) {
  chapter.section("Packing");
  chapter.claim("packing", "five loops and packing are so many times as fast",
                ladder.step(chapter, {{"cache blocks", ::cache_blocks, 4},
                                      {"packing", ::packing, 4}}),
                between(0.2, 2.5), found);
}

// A factor of {claim:packing}, for all of this? The tile's loads are few, and its panels
// lie ready. But what the compiler makes of `sum[i][j]` is an array, in memory: it loads a
// sum, adds to it and stores it, as before. The bottleneck is where it was.
//
// # The register tile
//
// Registers have no addresses, so nothing that is found by an address can live in one, and
// `sum[i]` with a variable $i$ is found by an address. We have to write each sum's register
// down: by hand, or by making the compiler unroll the loops.
#include "rung_6_avx2.hpp"

// Sixty lines ago this kernel was `plain_tile`. Everything around it is the same.
static void register_tile(Chapter& chapter, Ladder& ladder) {
  if (!has(Isa::avx2)) {
    chapter.say("The register tile: not on this machine, which has no AVX2.");
    return;
  }
  chapter.section("The register tile");
  chapter.claim("tile", "with sums in registers it is so many times as fast",
                ladder.step(chapter, {{"packing", ::packing, 4},
                                      {"register tile", ::register_tile}}),
                at_least(2), found);
}

// There it is: {claim:tile} times. Same blocks, same packing, same order of additions; only
// the sums have stopped travelling.
//
// # AVX-512
//
// The next rung is bought, not earned: registers twice as wide, and twice as many.
#include "rung_7_avx512.hpp"

// Twice the width is not twice the speed, since what is not arithmetic stays as it was:
// packing, edges, and the way to memory.
static void wider(Chapter& chapter, Ladder& ladder) {
  if (!has(Isa::avx512)) {
    chapter.say("AVX-512: not on this machine.");
    return;
  }
  chapter.section("AVX-512");
  chapter.claim("avx512", "twice the width is so many times as fast",
                ladder.step(chapter, {{"register tile", ::register_tile},
                                      {"AVX-512", avx512}}),
                at_least(1.02), found);
}

// # How high a tile?
//
// Why six rows, why 14? The chains of the beginning are back. Each sum of the tile is one:
// it waits for itself. One row has two sums, so a tile of four rows has the eight chains
// that the processor wants. More rows are better still, because B's two registers are
// loaded once for all rows. That ends where the registers do.
//
// ? AVX-512 has 32 registers. A tile of $r$ rows needs $2r + 3$ of them. What happens at $r = 16$?
// - [ ] nothing: the processor has far more registers inside than it has names for; but the program can only use those with a name
// - [ ] it does not compile: a compiler never runs out of registers, it only gets slow
// - [x] it gets slower: sums without a register are kept on the stack, and travel again
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
                  wide[10] / wide[12], at_least(1.02), found);
}

// Both curves climb with the chains, go on climbing a little while each load serves more
// rows, and fall where the registers are used up: AVX2 with its 16 at the seventh row,
// AVX-512 with its 32 behind the fourteenth. That is all there is to the numbers 6 and 14.
// Nothing in the program says "register": its writer counts them, and hopes that the
// compiler does as well.
//
// # 1024 is not 1000
//
// So far every race was for $n = 1000$. Now take $n = 1024$: 7 % more multiply-adds, and a
// rounder number.
//
// ? How much longer do the three loops take?
// - [ ] 7 % longer: so much more there is to do, and a computer does not care whether a number is round
// - [ ] a little less time: rows of 4096 bytes lie better than rows of 4000; that holds for walks along rows
// - [x] several times as long: a column now falls on so few sets of the cache that its numbers drive each other out
//
// Where a line may lie in the cache is decided by its address: line number modulo number of
// sets. Rows of 4000 bytes send the numbers of a column all over the cache. Rows of 4096
// bytes are 64 lines, and both caches have a number of sets that is a multiple of 64. So
// the first cache keeps the whole column in *one* set, in 12 places. The second one, 2 MB
// in 2048 sets of 16, keeps it in 32 sets: room for 512 lines out of 32 768. The column has
// 1024. (The real second cache goes by the addresses that the system has given out, page by
// page. That mixes the sets, but not their number.) This is the **power-of-two trap**, and
// everyone who takes sizes like 1024 because they look fast falls into it.
static void the_trap(Chapter& chapter, Ladder& ladder) {
  chapter.section("1024 is not 1000");
  auto misses = [](int64_t n) {
    PaperCache second(2048, 16);
    count_columns(second, Layout{n}, 0, 1);
    const int64_t before = second.misses;
    count_columns(second, Layout{n}, 1, 2);
    return double(second.misses - before) / double(n * n);
  };
  chapter.claim("trap-misses",
                "on paper, misses of the second cache: n = 1024 over n = 1000",
                misses(1024) / misses(1000), near(16, 0.01), identity);
  const std::vector<Contestant> loops = {
      {"three loops", three_loops, ladder.spare()}};
  const double at_1000 = ladder.climb(ladder.square, loops, 3)[0],
               at_1024 = ladder.climb(ladder.power, loops, 3)[0];
  chapter.say("Three loops: {:.2f} GFLOP/s for n = {}, {:.2f} for n = {}.", at_1000,
              ladder.n, at_1024, ladder.trap);
  chapter.claim("trap", "three loops: a multiply-add takes so many times as long",
                at_1000 / at_1024, at_least(1.3), found);

  // And here the blocks and the packing pay at last. Take the register tile of rung 6 and
  // leave them away: one block as large as the matrix, and B read where it lies. At $n =
  // 1000$ that costs little. At $n = 1024$ the tile walks down strips of B whose rows all
  // fall on the same places, and takes {claim:bare-tile} times as long. A block of 256 rows
  // still fits, and a packed strip lies in one piece, so either of them helps; and with
  // both every cache gets what it can hold. What they buy is not speed at a good size. It
  // is that every size is a good one.
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
      chapter.table({"register tile with", "GFLOP/s, n = 1000", "n = 1024"});
  for (size_t k = 0; k < 4; ++k) table.row(tiles[k].name, good[k], bad[k]);
  chapter.claim("bare-tile", "neither blocks nor packing: so many times as long",
                good[0] / bad[0], at_least(1.2), found);
  chapter.claim("packed-tile", "with both: so many times as long", good[3] / bad[3],
                between(0.6, 1.3), found);
}

// # Threads
//
// One core is used as well as we can. The others are idle. Splitting the work among them is
// easy; splitting it well takes two rules.
//
// *The cut follows from the shape, never from the number of threads.* A tile is a tile, and
// whoever computes it adds up the same numbers in the same order. Then one thread and
// sixty-four give the same bits, and a result can be repeated on any machine with the same
// instructions. It is tempting to cut $p$ into as many slices as there are threads;
// `--break cut-by-threads` shows what that does.
//
// *No two threads write to the same line.* A line that one core writes has to leave the
// caches of all the others, so two threads that write into neighbouring numbers pull one
// line to and fro (**false sharing**). Our threads write columns of tiles, one or two lines
// wide, and meet only at their edges.
#include "rung_8_threads.hpp"

// ? Two threads compute the product, then one, then three. How many of the million numbers differ?
// - [ ] about half, in the last bit: so it would be if each thread summed up a part of $p$
// - [x] none: who computes a tile makes no difference to what is added to what
// - [ ] a few, where tiles meet: edges belong to one tile each
static void threads(Chapter& chapter, Ladder& ladder) {
  chapter.section("Threads");
  const int before = backend::num_threads();
  auto result = [&](int count) {
    backend::set_num_threads(count);
    ::threads(ladder.square.product());
    return ladder.square.result().clone();
  };
  const Tensor one = result(1);
  double different = 0;
  for (int count : {2, 3, 8})
    different += sum((result(count) != one).to(DType::float64)).item();
  backend::set_num_threads(before);
  chapter.claim("same-bits", "numbers that differ between 1, 2, 3 and 8 threads",
                different, exactly(0), identity);
  const Rung alone = [](const Product& g) { five_loops(g, best_kernel()); };
  chapter.claim("threads", "all threads are so many times as fast as one",
                ladder.step(chapter, {{"one thread", alone, 1, true},
                                      {"all threads", ::threads, 1, true}}),
                between(0.4, 1.2 * before), found);
}

// That is {claim:threads} where the peak grew {claim:all-threads-peak} times. What is lost:
// before a block is multiplied, all threads wait until it is packed, and after it, for the
// slowest; and to wake a thread takes longer than a small product.
//
// # The ladder
//
// Now all rungs in one race, at both sizes, and two more contestants. One is `gemm`, the
// very function of [the library](../../common/backend/cpu/gemm.cpp) that every `matmul` and
// every `Linear` of this book calls: not copied, included. It has what we built, and some
// more: it reads A where it lies, and B too where few tiles would share a panel, asking for
// each row some steps ahead; it packs only what would be slow to read, makes all blocks
// equally large, gives no two threads the same rows, and adds bias and ReLU while the sums
// are still in registers.
//
// The other is the library that everybody measures against.
#include "openblas.hpp"

// All of them take the same struct.
static void library_gemm(const Product& g) { backend::cpu::gemm(g); }

template <int kThreads> static void openblas(const Product& g) {
  static const OpenBlas blas;
  blas(g, kThreads > 0 ? kThreads : backend::num_threads());
}

static void library_alone(const Product& g) {
  const int before = backend::num_threads();
  backend::set_num_threads(1);
  backend::cpu::gemm(g);
  backend::set_num_threads(before);
}

static void the_ladder(Chapter& chapter, Ladder& ladder) {
  chapter.section("The ladder");
  std::vector<Contestant> rungs = {{"three loops", three_loops, ladder.spare()},
                                   {"loop order", ::loop_order, ladder.spare()},
                                   {"vectors", vectors, 4},
                                   {"cache blocks", ::cache_blocks, 4},
                                   {"packing", ::packing, 4}};
  if (has(Isa::avx2)) rungs.push_back({"register tile", ::register_tile});
  if (has(Isa::avx512)) rungs.push_back({"AVX-512", avx512});
  rungs.push_back({"threads", ::threads, 1, true});
  const size_t ours = rungs.size();
  rungs.push_back({"library, 1 thread", library_alone});
  rungs.push_back({"library", library_gemm, 1, true});
  const bool blas = OpenBlas().here();
  if (blas) rungs.push_back({"OpenBLAS, 1 thread", openblas<1>});
  if (blas) rungs.push_back({"OpenBLAS", openblas<0>, 1, true});
  const std::vector<double> good = ladder.climb(ladder.square, rungs,
                                                chapter.pick(1, 4, 4)),
                            bad = ladder.climb(ladder.power, rungs,
                                               chapter.pick(1, 3, 3));

  // Whoever runs on one thread is held against the peak and the OpenBLAS of one thread.
  Table table = chapter.table(
      {"rung", "GFLOP/s, n = 1000", "n = 1024", "% of peak", "% of OpenBLAS"});
  for (size_t k = 0; k < rungs.size(); ++k) {
    const std::string& name = rungs[k].name;
    const bool all = rungs[k].threads;
    const double peak = all ? ladder.machine.peak_all : ladder.machine.peak;
    const size_t yardstick = rungs.size() - (all ? 1 : 2);
    table.row(name, good[k], bad[k], percent(1e9 * good[k] / peak),
              blas ? percent(good[k] / good[yardstick]) : "not here");
  }
  for (const char* missing : {"register tile", "AVX-512"}) {
    const bool there =
        std::any_of(rungs.begin(), rungs.end(),
                    [&](const Contestant& r) { return r.name == missing; });
    if (!there) table.row(missing, "not on this machine", "", "", "");
  }
  // Two digits of each are enough.
  std::vector<std::string> names;
  std::vector<double> blue, red;
  auto two_digits = [](double x) {
    const double unit = std::pow(10, std::floor(std::log10(x)) - 1);
    return unit * std::round(x / unit);
  };
  for (size_t k = 0; k < ours; ++k) {
    names.push_back(rungs[k].name);
    blue.push_back(two_digits(good[k]));
    red.push_back(two_digits(bad[k]));
  }
  if (!chapter.full())
    chapter
        .figure("ladder", "GFLOP/s of every rung, at a good size and at a bad one")
        .size(820, 380)
        .bar(names, blue, "n = 1000")
        .bar(names, red, "n = 1024");
  chapter.claim("right", "largest error of any rung, in units of its bound",
                ladder.worst, at_most(1), identity);
  chapter.claim("ladder", "the library is so many times as fast as three loops",
                good[ours + 1] / good[0], at_least(8), found);
  chapter.claim("library", "the library is so many times as fast as our last rung",
                good[ours + 1] / good[ours - 1], between(0.4, 4), found);
  chapter.claim("peak-share", "so much of its peak one thread of the library uses",
                1e9 * good[ours] / ladder.machine.peak, between(0.2, 1.1), found,
                {.unit = "%"});
  if (blas)
    chapter.claim("openblas", "the library is so many times as fast as OpenBLAS",
                  good[ours] / good[ours + 2], at_least(0.6), found);
}

// From three loops to the library it is a factor of {claim:ladder}. One thread uses
// {claim:peak-share} of its peak. Where is the rest? A tile by itself came closer (the
// figure with the heights). Between the tiles lie packing, edges, panels that come from the
// second cache and sums that go to memory and back for every 256 steps of $p$. Larger
// matrices do better, since packing is $n^2$ and multiplying $n^3$.
//
// # Small and skinny
//
// Square products are what one boasts with. A network makes others. A recurrent layer
// multiplies a batch of 32 rows by the same weights at every step. A network in use often
// sees one example at a time: one row.
//
// Count again what is done with each number that is fetched. The **arithmetic intensity**
// is operations per byte. A product makes $2 m n k$ operations on at least $4 (m k + k n +
// m n)$ bytes. For $m = n = k$ that is $n / 6$: the larger the better. For $m = 1$ it is
// about $1/2$, whatever the size: each number of B is fetched, used once, and gone.
//
// For a picture at the end of the chapter we keep both numbers of a program: what it does
// with each byte, and how fast it is.
struct Dot {
  std::string name;
  double intensity, gflops;
  double lift = 1;  // moves its name up
};

// ? One row times a 1000 × 1000 matrix. What share of the peak can the best program reach?
// - [ ] all of it: there are a thousand independent sums, so chains are no problem; but each needs its own thousand numbers of B
// - [ ] a thousandth, since there is one row instead of a thousand: the work shrinks as well
// - [x] less than a tenth: half an operation per byte, and the bytes come from beyond the second cache
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
                at_most(0.35), found, {.unit = "%"});
  chapter.claim(
      "one-row-gain",
      "one row: leaving B in place is so many times as fast as five loops", gain,
      at_least(1.2), found);
}

// There is nothing to tile here, and packing B would read it, write it and read it again.
// So for a single row the library walks along the rows of B with eight sums in registers,
// where B lies, and is as fast as memory. It asks before it packs: who will read this
// panel, and how often?
//
// # A chain of operations
//
// $y = \mathrm{relu}(a \cdot b + a)$ for four million numbers. Three operations, three
// passes over memory: $t = a b$ reads two arrays and writes one; $u = t + a$ as well; $y =
// \mathrm{relu}(u)$ reads one and writes one. Eight arrays of 16 MB. Done number by number,
// all three at once, it reads $a$ and $b$ and writes $y$: three arrays. That is **fusion**.
//
// ? Both do the same three operations per number. How do the times compare?
// - [ ] they are equal: the arithmetic is, but nobody waits for the arithmetic
// - [ ] three times: three passes against one; but a pass with three arrays takes longer than one with two
// - [x] about 8/3: so many arrays pass through memory on each side
static void fusion(Chapter& chapter, std::vector<Dot>& dots) {
  chapter.section("A chain of operations");
  const int64_t few = 1 << 14;
  auto passes = [&](const std::vector<std::vector<int64_t>>& all) {
    PaperCache cache(1, 64);
    for (const std::vector<int64_t>& arrays : all)
      for (int64_t i = 0; i < few; ++i)
        for (int64_t array : arrays) cache.touch(4 * (array * few + i));
    return double(cache.misses);
  };
  enum { kA, kB, kT, kU, kY };
  chapter.claim(
      "fusion-misses", "on paper, misses of three passes over those of one",
      passes({{kA, kB, kT}, {kT, kA, kU}, {kU, kY}}) / passes({{kA, kB, kY}}),
      near(8.0 / 3, 1e-6), identity);

  // `fused` takes the formula as a lambda, and the compiler makes one loop of it.
  Generator random(chapter.seed());
  const int64_t n = chapter.pick(1 << 16, 1 << 22, 1 << 22);
  Tensor A = randn({n}, random), B = randn({n}, random);  // (n,)
  auto formula = [](auto x, auto w) { return relu(x * w + x); };
  NoGrad no_grad;
  const double gap = amax(abs(relu(A * B + A) - cr::fused(formula, A, B))).item();
  chapter.claim("fusion-right", "three passes and one: largest gap", gap,
                exactly(0), identity);
  const int before = backend::num_threads();
  backend::set_num_threads(1);
  const std::vector<double> times =
      race({[&] { relu(A * B + A); }, [&] { cr::fused(formula, A, B); }}, 7);
  backend::set_num_threads(before);
  chapter.say("Three passes: {:.1f} ms. One pass: {:.1f} ms.", 1e3 * times[0],
              1e3 * times[1]);
  chapter.claim("fusion", "one pass is so many times as fast as three",
                times[0] / times[1], at_least(1.2), found);
  dots.push_back({"three passes", 3.0 / 32, 3e-9 * double(n) / times[0]});
  dots.push_back({"fused", 3.0 / 12, 3e-9 * double(n) / times[1]});
}

// The compiler could not have done this by itself. By the time `a * b + a` runs, three
// functions of a library are called one after the other, and each has to leave its result
// in memory for the next. Training has many such chains: a bias and an activation behind
// every product, norms, losses, the steps of an optimiser. Each of them is worth a loop of
// its own.
//
// # A convolution
//
// Chapter 16 is about networks that look at images. What they do most is a loop with seven
// indices, and it looks nothing like a matrix product.
#include "convolution.hpp"

// The third way is the library's. It reads every number of the window's nine where it lies,
// in one padded copy of the image, while the register tile is filled: a matrix product
// whose B is never written down (**implicit GEMM**).
static void convolution(Chapter& chapter, std::vector<Dot>& dots) {
  chapter.section("A convolution");
  const Images d = {chapter.pick(1, 4, 4), 64, 16, 64};
  Generator random(chapter.seed());
  Tensor images = randn({d.n, d.c, d.size, d.size}, random);
  Tensor weight = randn({d.o, d.c, 3, 3}, random) / 24.0;
  NoGrad no_grad;
  const int before = backend::num_threads();
  backend::set_num_threads(1);
  Tensor first = convolve_with_loops(images, weight, d),
         second = convolve_with_im2col(images, weight, d),
         third = conv2d(images, weight, {}, {.padding = 1});
  const double gap =
      std::max(amax(abs(first - second)).item(), amax(abs(first - third)).item());
  const std::vector<double> times =
      race({[&] { convolve_with_loops(images, weight, d); },
            [&] { convolve_with_im2col(images, weight, d); },
            [&] { conv2d(images, weight, {}, {.padding = 1}); }},
           5);
  backend::set_num_threads(before);
  const double work = 2e-9 * 9 * double(d.n * d.o * d.c * d.size * d.size);
  const double bytes = 4 * double(images.numel() + weight.numel() + first.numel());
  Table table = chapter.table({"convolution", "GFLOP/s", "numbers written down"});
  table.row("seven loops", work / times[0], first.numel());
  table.row("im2col and a matrix product", work / times[1],
            first.numel() + 9 * images.numel());
  table.row("the library's conv2d", work / times[2],
            first.numel() + images.numel());
  chapter.claim("conv-right", "three ways to convolve: largest gap", gap,
                at_most(3e-5), identity);
  chapter.claim("im2col",
                "as a matrix product it is so many times as fast as seven loops",
                times[0] / times[1], at_least(3), found);
  chapter.claim("conv", "the library is so many times as fast as im2col",
                times[1] / times[2], at_least(0.7), found);
  dots.push_back({"convolution", 1e9 * work / bytes, work / times[2], 1.2});
  dots.push_back({"seven loops", 1e9 * work / bytes, work / times[0]});
}

// Calling it a matrix product made it {claim:im2col} times as fast, and all the work on the
// ladder came for nothing. Not writing the large matrix down brought another {claim:conv}.
// That is how most fast programs come about: say what you want to compute in terms of
// something that is fast already, and then look at what that costs you.
//
// # The roofline
//
// Everything in one picture. Each program is a dot: its arithmetic intensity to the right,
// its speed upwards. Two lines bound them all. Nobody passes the peak. And nobody who makes
// $I$ operations per byte passes $I$ times the bandwidth. Together they look like a roof
// (Williams, Waterman and Patterson drew it in 2009). Left of the ridge a program is
// **memory-bound**, right of it **compute-bound**.
//
// The picture says what to do. A dot far under the flat roof wants better code: three loops
// and the library stand on the same vertical line. A dot on the slanted roof is as fast as
// it can be at its place; it has to move to the right, by doing more with each byte. Fusion
// does that. So do larger batches.
//
// So before you make a program faster, find its dot. It tells you whether faster arithmetic
// can help at all.
static void roofline(Chapter& chapter, Ladder& ladder, std::vector<Dot> dots) {
  chapter.section("The roofline");
  const double peak = ladder.machine.peak / 1e9,
               bandwidth = ladder.machine.bandwidth / 1e9;
  const double ridge = peak / bandwidth;
  const std::vector<double> rates = ladder.climb(
      ladder.square,
      {{"three loops", three_loops, ladder.spare()}, {"library", library_alone}},
      3);
  dots.push_back({"three loops", double(ladder.n) / 6, rates[0]});
  dots.push_back({"library", double(ladder.n) / 6, rates[1], 0.85});
  if (!chapter.full()) {
    Figure figure = chapter.figure(
        "roofline", "what this machine allows, and what each program makes of it");
    figure.size(720, 420);
    figure.line({1.0 / 16, ridge, 1000}, {bandwidth / 16, peak, peak});
    std::vector<double> across, up;
    for (const Dot& dot : dots) {
      across.push_back(dot.intensity);
      up.push_back(dot.gflops);
      figure.note(1.2 * dot.intensity, dot.lift * dot.gflops, dot.name);
    }
    figure.scatter(across, up).axes("operations per byte", "GFLOP/s");
    figure.xlim(1.0 / 16, 2000).log_x().log_y();
  }
  chapter.say("The ridge lies at {:.1f} operations per byte.", ridge);
  chapter.claim("ridge", "operations per byte that keep the core busy", ridge,
                between(0.5, 200), found);
}

// A byte here is one that the program names. A write costs two, because the line is read
// before it is overwritten; so a dot that only reads can peek through the slanted roof,
// whose bandwidth was measured with writes.
//
// # bfloat16 tiles
//
// The roof itself can be raised, if we pay for it with digits. Weights of a network are
// noisy guesses; do they need 24 bits?
#include "rung_9_bf16.hpp"

// Its error bound has to allow for the inputs' rounding.
static void bf16(Chapter& chapter, Ladder& ladder) {
  if (!has_tiles()) {
    chapter.say("bfloat16 tiles: not on this machine, which has no AMX.");
    return;
  }
  chapter.section("bfloat16 tiles");
  const double input = std::ldexp(1.0, -8);
  double& worst = ladder.worst = 0;
  const std::vector<double> rates = ladder.climb(
      ladder.square,
      {{"library", library_alone}, {"bf16 tiles", bf16_tiles, 1, false, input}}, 5);
  bf16_tiles(ladder.square.product());
  Tensor gap = ladder.square.result().to(DType::float64) - ladder.square.truth();
  const double error = std::sqrt(mean(square(gap)).item() /
                                 mean(square(ladder.square.truth())).item());
  chapter.say(
      "The library in float32: {:.0f} GFLOP/s. bfloat16 tiles: {:.0f} GFLOP/s, "
      "{:.0f} % of the float32 peak.",
      rates[0], rates[1], 1e11 * rates[1] / ladder.machine.peak);
  chapter.claim("bf16-right", "largest error, in units of its bound", worst,
                at_most(1), identity);
  chapter.claim("bf16-speed", "tiles are so many times as fast as the library",
                rates[1] / rates[0], at_least(1.3), found);

  // And the price? Each input is off by a part in 256 at most, by a part in 600 or so
  // typically, and the errors of a sum add up as randomly as the sum itself: relative to
  // the result they stay what they were. Two or three digits are left.
  chapter.claim("bf16-error", "typical error relative to a typical result", error,
                between(0.001, 0.005), built_in,
                {.quick = between(0.001, 0.005), .unit = "%"});
}

// For training that is often enough, if sums and weights are kept in float32 and only the
// products' inputs are rounded (Micikevicius and others showed in 2018 how, for another
// format of 16 bits). The library's own products stay with float32. And look at the
// roofline: where a raised peak meets the same bandwidth, the ridge moves to the right, and
// more programs wait for memory than before.
//
// # Any size
//
// With `--full`: the same comparison for sizes from 32 to 4096, all threads.
static void sizes(Chapter& chapter) {
  chapter.section("Any size");
  Generator random(chapter.seed());
  std::vector<double> size, ours, library, blas;
  const bool here = OpenBlas().here();
  double lowest = INFINITY;
  for (int64_t n : {32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
                    3072, 4096}) {
    Tensor a = randn({n, n}, random), b = randn({n, n}, random), c = empty({n, n});
    const Product g = product_of(a, b, c);
    std::vector<Racer> contestants = {{[&] { ::threads(g); }, true},
                                      {[&] { library_gemm(g); }, true}};
    if (here) contestants.push_back({[&] { openblas<0>(g); }, true});
    const std::vector<double> times = race(contestants, 3);
    size.push_back(double(n));
    ours.push_back(gflops(g, times[0]));
    library.push_back(gflops(g, times[1]));
    if (here) blas.push_back(gflops(g, times[2]));
    if (here) lowest = std::min(lowest, times[2] / times[1]);
  }
  Figure figure =
      chapter.figure("sizes", "GFLOP/s by the side of the matrices, all threads");
  figure.line(size, ours, "five loops").line(size, library, "library");
  if (here) figure.line(size, blas, "OpenBLAS");
  figure.axes("n", "GFLOP/s").log_x();
  if (here)
    chapter.claim("any-size", "the library over OpenBLAS where it does worst",
                  lowest, at_least(0.4), found, {.at = Size::full});
}

// # Break it
//
// Two mistakes that one makes while climbing. Both give right results.
//
// **A variable height.** At the lower edge of C a tile has fewer rows than six. Why compute
// six and throw some away? So we let the loops run to `t.rows`.
//
// ? What does that do to the speed of the whole product, where nearly every tile has six rows?
// - [ ] nothing: the loop runs six times as before; but it is now a loop
// - [x] it falls to a part: a compiler that does not know the number of rows cannot give each sum a register, so the sums go back to memory
// - [ ] it gains a little: less is thrown away at the edge; that edge is less than a hundredth of the work
#if CHAINRULE_X86_DISPATCH
[[gnu::target("avx2,fma")]] static void variable_tile(const Tile& t) {
  __m256 sum[6][2];
  for (int64_t i = 0; i < t.rows; ++i) sum[i][0] = sum[i][1] = _mm256_setzero_ps();
  const float *a = t.a, *b = t.b;
  for (int64_t p = t.k; p > 0; --p, a += 6, b += t.b_step) {
    const __m256 left = _mm256_loadu_ps(b), right = _mm256_loadu_ps(b + 8);
    for (int64_t i = 0; i < t.rows; ++i) {
      const __m256 x = _mm256_broadcast_ss(a + i);
      sum[i][0] = _mm256_fmadd_ps(x, left, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(x, right, sum[i][1]);
    }
  }
  for (int64_t i = 0; i < t.rows; ++i) {
    float* c = t.c + i * t.c_row;
    _mm256_storeu_ps(c, _mm256_add_ps(_mm256_loadu_ps(c), sum[i][0]));
    _mm256_storeu_ps(c + 8, _mm256_add_ps(_mm256_loadu_ps(c + 8), sum[i][1]));
  }
}
static void variable_height(const Product& g) {
  five_loops(g, {6, 16, variable_tile});
}
#else
static void variable_height(const Product& g) { five_loops(g, kPlain); }
#endif

static void stack_array(Chapter& chapter, Ladder& ladder) {
  chapter.section("Broken: sums on the stack");
  if (!has(Isa::avx2))
    return chapter.say("Not on this machine, which has no AVX2.");
  chapter.say("The register tile of rung 6, and one whose loops run to t.rows.");
  const double slower =
      1 / ladder.step(chapter, {{"constant height", ::register_tile},
                                {"variable height", variable_height}});
  chapter
      .figure("stack-array", "one number of rows that the compiler does not know")
      .bar({"constant height", "variable height"}, {slower, 1});
  chapter.claim("stack-right", "largest error of both, in units of its bound",
                ladder.worst, at_most(1), identity, {.symptom_of = "stack-array"});
  chapter.claim("stack-slow", "the constant height is so many times as fast",
                slower, at_least(1.3), found, {.symptom_of = "stack-array"});
}

// **A cut by threads.** Rung 8 cuts C into tiles. One can cut $p$ as well, as many slices
// as there are threads, and add up what they found. It balances perfectly, and every run
// gives the right result.
//
// ? Each thread sums a slice of $p$, then the slices are added. How do two threads' results compare to three's?
// - [ ] they are equal: a sum does not depend on its order; in float32 it does
// - [x] most numbers differ a little: other slices mean another order of additions, and each order rounds in its own way
// - [ ] they are wrong for three, since 1000 is not a multiple of three: the slices are 333, 333 and 334
static void cut(Chapter& chapter, Ladder& ladder) {
  chapter.section("Broken: cut by threads");
  chapter.say("The same product with p cut into one slice, two, three and four.");
  Tensor one;
  double worst = 0;
  std::vector<double> unlike;
  for (int count : {1, 2, 3, 4}) {
    cut_by_threads(ladder.square.product(), count);
    const Tensor result = ladder.square.result().clone();
    if (count == 1) one = result;
    unlike.push_back(mean((result != one).to(DType::float64)).item());
    worst = std::max(worst, ladder.square.error());
  }
  chapter
      .figure("cut-by-threads", "share of the numbers that differ from one slice's")
      .bar({"1 slice", "2 slices", "3 slices", "4 slices"}, unlike);
  chapter.claim("cut-right", "largest error, in units of its bound", worst,
                at_most(1), identity, {.symptom_of = "cut-by-threads"});
  chapter.claim("cut-unlike", "so many numbers change when a second thread helps",
                unlike[1], at_least(0.2), found,
                {.symptom_of = "cut-by-threads", .unit = "%"});
}

// Nothing is wrong with such a sum, but nobody can repeat it. A training of a thousand
// steps that starts with one different bit ends elsewhere, and then nobody can say whether
// the last change to the code did it, or the machine.
//
// # Do you remember?
//
// ? Chapter 5. One epoch by batches of 1 took about ten times as long as one by batches of 100. Which picture of this chapter shows why?
// - [ ] the tiles: a tile of one row has only two chains; true, but with better chains it would still wait
// - [x] the roofline: a batch of 1 makes half an operation per byte of weights, a batch of 100 fifty times as many
// - [ ] the staircase: the weights of chapter 5 fit into the second cache; that makes the batch of 1 less bad than it could be
//
// ? Chapter 5. A layer from 784 inputs to 128 units, batch 50. How many multiply-adds does $\partial L/\partial W = \delta^\top X$ take?
// - [x] 128 · 50 · 784, as many as the forward pass: the same three sizes, and another of them is summed over
// - [ ] 128 · 784: that is how many numbers come out; each is a sum over the batch
// - [ ] 50 · 50 · 784 · 128: the batch is summed over, once
//
// ? Chapter 0. Three numbers of float32 are $10^8$, $-10^8$ and $1$. What is their sum?
// - [ ] 1: so it is on paper, and if the first two meet first
// - [ ] 0: so it is if the 1 is added to one of the large ones first, where the grid is 8 wide
// - [x] 0 or 1, depending on the order: and that is why this chapter cares who adds what to what
static void story(Chapter& chapter) {
  Machine machine;
  Generator random(chapter.seed());
  const int64_t n = chapter.option("n");
  const int64_t trap = int64_t(std::bit_ceil(uint64_t(n)));
  Ladder ladder = {machine,
                   n,
                   trap,
                   Workbench(43, 67, 300, random),
                   Workbench(n, n, n, random),
                   Workbench(trap, trap, trap, random)};
  if (chapter.broken("stack-array")) {
    machine.peak = chain_rates<12>(7)[0];
    return stack_array(chapter, ladder);
  }
  if (chapter.broken("cut-by-threads")) return cut(chapter, ladder);
  by_hand(chapter);
  peak(chapter, machine);
  bandwidth(chapter, machine);
  three(chapter, ladder);
  loop_order(chapter, ladder);
  blocks_on_paper(chapter);
  cache_blocks(chapter, ladder);
  packing(chapter, ladder);
  register_tile(chapter, ladder);
  wider(chapter, ladder);
  tile_heights(chapter);
  the_trap(chapter, ladder);
  threads(chapter, ladder);
  the_ladder(chapter, ladder);
  std::vector<Dot> dots;
  skinny(chapter, machine, dots);
  fusion(chapter, dots);
  convolution(chapter, dots);
  roofline(chapter, ladder, dots);
  bf16(chapter, ladder);
  if (chapter.full()) sizes(chapter);
  chapter.section("Break it");
  chapter.say(
      "Two mistakes are planted in this program. Guess what each does, and "
      "look: --break stack-array, --break cut-by-threads.");
}

// Which claims a run has to make depends on what the machine has.
static std::vector<book::Expected> claims() {
  std::vector<book::Expected> all = {
      "chains",       "all-threads-peak", "staircase",     "order-misses",
      "order",        "vectors",          "block-traffic", "block-cliff",
      "blocks",       "packing",          "trap-misses",   "trap",
      "same-bits",    "threads",          "right",         "ladder",
      "library",      "peak-share",       "skinny-right",  "one-row",
      "one-row-gain", "fusion-misses",    "fusion-right",  "fusion",
      "conv-right",   "im2col",           "conv",          "ridge"};
  auto also = [&](bool here, std::vector<book::Expected> more) {
    if (here) all.insert(all.end(), more.begin(), more.end());
  };
  also(has(Isa::avx2), {"tile", "spill-avx2", "bare-tile", "packed-tile"});
  also(has(Isa::avx512), {"avx512", "spill-avx512"});
  also(OpenBlas().here(), {"openblas", {"any-size", Size::full}});
  also(has_tiles(), {"bf16-right", "bf16-speed", "bf16-error"});
  return all;
}

int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 56,
       .name = "cpu_performance",
       .title = "CPU performance",
       .question =
           "Three loops multiply two matrices in most of a second, the library in "
           "a few milliseconds. Same arithmetic, same processor: where does "
           "the time go?",
       .full =
           "matrices of 2000 x 2000, and a comparison for 15 sizes up to 4096: two minutes",
       .options = {{"n", book::PerSize{200, 1000, 2000},
                    "rows and columns of the matrices", 32, 8192}},
       .breaks = {{"stack-array", "a tile whose sums lie in memory"},
                  {"cut-by-threads",
                   "sums cut into as many parts as there are threads"}},
       .claims = claims(),
       .headline = "ladder"},
      story);
}
