// This file tells the chapter in the order in which one reads it. Kernels and
// longer experiments lie in headers, each of which is read where it is included.
// The kernels run on the library's emulator, which checks every access and counts
// what a profiler would; where there is a GPU they run there too, and are timed.
#include <string>
#include <utility>
#include <vector>

#include "bench.hpp"
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
// zero. The weights of one output channel are a **filter**, each place $(r, s)$ in
// its window is a **tap**. Three sums and four loops around them: images, filters,
// rows, columns. [Chapter 56](../56_cpu_performance/main.cpp#a-convolution) saw that
// the three sums are one long sum, and that the whole is a product of two matrices.
// One of them is the image, with every pixel repeated nine times.
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

// Two things to keep from this. Wherever a pixel meets a weight there are three
// multiplications: pixel times weight on the way forward, weight times the place's
// gradient on the way to the image, pixel times the place's gradient on the way to
// the weights. So going back costs twice what going forward costs, as in [chapter
// 5](../05_neural_network/main.cpp#everything-is-a-matrix-product). And what is
// summed over changes: taps and channels, then taps and filters, then places.
//
// Remember the three matrices. What we build below is these three products, at
// sizes where writing the first one down takes more memory than all the rest.
//
// # The layer, and what is counted
//
// Every rung of our ladder is judged in two ways. Is it right? Its result is
// compared with the library's, in float64, in units of a bound that rounding cannot
// exceed. And what does it cost? The emulator counts the bytes that its warps ask
// for, and how often their requests get in each other's way. These counts are the
// same on every machine, and they are what a profiler on a GPU would show first.
// They are not times: a kernel with fewer bytes is not always faster. But they set
// limits, and at the end we add them up.
//
// Two small helpers first. One describes a convolution.
#include "shape.hpp"

// The other says what stands where in the matrix.
#include "map.hpp"

// It looks like this.
#include "the_map.hpp"

// To compare the rungs of our ladder, all compute the same layer: one image of 28 ×
// 28 pixels, 32 channels in, 64 out, 3 × 3 taps. It is a layer of ResNet-50 with
// fewer channels. The truth comes from the library, in float64.
#include "layer.hpp"

// What carries tensors to the device and back is the [bench](bench.hpp), which calls
// the kernels by [a list](rungs.hpp); neither needs to be read. The emulator's counts
// become a handful of numbers.
#include "traffic.hpp"

// # Rung 1: direct
#include "rung_1_direct.cuh"

static void direct(Chapter& chapter, Bench& bench, std::vector<Rung>& ladder) {
  chapter.section("Rung 1: direct");
  const Rungs& r = bench.r;
  chapter.claim("direct-right", "largest error, in units of its bound",
                bench.y_error(bench.forward(r.direct)), at_most(1), identity);
  if (!watched()) return;
  const Traffic t = traffic([&] { bench.forward(r.direct); }, "direct");
  ladder.push_back(rung("direct", bench.d, t, 1));
  chapter.say(
      "{} multiply-adds, {:.1f} bytes through the memory's door for each of them.",
      bench.d.macs(), t.per_mac(bench.d));
  chapter.claim("direct-bytes", "bytes for each multiply-add", t.per_mac(bench.d),
                between(4, 7), found, {.quick = between(4, 7)});
}

// Is that much? Count it by hand. A warp fetches 32 neighbouring pixels, 128 bytes,
// and one weight, a sector of 32 bytes, for 32 multiply-adds: five bytes for each,
// and some more because rows of 28 pixels do not begin where sectors begin. Most of
// it never reaches memory: the same pixels are asked for again and again, and the
// cache beside the multipliers has them. But that cache has a door, too. On an H100
// it lets 128 bytes through in each cycle, and the multiprocessor behind it could
// make 128 multiply-adds in that cycle: one byte for each. A kernel that asks for
// {claim:direct-bytes} leaves five of six multipliers idle.
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

// ? Our image has 32 channels of 28 × 28 pixels, and the window fits at 28 × 28 places. How many times as large as the image is the matrix?
// - [ ] 3 times: the window is three wide; and three high
// - [x] 9 times: one row for each place, in it nine numbers for each channel; with stride 1 and padding 1 there are as many places as pixels
// - [ ] about 6 times: windows overlap, and what they share is stored once; a matrix has no way to share
static void im2col(Chapter& chapter, Bench& bench, std::vector<Rung>& ladder) {
  chapter.section("Rung 2: im2col");
  const Conv& d = bench.d;
  const double blow_up = double(bench.columns()) / double(d.x_size());
  chapter.claim("columns", "the matrix has so many numbers for each of the image",
                blow_up, exactly(9), identity);
  chapter.claim("im2col-right", "largest error, in units of its bound",
                bench.y_error(bench.im2col()), at_most(1), identity);
  if (!watched()) return;
  const Traffic both = traffic([&] { bench.im2col(); }),
                writing = traffic([&] { bench.im2col(); }, "im2col");
  ladder.push_back(rung("im2col", d, both, made(both, d), blow_up));
  chapter.say(
      "Bytes for each multiply-add: {:.3f}, of which {:.3f} to read the image and write "
      "the matrix down.",
      both.per_mac(d), writing.per_mac(d));
  chapter.claim("im2col-traffic", "direct moves so many times as many bytes",
                ladder[0].global / ladder[1].global, at_least(10), found,
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
static void implicit(Chapter& chapter, Bench& bench, std::vector<Rung>& ladder) {
  chapter.section("Rung 3: the implicit product");
  const Rungs& r = bench.r;
  const Tensor y = bench.forward(r.implicit), before = bench.im2col();
  chapter.claim("implicit-right", "largest error, in units of its bound",
                bench.y_error(y), at_most(1), identity);
  chapter.claim("same-bits", "numbers that differ from im2col's",
                sum((y != before).to(DType::float64)).item(), exactly(0), identity);
  if (!watched()) return;
  const Traffic t = traffic([&] { bench.forward(r.implicit); }, "implicit product");
  ladder.push_back(rung("implicit", bench.d, t, made(t, bench.d)));
  chapter.say(
      "Bytes for each multiply-add: {:.3f}. Memory besides x, w and y: none.",
      t.per_mac(bench.d));
  chapter.claim("implicit-traffic", "im2col moves so many times as many bytes",
                ladder[1].global / ladder[2].global, at_least(1.3), found,
                {.quick = at_least(1.3)});
  chapter.claim("implicit-wall",
                "H100: cycles of shared memory for each cycle of multiplying",
                ladder[2].shared / ladder[2].multiplying, near(2.125, 1e-9),
                identity);
}

// Not one bit is different from im2col's result: the same numbers are multiplied,
// and added in the same order. Only the matrix is gone, and with it nearly half of
// the traffic. What limits the kernel now lies inside the multiprocessor. Shared
// memory needs {claim:implicit-wall} cycles for each of multiplying, an eighth of a
// cycle for writing the tiles and two for reading them: 47 % of the peak. And of the
// 662 instructions that nvcc 13 makes of a round for an H100 only 256 are
// multiply-adds, 39 %. (Of im2col's product it is 256 of 493. That is what the map
// costs in time, and why libraries have the table of offsets.)
//
// ## Down a column
//
// Why do the tiles have rows of 66 numbers, when only 64 are used? Weights lie in
// memory with the taps of a filter next to each other, so neighbouring threads
// fetch neighbouring taps and write them *down* a column of the tile. And shared
// memory has 32 banks, each of which serves one word at a time ([chapter
// 57](../57_cuda_matmul/main.cpp#banks-by-hand)).
//
// ? Suppose rows of 64. Sixteen threads write down one column, and the other sixteen of the warp down the next. How many wavefronts does it take?
// - [ ] 1: sixteen threads write to sixteen different rows; but rows do not matter, banks do
// - [ ] 2: each column goes at once, one after the other; each column lies in a single bank
// - [x] 16: rows of 64 words are twice around all banks, so a column lies in one bank and its sixteen words wait for each other
static void banks(Chapter& chapter, Bench& bench) {
  if (!watched()) return;
  chapter.section("Down a column");
  const Rungs& r = bench.r;
  const Traffic good =
                    traffic([&] { bench.forward(r.implicit); }, "implicit product"),
                bad = traffic([&] { bench.forward(r.same_bank); },
                              "implicit product");
  chapter.say(
      "Wavefronts over the fewest possible, all in all: {:.2f} with rows of 66, {:.2f} "
      "with rows of 64. In the worst line: {:.1f} and {:.1f}.",
      good.conflicts(), bad.conflicts(), good.worst, bad.worst);
  chapter.claim("banks-none", "rows of 66: wavefronts over the fewest possible",
                good.conflicts(), exactly(1), identity);
  chapter.claim("banks-line", "rows of 64: wavefronts for one in the worst line",
                bad.worst, exactly(16), identity);
  chapter.claim("banks", "rows of 64 need so many times as many wavefronts",
                bad.wavefronts / good.wavefronts, at_least(1.2), found,
                {.quick = at_least(1.2)});
}

// Two spare words in each row move the next row over by two banks: one column takes
// the even banks, its neighbour the odd ones. (One spare word would not do: the
// second column would begin one bank further, and fifteen of its banks are also the
// first's.) Most accesses are reads while multiplying, and those were good all
// along; so with rows of 64 the whole kernel has {claim:banks} times the wavefronts.
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
// - *Dilation* pulls the taps apart. If the padding grows with it, the matrix is as
// large as before; other pixels stand in it.
// - *Groups* cut the sum. Each group has its own matrix with fewer columns, and its
// own filters.
//
// Nothing here is special to squares or odd sizes, and all options can be combined.
// So the table goes through them one by one, and at the end through all at once.
// Below each shape is computed forward and back, and the worst number is compared
// with its bound.
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
      zero += map.seeing(0, map.pixel(i), map.tap(k)) == kOutside;
  chapter.claim("stride-zeros",
                "3 x 3, stride 2: share of zeros in the data gradient's matrix",
                zero / all, near(0.7559, 1e-4), identity, {.unit = "%"});
}

// (A little more than three quarters. In each direction there are 56 · 3 = 168 pairs
// of a pixel and a tap, of which 28 places see three each, less one tap at the edge:
// 83. So the share of zeros is $1 - (83/168)^2$.) Our kernel multiplies by all those
// zeros. One can do without: pixels fall into four classes, even or odd in each
// direction, and each class has its own taps, four, two, two and one of the nine. So
// the one product becomes four small ones without any zeros, and exercise 3 asks for
// them.
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
  Bench bench = emulated(d, random);
  const Rungs& r = bench.r;
  double worst = 0;
  for (Rungs::Fn rung : {r.direct, r.implicit, r.depthwise})
    worst = std::max(worst, bench.y_error(bench.forward(rung)));
  chapter.claim("depthwise-right",
                "largest error of three kernels, in units of its bound", worst,
                at_most(1), identity);
  if (!watched()) return;
  const Traffic direct = traffic([&] { bench.forward(r.direct); }, "direct"),
                product =
                    traffic([&] { bench.forward(r.implicit); }, "implicit product"),
                tiled = traffic([&] { bench.forward(r.depthwise); }, "depthwise");
  chapter.say(
      "Bytes for each multiply-add: direct {:.2f}, product {:.2f}, depthwise {:.2f}.",
      direct.per_mac(d), product.per_mac(d), tiled.per_mac(d));
  chapter.claim("depthwise-waste",
                "multiply-adds that the product makes for each of the layer",
                made(product, d), at_least(64), found, {.quick = at_least(64)});
  chapter.claim("depthwise-bytes",
                "the depthwise kernel: bytes for each multiply-add",
                tiled.per_mac(d), at_most(2), found, {.quick = at_most(2)});
  chapter.claim("depthwise-traffic",
                "direct moves so many times as many bytes as the depthwise kernel",
                direct.bytes / tiled.bytes, at_least(3), found,
                {.quick = at_least(3)});
}

// All three kernels are right, and the product is the worst of them in a way that
// bytes do not show. 63 of the 64 columns of its tiles are zeros, nine taps of a
// round of 16 are all there is to sum, and it multiplies by all of that:
// {claim:depthwise-waste} multiply-adds for each one that is wanted.
//
// However it is written, there is little to gain from arithmetic here. Nine
// multiply-adds for a number that is read and one that is written are 8 bytes for
// 9. (Ours takes {claim:depthwise-bytes}: a halo is fetched by two blocks, and its
// rows of 34 pixels begin in the middle of a sector.) That is far left of a GPU's
// [ridge](../56_cpu_performance/main.cpp#the-roofline), so a depthwise layer is as
// fast as memory and no faster. And 1 × 1 layers? With stride 1 they see one pixel at
// a time, their matrix *is* the image, and there is nothing to map: the implicit
// product is then a plain one. (With stride 2, as beside three of ResNet's blocks,
// the matrix is every second pixel of every second row.)
//
// # Rung 4: tensor cores
//
// [Chapter 57](../57_cuda_matmul/main.cpp#tensor-cores) has circuits that multiply
// small matrices at a time, and everything that belongs to them is in the library.
// We need three things. An **mma** ([tensor_core.cuh](../../common/backend/gpu/tensor_core.cuh))
// multiplies 16 × 16 numbers by 16 × 8, bfloat16 with float32 sums: 2048
// multiply-adds in one instruction of a warp, as many as in 64 ordinary ones. Each
// lane holds a **fragment** of the matrices
// ([fragments.hpp](../../common/backend/gpu/fragments.hpp)); `ldmatrix` fetches it
// from shared memory, from rows of 16 bytes that the lanes name, and a **swizzle**
// puts those rows where they do not meet in a bank. And `copy_async`
// ([async_copy.cuh](../../common/backend/gpu/async_copy.cuh)) orders 16 bytes from
// memory, which are there once one has waited for them.
//
// Two things have to change for our convolution. Fragments want two neighbours
// along the sum in one register, and copies want 16 bytes in a piece. In the layout
// (n, c, h, w) that we have used so far, the neighbours of a pixel in memory are
// the pixels to its right, and for the next tap all of it moves over by one: 16
// bytes that begin at an odd pixel are not aligned. In (n, h, w, c), **channels
// last**, the neighbours are the channels of the same pixel. Whatever the tap, they
// begin at a multiple of eight. So the sum's order becomes $(r, s, c)$: for each
// tap a walk through the channels.
#include "rung_4_tensor_cores.cuh"

// What has become of a multiply-add? For 64 × 64 results of a warp (the tile of 128
// × 128) and 16 steps of the sum there are four fetches of the left factor's
// fragments, four of the right's, and 32 `mma`, which are 65 536 multiply-adds: on
// average 1600 for each instruction of a warp, or 51 for each thread's. In rung 3 it
// was less than one. What is left to do for the ordinary instructions is to find
// addresses, and that is why those are worked out once for eight channels.
//
// The zeros that fill up the channels are multiplied as well. Here that hurts only
// ResNet's first layer: its 3 channels become 8, its $49 \cdot 8$ numbers 13 steps of
// 32, and 147 of 416, a third, are of use.
//
// Two things limit how many blocks a multiprocessor holds. nvcc 13 gives a thread of
// the tile of 128 × 128 241 registers on an H100, and of 65 536 that is two blocks
// of 128 threads, on an A100 as well; their shared memory, 64 KB each, would allow
// two on an A100 and three on an H100. The tile of 64 × 64 takes 94 registers and 32
// KB: five blocks. More blocks hide more waiting, a larger tile asks for less. How
// much less? In a step of 32 the four warps of the large tile read their fragments
// in 256 wavefronts, and 128 more bring the next tiles in: 384 cycles, for 256 of
// multiplying on an H100 and 512 on an A100. For the small tile it is 128 and 64,
// against 64 and 128. And each warp goes through 336 instructions, 64 of them `mma`,
// one in a cycle at most. So the large tile keeps an A100 busy; on an H100 shared
// memory stops it at two thirds of the peak, and `mma` itself was measured at some
// 60 % there (Luo and others, 2024). That is what [Hopper's own
// instructions](../57_cuda_matmul/main.cpp#hopper) are for: `wgmma` reads both
// factors from shared memory, once for four warps.
//
// On the emulator `mma` is 2048 multiply-adds one by one, and everything around it
// is as on a GPU: the copies, the swizzle, the fragments, the barriers. The bench's
// layer gets the tile of 64 × 64.
static void tensor_cores(Chapter& chapter, Bench& bench,
                         std::vector<Rung>& ladder) {
  chapter.section("Rung 4: tensor cores");
  chapter.claim("tensor-right", "forward: largest error, in units of its bound",
                bench.y_error(bench.tensor_forward(), true), at_most(1), identity);
  chapter.claim(
      "tensor-data", "back to the image: largest error, in units of its bound",
      bench.dx_error(bench.tensor_data_gradient(), true), at_most(1), identity);
  chapter.claim(
      "tensor-weights", "back to the weights: largest error, in units of its bound",
      bench.dw_error(bench.tensor_weight_gradient(4)), at_most(1), identity);
  if (!watched()) return;
  const Traffic t = traffic([&] { bench.tensor_forward(); }, "tensor forward");
  ladder.push_back(
      rung("tensor cores", bench.d, t, made(t, bench.d, 64 * 64 * 32), 0, 2048));
  chapter.say("Bytes for each multiply-add: {:.3f}.", t.per_mac(bench.d));
  chapter.claim("tensor-traffic",
                "the float32 product moves so many times as many bytes",
                ladder[2].global / ladder[3].global, at_least(1.5), found,
                {.quick = at_least(1.5)});
  chapter.claim("tensor-banks",
                "wavefronts on shared memory, over the fewest possible",
                t.conflicts(), exactly(1), identity, {.quick = at_most(1.05)});
}

// There is not a single conflict in shared memory. The errors of the first two look
// large. They are just below 1 because rounding the *result* to bfloat16 takes up
// nearly all of the bound; what happened on the way, in float32, is lost next to it.
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
// Call half the sum $m_2$ and half the difference $m_3$: then $p = m_2 + m_3$ and $q
// = m_2 - m_3$. So four multiplications do,
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
  chapter.say("The same four pixels 4, 7, 5, 9 and weights 2, 1, 3 once more.");
  const double d[] = {4, 7, 5, 9}, g[] = {2, 1, 3};
  const double m1 = (d[0] - d[2]) * g[0];                      // -2
  const double m2 = (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2;  // 36
  const double m3 = (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2;  // -4
  const double m4 = (d[1] - d[3]) * g[2];                      // -6
  chapter.say("Four products: {}, {}, {}, {}.", m1, m2, m3, m4);
  Tensor y = conv1d(tensor({4, 7, 5, 9}, DType::float64).reshape({1, 1, 4}),
                    tensor({2, 1, 3}, DType::float64).reshape({1, 1, 3}));
  chapter.check("y0 = m1 + m2 + m3", m1 + m2 + m3, y[{0, 0, 0}].item());  // 30
  chapter.check("y1 = m2 - m3 - m4", m2 - m3 - m4, y[{0, 0, 1}].item());  // 46
}

// ## As matrices
#include "winograd.hpp"

// In two dimensions the rule is applied along columns and along rows, and the
// savings multiply: a tile of 2 × 2 results takes $4^2 = 16$ multiplications
// instead of 36, and F(4,3) takes $6^2 = 36$ for its 4 × 4 results instead of 144.
#include "tiles.hpp"

// For each of the 16 or 36 numbers in a tile, the sum over the channels is a
// product of matrices: filters by channels, channels by tiles. So all that we know
// about products serves again. (Lavin and Gray wrote it down in this form in 2016.)
#include "rung_5_winograd.cuh"

static void winograd(Chapter& chapter, Bench& bench, std::vector<Rung>& ladder) {
  chapter.section("Winograd on the bench's layer");
  if (!watched()) return;
  const Conv& d = bench.d;
  // Rounds of 16 steps, of all blocks: counted for the products, and on paper.
  const auto rounds = [](int64_t rows, int64_t columns, int64_t depth) {
    return double(blocks_for(rows, 64)) * blocks_for(columns, 64) *
           blocks_for(depth, 16);
  };
  const double direct = rounds(d.places(), d.o, int64_t{d.c} * d.taps());
  const auto climb = [&](int m, const char* name, Rungs::WithSpace by) {
    const int64_t space = winograd_space(d, m);
    const auto run = [&] { bench.forward(by, space); };
    const double products = made(traffic(run, "products of U and V"), d);
    ladder.push_back(
        rung(name, d, traffic(run), products, double(space) / double(d.x_size())));
    return direct / ((m + 2) * (m + 2) * rounds(tiles_of(d, m), d.o, d.c));
  };
  const double two = climb(2, "F(2,3)", bench.r.winograd2),
               four = climb(4, "F(4,3)", bench.r.winograd4);
  chapter.claim(
      "fewer-two", "F(2,3): the products make so many times fewer multiplications",
      ladder[2].multiplying / ladder[4].multiplying, near(two, 1e-9), identity);
  chapter.claim(
      "fewer-four", "F(4,3): the products make so many times fewer multiplications",
      ladder[2].multiplying / ladder[5].multiplying, near(four, 1e-9), identity);
  chapter.claim("winograd-traffic",
                "F(2,3) moves so many times as many bytes as the implicit product",
                ladder[4].global / ladder[2].global, at_least(1.1), found,
                {.quick = at_least(1.1)});
}

// On paper it was 2.25 and 4; {claim:fewer-two} and {claim:fewer-four} are left. The
// products have leftovers: 28 × 28 pixels are 49 tiles of F(4,3), a block's product
// has room for 64, and it multiplies zeros for the rest. 7 × 7 places, as in the
// last layers of ResNet, lose more: F(4,3) needs 2 × 2 tiles there, which compute 64
// places where 49 are wanted.
//
// And the multiplications are paid for in bytes: each pixel is written into four
// tiles of F(2,3), and for four results 16 sums are written and read. A fused kernel
// keeps a tile's numbers on the multiprocessor from transform to transform, as
// libraries do. Its budget is tight: the sums of 32 filters and 32 tiles are $16
// \cdot 1024$ numbers, 64 KB, a quarter of all registers. (The points may also be
// complex roots of 1: that is convolution by Fourier's transform, which libraries
// keep for large windows.)
//
// ? F(2,3) divides by 2, F(4,3) by up to 24 and multiplies by up to 8. In float32, how much more wrong is F(4,3) than F(2,3)?
// - [ ] not at all: it has fewer multiplications, so fewer roundings; but roundings of large numbers that cancel later
// - [ ] twice: twice the tile, twice the error; the entries do not grow like the tile
// - [x] about eight times: large intermediate numbers are rounded, then cancel, and their rounding stays
#include "the_error.hpp"

// In float32 both are good enough to train with: a typical error of one part in a
// million is far below the noise of a batch. How far a rounding can grow,
// {claim:growth-two} and {claim:growth-four} times, is a worst case that random
// numbers do not come near; errors of different sign cancel. F(2,3) is
// {claim:error-two} times as wrong as the direct sum and F(4,3) {claim:error-four}
// times as wrong as that: less than even the root of the worst case, 2.7 and 16.
//
// With factors in bfloat16, F(4,3) is wrong in its second digit. The tile has been
// multiplied by up to 5 in each direction, 25 in both, and subtracted from itself;
// what is rounded to eight bits is large, and most of it cancels later. So tensor
// cores and large Winograd tiles do not go together, and that is why the trick is
// used less than it was: it saves multiplications, and those are what became cheap.
//
// # ResNet-50
//
// Where does all this matter? Take the network that everyone measures with.
#include "resnet.hpp"
#include "resnet_50.hpp"

// # The ladder
//
// All rungs once more, on the bench's layer.
#include "the_ladder.hpp"

// Read it from above. Direct to im2col: use what you have fetched. im2col to
// implicit: do not write down what you can work out. Implicit to tensor cores: fetch
// half as many bytes, and make 2048 multiply-adds in one instruction. Winograd:
// multiply less, and move more; with shared memory as the limit, as here, it still
// wins among the float32 rungs, if memory behind the cache keeps up. These are
// limits and not times: instructions for addresses, waiting and the way to memory
// come on top.
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
// ResNet-50, and more than cuDNN's on at least five. They are targets, and with
// `mma`, for the reasons given, the large layers will be hard. What is timed, and
// how cuDNN is asked, is in [yardstick.cu](yardstick.cu).
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
// ? Chapter 57. 32 lanes read every second word of shared memory, from word 0 to word 62. How many wavefronts?
// - [ ] 1: 32 different words; but they lie in 16 banks
// - [x] 2: words 0 and 32 lie in one bank, 2 and 34 in another, and so on
// - [ ] 32: so it would be if they were 32 words apart
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
  if (chapter.broken("weight-order")) return weight_order(chapter);
  if (chapter.broken("wrong-sign")) return wrong_sign(chapter);
  const int size = chapter.option("size");
  by_hand(chapter);
  index_map(chapter);
  Bench bench = emulated({.n = 1,
                          .c = chapter.pick(16, 32, 32),
                          .h = size,
                          .w = size,
                          .o = chapter.pick(32, 64, 64),
                          .pad = 1},
                         random, true);
  std::vector<Rung> ladder;
  direct(chapter, bench, ladder);
  im2col(chapter, bench, ladder);
  implicit(chapter, bench, ladder);
  banks(chapter, bench);
  all_shapes(chapter, random);
  stride_two(chapter);
  depthwise(chapter);
  tensor_cores(chapter, bench, ladder);
  winograd_by_hand(chapter);
  winograd_tiles(chapter);
  winograd(chapter, bench, ladder);
  the_error(chapter, bench);
  resnet_50(chapter, random);
  the_ladder(chapter, ladder);
  on_a_gpu(chapter, random);
  chapter.section("Break it");
  chapter.say(
      "Three mistakes are planted in this program. Guess what each does, and look: "
      "--break beyond-edge, --break weight-order, --break wrong-sign.");
}

// What is counted needs an emulator that watches.
static std::vector<book::Expected> claims() {
  std::vector<book::Expected> all = {
      "direct-right", "columns",          "im2col-right",   "implicit-right",
      "same-bits",    "all-shapes",       "stride-zeros",   "depthwise-right",
      "tensor-right", "tensor-data",      "tensor-weights", "growth-two",
      "growth-four",  "error-two",        "error-four",     "error-two-bf16",
      "resnet-macs",  "resnet-pointwise", "resnet-right",   "error-four-bf16"};
  if (watched())
    all.insert(all.end(), {"direct-bytes", "im2col-traffic", "implicit-traffic",
                           "implicit-wall", "banks-none", "banks-line", "banks",
                           "depthwise-waste", "depthwise-bytes",
                           "depthwise-traffic", "tensor-traffic", "tensor-banks",
                           "fewer-two", "fewer-four", "winograd-traffic"});
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
           "multiplications than that product seems to need?",
       .options = {{"size", book::PerSize{16, 28, 28},
                    "rows and columns of the image that all rungs get", 16, 40}},
       .breaks = {{"beyond-edge", "a pixel too far to the right counts as inside"},
                  {"weight-order",
                   "tensor cores get their weights in another order"},
                  {"wrong-sign", "one sign of Winograd's matrices is wrong"}},
       .claims = claims(),
       .headline = "im2col-traffic"},
      story);
}
