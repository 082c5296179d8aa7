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
// thread being one of its **lanes**. (Where lanes take different branches, the
// warp walks them one after the other.) When a warp loads, 32 addresses arrive
// at the memory together. What these addresses look like decides nearly
// everything in this chapter, and it can be *counted*.
//
// So you need no GPU to climb this ladder. Every kernel below runs on [an
// emulator](../../common/backend/simt/launch.hpp), which plays all the
// threads, watches each load and store, and counts what a profiler would
// count. What it cannot do is take the time. Where a GPU is at hand, the
// program does; where none is, the table says "not measured yet".
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

// All other kernels have one task.
#include "product.hpp"

// They stand in a list.
#include "ladder.hpp"

// And they are run and counted alike.
#include "workbench.hpp"

// First the eight patterns.
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

// # Coalesced
//
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

// And counted, both kernels:
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
  chapter.claim("store-sectors", "sectors written, naive over coalesced",
                double(naive.store_sectors) / double(coalesced.store_sectors),
                exactly(8), identity);

  // The picture shows which words of memory the 32 lanes ask for. Each dot of
  // the left panel lies in another row of A, far away from the one before.
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
// In a profiler you would look for *sectors per request*. For 32 different
// floats four is as good as it gets; 32 is as bad as it gets. What to do about
// it is always the same: find the index that belongs to `threadIdx.x`, and let
// it run along memory. Where the data lies the other way round, turn a tile
// over in shared memory (exercise 3 does).
//
// # Sectors are not yet memory
//
// A sector that is asked for need not come from memory. On its way the request
// meets two caches. What do they give, and how much is that for each
// multiply-add that an H100 could make in float32, 128 in a cycle in each of
// its 132 multiprocessors? (It is the [roofline of chapter
// 56](../56_cpu_performance/main.cpp#the-roofline), read the other way round.)
//
// | | how much it holds | what it gives | for a multiply-add |
// |---|---|---|---|
// | **L1**, one in each multiprocessor | 256 KB, less what is shared memory (below) | 128 bytes a cycle | 1 byte |
// | **L2**, one for all | 50 MB | not published; an A100's gives 7 TB/s | 0.2 byte |
// | memory | 80 GB | 3.35 TB/s | 0.1 byte |
//
// What we count is what a kernel asks L1 for. What L1 still has costs L2
// nothing, and what L2 still has costs memory nothing. Rung 1 asks for 33
// bytes for each multiply-add and rung 2 for 5: however well the caches do,
// that is a 33rd and a fifth of the peak at most. At the other end, memory
// must give each number once: at $n = 4096$ that is 0.003 bytes for a
// multiply-add. Between the two lies what this chapter is about. From the next
// rung on a block asks for each number that it needs only once, so what is
// counted goes on to L2, nearly all of it; and how much of *that* comes from
// memory depends on which blocks run at the same time. Rung 13 chooses them.
//
// # Shared tiles
//
// Five bytes for each multiply-add: L2 could feed one in 25, memory one in 50.
// What comes has to be used again.
//
// A multiprocessor has a small memory of its own, 228 KB on an H100, which the
// threads of a block share: up to 227 KB for one block, and 48 unless it asks
// for more. This **shared memory** is a cache that we fill by hand.
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
  chapter.claim("tile-gain", "bytes fetched without tiles, over those with",
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
// fast is that? It has 32 **banks**: word $w$, four bytes, lies in bank $w
// \bmod 32$, and each bank gives one word at a time. Lanes that want the same word share it.
// Lanes that want different words of one bank have to wait for each other: a
// **bank conflict**. One go is a **wavefront**.
//
// In rung 3 a warp reads one number of `a`, the same for all, and 32
// neighbours of `b`, one from each bank: a wavefront each. But let the warp
// read a *column* of a tile whose rows are 32 words long. Row $r$ of column
// $c$ is word $32 r + c$, in bank $c$. All 32 numbers lie in the same bank.
#include "columns.cuh"

// ? Reading the column takes 32 wavefronts. What if the rows are made 33 words long, the last of them unused?
// - [ ] still 32: the numbers themselves are where they were; but each row now begins one bank further
// - [ ] 2: so it would be for rows of 34 words, since 34 r mod 32 meets each even bank twice
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

// How often do they ask shared memory?
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
// wavefronts. Where from? Lane $l$ reads columns $8 (l \bmod 16)$ to $8 (l
// \bmod 16) + 7$ of `b`, one after the other. At each of these reads 16 lanes
// ask for words 0, 8, 16, …, 120, which lie in four banks: four wavefronts. And
// of `a` they ask for two rows that lie 64 words apart: the same bank, two
// wavefronts. $8 \cdot 4 + 8 \cdot 2 = 48$ for a step, where 16 would do.
// Whoever counts requests only is pleased too early.
//
// That is the kernel *as written*, and as the emulator runs it. nvcc joins
// loads of neighbours by itself. In the machine code that it makes for an H100
// (CUDA 13.0) a pass of rung 3 has 40 loads instead of 64, one of rung 4 24
// instead of 72, and a step of rung 5 reads `b` by two loads of four words
// instead of eight of one: on paper 16 wavefronts instead of 32. Rungs 6 to 13
// leave it nothing to join; they are counted as they run.
//
// And yet rung 5 would be faster than rung 4 on most GPUs. Its tile of 128 ×
// 128 halves the traffic from memory once more, and its instructions are
// fewer: 64 multiply-adds to 16 loads. A kernel is as fast as its slowest
// part allows, so all of these numbers have to be looked at together; the
// table at the end shows them side by side.
//
// There is a price, and it is not in the table. A thread with 64 sums takes
// over a hundred registers. A multiprocessor has 65 536, so instead of 2048
// threads there is room for 512: an **occupancy** of 25 %. Fewer warps are
// there to jump in while one waits. What rung 5 gains by using each number more
// often it has to pay for with waiting, and rungs 6 to 9 are about waiting
// less.
//
// # Wider, without conflicts, by warps
//
// From here on we change no arithmetic, only who has which numbers.
#include "layouts.hpp"

// And the kernel, for any layout.
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

// Counted, and on paper:
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
                "rungs 6 to 8: counted wavefronts and those on paper, sum of gaps",
                std::abs(vectors - 8 * wavefronts_of_a_step<Neighbours>(0) - 12) +
                    std::abs(spread - 8 * wavefronts_of_a_step<Spread>(0) - 8) +
                    std::abs(warps - 8 * wavefronts_of_a_step<Warps>(0) - 8),
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

// Is that few enough? A multiprocessor makes 128 multiply-adds in a cycle, four
// warps' worth, and a wavefront takes it a cycle too. Eight steps are 512
// multiply-adds of a warp: 128 cycles. So rung 5 with its 392 wavefronts (264,
// as nvcc joins them) waits for shared memory more than half of the time. Served
// in quarters, rung 7 takes {claim:spread-wavefronts}, a little more than there
// is time for; in pairs {claim:spread-pairs}, and rung 8 {claim:warp-pairs}.
// Then there is room for writing the next tiles.
//
// Room in shared memory, that is. There is a second thing to run out of:
// **issue slots**. A multiprocessor has four schedulers, and each starts one
// instruction of one warp in a cycle. To make 128 multiply-adds in a cycle, all
// four must start nothing else. In the loops that nvcc makes (CUDA 13.0, for an
// H100) 32 of 103 instructions multiply in rung 3, 64 of 121 in rung 4 and 512
// of 630 in rung 8: 81 % of the peak at most. Wide loads save these as well.
//
// # Double buffering
//
// In all kernels so far the threads of a block fetch, wait, multiply, and
// fetch again. While they wait, other blocks of the same multiprocessor can
// multiply; but a block of rung 8 takes so many registers that only two fit.
// So a block should fetch the next tiles *while* it multiplies.
//
// How much has to be on its way? A multiprocessor's share of memory is 13 bytes
// a cycle. If an answer takes 500 cycles, 6.5 KB must be under way at any time,
// or memory idles. A pair of tiles of rung 9 has 16.
#include "backend/gpu/async_copy.cuh"

// ? Two pairs of tiles instead of one. How many barriers does a block need for each pair?
// - [ ] two, as before: one when the tiles are complete, one when all have multiplied
// - [x] one: when all have arrived there, the new tiles are complete *and* the old ones, which are filled next, are no longer needed
// - [ ] none: the copies wait by themselves; but a thread waits for its own copies only
#include "rung_9_async.cuh"

// How often must all threads of a block wait for each other?
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
// instructions, and a register that is taken for as long as memory needs. Now
// it is one instruction and no register. Of rung 9's loop 1024 of 1188
// instructions multiply, 86 %. The target of 93 % of cuBLAS, which obeys the
// same four schedulers, is what S. Boehm's last kernel reached on an A6000.
//
// A factor of two comes from the second pair of tiles, and one from tiles that
// are 16 deep instead of 8. On a GPU the barriers are not the point; the
// waiting in front of them is.
//
// # Tensor cores
//
// So much for multiply-adds one by one. As on the processor, the peak itself
// can be raised if we pay with digits. An H100 makes 67 million million
// operations in a second in float32 (a multiply-add is two), and 989 in
// bfloat16, says its maker. They come from **tensor cores**, circuits that
// multiply whole matrices. Two kinds of numbers: **bfloat16**, the upper half
// of a float32 ([chapter 56](../56_cpu_performance/main.cpp#bfloat16-tiles)),
// and **TF32**, a float32 of which the last 13 binary digits are not looked at.
#include "backend/gpu/fragments.hpp"

// And the instructions: `mma` (*matrix multiply-accumulate*) and what goes with
// it.
#include "backend/gpu/tensor_core.cuh"

// The first tensor-core kernel takes float32, and rounds it to TF32.
#include "rung_10_tf32.cuh"

// The second takes bfloat16. Its results are half as long, and so are the pieces
// in which a lane has them.
#include "store_row.cuh"

// Both kernels run here, on the emulator.
#include "rung_11_bf16.cuh"

// ? Lane 5 of a warp holds four sums of an `mma`. Where in C (16, 8) is the first?
// - [ ] row 0, column 5: so it would be with one number for each lane, along the row; but a lane holds two neighbours
// - [x] row 1, column 2: group ⌊5 / 4⌋ = 1 is the row, and place 5 mod 4 = 1 in it holds columns 2 and 3
// - [ ] row 5, column 0: four lanes share a row
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
  // reads, chunk 3 of each row.
  auto of_eight_rows = [](auto place) {
    std::vector<int> words;
    for (int row = 0; row < 8; ++row)
      for (int word = 0; word < 4; ++word)
        words.push_back(place(row, 3) * 4 + word);
    return wavefronts(words);
  };
  const int plain =
      of_eight_rows([](int row, int chunk) { return row * 8 + chunk; });
  const int swizzled = of_eight_rows([](int row, int chunk) {
    return backend::fragment::swizzled(row, chunk, 8);
  });
  Generator random(chapter.seed());
  HalfBench odd(37, 56, 72, random), square(128, 128, 128, random);
  odd.run(ladder.kernels.halves[0].multiply);
  double worst = odd.error();
  const simt::LineCounts bf16 = ladder.seen_of_bf16 =
      square.run(ladder.kernels.halves[0].multiply).total();
  worst = std::max(worst, square.error());

  // Counted for two times 64 steps of $p$, and for eight warps. To fill a
  // stage each thread orders 4 + 4 copies of 16 bytes, a warp's taking four
  // wavefronts; and it is read by 4 · 6 loads of four matrices.
  const double stages = 2, warps = 8;
  chapter.say(
      "bfloat16, 16 bytes of eight rows: {} wavefronts as they come, {} swizzled. Of the "
      "whole kernel: {} wavefronts in {} requests.",
      plain, swizzled, bf16.wavefronts, bf16.shared_requests);
  chapter.claim("no-swizzle", "without the swizzle: wavefronts for eight rows",
                plain, exactly(8), identity);
  chapter.claim("bf16-wavefronts", "rung 11: wavefronts of the kernel",
                double(bf16.wavefronts),
                exactly(warps * stages * (8 * 4 + 4 * 6 * 4)), identity);
  chapter.claim("bf16-stores", "rung 11: sectors written, over those that C has",
                double(bf16.store_sectors) / (128 * 128 * 2 / 32), exactly(1),
                identity);
  chapter.claim(
      "bf16-right",
      "rung 11: largest error, of a bound that rounding alone nearly fills", worst,
      at_most(1), identity);

  // Which lane holds which number of A and of C? The colour says in which of
  // its registers; one of A's holds two numbers.
  Figure figure =
      chapter.figure("fragments", "the lane that holds each number of an mma");
  figure.size(900, 420);
  auto draw = [&](const char* title, int columns, int numbers, int a_register,
                  auto where) {
    Tensor cells = zeros({16, columns});
    Figure& panel = figure.panel(title);
    for (int lane = 0; lane < 32; ++lane)
      for (int r = 0; r < numbers; ++r) {
        const backend::fragment::Place at = where(lane, r);
        cells.mutable_data<float>()[at.row * columns + at.column] =
            float(r / a_register);
        panel.note(at.column, at.row, fmt::format("{}", lane));
      }
    panel.heatmap(cells).axes("column", "row");
  };
  draw("A (16, 16), bfloat16", 16, 8, 2,
       [](int l, int r) { return backend::fragment::a(l, r / 2, r % 2); });
  draw("C (16, 8)", 8, 4, 1,
       [](int l, int r) { return backend::fragment::c(l, r); });
}

// The four lanes of a row of C hold the four quarters of a row of A: what a
// lane multiplies is never only its own. That is why the emulator's `mma` needs
// all lanes to tell what they hold, and why a tensor core is built for a whole
// warp.
//
// How much do tensor cores ask for? A multiprocessor of an H100 makes 2048
// multiply-adds of bfloat16 in a cycle: one `mma`. For 16 of them a warp of
// rung 11 loads six times four matrices, 24 wavefronts. For 64 steps of $p$
// that makes 96, and 32 to write the tiles: 128 wavefronts in 64 cycles. So
// rung 11 comes to half of the peak at best. Rung 10's `mma` is half as large
// and takes a cycle too: {claim:tf32-wavefronts} wavefronts in 32 cycles.
// Tensor cores do 15 times the work of the other multipliers, and a bfloat16
// has half the bytes: everything that we did so far now matters 7.5 times as
// much.
//
// # Hopper
//
// With tensor cores a multiprocessor multiplies so fast that its threads no
// longer manage to bring the numbers along. The GPU of 2022, **Hopper**,
// takes that work from them: a copy engine that fetches tiles by itself, and
// a multiplication that reads them where they lie. One such multiplication, of
// 64 × 16 by 16 × 256 numbers, reads 10 KB, 80 wavefronts, and takes 128
// cycles.
#include "backend/gpu/hopper.hpp"

// With this and a schedule, the rest is waiting for the right things. Nobody in
// a block may stop everybody else any more: the copy engine works on its own,
// and so do the multipliers. `__syncthreads()` is too coarse for that. What is
// wanted is a barrier that says "this stage is full" and another that says
// "this stage is empty", and that only those wait for whom it concerns.
#include "schedule.hpp"

// Neither copy engine nor multiplier runs on the emulator, nor on any other
// GPU. What we can do is to play them on paper.
#include "on_paper.hpp"

// Many random orders, then, and with them the order of the tiles.
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

  // Rung 13 makes 4096 × 4096 numbers in pairs of tiles, 256 × 256: 16 × 16 of
  // them, and 66 at the same time on an H100. Row by row these need 5 rows of
  // pairs and all 16 columns; in bands of eight rows, 8 rows and 9 columns.
  const Schedule by_rows{16, 16, 1}, bands{16, 16, 8};
  chapter.claim(
      "bands",
      "66 pairs of tiles in order: rows and columns that they need, over bands'",
      double(panels(by_rows, 0, 66)) / double(panels(bands, 0, 66)),
      exactly(21.0 / 17), identity);
  Tensor order = zeros({16, 16});
  for (int64_t number = 0; number < bands.count(); ++number) {
    const backend::fragment::Place at = bands.at(number);
    order.mutable_data<float>()[at.row * 16 + at.column] = float(number);
  }
  chapter
      .figure("bands",
              "the number of each pair of tiles of C, in bands of eight rows")
      .heatmap(order);
}

// A word on what has been shown there. What TMA writes, what a descriptor says
// and who holds which sum fit together, and agree with some numbers that [a
// test](../../tests/simt/test_fragments.cpp) has typed from the manual; the
// ring did not lock up in 300 random orders; every tile of C has its turn
// once. Whether NVIDIA means the same, and how long anything takes, only a
// Hopper can say. As long as nobody has run rungs 12 and 13 on one, read them
// as carefully proofread text.
//
// Now the kernels themselves. First the new instructions.
#include "backend/gpu/hopper.cuh"

// The smallest kernel that uses them.
#include "rung_12_wgmma.cuh"

// And the one that large products are made by.
#include "rung_13_persistent.cuh"

// Rung 12 fetches more for a multiply-add than rung 11 did: its tile is 64 × 256,
// and $2 (1/64 + 1/256)$ is 0.039 bytes. Rung 13 without clusters would ask L2
// for 0.023 bytes; at 494 million million multiply-adds in a second that is
// 11.6 TB/s. With multicast it is 0.016 bytes and 7.7 TB/s, about what an A100's
// L2 gives.
//
// # Thin products
//
// A network in use often has few rows: one for each sentence that it
// continues. With $m = 1$ and $n = 4096$, rung 9 has 32 blocks, for 132
// multiprocessors, and in each tile 127 of 128 rows are empty. The arithmetic
// does not matter, since each number of B is used once. What matters is that
// *all* multiprocessors fetch.
#include "split_k.cuh"

// How many slices? As many as give each multiprocessor a block: here four, and
// 128 blocks.
static int slices_for(int64_t blocks, int processors = 132) {
  return int(std::max<int64_t>(1, processors / blocks));
}

static void thin_products(Chapter& chapter, Ladder& ladder) {
  chapter.section("Thin products");
  Generator random(chapter.seed());
  Table table =
      chapter.table({"m", "kernel", "counted at", "bytes fetched, of the least"});
  const int64_t n = 256, k = chapter.pick(256, 512, 512);
  const int slices = slices_for(4096 / 128);
  double worst = 0, one_row = 0;
  // Counted is a product smaller than 4096 × 4096, in as many slices; the least
  // is every number of A and of B once.
  for (int64_t m : {1, 8, 32, 128}) {
    const auto kernel = m == 1   ? ladder.kernels.one_row
                        : m == 8 ? ladder.kernels.eight_rows
                                 : ladder.kernels.split_k;
    Workbench bench(m, n, k, random);
    Tensor workspace = zeros({slices, m, n});
    const simt::Memory room(workspace.mutable_data<float>(),
                            size_t(workspace.numel()) * 4);
    const simt::Counts counts = bench.run([&](const Product<float>& g) {
      kernel(g, slices, workspace.mutable_data<float>());
    });
    worst = std::max(worst, bench.error());
    // The second kernel reads the slices again; that is not counted here.
    const double bytes =
                     32 * double(counts.total(m <= 8 ? "thin" : "double buffers")
                                     .load_sectors),
                 least = 4 * double(m * k + k * n);
    if (m == 1)
      one_row =
          32 * double(counts.total("thin").load_sectors) / (4 * double(k * n));
    table.row(m, m <= 8 ? "thin" : "rung 9", fmt::format("{} x {} x {}", m, n, k),
              bytes / least);
  }
  chapter.claim("thin-right", "largest error, in units of its bound", worst,
                at_most(1), identity);
  chapter.claim("one-row-bytes", "one row: bytes fetched, over those of B", one_row,
                exactly(17.0 / 16), identity);
}

// One row fetches each number of B once, and for every 512 bytes of it one
// sector with a number of A. No kernel can do much better: it takes as long as
// reading B once, and the way to a faster one is a smaller B: fewer bits for
// each weight. Eight rows cost eight such sectors for every 512 bytes, half as
// much as B itself. Four numbers of A along $p$ lie in one sector, so `float4`
// would save most of that.
//
// # The ladder
//
// What have we learnt to look at? In this order: how many sectors a request
// costs; how many bytes are fetched for a multiply-add; how many wavefronts
// shared memory needs for it; who waits for whom. Most rungs made one of these
// numbers smaller, rung 5 three at once. Up to rung 9 all make the same
// multiply-adds in the same order; tensor cores round, and add in another.
//
// [Nsight Compute](https://docs.nvidia.com/nsight-compute/), NVIDIA's profiler,
// counts them on a GPU:
//
// | here | there |
// |---|---|
// | sectors for a request | `l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_ld.ratio` |
// | bytes fetched: from L1, from L2, from memory | 32 times `l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum` and `lts__t_sectors_op_read.sum`; `dram__bytes_read.sum` |
// | wavefronts of shared memory | `l1tex__data_pipe_lsu_wavefronts_mem_shared.sum` |
// | those that banks cost | `l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum` |
// | issue slots in use | `smsp__issue_active.avg.pct_of_peak_sustained_active` |
// | warps that wait for memory | `smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio` |
//
// And what fits into a multiprocessor of an H100? Registers are those that
// nvcc gives a thread (CUDA 13.0):
//
// | rungs | registers | threads of a block | blocks | there would be more, but for |
// |---|---|---|---|---|
// | 1 and 2 | 32 | 256 | 8 | threads: 2048 |
// | 3 | 31 | 1024 | 2 | threads |
// | 4 | 62 | 512 | 2 | registers: 65 536 |
// | 5 to 11 | 125 to 128 | 256 | 2 | registers |
// | 12 | 154 | 128 | 2 | shared memory: 2 · 81 KB |
// | 13 | 168 | 384 | 1 | both |
#include "timing.hpp"

// Now all rungs side by side. Bytes are those fetched for a multiply-add;
// wavefronts and cycles are for 16 384 multiply-adds, eight steps of a warp
// with 64 sums: what shared memory needs, and what the multipliers of an H100
// need. Rungs 12 and 13 are on paper. The targets are a share of cuBLAS, in the
// same kind of numbers.
#include "the_ladder.hpp"

// # Break it
//
// Two mistakes, both easily made. **A missing barrier**: rung 3, and in place of
// its second `__syncthreads()` only `__syncwarp()`, which waits for the warp.
//
// ? What happens on a GPU?
// - [ ] nothing: a warp reads only the row of `a` that it has fetched itself; of `b` it reads all rows
// - [ ] it hangs: so it does if *some* threads skip a barrier that others wait at
// - [ ] always wrong results: a fast warp has to overtake a slow one by a whole tile for that
// - [x] mostly the right result, now and then a wrong one: a warp that is ahead overwrites its row of `b` while another still reads it
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
// - [x] they differ in the last digits, by at most about two thousand times $2^{-24}$ of the sum of the sizes: each is off by up to a thousand
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
           "For every number that its memory delivers, a GPU could make forty "
           "multiply-adds. Who keeps it fed?",
       .normal = "a few seconds; on a GPU also the times at n = 4096",
       .full = "counted at 512 x 512; on a GPU also the times at n = 8192",
       .options =
           {{"n", book::PerSize{128, 256, 512},
             "rows and columns of the matrices that are counted; the time grows "
             "with n², to some minutes for 2048",
             128, 2048}},
       .breaks = {{"missing-barrier",
                   "rung 3, its second barrier for the warp only"},
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
                  "bf16-stores",
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
