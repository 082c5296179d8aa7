// This file tells the chapter in the order in which one reads it. Kernels and longer
// experiments lie in headers, each of which is read where it is included.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>
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
// of a second. The library does the same billion multiply-adds on all cores of the same
// processor in about ten milliseconds, gets the same result up to rounding, and is
// {claim:ladder} times as fast.
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
// - For each of the 16 sums we walk down a column of B: four rows, four lines. Until we come
// back to the first of them, we have used the other three, a row of A and a row of C. That
// is five lines, and the cache holds four. So it is gone, and so are all the others: 16 × 4
// = 64 misses.
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

// Which bytes does a program touch? That depends on where the numbers lie.
#include "layout.hpp"

static void by_hand(Chapter& chapter) {
  chapter.section("By hand: sixteen numbers");
  chapter.say(
      "A 4 x 4 product, lines of four numbers, a cache of four lines. How often "
      "does each order of the loops miss? By hand, and counted by the cache on "
      "paper (it stands where other chapters have the library).");
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

// So here are the two numbers.
#include "how_fast.hpp"

// Within a cache the speed hardly depends on the size; from one cache to the next it drops
// by a step. (With narrow vectors the first step is missing: there instructions are the
// limit, and not the first cache.) What counts as memory below are arrays of 16 MB. On a
// server whose third cache holds hundreds of megabytes that is still the third cache, or
// the share of it that other programs leave us; on a laptop it is memory. For programs the
// difference is small: both are far away. `--full` takes larger arrays.
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

// The workbench makes such structs and looks at the results.
#include "workbench.hpp"

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
  const PaperCache first(64, 12);
  const double columns = misses_of_a_row(first, count_columns, 1000) / 1e6,
               rows = misses_of_a_row(first, count_rows, 1000) / 1e6;
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
#include "blocks_on_paper.hpp"

// On the real machine: blocks of B of 64 by 256 numbers, 64 KB, stay in the second cache
// while all rows of A pass by. B comes once from far away instead of a thousand times. (In
// exchange C's rows are fetched from the second cache 16 times, once for each block of p.)
//
// ? And the time? How much of rung 3's does rung 4 take?
// - [ ] a tenth of it: so it would be if rung 3 had done nothing but wait for B
// - [ ] a third of it: that is what the order of the loops gained on paper for 4 × 4
// - [x] most of it, or all: rung 3 did not wait for B; it walks along rows, the processor sees that and fetches them ahead of time
static void cache_blocks(Chapter& chapter, Ladder& ladder) {
  chapter.section("Cache blocks, measured");
  if (!chapter.quick()) {
    const double rows = misses_of_a_row(PaperCache(2048, 16), count_rows, 1000),
                 blocks = misses_of_blocks(Layout{1000}, 64, 256);
    chapter.say(
        "Misses of the second cache for each row of A, on paper: {:.0f} without "
        "blocks, {:.0f} with them.",
        rows, blocks);
    chapter.claim("block-misses", "misses without blocks over misses with them",
                  rows / blocks, near(166, 0.02), identity, {.at = Size::normal});
  }
  chapter.claim("blocks", "with blocks it is hardly faster: so many times",
                ladder.step(chapter, {{"vectors", vectors, 4},
                                      {"cache blocks", ::cache_blocks, 4}}),
                between(0.75, 2), found);
}

// So {claim:blocks} is the factor, for a plan that looked so good on paper. That is worth a
// minute. The misses of the second cache are {claim:block-misses} times fewer, and the
// speed barely moved; so they were not what we waited for. Look at the innermost line
// instead: `c[j] += x * b[j]`. For one vector multiply-add the processor loads a vector of
// C and a vector of B, and stores one. It can do two loads and a store in a cycle, at best,
// and in the same cycle two multiply-adds: so at best half of them are used. And each sum
// goes out to the cache and comes back a thousand times, once for every $p$.
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
                between(0.5, 2), found);
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

// Everything around these kernels is as it was.
static void register_tile(Chapter& chapter, Ladder& ladder) {
  if (!has(Isa::avx2)) {
    chapter.say("The register tile: not on this machine, which has no AVX2.");
    return;
  }
  chapter.section("The register tile");
  chapter.claim("wide", "AVX2's instructions alone are so many times as fast",
                ladder.step(chapter, {{"packing", ::packing, 4},
                                      {"AVX2, sums in memory", sums_in_memory}}),
                at_least(1.2), found);
  chapter.claim("tile", "then, with sums in registers, so many times as fast",
                ladder.step(chapter, {{"AVX2, sums in memory", sums_in_memory},
                                      {"register tile", ::register_tile}}),
                at_least(1.5), found);
}

// Instructions of twice the width, which add while they multiply, bring a factor of
// {claim:wide}. Then {claim:tile} times more: same instructions, same blocks, same packing,
// same order of additions, even the same bits. Only the sums have stopped travelling.
//
// # AVX-512
//
// The next rung is bought, not earned: registers twice as wide, and twice as many.
#include "rung_7_avx512.hpp"

// Twice the width is twice the peak only where the processor has units that wide. Some have
// not, AMD's Zen 4 among them: there each wide instruction goes through a unit of half its
// width in two turns. So the chains of the beginning are asked first by how much the peak
// grows. And twice the peak is not twice the speed, since what is not arithmetic stays as it
// was: packing, edges, and the way to memory.
static void wider(Chapter& chapter, Ladder& ladder) {
  if (!has(Isa::avx512)) {
    chapter.say("AVX-512: not on this machine.");
    return;
  }
  chapter.section("AVX-512");
  const double peak = peak_of_wide_over_narrow();
  const double ours = ladder.step(
      chapter, {{"register tile", ::register_tile}, {"AVX-512", avx512}});
  chapter.say("The peak grew {:.2f} times.", peak);
  chapter.claim("avx512", "twice the width is so many times as fast", ours,
                at_least(std::round(50 * peak) / 100), found);
}

// # How high a tile?
//
// Why six rows, why 14? The chains of the beginning are back. Each sum of the tile is one:
// it waits for itself. One row has two sums, so a tile of four rows has the eight chains
// that the processor wants. More rows are better still, because B's two registers are
// loaded once for all rows. That ends where the registers do.
#include "tile_heights.hpp"

// Both curves climb with the chains, go on climbing a little while each load serves more
// rows, and fall where the registers are used up: AVX2 with its 16 at the seventh row,
// AVX-512 with its 32 behind the fourteenth. (How deep they fall depends on how much else
// the processor can fetch meanwhile. One that takes two turns for each wide multiply-add has
// time to spare, and 18 rows cost it next to nothing.) That is all there is to the numbers 6
// and 14.
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
// page. Pages are scattered over the sets, but a set still has 16 places.) This is the
// **power-of-two trap**, and everyone who takes sizes like 1024 because they look fast falls
// into it.
#include "the_trap.hpp"

// # Threads
//
// One core is used as well as we can. The others are idle. Splitting the work among them is
// easy; splitting it well takes two rules.
//
// *The sum of each number follows from the shape, never from the number of threads.* Rows
// and columns may be cut as one likes; $p$ may not. A tile is a tile, and whoever computes
// it adds up the same numbers in the same order. Then one thread and sixty-four give the
// same bits, and a result can be repeated on any machine with the same instructions. It is
// tempting to cut $p$ into as many slices as there are threads; `--break cut-by-threads`
// shows what that does.
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
  auto result = [&](Rung multiply, int count) {
    backend::set_num_threads(count);
    multiply(ladder.square.product());
    return ladder.square.result().clone();
  };
  // Ours, and the library's, which cuts its rows by the number of threads.
  double different = 0;
  for (Rung multiply : {Rung(::threads), Rung(backend::cpu::gemm)}) {
    const Tensor one = result(multiply, 1);
    for (int count : {2, 3, 8})
      different += sum((result(multiply, count) != one).to(DType::float64)).item();
  }
  backend::set_num_threads(before);
  chapter.claim("same-bits", "numbers that differ between 1, 2, 3 and 8 threads",
                different, exactly(0), identity);

  // The peak of all threads runs in the same race: other programs take cores away from
  // both.
  std::vector<Racer> racers = chains_alone_and_together();
  const Product g = ladder.square.product();
  racers.push_back({[&] { five_loops(g, best_kernel()); }, true});
  racers.push_back({[&] { ::threads(g); }, true});
  const std::vector<double> times = race(racers, chapter.pick(3, 15, 9));
  const double peak = before * times[0] / times[1], ours = times[2] / times[3];
  chapter.say(
      "One thread: {:.1f} GFLOP/s. {} threads: {:.1f} GFLOP/s, {:.2f} times as much. "
      "The peak grew {:.2f} times.",
      gflops(g, times[2]), before, gflops(g, times[3]), ours, peak);
  chapter.claim("threads", "of what the peak grew, the speed-up is so much",
                ours / peak, between(0.5, 1.3), found, {.unit = "%"});
}

// So our threads get {claim:threads} of what they could. What is lost: before a block is
// multiplied, all threads wait until it is packed, and after it, for the slowest; and to
// wake a thread takes longer than a small product.
//
// # bfloat16 tiles
//
// The peak itself can be raised, if we pay for it with digits. Weights of a network are
// noisy guesses; do they need 24 bits?
#include "rung_9_bf16.hpp"

// Its error bound has to allow for the inputs' rounding.
static void bf16(Chapter& chapter, Ladder& ladder, Machine& machine) {
  if (!has_tiles()) {
    chapter.say("bfloat16 tiles: not on this machine, which has no AMX.");
    return;
  }
  chapter.section("bfloat16 tiles");
  const int64_t steps = 20'000;
  machine.peak_tiles = tile_chains(steps) /
                       race({[] { tile_chains(steps); }}, chapter.pick(2, 7, 7))[0];
  const double before = std::exchange(ladder.worst, 0);
  const std::vector<double> rates = ladder.climb(
      ladder.square,
      {{"AVX-512", avx512}, {"bf16 tiles", bf16_tiles, 1, false, kBf16Error}}, 5);
  bf16_tiles(ladder.square.product());
  Tensor gap = ladder.square.result().to(DType::float64) - ladder.square.truth();
  const double error = std::sqrt(mean(square(gap)).item() /
                                 mean(square(ladder.square.truth())).item());
  chapter.say(
      "AVX-512, float32: {:.0f} GFLOP/s. bfloat16 tiles: {:.0f} GFLOP/s, {:.0f} % of "
      "their peak of {:.0f}.",
      rates[0], rates[1], 1e11 * rates[1] / machine.peak_tiles,
      machine.peak_tiles / 1e9);
  chapter.claim("bf16-right", "largest error, in units of its bound", ladder.worst,
                at_most(1), identity);
  ladder.worst = std::max(ladder.worst, before);
  chapter.claim("bf16-speed", "tiles are so many times as fast as AVX-512",
                rates[1] / rates[0], at_least(2), found);

  // And the price? Each input is off by a part in 256 at most, by a part in 600 or so
  // typically, and the errors of a sum add up as randomly as the sum itself: relative to
  // the result they stay what they were. Two or three digits are left.
  chapter.claim("bf16-error", "typical error relative to a typical result", error,
                between(0.001, 0.005), built_in,
                {.quick = between(0.001, 0.005), .unit = "%"});
}

// For training that is often enough, if sums and weights are kept in float32 and only the
// products' inputs are rounded (Micikevicius and others showed in 2018 how, for another
// format of 16 bits). The library's own products stay with float32.
//
// # The ladder
//
// Now all rungs in one race, at both sizes, and two more contestants. One is `gemm`, the
// very function of [the library](../../common/backend/cpu/gemm.cpp) that every `matmul` and
// every `Linear` of this book calls: not copied, included. It stands on the same ideas and
// cuts differently. Its blocks are up to 800 steps of $p$ deep, so a panel of B takes 100
// KB, and all blocks are equally large. Each core packs a group of at most 64 rows of A
// itself, just before it multiplies them; every thread gets equally many equal panels, and
// where there are enough rows (eight panels of A for each thread), no two threads share
// any. It reads A where it lies, and B too where few tiles would share a panel, asking for
// each row some steps ahead. And it adds bias and ReLU while the sums are still in
// registers.
//
// The other is the library that everybody measures against.
#include "the_ladder.hpp"

// From three loops on one core to the library on all of them it is a factor of
// {claim:ladder}. One thread uses {claim:peak-share} of its peak. Where is the rest? A tile
// by itself came closer (the figure with the heights). Between the tiles lie packing,
// edges, panels that come from the second cache and sums that go to memory and back after
// each block of $p$. Larger matrices do better, since packing is $n^2$ and multiplying
// $n^3$. The bfloat16 tiles are the fastest and use the least of their peak: they multiply
// in a fraction of the time, and round and pack for as long as the others.
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
#include "skinny.hpp"

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
#include "fusion.hpp"

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

// And in a race, with a third way.
#include "convolution_race.hpp"

// Calling it a matrix product made it {claim:im2col} times as fast, and all the work on the
// ladder came for free. Not writing the large matrix down brought another {claim:conv}.
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
#include "roofline.hpp"

// A byte here is one that the program names. A written number moves twice: its line is read
// before it is overwritten. So a dot that only reads can peek through the slanted roof,
// whose bandwidth was measured with writes.
//
// The second roof is that of the bfloat16 tiles. A raised peak meets the same bandwidth, so
// its ridge lies further to the right: faster arithmetic makes more programs wait for
// memory.
//
// # Any size
//
// With `--full`: the same comparison for sizes from 32 to 4096, all threads.
#include "sizes.hpp"

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
#include "broken.hpp"

// Nothing is wrong with such a sum, but only a machine with as many threads can repeat it.
// A training of a thousand steps that starts with one different bit ends elsewhere, and
// then nobody can say whether the last change to the code did it, or the machine.
//
// # Do you remember?
//
// ? Chapter 5. One epoch by batches of 1 took about ten times as long as one by batches of 100. Which picture of this chapter shows why?
// - [ ] the tiles: a tile of one row has only two chains; true, but with better chains it would still wait
// - [x] the roofline: a batch of 1 makes half an operation per byte of weights, a batch of 100 makes fifty
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
  const int64_t least =
      chapter.quick() ? n : 600;  // less is over too soon to be timed
  if (trap == n)
    throw UsageError(fmt::format(
        "--n {}: this is a power of two, and the chapter compares one with another size; "
        "try --n {}",
        n, n - n / 40));
  if (n < least)
    throw UsageError(fmt::format(
        "--n {}: too small for its times to say anything; take {} or more, or --quick",
        n, least));
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
  bf16(chapter, ladder, machine);
  the_ladder(chapter, ladder);
  std::vector<Dot> dots;
  skinny(chapter, machine, dots);
  fusion(chapter, dots);
  convolution(chapter, dots);
  roofline(chapter, ladder, dots);
  if (chapter.full()) sizes(chapter);
  chapter.section("Break it");
  chapter.say(
      "Two mistakes are planted in this program. Guess what each does, and "
      "look: --break stack-array, --break cut-by-threads.");
}

// Which claims a run has to make depends on what the machine has.
static std::vector<book::Expected> claims() {
  // A wrong CHAINRULE_ISA is for run_chapter to report, when the story asks.
  try {
    has(Isa::base);
  } catch (const Error&) {
    return {};
  }
  std::vector<book::Expected> all = {
      "chains",        "staircase",
      "order-misses",  {"block-misses", Size::normal},
      "order",         "vectors",
      "block-traffic", "block-cliff",
      "blocks",        "packing",
      "trap-misses",   "trap",
      "same-bits",     "threads",
      "right",         "ladder",
      "library",       "peak-share",
      "skinny-right",  "one-row",
      "one-row-gain",  "fusion-misses",
      "fusion-right",  "fusion",
      "conv-right",    "im2col",
      "conv"};
  auto also = [&](bool here, std::vector<book::Expected> more) {
    if (here) all.insert(all.end(), more.begin(), more.end());
  };
  also(has(Isa::avx2), {"wide", "tile", "spill-avx2", "bare-tile", "packed-tile"});
  also(has(Isa::avx512), {"avx512", "spill-avx512"});
  also(openblas_is_fair(), {"openblas", {"any-size", Size::full}});
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
           "about ten milliseconds. Same arithmetic, same processor: where does "
           "the time go?",
       .full =
           "matrices of 2000 x 2000, and a comparison for 15 sizes up to 4096: two minutes",
       .options = {{"n", book::PerSize{200, 1000, 2000},
                    "rows and columns of the matrices", 65, 8192}},
       .breaks = {{"stack-array", "a tile whose sums lie in memory"},
                  {"cut-by-threads",
                   "sums cut into as many parts as there are threads"}},
       .claims = claims(),
       .headline = "ladder"},
      story);
}
