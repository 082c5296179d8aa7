// This file tells the chapter in the order in which one reads it. Kernels and
// their arithmetic lie in files of their own, each of which is read where it
// is included. The kernels that run are those of `rungs.cu`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// # A warp at a time
//
// [Chapter 56](../56_cpu_performance/main.cpp#a-billion-multiply-adds) made a
// matrix product a hundred times as fast on a processor with two cores. A
// **GPU** (*graphics processing unit*) has over a hundred, called
// **multiprocessors**, and each of them works on up to 2048 **threads** at
// the same time. Nobody can write that many programs, so all threads run the
// same one, and differ only in their number.
//
// They do not run one by one. 32 threads with neighbouring numbers are a
// **warp**, and each instruction is carried out by the whole warp at once, a
// thread being one of its **lanes**. When a warp loads, 32 addresses arrive
// at the memory together. What these addresses look like decides nearly
// everything in this chapter, and it can be *counted*.
//
// So you need no GPU to climb this ladder. Every kernel below runs on [an
// emulator](../../common/backend/simt/launch.hpp), which plays all the
// threads, watches each load and store, and counts what a profiler would
// count on the real thing. What it cannot do is take the time. Where a GPU is
// at hand, the program does; where none is, it says so, and no number is made
// up.
//
// # By hand: eight threads read
//
// Memory does not hand out single numbers. It hands out **sectors** of 32
// bytes, eight numbers of float32, aligned to 32 bytes. A warp's load is one
// **request**; it costs as many sectors as its lanes touch, whether they use
// all of them or not.
//
// Take eight threads, and let thread $t$ read
//
// - number $t$: eight neighbours, one sector;
// - number $8t$: every one in another sector, eight of them, and of each 32 bytes 28 are
// thrown away;
// - number $4 + t$: eight neighbours, but half of them lie beyond a border: two sectors;
// - number 0, all of them: one sector.
//
// A full warp has 32 lanes, so the same four patterns cost 4, 32, 5 and 1.
#include "by_hand.cuh"

// The workbench will run and count everything.
#include "workbench.hpp"

static void by_hand(Chapter& chapter, Ladder& ladder) {
  chapter.section("By hand: eight threads read");
  chapter.say(
      "One request of a few threads: how many sectors of 32 bytes does it cost? By hand, "
      "and counted by the emulator.");
  const Tensor x = zeros({1024}), y = zeros({1024});
  const simt::Memory in(x.data<float>(), 4096), out(y.mutable_data<float>(), 4096);
  auto sectors = [&](int lanes, int first, int step) {
    const simt::Counts counts = simt::count([&] {
      ladder.kernels.read(x.data<float>(), y.mutable_data<float>(), lanes, first,
                          step);
    });
    return double(counts.total().load_sectors);
  };
  chapter.check("8 threads, neighbours", 1, sectors(8, 0, 1));
  chapter.check("8 threads, every eighth", 8, sectors(8, 0, 8));
  chapter.check("8 threads, neighbours from 4 on", 2, sectors(8, 4, 1));
  chapter.check("8 threads, all the same", 1, sectors(8, 0, 0));
  chapter.check("32 threads, neighbours", 4, sectors(32, 0, 1));
  chapter.check("32 threads, every eighth", 32, sectors(32, 0, 8));
  chapter.check("32 threads, neighbours from 4 on", 5, sectors(32, 4, 1));
  chapter.check("32 threads, all the same", 1, sectors(32, 0, 0));
}

// # One thread for each number of C
//
// $C_{ij} = \sum_p A_{ip} B_{pj}$. A thread takes one pair $(i, j)$ and runs
// along $p$.
#include "rung_1_naive.cuh"

// Which threads are a warp? They are numbered along x first. So the 32 lanes
// here have 32 rows $i$, one below the other, and the same column $j$. At
// each step of $p$ they read 32 numbers of A that stand in one column, each
// in another sector, and all the same number of B.
//
// ? The same kernel with x and y exchanged: lanes are neighbours in a *row* of C. What does a step cost now?
// - [ ] as much as before, 33 sectors: A and B change roles; but B is stored by rows, so its 32 numbers lie side by side
// - [x] 5 sectors: all lanes read the same number of A, one sector, and 32 neighbours of B, four
// - [ ] 1 sector: that would be so if a sector held 32 numbers
#include "rung_2_coalesced.cuh"

static void coalescing(Chapter& chapter, Ladder& ladder) {
  chapter.section("Coalesced");
  const simt::LineCounts naive = ladder.climb(), coalesced = ladder.climb();
  chapter.say(
      "Sectors that a warp fetches for one step of p, and for the whole of C: naive {} and "
      "{}, coalesced {} and {}.",
      double(naive.load_sectors) / ladder.warp_steps(), naive.store_sectors,
      double(coalesced.load_sectors) / ladder.warp_steps(),
      coalesced.store_sectors);
  chapter.claim("naive-sectors", "sectors for one step of a warp, naive",
                double(naive.load_sectors) / ladder.warp_steps(), exactly(33),
                identity);
  chapter.claim("coalesced-sectors", "sectors for one step of a warp, coalesced",
                double(coalesced.load_sectors) / ladder.warp_steps(), exactly(5),
                identity);
  chapter.claim("store-sectors", "naive writes so many times as many sectors of C",
                double(naive.store_sectors) / double(coalesced.store_sectors),
                exactly(8), identity);

  // The picture shows which words of memory the 32 lanes ask for. Each row of
  // dots of the left panel is another row of A, far away from the one before.
  std::vector<double> lane(32), far(32), near_by(32), same(32, 0);
  std::iota(lane.begin(), lane.end(), 0);
  for (size_t l = 0; l < 32; ++l) far[l] = double(l), near_by[l] = double(l / 8);
  Figure figure =
      chapter.figure("coalescing", "the sector that each lane of a warp reads");
  figure.panel("A, naive: 32 sectors")
      .scatter(lane, far)
      .axes("lane", "sector")
      .ylim(-1, 32);
  figure.panel("B, coalesced: 4 sectors")
      .scatter(lane, near_by)
      .axes("lane", "sector")
      .ylim(-1, 32);
}

// To let neighbouring threads read neighbouring numbers is called
// **coalescing**. It is the first thing to look at in any kernel, and often
// the only one that is needed.
//
// In a profiler you would look for *sectors per request*. Four is as good as
// it gets for 32 floats; 32 is as bad as it gets. What to do about it is
// always the same: find the index that belongs to `threadIdx.x`, and let it
// run along memory. Where the data lies the other way round, turn a tile over
// in shared memory (exercise 3 does).
//
// # Shared tiles
//
// Five sectors are 160 bytes for 32 multiply-adds: 5 bytes for each. An H100
// fetches 3.35 TB in a second, says its maker, and multiplies 33.5 million
// million times. So it could feed only one multiply-add in fifty: what comes
// has to be used again.
//
// A multiprocessor has a small memory of its own, up to 228 KB, which all
// threads of a block see. This **shared memory** is a cache that we fill by
// hand.
#include "rung_3_shared.cuh"

// How many bytes does a tile save? A block that makes $r$ rows by $c$ columns
// of C fetches for each step of $p$ $r$ numbers of A and $c$ of B, and makes
// $r c$ multiply-adds with them:
//
// $$\text{bytes for a multiply-add} = 4\,\frac{r + c}{r\,c} = 4 \left(\frac1r + \frac1c\right) .$$
//
// For 32 × 32 that is a quarter of a byte.
static void shared(Chapter& chapter, Ladder& ladder) {
  chapter.section("Shared tiles");
  const double before = ladder.bytes(ladder.seen.back()),
               after = ladder.bytes(ladder.climb());
  chapter.say("Bytes for a multiply-add: {} before, {} with tiles of 32 x 32.",
              before, after);
  chapter.claim("tile-bytes", "32 x 32: bytes fetched for a multiply-add", after,
                exactly(0.25), identity);
  chapter.claim("tile-gain", "so many times less than without tiles",
                before / after, exactly(20), identity);
}

// Why not make the tile larger, then? A block may have 1024 threads at most,
// and with one number of C for each, 32 × 32 is the end. To go on, a thread
// has to make more than one. Before we do that, a look at the memory that
// everything now goes through.
//
// # Banks, by hand
//
// Now everybody reads from shared memory, twice for each multiply-add. How
// fast is that? It has 32 **banks**: word $w$ lies in bank $w \bmod 32$, and
// each bank gives one word at a time. Lanes that want the same word share it.
// Lanes that want different words of one bank have to wait for each other: a
// **bank conflict**. One go is a **wavefront**.
//
// In rung 3 a warp reads one number of `a`, the same for all, and 32
// neighbours of `b`, one from each bank: a wavefront each. But let the warp
// read a *column* of a tile whose rows are 32 words long. Row $r$ of column
// $c$ is word $32 r + c$, in bank $c$. All 32 numbers lie in the same bank.
//
// ? Reading the column takes 32 wavefronts. What if the rows are made 33 words long, the last of them unused?
// - [ ] still 32: the numbers themselves are where they were; but each row now begins one bank further
// - [ ] 2: so it would be for rows of 48 words, since 48 r mod 32 is 0 or 16
// - [x] 1: word 33 r + c lies in bank (r + c) mod 32, another one for each row
static void banks(Chapter& chapter, Ladder& ladder) {
  chapter.section("Banks, by hand");
  Generator random(chapter.seed());
  const Tensor x = randn({32, 32}, random);
  const Tensor y = zeros({32, 32});
  const simt::Memory in(x.data<float>(), 4096), out(y.mutable_data<float>(), 4096);
  auto wavefronts = [&](bool longer_rows) {
    const simt::Counts counts = simt::count([&] {
      ladder.kernels.columns(x.data<float>(), y.mutable_data<float>(), longer_rows);
    });
    return double(counts.total().wavefronts - 32) /
           32;  // 32 requests to write the tile
  };
  chapter.check("a column, rows of 32 words: wavefronts", 32, wavefronts(false));
  chapter.check("a column, rows of 33 words: wavefronts", 1, wavefronts(true));
  chapter.check("what was read, turned over", x.t().contiguous(), y);

  auto bank = [](int step) {
    Tensor banks = zeros({32, 32});
    for (int r = 0; r < 32; ++r)
      for (int c = 0; c < 32; ++c)
        banks.mutable_data<float>()[r * 32 + c] = float((r * step + c) % 32);
    return banks;
  };
  Figure figure =
      chapter.figure("banks", "the bank in which each number of a tile lies");
  figure.panel("rows of 32 words: a column is one bank").heatmap(bank(32));
  figure.panel("rows of 33 words: a column is all banks").heatmap(bank(33));
}

// # Register tiles
//
// Rung 3 has no conflicts, and still it reads shared memory twice to multiply
// once. It is the same disease as in [chapter
// 56](../56_cpu_performance/main.cpp#the-register-tile), and the same
// medicine helps: let each thread make a few numbers of C, and keep them in
// registers.
#include "rung_4_registers.cuh"

static void registers(Chapter& chapter, Ladder& ladder) {
  chapter.section("Register tiles");
  const simt::LineCounts tiles = ladder.seen.back(), column = ladder.climb(),
                         square = ladder.climb();
  const double steps = ladder.warp_steps();
  chapter.say(
      "Requests to shared memory for a multiply-add of a warp: {:.4f} in rung 3, {:.4f} in "
      "rung 4, {:.4f} in rung 5. Wavefronts: {:.4f}, {:.4f}, {:.4f}.",
      double(tiles.shared_requests) / steps, double(column.shared_requests) / steps,
      double(square.shared_requests) / steps, double(tiles.wavefronts) / steps,
      double(column.wavefronts) / steps, double(square.wavefronts) / steps);
  // On paper, for eight steps of $p$ in rung 5: 16 reads each, and four times
  // two numbers written. 136 requests for 512 multiply-adds.
  chapter.claim("column-requests", "rung 4: requests for a multiply-add of a warp",
                double(column.shared_requests) / steps, exactly(9.0 / 8 + 2.0 / 64),
                identity);
  chapter.claim("square-requests", "rung 5: requests for a multiply-add of a warp",
                double(square.shared_requests) / steps, exactly(136.0 / 512),
                identity);
  chapter.claim("square-conflicts", "rung 5: wavefronts for a request",
                double(square.wavefronts) / double(square.shared_requests),
                exactly(392.0 / 136), identity);
}

// A quarter of the requests of rung 4, but each takes nearly three
// wavefronts. Where from? Lane $l$ reads columns $8l \dots 8l + 7$ of `b`,
// one after the other. At each of these reads 16 lanes ask for words 0, 8,
// 16, …, 120, which lie in four banks: four wavefronts. And of `a` they ask
// for two rows that lie 64 words apart: the same bank, two wavefronts. $8
// \cdot 4 + 8 \cdot 2 = 48$ for a step, where 16 would do. Whoever counts
// requests only is pleased too early.
//
// And yet rung 5 would be faster than rung 4 on most GPUs. Its tile of 128 ×
// 128 halves the traffic from memory once more, and its instructions are
// fewer: 64 multiply-adds to 16 loads. A kernel is as fast as its slowest
// part allows, so all of these numbers have to be looked at together; the
// table at the end shows them side by side.
//
// There is a price, and it is not in the table. A thread with 64 sums takes
// over a hundred registers. A multiprocessor has 65 536, so instead of its
// 2048 threads there is room for some 500: this share is called
// **occupancy**. Fewer warps are there to jump in while one waits. What rung
// 5 gains by using each number more often it has to pay for with waiting, and
// rungs 6 to 9 are about waiting less.
//
// # Wider, without conflicts, by warps
//
// From here on we change no arithmetic, only who has which numbers.
#include "layouts.hpp"

// And the kernel that asks a layout.
#include "rung_6_vectors.cuh"

// What does a step of $p$ cost a warp, on paper? In rung 6 each thread has
// eight neighbours again. Its loads are four words wide, and eight lanes ask
// for words $8l \dots 8l + 3$ of `b`, which lie in half of the banks: two
// wavefronts for each quarter of a request, eight for the request. Of `a` all
// of them ask for the same: four. Two requests each, 24.
//
// Rung 7 gives a thread columns $4l \dots 4l + 3$ and the four that lie 64
// further: eight lanes ask for 32 words side by side, in all banks. 16 are
// left, as few as quarters allow. And while A is turned over, 16 rows at two
// depths are written at once. With rows of 128 words both depths meet the
// same banks; with 132 they lie 16 banks apart ($4 \cdot 132 \bmod 32 = 16$).
//
// Of `a`, all lanes of a quarter ask for the same, so halves will do there,
// and only 12 are left where the GPU knows the way around. Rung 8 weaves the
// lanes so that it can be taken twice: of A lanes 0 and 1 ask for the same,
// of B lanes 0 and 2. That makes 8.
#include "rung_7_banks.cuh"

static void layouts(Chapter& chapter, Ladder& ladder) {
  chapter.section("Wider, without conflicts, by warps");
  const double square = ladder.wavefronts_of_eight(ladder.seen.back());
  const double vectors = ladder.wavefronts_of_eight(ladder.climb()),
               spread = ladder.wavefronts_of_eight(ladder.climb()),
               warps = ladder.wavefronts_of_eight(ladder.climb());
  // The tiles of eight steps are written once: four single numbers and one
  // group of four for each thread. In rung 6 that takes 4 · 2 + 4 wavefronts,
  // then 4 + 4.
  chapter.say(
      "Wavefronts of a warp for eight steps of p: {} in rung 5, {} in rung 6, {} in rung 7, "
      "{} in rung 8.",
      square, vectors, spread, warps);
  chapter.claim("vector-wavefronts", "rung 6: wavefronts for eight steps", vectors,
                exactly(8 * 24 + 12), identity);
  chapter.claim("spread-wavefronts", "rung 7: wavefronts for eight steps", spread,
                exactly(8 * 16 + 8), identity);
  chapter.claim("paper-banks",
                "rungs 6 to 8: counted wavefronts, less those on paper",
                vectors - 8 * wavefronts_of_a_step<Neighbours>(0) - 12 + spread -
                    8 * wavefronts_of_a_step<Spread>(0) + warps -
                    8 * wavefronts_of_a_step<Warps>(0) - 16,
                exactly(0), identity);

  // The emulator serves quarters and knows no way around, so it sees no
  // difference between rungs 7 and 8. Paper does.
  const double vectors_in_pairs =
                   8 * wavefronts_of_a_step<Neighbours>(0, true) + 12,
               spread_in_pairs = 8 * wavefronts_of_a_step<Spread>(0, true) + 8,
               warps_in_pairs = 8 * wavefronts_of_a_step<Warps>(0, true) + 8;
  chapter.claim("spread-pairs", "rung 7, lanes in pairs, on paper", spread_in_pairs,
                exactly(8 * 12 + 8), identity);
  chapter.claim("warp-pairs", "rung 8, lanes in pairs, on paper", warps_in_pairs,
                exactly(8 * 8 + 8), identity);
  chapter
      .figure("wavefronts", "wavefronts of shared memory for eight steps of a warp")
      .bar({"5 square tiles", "6 vectors", "7 free banks", "8 warp tiles"},
           {square, vectors, spread, warps}, "counted, in quarters")
      .bar({"5 square tiles", "6 vectors", "7 free banks", "8 warp tiles"},
           {square, vectors_in_pairs, spread_in_pairs, warps_in_pairs},
           "on paper, lanes in pairs");
}

// Is that few enough? A multiprocessor of an H100 makes 128 multiply-adds in
// a cycle, four warps' worth, and a wavefront takes it a cycle too. Eight
// steps are 512 multiply-adds of a warp: 128 cycles. So rung 5 with its 392
// wavefronts waits for shared memory two thirds of the time. Served in
// quarters, rung 7 takes {claim:spread-wavefronts}, a little more than there
// is time for; in pairs {claim:spread-pairs}, and rung 8 {claim:warp-pairs}.
// Then the multipliers can be busy all the time, and there is room for
// writing the next tiles. The multiply-adds were the same in all of them, in
// the same order.
//
// # Double buffering
//
// In all kernels so far the threads of a block fetch, wait, multiply, and
// fetch again. While they wait, other blocks of the same multiprocessor can
// multiply; but a block of rung 8 takes so many registers that only two fit.
// So a block should fetch the next tiles *while* it multiplies.
//
// ? Two pairs of tiles instead of one. How many barriers does a block need for each pair?
// - [ ] two, as before: one when the tiles are complete, one when all have multiplied
// - [x] one: when all have arrived there, the new tiles are complete *and* the old ones, which are filled next, are no longer needed
// - [ ] none: the copies wait by themselves; but a thread waits for its own copies only
#include "rung_9_async.cuh"

static void pipeline(Chapter& chapter, Ladder& ladder) {
  chapter.section("Double buffering");
  const simt::LineCounts before = ladder.seen.back(), after = ladder.climb();
  chapter.say("Barriers that all blocks pass: {} in rung 8, {} in rung 9.",
              before.barriers, after.barriers);
  chapter.claim("barriers", "rung 8 passes so many times as many barriers",
                double(before.barriers) / double(after.barriers), exactly(4),
                identity);

  // In the figure time runs to the right. Nothing in it is measured: fetching
  // and multiplying a pair of tiles are drawn equally long.
  std::vector<double> before_it, after_it, first, then, up, low;
  for (double k = 0; k < 4; ++k)
    for (double edge : {0.05, 0.95, double(NAN)}) {
      before_it.push_back(2 * k + edge), after_it.push_back(2 * k + 1 + edge);
      first.push_back(k + edge), then.push_back(k + 1 + edge);
      up.push_back(2), low.push_back(1);
    }
  Figure figure = chapter.figure(
      "pipeline", "what a block does, pair of tiles by pair of tiles");
  figure.panel("rung 8: one after the other")
      .line(before_it, up, "fetch")
      .line(after_it, low, "multiply")
      .axes("time", "")
      .ylim(0, 3)
      .xlim(0, 8);
  figure.panel("rung 9: at the same time")
      .line(first, up, "fetch")
      .line(then, low, "multiply")
      .axes("time", "")
      .ylim(0, 3)
      .xlim(0, 8);
}

// `cp.async` saves something else, which no count shows. Before, a number
// came from memory into a register and from there into shared memory: two
// instructions, and a register that is taken for as long as memory needs,
// some hundreds of cycles. Now it is one instruction and no register.
//
// Half of the factor comes from the second pair of tiles, half from tiles
// that are 16 deep instead of 8. On a GPU the barriers are not the point; the
// waiting in front of them is.
//
// # Tensor cores
//
// So much for multiply-adds one by one. As on the processor, the peak itself
// can be raised if we pay with digits. An H100 makes 67 million million
// operations in a second in float32, and 989 in bfloat16, says its maker.
// They come from **tensor cores**, circuits that multiply whole matrices.
#include "fragments.hpp"

// The numbers.
#include "bfloat16.hpp"

// And the instructions.
#include "tensor_core.cuh"

// The first tensor-core kernel takes float32, and rounds it to TF32.
#include "rung_10_tf32.cuh"

// The second takes bfloat16. Both run here, number for number.
#include "rung_11_bf16.cuh"

// ? Rung 11 reads, with one `ldmatrix`, the same 16 bytes of eight rows of a tile. How many wavefronts would that take *without* the swizzle?
// - [ ] 1: eight rows times 16 bytes are 128 bytes, once all banks; but the rows are 128 bytes apart
// - [ ] 4: so it is in rung 10 with its short rows
// - [x] 8: all eight pieces lie in the same four banks
static void tensor_cores(Chapter& chapter, Ladder& ladder) {
  chapter.section("Tensor cores");
  // On paper: 48 reads of one wavefront each, as laid out. Each thread writes
  // two groups of four numbers of A and two of B. Of B a quarter of a warp
  // writes 32 words side by side; of A, two rows of 16 words that begin 20
  // apart and so meet in four banks. 2 · 4 + 2 · 8.
  const simt::LineCounts tf32 = ladder.climb();
  chapter.claim("tf32-wavefronts", "rung 10: wavefronts for 16 steps of a warp",
                ladder.wavefronts_of_eight(tf32) * 2, exactly(48 + 24), identity);

  // Eight rows of a tile, on paper: the words that one of the four matrices
  // reads.
  auto of_eight_rows = [](auto place) {
    std::vector<int> words;
    for (int row = 0; row < 8; ++row)
      for (int byte = 0; byte < 16; byte += 4)
        words.push_back(place(row * 128 + 48 + byte) / 4);
    return wavefronts(words);
  };
  const int plain = of_eight_rows([](int byte) { return byte; });
  Generator random(chapter.seed());
  HalfBench odd(37, 56, 72, random), square(128, 128, 128, random);
  odd.run(ladder.kernels.halves[0].multiply);
  double worst = odd.error();
  const simt::LineCounts bf16 =
      square.run(ladder.kernels.halves[0].multiply).total();
  worst = std::max(worst, square.error());

  // Counted for 64 steps of $p$, all warps: 8 + 8 copies of 16 bytes for each
  // of 256 threads, four wavefronts for a warp each; and 4 · 6 times four
  // matrices.
  const double stages = 128 / 64 + 2, warps = 8;
  chapter.say(
      "bfloat16, 16 bytes of eight rows: {} wavefronts as they come, {} swizzled. Of the "
      "whole kernel: {} wavefronts in {} requests.",
      plain, of_eight_rows(swizzle_128), bf16.wavefronts, bf16.shared_requests);
  chapter.claim("no-swizzle", "without the swizzle: wavefronts for eight rows",
                plain, exactly(8), identity);
  chapter.claim("bf16-wavefronts", "rung 11: wavefronts of the kernel",
                double(bf16.wavefronts),
                exactly(warps * (stages * 8 * 4 + 2 * 4 * 6 * 4)), identity);
  chapter.claim("bf16-right", "rung 11: largest error, in units of its bound",
                worst, at_most(1), identity);

  // Which lane holds which number of A and of C? The same colour is the same
  // lane.
  Tensor a = zeros({16, 16}), c = zeros({16, 8});
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r) {
      for (int half : {0, 1}) {
        const Place at = bf16_mma::a(lane, r, half);
        a.mutable_data<float>()[at.row * 16 + at.column] = float(lane);
      }
      const Place at = mma_c(lane, r);
      c.mutable_data<float>()[at.row * 8 + at.column] = float(lane);
    }
  Figure figure =
      chapter.figure("fragments", "the lane that holds each number of an mma");
  figure.panel("A (16, 16), bfloat16").heatmap(a);
  figure.panel("C (16, 8)").heatmap(c);
}

// Look at the figure once more. The four lanes of a row of C hold the four
// quarters of a row of A: what a lane multiplies is never only its own. That
// is why the emulator's `mma` needs 32 shuffles, and why a tensor core is
// built for a whole warp.
//
// How much do tensor cores ask for? One `mma` of bfloat16 makes 2048
// multiply-adds, as many as a warp makes in 64 instructions one by one, and
// reads 48 numbers from shared memory for each lane and 16 such instructions.
// An H100's tensor cores do 15 times the work of its other multipliers, and
// neither memory nor shared memory has grown with them. So everything that we
// did so far now matters 15 times as much: larger tiles, more stages, no
// conflicts.
//
// # Hopper
//
// With tensor cores a multiprocessor multiplies so fast that its threads no
// longer manage to bring the numbers along. The GPU of 2022, **Hopper**,
// takes that work from them: a copy engine that fetches tiles by itself, and
// a multiplication that reads them where they lie.
#include "hopper.hpp"

// With these three pictures and a schedule, the rest is waiting for the right
// things. Nobody in a block may stop everybody else any more: the copy engine
// works on its own, and so do the multipliers. `__syncthreads()` is too
// coarse for that. What is wanted is a barrier that says "this stage is full"
// and another that says "this stage is empty", and that only those wait for
// whom it concerns.
//
// Neither runs on the emulator, nor on any other GPU. What we can do is to
// play it on paper.
#include "on_paper.hpp"

static void hopper(Chapter& chapter) {
  chapter.section("Hopper, on paper");
  Generator random(chapter.seed());
  chapter.claim(
      "paper-wgmma", "TMA, descriptors and sums on paper: largest gap",
      std::max(paper_wgmma_gap(128, random), paper_wgmma_gap(256, random)),
      exactly(0), identity);
  int wrong = 0, careless = 0;
  for (int run = 0; run < chapter.pick(50, 300, 300); ++run) {
    wrong += ring_violations(random);
    careless += ring_violations(random, {.wait_for_empty = false}) > 0;
  }
  chapter.say(
      "The ring, in {} random orders: {} violations. With producers that do not wait, it "
      "goes wrong in {} of them.",
      chapter.pick(50, 300, 300), wrong, careless);
  chapter.claim("ring", "violations of the ring", wrong, exactly(0), identity);

  // 4096 × 4096 numbers are 32 × 32 tiles of 128 × 128. Of these 132 are made
  // at the same time, on an H100. Row by row they need 5 rows of tiles and
  // all 32 columns; in bands of eight rows, 8 rows and 17 columns.
  const Schedule by_rows{32, 32, 1}, bands{32, 32, 8};
  chapter.claim(
      "bands",
      "132 tiles in order: rows and columns of tiles they need, over bands'",
      double(panels(by_rows, 0, 132)) / double(panels(bands, 0, 132)),
      exactly(37.0 / 25), identity);
  Tensor order = zeros({32, 32});
  for (int64_t number = 0; number < bands.count(); ++number) {
    const Place at = bands.at(number);
    order.mutable_data<float>()[at.row * 32 + at.column] = float(number);
  }
  chapter.figure("bands", "the number of each tile of C, in bands of eight rows")
      .heatmap(order);
}

// A word on what has been shown there. The pictures are right, the ring
// cannot lock up, every tile of C has its turn once. What paper cannot show
// is whether an instruction was misspelt in a way that the assembler accepts,
// or how long anything takes. For that one needs the machine, and as long as
// nobody has run rungs 12 and 13 on it, read them as carefully proofread
// text.
//
// Now the kernels themselves. First the new instructions.
#include "hopper.cuh"

// The smallest kernel that uses them.
#include "rung_12_wgmma.cuh"

// And the one that large products are made by.
#include "rung_13_persistent.cuh"

// # Thin products
//
// A network in use often has few rows: one for each sentence that it
// continues. With $m = 1$ and $n = 4096$, rung 9 has 32 tiles, for 132
// multiprocessors, and in each tile 127 of 128 rows are empty. The arithmetic
// does not matter, since each number of B is used once. What matters is that
// *all* multiprocessors fetch.
#include "split_k.cuh"

// How many slices? As many as give each multiprocessor a block.
static int slices_for(int64_t blocks, int processors = 132) {
  return int(std::max<int64_t>(1, processors / blocks));
}

static void thin_products(Chapter& chapter, Ladder& ladder) {
  chapter.section("Thin products");
  Generator random(chapter.seed());
  Table table =
      chapter.table({"m", "kernel", "blocks", "slices", "blocks in slices",
                     "counted at", "bytes, of the least"});
  const int64_t n = 256, k = chapter.pick(256, 512, 512);
  double worst = 0, one_row = 0;
  // The blocks are those for $n = k = 4096$. Counted is a smaller product, in
  // four slices; the least is every number of A and of B once.
  for (int64_t m : {1, 8, 32, 128}) {
    const auto kernel = m == 1   ? ladder.kernels.one_row
                        : m == 8 ? ladder.kernels.eight_rows
                                 : ladder.kernels.split_k;
    Workbench bench(m, n, k, random);
    Tensor workspace = zeros({4, m, n});
    const simt::Memory room(workspace.mutable_data<float>(),
                            size_t(workspace.numel()) * 4);
    const simt::Counts counts = bench.run([&](const Product<float>& g) {
      kernel(g, 4, workspace.mutable_data<float>());
    });
    worst = std::max(worst, bench.error());
    // The second kernel reads the four slices again; that is not counted
    // here.
    const double bytes =
                     32 * double(counts.total(m <= 8 ? "thin" : "double buffers")
                                     .load_sectors),
                 least = 4 * double(m * k + k * n);
    if (m == 1)
      one_row =
          32 * double(counts.total("thin").load_sectors) / (4 * double(k * n));
    const int64_t blocks = 4096 / 128;
    table.row(m, m <= 8 ? "thin" : "rung 9", blocks, slices_for(blocks),
              blocks * slices_for(blocks), fmt::format("{} x {} x {}", m, n, k),
              bytes / least);
  }
  chapter.claim("thin-right", "largest error, in units of its bound", worst,
                at_most(1), identity);
  chapter.claim("one-row-bytes", "one row: bytes fetched, over those of B", one_row,
                exactly(17.0 / 16), identity);
}

// One row fetches each number of B once, and for every 512 bytes of it one
// sector with a number of A. No kernel can do much better. The time for it is
// the time of a walk through memory, and the way to a faster one is a smaller
// B: fewer bits for each weight.
//
// # The ladder
//
// What have we learnt to look at? In this order: how many sectors a request
// costs; how many bytes come from memory for a multiply-add; how many
// wavefronts shared memory needs for it; who waits for whom. Each rung made
// one of these numbers smaller and left the others alone, or nearly. The
// arithmetic was the same all the time.
//
// All rungs, what was counted, and what a GPU says. The targets for a Hopper
// are 93 % of cuBLAS in float32 at $n = 4096$, and 100 % in bfloat16 at 4096
// and 8192. They are targets: as long as the table says so, nobody has
// measured them.
#include "timing.hpp"

#include "the_ladder.hpp"

// # Break it
//
// Two mistakes, both easily made. **A missing barrier**: rung 3 without its
// second `__syncthreads()`.
//
// ? Rung 3 without the barrier after the multiplication. What happens on a GPU?
// - [ ] it hangs: so it does if *some* threads skip a barrier that others wait at
// - [ ] always wrong results: a fast warp has to overtake a slow one by a whole tile for that
// - [x] mostly the right result, now and then a wrong one: a warp that is ahead overwrites a tile that another still reads
#include "broken.hpp"

// # Do you remember?
//
// ? Chapter 56. Why is the product of one row with a large matrix no faster on a core with twice the multiply-adds?
// - [x] it waits for memory: half an operation for each byte, however fast the operations are
// - [ ] one row has too few independent sums: it has as many as there are columns
// - [ ] packing takes longer than multiplying: so the library does not pack for it
//
// ? Chapter 5. A layer from 784 to 128 units, batch 50. Which of its three products (forward, gradient of the weights, gradient of the inputs) sums over the batch?
// - [ ] forward: each row of the batch is a sum over the 784 inputs
// - [x] the gradient of the weights: every example adds its part
// - [ ] the gradient of the inputs: it sums over the 128 units
//
// ? Chapter 0. Two programs add the same thousand float32 in different orders. What do you expect of the two sums?
// - [ ] the same bits: addition is commutative; it is not associative in float32
// - [x] they differ in the last digits, by at most about a thousand times $2^{-24}$ of the sum of the sizes
// - [ ] they differ wildly: only if large numbers cancel
static void story(Chapter& chapter) {
  const int64_t n = chapter.option("n");
  if (n % 128 != 0)
    throw UsageError(fmt::format(
        "--n {}: what is counted is worked out for whole tiles; take a multiple of 128",
        n));
  if (!simt::count([] {}).checked)
    throw UsageError(
        "this build's emulator does not count (a sanitizer is in its place); use another preset");
  Generator random(chapter.seed());
  Ladder ladder(n, 128, random);
  if (chapter.broken("missing-barrier")) return missing_barrier(chapter, ladder);
  if (chapter.broken("short-rows")) return short_rows(chapter, ladder);
  by_hand(chapter, ladder);
  coalescing(chapter, ladder);
  shared(chapter, ladder);
  banks(chapter, ladder);
  registers(chapter, ladder);
  layouts(chapter, ladder);
  pipeline(chapter, ladder);
  tensor_cores(chapter, ladder);
  hopper(chapter);
  thin_products(chapter, ladder);
  the_ladder(chapter, ladder);
  chapter.section("Break it");
  chapter.say(
      "Two mistakes are planted in this program. Guess what each does, and look: --break "
      "missing-barrier, --break short-rows.");
}

int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 57,
       .name = "cuda_matmul",
       .title = "Matrix products on a GPU",
       .question =
           "A GPU could make forty multiply-adds in the time in which one number arrives "
           "from memory. Who keeps it fed?",
       .full = "the same at 512 x 512, and on a GPU the times at 4096 and 8192",
       .options = {{"n", book::PerSize{128, 256, 512},
                    "rows and columns of the matrices that are counted", 128,
                    2048}},
       .breaks = {{"missing-barrier", "rung 3 without its second barrier"},
                  {"short-rows", "rung 10 with rows as long as they have to be"}},
       .claims = {"naive-sectors",
                  "coalesced-sectors",
                  "store-sectors",
                  "tile-bytes",
                  "tile-gain",
                  "column-requests",
                  "square-requests",
                  "square-conflicts",
                  "vector-wavefronts",
                  "spread-wavefronts",
                  "paper-banks",
                  "spread-pairs",
                  "warp-pairs",
                  "barriers",
                  "tf32-wavefronts",
                  "no-swizzle",
                  "bf16-wavefronts",
                  "bf16-right",
                  "paper-wgmma",
                  "ring",
                  "bands",
                  "thin-right",
                  "one-row-bytes",
                  "traffic",
                  "right"},
       .headline = "tile-gain"},
      story);
}
