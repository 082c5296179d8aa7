// This file tells the chapter in the order in which one reads it. Kernels and
// longer experiments lie in headers, each of which is read where it is included.
// The kernels run on the library's emulator, which checks every access and counts
// what a profiler would; where there is a GPU they run there too, and are timed.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// # A matrix that nobody writes down
//
// A **convolution** slides a window of weights over an image. For output channel
// $o$ at place $(y, x)$
//
// $$\mathrm{out}_{o,y,x} = \sum_{c} \sum_{r} \sum_{s} w_{o,c,r,s}\; \mathrm{in}_{c,\,y+r-1,\,x+s-1},$$
//
// for a window of 3 × 3 that starts one pixel outside of the image, where all is
// zero. Three sums and four loops around them: images, output channels, rows,
// columns. [Chapter 56](../56_cpu_performance/main.cpp#a-convolution) saw that the
// three sums are one long sum, and that the whole is a product of two matrices. One
// of them is the image, with every pixel repeated nine times.
//
// On a GPU that is where the trouble begins. It multiplies so fast that nearly all
// time goes into moving numbers, and here is a program that begins by making nine
// of each. In this chapter we multiply by that matrix without ever writing it down,
// forward and in both directions back. Then we hand it to the circuits that
// multiply whole matrices at once. And at the end we find that nobody has to do all
// these multiplications: for a 3 × 3 window four of nine are enough, or even one in
// four, at a price.
//
// # By hand: four pixels
//
// Make everything small: a single row of four pixels, a window of three weights, no
// padding. There are two places where the window fits.
#include "by_hand.hpp"

// Two things to keep from this. All three products run over the same pairs of a
// pixel and a weight: each pair is multiplied once on the way forward, once with
// the gradient from above on the way to the image, and once on the way to the
// weights. So going back costs twice what going forward costs, as in [chapter
// 5](../05_neural_network/main.cpp#everything-is-a-matrix-product). And what is
// summed over changes: taps and channels, then taps and filters, then places.
//
// Remember the three matrices. What we build below is these three products, at a
// size where the matrices no longer fit anywhere.
//
// # The layer, and what is counted
//
// Every rung of our ladder is judged in two ways. Is it right? Its result is
// compared with the library's, in float64, in units of a bound that rounding cannot
// exceed. And what does it cost? The emulator counts the bytes that its warps ask
// for, and how often their requests get in each other's way. These counts are the
// same on every machine, and they are what a profiler on a GPU would show first.
// They are not times. A kernel with fewer bytes is not always faster; but on a
// processor that can multiply ten times for every byte it fetches, a kernel with
// many bytes is always slow.
//
// Two small helpers first. One tells a convolution.
#include "shape.hpp"

// The other says what stands where in the matrix.
#include "map.hpp"

// It looks like this.
#include "the_map.hpp"

// To compare the rungs of our ladder, all compute the same layer: one image of 28 ×
// 28 pixels, 32 channels in, 64 out, 3 × 3 taps. It is a layer of ResNet-50 with
// fewer channels. The truth comes from the library, in float64.
#include "lab.hpp"

// A **bench** carries the tensors to the device and calls the rungs.
#include "bench.hpp"

// The rungs themselves are known by this list.
#include "rungs.hpp"

// And this is what the emulator tells us of each.
#include "traffic.hpp"
#include "workbench.hpp"

// # Rung 1: direct
#include "rung_1_direct.cuh"

static void direct(Chapter& chapter, Bed& bed, std::vector<Rung>& ladder) {
  chapter.section("Rung 1: direct");
  const Tensor y = bed.bench.forward(bed.rungs.direct);
  chapter.claim("direct-right", "largest error, in units of its bound",
                bed.error(y), at_most(1), identity);
  if (!watched()) return;
  const Traffic t = traffic([&] { bed.bench.forward(bed.rungs.direct); }, "direct");
  ladder.push_back({"direct", t.per_mac(bed.d)});
  chapter.say(
      "{} multiply-adds, {:.1f} bytes through the memory's door for each of them.",
      bed.d.macs(), t.per_mac(bed.d));
  chapter.claim("direct-bytes", "bytes for each multiply-add", t.per_mac(bed.d),
                between(4, 7), found, {.quick = between(4, 7)});
}

// Is that much? Count it by hand. A warp fetches 32 neighbouring pixels, 128 bytes,
// and one weight, a sector of 32 bytes, for 32 multiply-adds: five bytes for each,
// and some more because rows of 28 pixels do not begin where sectors begin.
// NVIDIA's data sheet gives the H100 (SXM) 67 TFLOP/s in float32, that is 33.5 tera
// multiply-adds in a second, and 3.35 TB/s of memory: a tenth of a byte for each
// multiply-add. Caches sit in between and catch most of it, since the same pixels
// are asked for again and again; but asking is what costs. A kernel that wants
// {claim:direct-bytes} bytes is made of asking.
//
// So each number that was fetched has to be used more often before it is let go.
// For products of matrices we know how.
//
// # Rung 2: im2col
//
// Write the matrix down, once, and multiply. The name is **im2col**, "image to
// columns". The product is chapter 57's, in one of its simpler forms.
#include "product.cuh"
#include "rung_2_im2col.cuh"

// ? Our image has 32 channels of 28 × 28 pixels, and the window fits at 28 × 28 places. How many times as many numbers as the image has the matrix?
// - [ ] 3 times: the window is three wide; and three high
// - [x] 9 times: one row for each place, in it nine numbers for each channel; with stride 1 there are as many places as pixels
// - [ ] about 6 times: windows overlap, and what they share is stored once; a matrix has no way to share
static void im2col(Chapter& chapter, Bed& bed, std::vector<Rung>& ladder) {
  chapter.section("Rung 2: im2col");
  const int64_t columns = bed.bench.columns();
  const double blow_up = double(columns) / double(bed.d.x_size());
  chapter.claim("columns", "the matrix has so many numbers for each of the image",
                blow_up, exactly(9), identity);
  const auto run = [&] { return bed.bench.forward(bed.rungs.im2col, columns); };
  chapter.claim("im2col-right", "largest error, in units of its bound",
                bed.error(run()), at_most(1), identity);
  if (!watched()) return;
  const Traffic both = traffic([&] { run(); }),
                writing = traffic([&] { run(); }, "im2col");
  ladder.push_back({"im2col", both.per_mac(bed.d), 1, blow_up});
  chapter.say(
      "Bytes for each multiply-add: {:.3f}, of which {:.3f} to write the matrix down.",
      both.per_mac(bed.d), writing.per_mac(bed.d));
  chapter.claim("im2col-traffic", "direct moves so many times as many bytes",
                ladder[0].bytes / both.per_mac(bed.d), at_least(10), found,
                {.quick = at_least(8)});
}

// {claim:im2col-traffic} times fewer, although a matrix of nine images is written
// and read again. That is what using a number 64 times does: the cost of fetching
// it, even nine times over, is shared by 64. The product alone would do better
// still: a tile of 64 × 64 results takes 128 numbers for each of its steps along
// the sum, and makes 4096 multiply-adds of them: $4 \cdot 128 / 4096 = 1/8$ of a
// byte. The rest is spent on a matrix that serves for a moment. And it has to lie
// somewhere: a layer of ResNet-50 with 64 channels of 56 × 56 pixels and a batch of
// 256 has a matrix of 462 million numbers, 1.8 GB.
//
// # Rung 3: the implicit product
//
// The product reads a tile of the matrix, copies it to shared memory, and never
// looks at the matrix again. So it does not matter where a tile's numbers come
// from. We can work out an address in the image when they are fetched, and leave
// the matrix out. This is called **implicit GEMM**, from the name that libraries
// give to the product of matrices.
#include "rung_3_implicit.cuh"

// One kernel, then, and three problems to hand to it. What does leaving the matrix
// out bring?
static void implicit(Chapter& chapter, Bed& bed, std::vector<Rung>& ladder) {
  chapter.section("Rung 3: the implicit product");
  const Tensor y = bed.bench.forward(bed.rungs.implicit),
               before = bed.bench.forward(bed.rungs.im2col, bed.bench.columns());
  chapter.claim("implicit-right", "largest error, in units of its bound",
                bed.error(y), at_most(1), identity);
  chapter.claim("same-bits", "numbers that differ from im2col's",
                sum((y != before).to(DType::float64)).item(), exactly(0), identity);
  if (!watched()) return;
  const Traffic t =
      traffic([&] { bed.bench.forward(bed.rungs.implicit); }, "implicit product");
  ladder.push_back({"implicit", t.per_mac(bed.d)});
  chapter.say(
      "Bytes for each multiply-add: {:.3f}. Memory besides x, w and y: none.",
      t.per_mac(bed.d));
  chapter.claim("implicit-traffic", "im2col moves so many times as many bytes",
                ladder[1].bytes / t.per_mac(bed.d), at_least(1.3), found,
                {.quick = at_least(1.3)});
}

// Not one bit is different from im2col's result: the same numbers are multiplied,
// and added in the same order. Only the matrix is gone, and with it nearly half of
// the traffic.
//
// ## Down a column
//
// Why do the tiles have rows of 65 numbers, when only 64 are used? Weights lie in
// memory with the taps of a filter next to each other, so neighbouring threads
// fetch neighbouring taps and write them *down* a column of the tile. Shared memory
// lies in 32 **banks**, one word wide, and each serves one word at a time.
//
// ? Suppose rows of 64. Sixteen threads write down one column, and the other sixteen of the warp down the next. How many wavefronts does it take?
// - [ ] 1: sixteen threads write to sixteen different rows; but rows do not matter, banks do
// - [ ] 2: each column goes at once, one after the other; each column lies in a single bank
// - [x] 16: rows of 64 words are twice around all banks, so a column lies in one bank and its sixteen words wait for each other
static void banks(Chapter& chapter, Bed& bed) {
  if (!watched()) return;
  chapter.section("Down a column");
  const Traffic good = traffic([&] { bed.bench.forward(bed.rungs.implicit); },
                               "implicit product"),
                bad = traffic([&] { bed.bench.forward(bed.rungs.same_bank); },
                              "implicit product");
  chapter.say(
      "Wavefronts over the fewest possible, all in all: {:.2f} with rows of 65, {:.2f} with "
      "rows of 64. In the worst line: {:.1f} and {:.1f}.",
      good.conflicts(), bad.conflicts(), good.worst, bad.worst);
  chapter.claim("banks-line", "rows of 64: wavefronts for one in the worst line",
                bad.worst, near(16, 0.01), identity);
  chapter.claim("banks", "rows of 64 need so many times as many wavefronts",
                bad.wavefronts / good.wavefronts, at_least(1.2), found,
                {.quick = at_least(1.2)});
}

// One spare word in each row moves the next row over by a bank, and a column walks
// through all of them. Most accesses are reads while multiplying, and those were
// good all along; so with rows of 64 the whole kernel has {claim:banks} times the
// wavefronts, and the one line sixteen times. (With the spare word it still has
// two: the second column begins one bank further, and fifteen of its banks are also
// the first's.)
//
// # Back, and every shape
//
// The three problems take any stride, padding, dilation, any number of groups and
// any filter. All of them are in the map, and nowhere else:
//
// - *Stride* lets the window jump. The output has fewer places, and the rows of the
// matrix become fewer, not shorter. On the way back most pairs of pixel and tap
// have no place.
// - *Padding* adds places at the edge. Their rows have zeros in them.
// - *Dilation* pulls the taps apart. The matrix is as large as before; other pixels
// stand in it.
// - *Groups* cut the sum. Each group has its own matrix with fewer columns, and its
// own filters.
//
// Nothing here is special to squares or odd sizes, and each option can be had with
// each other. So the table goes through them one by one, and at the end through all
// at once. Below each shape is computed forward and back, and the worst number is
// compared with its bound.
#include "all_shapes.hpp"

// ? Stride 2 on the way back to the image: which share of the multiplications has a factor that is zero by construction?
// - [ ] none: each gradient from above is used
// - [ ] half: with stride 2, every other tap hits; in each of two dimensions
// - [x] three quarters: a pixel was seen by every second tap in each direction, so by a quarter of the nine on average
static void stride_two(Chapter& chapter) {
  chapter.section("Stride 2 on the way back");
  const Map map(Conv{.h = 56, .w = 56, .stride = 2, .pad = 1});
  double zero = 0, all = 0;
  for (int i = 0; i < map.d.pixels(); ++i)
    for (int k = 0; k < map.d.taps(); ++k, ++all)
      zero += map.y_over(0, map.pixel(i), map.tap(k)) == kOutside;
  chapter.claim("stride-zeros",
                "3 x 3, stride 2: share of zeros in the data gradient's matrix",
                zero / all, near(0.75, 0.02), identity, {.unit = "%"});
}

// (A little more than three quarters, because at the edge of the image some taps
// see nothing at all.) Our kernel multiplies by all those zeros. One can do
// without: pixels fall into four classes, even or odd in each direction, and each
// class has its own taps, four, two, two and one of the nine. So the one product
// becomes four small ones without any zeros, and exercise 3 asks for them.
//
// ## Groups and depth
//
// With groups, each filter sees the channels of its own group, and the product
// falls apart into one for each group. In a **depthwise** layer every channel is a
// group of its own: then a product has one column, and a tile is made for 64.
#include "depthwise.cuh"

static void depthwise(Chapter& chapter) {
  chapter.section("Depthwise");
  Generator random(chapter.seed());
  const Conv d = {.n = 1, .c = 8, .h = 28, .w = 28, .o = 8, .pad = 1, .groups = 8};
  const Truth truth(make_layer(d, random));
  const Rungs& r = backend::simt::rungs();
  Bench bench(truth.l, Device::simt, r);
  double worst = 0;
  for (Rungs::Fn rung : {r.direct, r.implicit, r.depthwise})
    worst =
        std::max(worst, in_bounds(bench.forward(rung), truth.l.y64, truth.y_room));
  chapter.claim("depthwise-right",
                "largest error of three kernels, in units of its bound", worst,
                at_most(1), identity);
  chapter.claim("depthwise-tile", "share of the product's tile that is a result",
                1.0 / backend::simt::kSide, exactly(1.0 / 64), identity,
                {.unit = "%"});
  if (!watched()) return;
  const double
      direct = traffic([&] { bench.forward(r.direct); }, "direct").per_mac(d),
      product = traffic([&] { bench.forward(r.implicit); }, "implicit product")
                    .per_mac(d),
      tiled = traffic([&] { bench.forward(r.depthwise); }, "depthwise").per_mac(d);
  chapter.say(
      "Bytes for each multiply-add: direct {:.2f}, product {:.2f}, depthwise {:.2f}.",
      direct, product, tiled);
  chapter.claim("depthwise-traffic",
                "direct moves so many times as many bytes as the depthwise kernel",
                direct / tiled, at_least(2), found, {.quick = at_least(2)});
}

// All three kernels are right, and the product is the worst of them in a way that
// bytes do not show: 63 of the 64 columns of its tiles are zeros, and it multiplies
// by them all the same.
//
// However it is written, there is little to gain from arithmetic here. Nine
// multiply-adds for a number that is read and one that is written: about a byte for
// each. (Ours takes more than twice that: a halo is fetched by two blocks, its rows
// of 34 pixels begin in the middle of a sector, and 28 places leave room in a tile
// of 32.) That is left of every GPU's ridge, so a depthwise layer is as fast as
// memory and no faster. And 1 × 1 layers? They see one pixel at a time, their
// matrix *is* the image, and there is nothing to map: the implicit product is then
// a plain one.
//
// # Rung 4: tensor cores
//
// Chapter 57 ended with circuits that take a whole small matrix at a time. A warp
// hands in 16 × 16 numbers of A and 16 × 8 of B, and gets 2048 multiply-adds for
// one instruction. The factors are bfloat16, the sums float32.
#include "fragments.hpp"

// So a warp that wants to use it has to bring 256 numbers of A, 128 of B and 128
// sums into this order. That is a strange order to look at, but there is a picture
// behind it: a group of four threads owns two rows of A, the same two of C, and a
// column of B, and each of the four has every fourth pair. When the hardware
// multiplies, rows of A stay within their group, and only the columns of B travel.
//
// Two things have to change for our convolution. Fragments want two neighbours
// along the sum in one register, and copies want 16 bytes in a piece. In the layout
// (n, c, h, w) that we have used so far, the neighbours of a pixel in memory are
// the pixels to its right, and for the next tap all of it moves over by one: 16
// bytes that begin at an odd pixel are not aligned. In (n, h, w, c), **channels
// last**, the neighbours are the channels of the same pixel. Whatever the tap, they
// begin at a multiple of eight. So the sum's order becomes $(r, s, c)$: for each
// tap a step through the channels.
#include "to_channels_last.cuh"

// The instructions.
#include "tensor_core.cuh"

// And the kernels.
#include "rung_4_tensor_cores.cuh"

// What has become of a multiply-add? For 64 × 64 results of a warp and 16 steps of
// the sum there are four fetches of A's fragments, four of B's, and 32 `mma`, which
// are 65 536 multiply-adds: on average 1600 for each instruction of a warp, or 51
// for each thread's. In rung 3 it was less than one. What is left to do for the
// ordinary instructions is to find addresses, and that is why those are worked out
// once for eight channels, and divisions once for all steps.
//
// On the emulator `mma` is 2048 multiply-adds one by one, and everything around it
// is as on a GPU: the copies, the swizzle, the fragments, the barriers.
static void tensor_cores(Chapter& chapter, Bed& bed, std::vector<Rung>& ladder) {
  chapter.section("Rung 4: tensor cores");
  const Truth& t = bed.truth;
  chapter.claim("tensor-right", "forward: largest error, in units of its bound",
                in_bounds(bed.bench.tensor_forward(), t.l.y64, t.y_room, true),
                at_most(1), identity);
  chapter.claim(
      "tensor-data", "back to the image: largest error, in units of its bound",
      in_bounds(bed.bench.tensor_data_gradient(), t.l.dx64, t.dx_room, true),
      at_most(1), identity);
  chapter.claim("tensor-weights",
                "back to the weights: largest error, in units of its bound",
                in_bounds(bed.bench.tensor_weight_gradient(4), t.l.dw64, t.dw_room),
                at_most(1), identity);
  if (!watched()) return;
  const Traffic all =
      traffic([&] { bed.bench.tensor_forward(); }, "tensor forward");
  ladder.push_back({"tensor cores", all.per_mac(bed.d)});
  chapter.say("Bytes for each multiply-add: {:.3f}.", all.per_mac(bed.d));
  chapter.claim("tensor-traffic",
                "the float32 product moves so many times as many bytes",
                ladder[2].bytes / all.per_mac(bed.d), at_least(1.5), found,
                {.quick = at_least(1.5)});
  chapter.claim("tensor-banks",
                "wavefronts on shared memory, over the fewest possible",
                all.conflicts(), at_most(1.05), identity);
}

// There is not a single conflict in shared memory: the swizzle does what it was
// made for, and the test proves it for every row and chunk. The errors of the first
// two look large. They are just below 1 because rounding the *result* to bfloat16
// takes up nearly all of the bound; what happened on the way, in float32, is lost
// next to it.
//
// The weights' gradient is never rounded to bfloat16: it is a sum over all places
// of all images, it goes to the optimiser, and it stays in float32.
//
// # Rung 5: fewer multiplications
//
// Everything so far made the multiplications cheaper. Can there be fewer? Go back
// to four pixels $d_0 \dots d_3$ and three weights $g_0, g_1, g_2$:
//
// $$y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2, \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 .$$
//
// Six multiplications. Look at the middle pixels, which both need, and make the two
// sums as alike as possible by adding and subtracting something:
//
// $$y_0 = (d_0 - d_2)\,g_0 + p, \qquad p = d_2 (g_0 + g_2) + d_1 g_1,$$
//
// $$y_1 = q - (d_1 - d_3)\,g_2, \qquad q = d_1 (g_0 + g_2) + d_2 g_1 .$$
//
// Now $p$ and $q$ are made of the same four numbers, crosswise. Their sum and their
// difference take one multiplication each, where $p$ and $q$ would take four:
//
// $$p + q = (d_1 + d_2)(g_0 + g_1 + g_2), \qquad p - q = (d_2 - d_1)(g_0 - g_1 + g_2) .$$
//
// So four multiplications do,
//
// $$m_1 = (d_0 - d_2)\, g_0, \quad
//   m_2 = (d_1 + d_2)\,\frac{g_0 + g_1 + g_2}{2}, \quad
//   m_3 = (d_2 - d_1)\,\frac{g_0 - g_1 + g_2}{2}, \quad
//   m_4 = (d_1 - d_3)\, g_2,$$
//
// $$y_0 = m_1 + m_2 + m_3, \qquad y_1 = m_2 - m_3 - m_4 .$$
//
// This is Winograd's **F(2, 3)**: two results of three taps. What is done to the
// weights is done once for all places, what is done to the pixels once for all
// filters. Only the four multiplications are there for each pair.
static void winograd_by_hand(Chapter& chapter) {
  chapter.section("Rung 5: fewer multiplications");
  chapter.say("The same four pixels 1, 2, 3, 5 and weights 2, 1, 3 once more.");
  const double d[] = {1, 2, 3, 5}, g[] = {2, 1, 3};
  const double m1 = (d[0] - d[2]) * g[0];                      // -4
  const double m2 = (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2;  // 15
  const double m3 = (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2;  // 2
  const double m4 = (d[1] - d[3]) * g[2];                      // -9
  chapter.say("Four products: {}, {}, {}, {}.", m1, m2, m3, m4);
  Tensor y = conv1d(tensor({1, 2, 3, 5}, DType::float64).reshape({1, 1, 4}),
                    tensor({2, 1, 3}, DType::float64).reshape({1, 1, 3}));
  chapter.check("y0 = m1 + m2 + m3", m1 + m2 + m3, y[{0, 0, 0}].item());  // 13
  chapter.check("y1 = m2 - m3 - m4", m2 - m3 - m4, y[{0, 0, 1}].item());  // 22
}

// ## As matrices
#include "winograd.hpp"

// In two dimensions the rule is applied along columns and along rows, and the
// savings multiply: a tile of 2 × 2 results takes $4^2 = 16$ multiplications
// instead of 36, and F(4,3) takes $6^2 = 36$ for its 4 × 4 results instead of 144.
#include "tiles.hpp"

// For each of the 16 or 36 numbers in a tile, the sum over the channels is a
// product of matrices: filters by channels, channels by tiles. So all that we know
// about products serves again. (Lavin and Gray wrote it down in this form in 2015.)
#include "rung_5_winograd.cuh"

static void winograd(Chapter& chapter, Bed& bed, std::vector<Rung>& ladder) {
  chapter.section("Winograd on the workbench");
  const Conv& d = bed.d;
  auto products = [&](int m) {
    const int64_t tiles =
        ((d.out_h() + m - 1) / m) * ((d.out_w() + m - 1) / m) * d.n;
    return double(tiles * (m + 2) * (m + 2) * d.c * d.o);
  };
  const double macs = double(d.macs()), two = macs / products(2),
               four = macs / products(4);
  chapter.claim("fewer-two", "F(2,3): so many times fewer multiplications", two,
                exactly(2.25), identity);
  chapter.claim("fewer-four", "F(4,3): so many times fewer multiplications", four,
                exactly(4), identity);
  if (!watched()) return;
  for (int m : {2, 4}) {
    const Traffic t = traffic([&] {
      bed.bench.forward(m == 2 ? bed.rungs.winograd2 : bed.rungs.winograd4,
                        bed.bench.winograd_space(m));
    });
    const double extra = double(bed.bench.winograd_space(m)) / double(d.x_size());
    ladder.push_back(
        {m == 2 ? "F(2,3)" : "F(4,3)", t.per_mac(d), products(m) / macs, extra});
  }
  const Rung &f2 = ladder[ladder.size() - 2], &f4 = ladder.back();
  chapter.say(
      "Bytes for each multiply-add of the layer: F(2,3) {:.3f}, F(4,3) {:.3f}; kept "
      "besides x, w and y: {:.1f} and {:.1f} times the image.",
      f2.bytes, f4.bytes, f2.extra, f4.extra);
  chapter.claim("winograd-traffic",
                "F(2,3) moves so many times as many bytes as the implicit product",
                f2.bytes / ladder[2].bytes, at_least(1.1), found,
                {.quick = at_least(1.1)});
}

// There are the savings, exactly as promised, because 28 is a multiple of 2 and of
// 4. With 7 × 7 places, as in the last layers of ResNet, F(4,3) needs 2 × 2 tiles,
// which compute 64 places where 49 are wanted, and a quarter of the gain is gone.
//
// So the multiplications are paid for in bytes: each pixel is written into four
// tiles of F(2,3) (16 numbers for every 2 × 2 pixels), each sum is written four
// times. A fused kernel keeps a tile's numbers in shared memory from transform to
// transform, and that is what libraries do.
//
// ? F(2,3) divides by 2, F(4,3) by up to 24 and multiplies by up to 8. In float32, how much more wrong is F(4,3) than F(2,3)?
// - [ ] not at all: it has fewer multiplications, so fewer roundings; but roundings of large numbers that cancel later
// - [ ] twice: twice the tile, twice the error; the entries do not grow like the tile
// - [x] about eight times: large intermediate numbers are rounded, then cancel, and their rounding stays
#include "the_error.hpp"

// In float32 both are good enough to train with: a typical error of one part in a
// million is far below the noise of a batch. The bound of 256 is a worst case that
// random numbers do not come near; errors of different sign cancel, and the
// measured growth is about its root.
//
// With factors in bfloat16, F(4,3) is wrong in its second digit. The image's tile
// has been multiplied by $4$, $5$, $4$ and subtracted from itself; what is rounded
// to eight bits is large, and most of it cancels later. So tensor cores and large
// Winograd tiles do not go together, and that is why the trick is used less than it
// was: it saves multiplications, and those are what became cheap.
//
// # ResNet-50
//
// Where does all this matter? Take the network that everyone measures with.
#include "resnet.hpp"
#include "resnet_50.hpp"

// # The ladder
//
// All rungs once more, on the workbench's layer.
#include "the_ladder.hpp"

// Read it from above. Direct to im2col: use what you have fetched. im2col to
// implicit: do not write down what you can work out. Implicit to tensor cores:
// fetch half as many bytes, and pay one instruction for what took thousands.
// Winograd: multiply less, and move more. The last is a trade, and which way it
// goes depends on the machine: on one that is short of multiplications it wins, on
// one that has tensor cores mostly not.
//
// For a layer of your own that makes a short list. 1 × 1: a plain product.
// Depthwise: a kernel that fetches each pixel once, and no hope of more than the
// memory's speed. 3 × 3 in float32: Winograd, if float32 is what you need.
// Everything else: the implicit product, on tensor cores where bfloat16 will do.
//
// # On a GPU
//
// The emulator counts; it does not time. How fast the rungs are only a GPU can say.
// Our targets on an H100: at least 90 % of cuDNN's speed on each layer of
// ResNet-50, and more than cuDNN's on at least five. They are targets. `mma.sync`
// is not the fastest way into the tensor cores of that GPU (chapter 57's last rungs
// are), so the large layers will be hard.
#include "on_a_gpu.hpp"

// # Break it
//
// Three mistakes that everybody makes with kernels like these.
//
// **Beyond the edge.** One comparison says `<=` where it should say `<`: a pixel
// counts as inside when its column equals the width.
//
// ? What does the last tap read at the right edge of the image, in memory?
// - [ ] zero: that is what padding is; nobody stored it, it comes from the comparison
// - [ ] an address that faults: only behind the very last row of the last channel; everywhere else there is something
// - [x] the first pixel of the next row: rows follow each other in memory
#include "broken.hpp"

// # Do you remember?
//
// ? Chapter 5. A layer has 784 inputs and 128 units, the batch is 50. Which two sizes does the sum that makes its weights' gradient *not* run over?
// - [x] 784 and 128: it runs over the batch, as ours runs over places
// - [ ] 50 and 128: then the gradient would have 50 rows; it has the weights' shape
// - [ ] none, it runs over all three: that would leave a single number
//
// ? Chapter 3. Its gradients were derived by hand and then checked by `grad`. What did this chapter check its three products against?
// - [ ] each other: they share a kernel, and so could share a mistake
// - [x] the library's convolution in float64, forward and by autograd, in units of a bound that a right result cannot exceed
// - [ ] the same kernels in float64: the map would be wrong in both
//
// ? Chapter 0. Why does `0.1 + 0.2` differ from `0.3`, and what has it to do with F(4,3)?
// - [ ] addition is exact and the printing rounds: it is the other way round, printing shows what was rounded before
// - [ ] constants like 0.1 are badly chosen: they are, but 1/24 only adds one rounding
// - [x] each result is rounded to the nearest number that float32 has; F(4,3) rounds large numbers that then cancel, and keeps their rounding
static void story(Chapter& chapter) {
  Generator random(chapter.seed());
  if (chapter.broken("beyond-edge")) return beyond_edge(chapter);
  if (chapter.broken("one-barrier")) return one_barrier(chapter);
  if (chapter.broken("wrong-sign")) return wrong_sign(chapter);
  const int size = chapter.option("size");
  if (size % 4 != 0)
    throw UsageError(fmt::format(
        "--size {}: Winograd's tiles count exactly for a multiple of 4 only; try --size {}",
        size, size / 4 * 4));
  by_hand(chapter);
  index_map(chapter);
  const Conv d = {.n = 1,
                  .c = chapter.pick(16, 32, 32),
                  .h = size,
                  .w = size,
                  .o = chapter.pick(32, 64, 64),
                  .pad = 1};
  Bed bed(d, random);
  std::vector<Rung> ladder;
  direct(chapter, bed, ladder);
  im2col(chapter, bed, ladder);
  implicit(chapter, bed, ladder);
  banks(chapter, bed);
  all_shapes(chapter, random);
  stride_two(chapter);
  depthwise(chapter);
  tensor_cores(chapter, bed, ladder);
  winograd_by_hand(chapter);
  winograd_tiles(chapter);
  winograd(chapter, bed, ladder);
  the_error(chapter, bed);
  resnet_50(chapter, random);
  the_ladder(chapter, ladder);
  on_a_gpu(chapter, random);
  chapter.section("Break it");
  chapter.say(
      "Three mistakes are planted in this program. Guess what each does, and look: "
      "--break beyond-edge, --break one-barrier, --break wrong-sign.");
}

// What is counted needs an emulator that watches.
static std::vector<book::Expected> claims() {
  std::vector<book::Expected> all = {
      "direct-right",   "columns",          "im2col-right",
      "implicit-right", "same-bits",        "all-shapes",
      "parts",          "stride-zeros",     "depthwise-right",
      "depthwise-tile", "tensor-right",     "tensor-data",
      "tensor-weights", "fewer-two",        "fewer-four",
      "growth-two",     "growth-four",      "error-two",
      "error-four",     "error-two-bf16",   "error-four-bf16",
      "resnet-macs",    "resnet-pointwise", "resnet-right"};
  if (watched())
    all.insert(all.end(), {"direct-bytes", "im2col-traffic", "implicit-traffic",
                           "banks-line", "banks", "depthwise-traffic",
                           "tensor-traffic", "tensor-banks", "winograd-traffic"});
  return all;
}

int main(int argc, char** argv) {
  return run_chapter(
      argc, argv,
      {.number = 58,
       .name = "cuda_convolution",
       .title = "CUDA convolution",
       .question =
           "A 3 x 3 convolution multiplies by a matrix that holds every pixel nine times. "
           "How does one multiply by a matrix that is never written down, and with fewer "
           "multiplications than it has numbers?",
       .options = {{"size", book::PerSize{16, 28, 28},
                    "rows and columns of the workbench's image, a multiple of 4", 8,
                    64}},
       .breaks = {{"beyond-edge", "a pixel too far to the right counts as inside"},
                  {"one-barrier", "the second barrier of the product is missing"},
                  {"wrong-sign", "one sign of Winograd's matrices is wrong"}},
       .claims = claims(),
       .headline = "im2col-traffic"},
      story);
}
