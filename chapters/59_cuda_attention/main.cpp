// This file tells the chapter in the order in which one reads it. Kernels and
// longer experiments lie in headers, each of which is read where it is included.
// The kernels run on the emulator, and where there is a GPU on that as well: there
// they are first held against the same truth, and then timed.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// # A matrix that grows with the square
//
// **Attention** lets every place of a text look at every other. Each place has a
// *query*, a *key* and a *value*, rows of $d$ numbers. Query $i$ is compared with
// all keys, the **scores** $s_{ij} = c\, q_i \cdot k_j$ become weights by a
// softmax, and the output is the mean of the values under those weights (Vaswani
// and others 2017):
//
// $$O = \mathrm{softmax}(c\, Q K^\top)\, V, \qquad c = 1/\sqrt d .$$
//
// $Q$, $K$, $V$ and $O$ have $N$ rows each. Between them stands a matrix of $N^2$
// scores. For a text of 16 000 tokens and $d = 128$ each of the four is 8 MB in
// float32, and the scores are a gigabyte: for one head, of one layer, of one text.
// A model has hundreds of such heads.
//
// And nobody asked for the scores. They are made, turned into weights, used once
// and thrown away. This chapter computes the same output without ever having them,
// forward and backward, and on the way moves {claim:flash-gain} times fewer bytes
// than a program that has them (256 keys, a head of 64, float32). It is
// **FlashAttention** (Dao and others 2022), a rung at a time.
//
// The plan: first the idea, with three numbers. Then as kernels, one change at a
// time, and each held against the library in float64. What a change costs or saves,
// the emulator counts: it runs a kernel thread by thread, sees every load and store,
// and complains about what a GPU would not even notice.
//
// # By hand: three scores
//
// One query, three keys. The scores are 1, 3 and 2, and each value is a single
// number: 10, 20 and 40.
#include "by_hand.hpp"

// # Why it is the same
//
// What we kept after some keys was $(m, \ell, o)$: their largest score, and two
// sums relative to it,
//
// $$m = \max_j s_j, \qquad \ell = \sum_j e^{s_j - m}, \qquad o = \sum_j e^{s_j - m} v_j .$$
//
// Take two sets of keys, each with its three numbers. For both together the maximum
// is $m = \max(m_a, m_b)$. Every term of the first set is $e^{s_j - m_a}$ and
// should be $e^{s_j - m} = e^{s_j - m_a} \cdot e^{m_a - m}$. The second factor is
// the same for all, so it can be taken out of the sum:
//
// $$\ell = e^{m_a - m}\, \ell_a + e^{m_b - m}\, \ell_b, \qquad o = e^{m_a - m}\, o_a + e^{m_b - m}\, o_b .$$
//
// Both factors are at most 1, so nothing overflows. This is the **online softmax**
// (Milakov and Gimelshein 2018; with the values in it, Rabe and Staats 2021). What
// we did by hand is the case where the second set is one key.
#include "seen.hpp"

// So any way to cut the keys will do: one by one, in tiles, in halves of halves.
#include "merging.hpp"

// # The bench
//
// All rungs get the same call.
#include "the_call.hpp"

// What follows up to rung 1 holds the rungs and measures them. Skip it at first, and
// come back when a number needs explaining. The kernels of a device are a table of
// functions.
#include "rungs.hpp"

// The truth comes from the library in float64, which gets it in another way than
// our kernels do.
#include "lab.hpp"

// A rung is called like this,
#include "bench.hpp"

// and this is what the emulator tells of it.
#include "traffic.hpp"

// The layer that the ladder is climbed with: one head of 64 numbers, as many
// queries as keys.
struct Bed {
  Layer layer;
  Bench<float> bench{layer};
  const Rungs& rungs = attention::simt::rungs();
  struct Step {
    std::string name;
    double bytes, error;  // loaded and stored per query; relative to the truth
  };
  std::vector<Step> steps = {}, back = {};

  // Run a rung, watched.
  template <class Rung> Traffic climb(const std::string& name, Rung rung) {
    Tensor o;
    const Traffic moved = traffic(layer, [&] { o = bench.forward(rung); });
    steps.push_back({name, moved.bytes_per_query, relative_error(o, layer.o)});
    return moved;
  }
};

// # Rung 1: as it is written down
//
// Three kernels for the three parts of the formula, and a matrix of all scores
// between them. First what every kernel of this chapter uses.
#include "warp.cuh"

// Then the three kernels.
#include "rung_1_three_passes.cuh"

// Is it right, and what does it move?
static void three_passes(Chapter& chapter, Bed& bed) {
  chapter.section("Rung 1: as it is written down");
  const Traffic moved = bed.climb("1: three passes", bed.rungs.three_passes);
  chapter.say("{} queries, {} keys, a head of {}.", bed.layer.queries,
              bed.layer.keys, bed.layer.width);
  chapter.claim("three-right",
                "three passes: typical error over the typical number",
                bed.steps.back().error, at_most(1e-6), identity);
  if (!watched()) return;
  chapter.say("It moves {:.0f} bytes for each query.", moved.bytes_per_query);
  const double n = double(bed.layer.keys), d = double(bed.layer.width);
  chapter.claim("three-bytes",
                "three passes: bytes per query, over N d + 20 N + a row + a sector",
                moved.bytes_per_query / (n * d + 20 * n + 4 * d + 32),
                near(1, 1e-6), identity);
}

// How do bytes come to be moved here? Take $N$ queries and keys of $d$ numbers, 4
// bytes each, and count for a single query.
//
// - The first kernel reads $Q$ and $K$ in tiles of 16. A tile of keys serves 16
// queries, so a query pays for a sixteenth of it: $4 N d / 16$ bytes. The same for
// the queries, which are read again for every tile of keys: $4 N d / 16$. And it
// writes a row of scores, $4 N$.
// - The second walks three times along the row, and writes it once: $16 N$.
// - The third reads weights and values in tiles of 16 again. The row of weights is
// read for every 16 columns of the output, $4 N d / 16$, and the values cost $4 N d
// / 16$.
//
// For $d = 64$ that is $84 N$ together. The matrix that nobody wants, the weights in
// the third kernel included, is $36 N$ of it, 43 %. Keys and values, read again and
// again, are $32 N$, queries $16 N$. Remember that for the next rung.
//
// # Rung 2: one pass
//
// By hand, with one value per key. Now with rows of values, and a warp for each
// query.
#include "rung_2_one_pass.cuh"

// The scores are gone: from `warp_sum` they go into two exponentials and are
// forgotten.
//
// ? We dropped a matrix that was written twice and read again and again. What happened to the bytes moved per query?
// - [ ] they fell to less than half: the matrix was 43 % of them; but what else has changed?
// - [ ] they stayed about the same: keys and values are read as before; before, 16 queries shared what a block had read
// - [x] they rose several times over: every query reads all keys and all values itself
static void one_pass(Chapter& chapter, Bed& bed) {
  chapter.section("Rung 2: one pass");
  const Traffic moved = bed.climb("2: one pass", bed.rungs.one_pass);
  chapter.claim("one-right", "one pass: typical error over the typical number",
                bed.steps.back().error, at_most(1e-6), identity);
  if (!watched()) return;

  // It can be worked out. A key and a value are $2 d$ numbers of 4 bytes, and there
  // are $N$. Beside that a query reads itself and writes its output, and its $L_i$
  // takes a sector.
  const double n = double(bed.layer.keys), row = 4 * double(bed.layer.width);
  chapter.say(
      "It moves {:.0f} bytes for each query, {:.1f} times as many as rung 1.",
      moved.bytes_per_query, moved.bytes_per_query / bed.steps[0].bytes);
  chapter.claim("one-bytes",
                "one pass: bytes per query, over 2 N rows + 2 rows + a sector",
                moved.bytes_per_query / (2 * n * row + 2 * row + 32), near(1, 1e-6),
                identity);
  chapter.claim("one-more", "one pass moves so many times the bytes of three",
                moved.bytes_per_query / bed.steps[0].bytes, at_least(3), identity);
}

// So memory is $O(N)$ now, and there is more to wait for than before. We want both,
// little memory and little traffic.
//
// It is the same trade that chapter 56 met with blocks: what is not shared is
// fetched again. A warp that has one query uses each key once. To use it more often
// it must be there for more queries, and then it has to keep more: a maximum, a sum
// and an output for each. Registers and shared memory are what one pays with.
//
// # Rung 3: tiles
//
// What the matrix product does with its tiles (chapter 57) can be done here too,
// because sets of keys can be merged. A block has a tile of queries and visits tiles
// of keys. Which ones, is decided in one place.
#include "schedule.hpp"

// The steps that a tile takes.
#include "tile.cuh"

// And the kernel.
#include "rung_3_flash.cuh"

// Is it right, and what does it move?
static void flash(Chapter& chapter, Bed& bed) {
  chapter.section("Rung 3: tiles");
  const Traffic moved = bed.climb("3: flash", bed.rungs.flash);
  chapter.claim("flash-right", "flash: typical error over the typical number",
                bed.steps.back().error, at_most(1e-6), identity);
  if (!watched()) return;
  chapter.say("Flash moves {:.0f} bytes for each query.", moved.bytes_per_query);

  // A block of 32 queries reads each key and value once, so per query the large
  // term of rung 2 shrinks 32 times.
  const double n = double(bed.layer.keys), row = 4 * double(bed.layer.width);
  chapter.claim("flash-bytes",
                "flash: bytes per query, over 2 N rows / 32 + 2 rows + a sector",
                moved.bytes_per_query / (2 * n * row / 32 + 2 * row + 32),
                near(1, 1e-6), identity);
  chapter.claim("flash-gain",
                "flash moves so many times fewer bytes than three passes",
                bed.steps[0].bytes / moved.bytes_per_query, at_least(3), identity,
                {.quick = at_least(2)});

  // For large $N$ the gain is 84 / 16 = 5.25, and not all of it is flash's: with tiles
  // of 32 instead of 16 rung 1 would move $52 N$. So 1.6 times come from the tile, and
  // 3.25 from the missing matrix.

  // ### Banks
  //
  // Shared memory has 32 **banks**. Each gives one word at a time, and word $w$ lies in
  // bank $w \bmod 32$.
  //
  // ? In shared memory a row of keys takes 65 places, the last of them empty. Without it, how many wavefronts does the load of `b[d]` take?
  // - [ ] 1, as before: the lanes still read 32 different words; but different words can lie in one bank
  // - [ ] 2: rows of 64 numbers go around the 32 banks twice; that is why they all begin in the same bank
  // - [x] 32: all lanes want the same bank, and it gives one word at a time
  const WorstLine padded = worst_line([&] { bed.bench.forward(bed.rungs.flash); });
  const WorstLine bare = worst_line([&] { bed.bench.forward(bed.rungs.unpadded); });
  chapter.say(
      "With padding no line takes more than {:.2f} wavefronts per request. Without: {:.2f}, at {}.",
      padded.wavefronts, bare.wavefronts, bare.where);
  chapter.claim("banks",
                "without padding, wavefronts per request of the worst line",
                bare.wavefronts, exactly(32), identity);
  chapter.claim("banks-padded", "with padding, the same", padded.wavefronts,
                exactly(1), identity);
}

// The rule: a warp's request takes as many turns as the bank asked most has different
// words to give. Neighbouring words: one turn. The same word for all: one turn, it is
// handed to everybody. Words 64 apart: 32 turns. Words 65 apart: one. (How one finds
// that out for a kernel of one's own: [chapter 57](../57_cuda_matmul/main.cpp#banks-by-hand).)
//
// # The triangle
//
// In a model that writes text no place may look ahead: query $i$ sees the keys 0 …
// $i$. Half of the scores are not needed, and whole tiles of them are not visited.
// Here are 256 queries and keys in tiles of 32.
static void triangle(Chapter& chapter, Bed& bed) {
  chapter.section("The triangle");
  const AttentionSizes s = {
      .queries = 256, .keys = 256, .width = 64, .causal = true};
  Tensor visits = zeros({8, 8}, DType::float64);
  double visited = 0;
  for (int64_t i = 0; i < 8; ++i)
    for (int64_t j = 0; j < key_tiles(s, 32 * i, 32, 32); ++j) {
      visits[{i, j}].fill_(is_cut(s, 32 * i, 32 * j, 32) ? 2 : 1);
      ++visited;
    }
  chapter
      .figure(
          "triangle",
          "tiles of queries (down) and keys (across): left out, visited, visited with a mask")
      .size(420, 400)
      .heatmap(visits)
      .axes("tile of keys", "tile of queries");

  // Of 64 tiles $8 \cdot 9 / 2 = 36$ are visited, and 8 of them need a mask. The
  // longer the text, the closer to a half.
  chapter.claim("triangle", "tiles visited, of 64", visited, exactly(36), identity);
  AttentionSizes causal = bed.layer;
  causal.causal = true;
  Generator random(chapter.seed());
  const Layer layer = make_layer(causal, random);
  Bench<float> bench(layer);
  const Tensor o = bench.forward(bed.rungs.flash);
  chapter.claim("causal-right", "causal: typical error over the typical number",
                relative_error(o, layer.o), at_most(1e-6), identity);
}

// To visit the tiles above the diagonal and mask everything would give right results
// too, at twice the time. And the blocks now have different amounts of work, the
// first tile of queries one tile of keys, the last one all of them: that is what
// `longest_first` is for.
//
// # Memory
//
// What does each rung need beyond its inputs and results? The bench counts what it
// hands out. We double $N$, again and again.
//
// ? From $N$ to $2N$, three passes need 4 times the memory. And flash?
// - [ ] the same: its tiles have a fixed size; but they lie in shared memory, which is not counted here
// - [x] 2 times: one number for each query, $L_i$, which the way back will want
// - [ ] 4 times as well, with a smaller factor: no matrix of scores is left anywhere
static void memory(Chapter& chapter, const Rungs& rungs) {
  chapter.section("Memory");
  std::vector<double> n, three, flash;
  Table table =
      chapter.table({"N", "three passes", "flash", "flash, forth and back"});
  for (int64_t size = 32; size <= chapter.pick(128, 128, 256); size *= 2) {
    Generator random(chapter.seed());
    Bench<float> bench(
        make_layer({.queries = size, .keys = size, .width = 32}, random));
    bench.forward(rungs.three_passes);
    n.push_back(double(size)), three.push_back(double(bench.bytes));
    bench.forward(rungs.flash);
    flash.push_back(double(bench.bytes));
    bench.backward(rungs.backward);
    table.row(size, fmt::format("{} bytes", three.back()),
              fmt::format("{} bytes", flash.back()),
              fmt::format("{} bytes", flash.back() + double(bench.bytes)));
  }
  const size_t last = n.size() - 1;
  chapter.claim("memory-three",
                "N doubled: three passes need so many times as much",
                three[last] / three[last - 1], near(4, 0.01), identity);
  chapter.claim("memory-flash", "N doubled: flash needs so many times as much",
                flash[last] / flash[last - 1], exactly(2), identity);

  // Both are straight lines once the axes are logarithmic, with slopes 2 and 1.
  // Drawn on to 16 384:
  std::vector<double> far, far_three, far_flash;
  for (double x = 32; x <= 16384; x *= 2)
    far.push_back(x), far_three.push_back(4 * x * x + 4 * x),
        far_flash.push_back(4 * x);
  chapter
      .figure(
          "memory",
          "bytes for one head beyond q, k, v and o: counted (dots), and 4 N² + 4 N and 4 N (lines)")
      .line(far, far_three, "three passes")
      .scatter(n, three)
      .line(far, far_flash, "flash")
      .scatter(n, flash)
      .log_x()
      .log_y()
      .axes("N", "bytes");
}

// # Rung 4: the way back
//
// A loss sends back $dO$. The chain rule, line by line, with $P$ for the weights:
//
// $$dV = P^\top dO, \qquad dP = dO\, V^\top, \qquad dS_{ij} = P_{ij} \Big(dP_{ij} - \sum_n P_{in}\, dP_{in}\Big),$$
//
// $$dQ = c\; dS\, K, \qquad dK = c\; dS^\top Q .$$
//
// Everything needs $P$, and $P$ was never kept. There are two ways out. One is to
// keep it after all, $N^2$ numbers. The other is to compute it again: from $q_i$,
// $k_j$ and $L_i$ it takes one dot product and one exponential,
// $P_{ij} = e^{s_{ij} - L_i}$, without any running maximum, as $L_i$ is known by now.
// **Recomputation** costs one more product in a single kernel; in our two, three
// more.
//
// Where does the line for $dS$ come from? Row by row, $P = \mathrm{softmax}(S)$ and
// $\partial P_n / \partial S_j = P_n ([n = j] - P_j)$, where $[n = j]$ is 1 if $n$ is
// $j$ and 0 otherwise: raising score $j$ raises its own weight, and lowers all
// weights in proportion to what they are. So
//
// $$dS_j = \sum_n dP_n P_n ([n = j] - P_j) = P_j \Big( dP_j - \sum_n P_n\, dP_n \Big).$$
//
// By hand we had $dP_j = v_j$ (with $dO = 1$), and the sum was $o$: this is $p_j
// (v_j - o)$ for rows.
//
// One sum still runs along a whole row: $\sum_n P_{in}\, dP_{in}$, when we hold one
// tile of it. But
//
// $$\sum_n P_{in}\, (dO_i \cdot v_n) = dO_i \cdot \sum_n P_{in} v_n = dO_i \cdot O_i =: D_i,$$
//
// and the output we have. It takes one number for each query, before everything
// else.
//
// ? How many matrix products does the way back take, if forward takes two, and two kernels do it?
// - [ ] 4: for $dV$, $dP$, $dQ$ and $dK$; $P$ has to be had from somewhere
// - [ ] 5: with the scores once again; so it is where a single kernel does all
// - [x] 7: scores and $dP$ are needed by both kernels, so they are computed twice, and then $dQ$, $dK$, $dV$
#include "rung_4_backward.cuh"

// The second kernel turns everything round: keys are the rows and queries the
// lanes. A product with $P^\top$ is then the same code as a product with $P$, with
// other tiles.
//
// Is it right? Three opinions. The library's gradient of its own attention; the
// gradient of the formula composed of `matmul` and `softmax`, by the chain rule
// alone; and finite differences, which know no rule at all: move $q$, $k$ and $v$ a
// little along a random direction, and see how much the loss changes, which is the
// sum of all $O_{ij}\, dO_{ij}$. All in float64, with the same kernels.
#include "three_opinions.hpp"

// And what does it move? Each of the two kernels has tiles of 32 rows by which two
// matrices of $N$ rows pass: $2 \cdot 2N / 32$ rows. The second reads $L_i$ and $D_i$
// along with the queries, 8 bytes for each, by four warps and for every 32 keys: $N$.
// Beside that there are nine rows that a query or a key reads and writes once, and 96
// bytes for its $L_i$ and $D_i$.
static void way_back(Chapter& chapter, Bed& bed) {
  if (!watched()) return;
  const Layer& l = bed.layer;
  std::vector<Tensor> found;
  bed.bench.forward(bed.rungs.flash);
  const Traffic moved =
      traffic(l, [&] { found = bed.bench.backward(bed.rungs.backward); });
  bed.back.push_back({"4: flash", moved.bytes_per_query,
                      largest_error(found, {l.dq, l.dk, l.dv})});
  const double n = double(bed.layer.keys), row = 4 * double(bed.layer.width);
  chapter.say("The way back moves {:.0f} bytes for each query.",
              moved.bytes_per_query);
  chapter.claim("back-bytes",
                "way back: bytes per query, over 4 N rows / 32 + N + 9 rows + 96",
                moved.bytes_per_query / (4 * n * row / 32 + n + 9 * row + 96),
                near(1, 1e-6), identity);
}

// # Any length, shared heads
//
// Lengths that are no multiple of a tile; fewer queries than keys, and more; heads
// of 32, 64, 128 and 256; several heads of queries on one of keys (**grouped-query
// attention**, Ainslie and others 2023), which makes $K$ and $V$ smaller by the
// size of the group; and all of that with and without the triangle.
#include "all_shapes.hpp"

// What can go wrong at the edges? A tile of 32 reaches beyond the last query, or
// key. Three habits keep that harmless. Copies put zeros where there is nothing, so
// that no NaN from foreign memory gets into a product: $0 \cdot \mathrm{NaN}$ would
// be NaN. Scores beyond the last key become $-\infty$, because a score of zero
// would get a weight. And rows beyond the last query are computed and not written,
// because all threads have to reach the barriers.
//
// # Rung 5: tensor cores
//
// Flash moves few bytes now. What it does with them is slow: each multiply-add
// takes an instruction of its own, and about one load from shared memory with it. A
// **tensor core** multiplies 16 × 16 by 16 × 8 numbers in one instruction of a
// warp, `mma.sync`, 2048 multiply-adds, if they come as bfloat16. The three matrices
// lie scattered over the registers of the 32 lanes, and `ldmatrix` brings them there
// from shared memory, 512 bytes at a time. [Chapter
// 57](../57_cuda_matmul/main.cpp#tensor-cores) explains both; the
// [instructions](../../common/backend/gpu/tensor_core.cuh) and their
// [layouts](../../common/backend/gpu/fragments.hpp) are the library's. On the
// emulator a warp does by shuffles what the instruction's description says.
#include "weights_from_sums.hpp"

// Where the time goes then is a matter of counting again, in cycles of a
// multiprocessor: shared memory gives 128 bytes in a cycle, so an `ldmatrix` takes
// four, and the tensor cores of an A100 make 1024 multiply-adds, so an `mma.sync`
// takes two. A right side of 16 columns is one `ldmatrix` and serves two products for
// every 16 rows of the warp: with 16 rows both are equally busy, with 32 the tensor
// cores twice as long. That is why a warp has 32 rows where its registers allow it.
// In $Q K^\top$ the left side has to be loaded as well. For a warp, a tile of keys
// and its values:
//
// | head | rows, keys | $Q K^\top$: shared memory | tensor cores | $P V$: shared memory | tensor cores |
// |---|---|---|---|---|---|
// | 64 | 32, 64 | 96 | 128 | 64 | 128 |
// | 128 | 32, 32 | 128 | 128 | 64 | 128 |
// | 256 | 16, 32 | 192 | 128 | 128 | 128 |
//
// (For heads of 64, copies and output included, the emulator counts {claim:shared-busy}
// cycles of shared memory for each of the tensor cores.) The tensor cores of an H100
// are twice as fast and its shared memory is not: there it is what every row of this
// table waits for. On the way back a warp has 16 rows, and that is so even on an A100:
// 256 against 192 cycles for $dQ$ at a head of 128, 320 against 256 for $dK$ and $dV$.
//
// Registers are the other budget. A thread has 255 at most. Its part of an output
// of 32 × 128 is 128 of them, of the scores against 32 keys 32 more; then come
// fragments and addresses. With 64 keys, which would need fewer bytes from shared
// memory, 66 of them would be spilled.
//
// One more word before the kernel: **asynchronous copies**
// ([chapter 57](../57_cuda_matmul/main.cpp#double-buffering)). In rung 3 a thread
// loads a number from memory into a register and stores it to shared memory, and it
// waits where it needs it. `copy_async` does both without a register, while the
// thread goes on. So the order of things in the loop is
//
// - wait for the keys of this tile; ask for its values; multiply queries and keys;
// - wait for the values; ask for the keys of the next tile; softmax; multiply
// weights and values.
//
// Each copy has a product's time to arrive. There is a barrier after each wait: a
// thread knows only of its own copies that they have come. And the same barrier
// says that all warps are done with what the next copy will overwrite. The emulator
// lets a copy arrive when it is waited for and not before, so who forgets is caught.
#include "warp_tile.cuh"

// The kernel is rung 3 again, in other words.
#include "rung_5_tensor_cores.cuh"

// And back.
#include "rung_5_backward.cuh"

// ? Inputs are bfloat16, the weights are rounded to bfloat16 before they meet the values, and the output is rounded again. The usual way in bfloat16 rounds the scores too. How do the errors of flash and of the usual way compare?
// - [ ] the usual way is better: it divides by the true sum before it rounds; but what is rounded is the larger part
// - [ ] they are equal: a bfloat16 has two to three digits, whatever one does
// - [x] flash is better: scores never leave the registers, where they are float32; an error $\varepsilon s$ in a score is a factor $e^{\varepsilon s}$ on its weight
#include "the_error.hpp"

// # Rung 6: one copies, two compute
//
// On Hopper `mma.sync` reaches about two thirds of what the tensor cores can do
// (Shah and others 2024); we counted why. For the rest the warps must not fetch
// fragments at all. `wgmma` takes its matrices from shared memory by itself, for 64
// rows at a time, and while it runs the threads are free. TMA brings whole tiles.
// Both are in [chapter 57](../57_cuda_matmul/main.cpp#hopper) and in the
// [library](../../common/backend/gpu/hopper.cuh). So one warp can do nothing but ask
// for tiles, and two groups of four do nothing but compute.
//
// What shall they do while a product runs? The softmax. An H100 makes 989 million
// million operations in a second on its tensor cores, and 3.9 million million
// exponentials. At a head of 128 there are $4 \cdot 128 = 512$ operations for each
// exponential, so the exponentials take half as long as the products. One after the
// other, the tensor cores would rest for a third of the time at least. Without this
// overlap, or without a producer of its own, FlashAttention-3 falls from 661 TFLOP/s
// to between 570 and 582 (Shah and others 2024).
//
// Two numbers to hold on to. A consumer warpgroup has 64 rows, and for heads of 128
// against 128 keys its threads hold 64 scores, 64 outputs and 32 words of weights:
// 160 registers and some more. Three warpgroups of 128 threads share the 65 536
// registers of a multiprocessor, 168 for each thread. That is little for a consumer
// and far too much for the producer, who needs a dozen. So the instruction
// `setmaxnreg` moves them: 24 for the producer's threads, 240 for the consumers';
// $128 \cdot (24 + 2 \cdot 240) = 64\,512$, and it fits.
//
// Follow the ring for the first three tiles. Places 0 and 1 are empty; the producer
// asks for tile 0 into place 0 and tile 1 into place 1. For tile 2 it needs place 0
// again and waits, for the end of that place's *first* empty phase: until all eight
// consumer warps have said that they used tile 0. The consumers wait for the end of
// the first full phase of place 0, then of place 1, then for the *second* full
// phase of place 0. Which phase is over is one bit, so a barrier can be used for
// ever, as long as nobody is a whole turn behind. Nobody can be: who waits is
// waited for.
//
// The sizes and the phases,
#include "rung_6_shape.hpp"

// and the kernel.
#include "rung_6_wgmma.cuh"

// An error hides best in the addresses. Copy and product must agree on where a number
// lies, and no line of the program touches it in between. The product is told by a
// **descriptor**: a start and two distances. For $Q$ and $K$, which have the summed
// index along their rows, only `stride` counts, from eight rows to the next eight;
// for $V$, which has it down its columns, `leading` leads to the next 64 columns as
// well.
//
// One number by hand. A tile of keys for heads of 128 has 128 rows and is cut
// into two panels of 64 columns; say it begins at address 4096. TMA puts row 9,
// column 70 into panel 1, which begins 128 · 128 = 16 384 bytes later; row 9 of it
// begins 1152 bytes further on; column 70 is column 6 of the panel, in bytes 12, in
// chunk 0. Row 9 is a second row of its pattern, $9 \bmod 8 = 1$, so chunk 0 lies
// where chunk 1 would: 16 bytes on. Together $4096 + 16384 + 1152 + 16 + 12 =
// 21\,660$.
//
// The product comes from the other side. Its descriptor for columns 64 … 79 begins
// at $4096 + 16384$, and eight rows are 1024 bytes apart. Row 9 is row 1 of the
// second eight: $+ 1024 + 128$; number 6 of the sixteen: $+ 12$; that is 21 644.
// And now the address is swizzled: bits 7 to 9 of it, here 001, are added without
// carry to bits 4 to 6. That gives $21644 + 16 = 21\,660$. The same place.
//
// The emulator has neither circuit, so this kernel has *not been run* here: it is
// compiled, and its arithmetic is tested. We let the copy write a number's name to
// every place of a tile and ask for them with the very descriptors that the kernel
// makes.
#include "same_place.hpp"

// # The ladder
#include "the_ladder.hpp"

// Read the third column with [the roofline](../56_cpu_performance/main.cpp#the-roofline)
// in mind. While a byte arrives from memory, an H100 makes 10 multiply-adds in
// float32, and 148 in bfloat16 on its tensor cores. Flash tends to 8 as $N$ grows,
// close to the first; rung 5 to 64, short of the second. The rest is left to caches:
// all blocks of a head read the same keys at about the same time.
//
// How far can one go? A block of $R$ queries keeps $Q$ and $O$ on the chip, $2 R d$
// numbers, and $2 N d$ numbers pass by each of the $N / R$ blocks. With room for $M$
// numbers that is $2 N d \cdot 2 N d / M = 4 N^2 d^2 / M$ in all. Twice the room, half
// the traffic; three passes, which cannot do with fewer than $N^2$, are beaten as
// soon as $M$ exceeds $4 d^2$. No exact attention does better by more than a factor
// for all $M$ (Dao and others 2022).
//
// The number of bytes falls, and with it what one waits for. The speed itself only
// a GPU can tell.
//
// # On a GPU
//
// Targets are published. For 16 heads of 128, no mask, 16 384 tokens in all on an
// H100, in FP16, Shah and others (2024) give 309 TFLOP/s forward for FlashAttention-2
// (Dao 2023) when the tokens are 32 texts of 512, and 370 when they are one text; 467
// and 648 for their own FlashAttention-3. (NVIDIA's cuDNN is faster at 512, with
// 497.) Back it is 214 and 322, and 316 and 561. This chapter wants at least the
// former everywhere, and 90 % of the latter. None of it has been measured yet.
//
// A GPU that is there is asked first whether it computes the same. An emulator's
// verdict covers neither rung 6 nor what a compiler makes of the others.
#include "judged.hpp"

// Then it is timed.
#include "on_a_gpu.hpp"

// With the `cuda` preset, that is. The library's
// [stopwatch](../../common/backend/cuda/stopwatch.hpp) takes the shortest of five
// rounds of some 20 ms, which flatters a little beside published means. A figure in
// TFLOP/s counts $4 N^2 d$ operations for a head forward, and 2.5 times as many back:
// five products instead of two, the scores computed once more included. Our sixth and
// seventh earn nothing. Numbers are random: tensor cores draw less power from zeros,
// and are faster with them.
//
// And where to look in a profiler, NVIDIA's `ncu` for one? Rung 2 should stall on
// *long scoreboard*, memory that has not come; rung 3 without padding shows *shared
// load bank conflicts*; rung 5 on an H100 should stall on *MIO throttle* and *short
// scoreboard*, shared memory; in rung 6 the *tensor* pipe should lead. *Local* memory
// traffic is spilled registers.
//
// # What is left
//
// The way from rung 1 to rung 6 changed, but for the rounding to bfloat16, nothing
// about what is computed and everything about where numbers are. Rung 2 let go of the
// scores and paid with traffic. Rung 3 paid that back by sharing. Rung 4 computes the
// weights again instead of keeping them. Rung 5 hands the arithmetic to circuits made
// for it, and rung 6 is built so that they need not wait.
//
// What the fastest kernels do beyond that:
//
// - The two consumers take turns. While one does its softmax the other has the
// tensor cores for itself, and the order is enforced by two more barriers.
// - Blocks stay. As many blocks as there are multiprocessors take tile after tile
// from a list, so that the output of one is written while the next begins.
// - The way back with `wgmma`, which rung 6 has not: five products, of which two want
// their left side from registers and one adds to memory from several blocks.
// - Texts of different lengths packed one behind the other, and keys and values in
// pages, as programs that serve many users keep them.
// - Scores computed with 8-bit numbers, and a rotation of $Q$ and $K$ that keeps
// the error small.
//
// Each of them is for one kind of machine. The first three rungs save a gigabyte on
// all of them.
//
// # Break it
//
// Three mistakes that this kernel invites.
//
// **Forgotten rescaling.** The line that multiplies $\ell$ and $o$ by `keep` is
// left out.
//
// ? A test runs the broken kernel with 24 keys. What does it say?
// - [ ] it fails: the maximum rises several times within 24 keys; but the tile finds its maximum before it sums
// - [x] it passes: 24 keys are one tile, and with one tile nothing has to be rescaled
// - [ ] it passes by luck, if the largest score comes first: with one tile the order does not matter
#include "broken.hpp"

// # Do you remember?
//
// ? Chapter 56. What does the roofline say about an operation that makes half an operation per byte?
// - [ ] it needs better code: its dot lies far below the flat roof; but the slanted roof is closer
// - [x] it can only get faster by moving fewer bytes: flash moves to the right under the roof, and nothing else changed
// - [ ] it needs more threads: they share the same memory
//
// ? Chapter 5. Behind a softmax the gradient of cross-entropy is $P - Y$. Put its $dP_j = -Y_j / P_j$ into this chapter's line for $dS$. What is $\sum_n P_n\, dP_n$?
// - [ ] 0: then $dS$ would be $-Y$, and raising all scores together would change the loss
// - [x] -1: $P$ cancels and $Y$ sums to one; so $dS_j = P_j (-Y_j / P_j + 1) = P_j - Y_j$, the same line
// - [ ] it depends on $P$: each term is $P_n \cdot Y_n / P_n$, from which $P_n$ is gone
//
// ? Chapter 3. $\log \sum_j e^{s_j}$ for scores of a thousand. How did that chapter keep it from overflowing?
// - [ ] by float64: that overflows at 710
// - [ ] by clamping the scores: that changes the answer
// - [x] by taking the largest out first: $m + \log \sum_j e^{s_j - m}$, of which this chapter's $L_i$ is the online form
static void story(Chapter& chapter) {
  const Rungs& rungs = attention::simt::rungs();
  const int64_t n = chapter.option("length");
  if (n % 32 != 0)
    throw UsageError(fmt::format(
        "--length {}: the bytes are counted for whole tiles; try --length {}", n,
        (n + 31) / 32 * 32));
  for (const char* name : {"no-rescale", "no-barrier", "looks-ahead"})
    if (chapter.broken(name) && n != chapter.pick(96, 256, 512))
      throw UsageError(
          fmt::format("--length {}: --break {} has lengths of its own", n, name));
  if (chapter.broken("no-rescale")) return no_rescale(chapter, rungs);
  if (chapter.broken("no-barrier")) return no_barrier(chapter, rungs);
  if (chapter.broken("looks-ahead")) return looks_ahead(chapter, rungs);
  by_hand(chapter);
  merging(chapter);
  Generator random(chapter.seed());
  Bed bed{make_layer({.queries = n, .keys = n, .width = 64}, random)};
  three_passes(chapter, bed);
  one_pass(chapter, bed);
  flash(chapter, bed);
  triangle(chapter, bed);
  memory(chapter, rungs);
  three_opinions(chapter, rungs);
  way_back(chapter, bed);
  all_shapes(chapter, rungs);
  the_error(chapter, bed);
  same_place(chapter);
  the_ladder(chapter, bed);
  on_a_gpu(chapter);
  chapter.section("Break it");
  chapter.say(
      "Three mistakes are planted in this program. Guess what each does, and look: --break no-rescale, --break "
      "no-barrier, --break looks-ahead.");
}

// What is counted needs an emulator that watches.
static std::vector<book::Expected> claims() {
  std::vector<book::Expected> all = {
      "same-sum",        "three-right",  "one-right",    "flash-right",
      "triangle",        "causal-right", "memory-three", "memory-flash",
      "differences",     "composed",     "back-right",   "all-shapes",
      "all-shapes-back", "error-flash",  "error-usual",  "error-back",
      "same-place"};
  if (watched())
    all.insert(all.end(),
               {"three-bytes", "one-bytes", "one-more", "flash-bytes", "flash-gain",
                "banks", "banks-padded", "back-bytes", "tensor-bytes",
                "tensor-banks", "shared-busy", "tensor-back-bytes"});
  return all;
}

int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 59,
       .name = "cuda_attention",
       .title = "CUDA attention",
       .question =
           "Attention over 16 000 tokens makes a gigabyte of scores for each head, and throws them away. How does one "
           "compute its output, and its gradient, without ever having them?",
       .full = "512 queries and keys instead of 256: half a minute",
       .options = {{"length", book::PerSize{96, 256, 512},
                    "queries and keys of the ladder's layer, a multiple of 32", 96,
                    1024}},
       .breaks = {{"no-rescale",
                   "what was summed under a smaller maximum is not scaled down"},
                  {"no-barrier",
                   "a tile is overwritten while others still read it"},
                  {"looks-ahead", "every query sees one key too many"}},
       .claims = claims(),
       .headline = "flash-gain"},
      story);
}
