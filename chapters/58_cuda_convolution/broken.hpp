#pragma once

#include "bench.hpp"
#include "book/chapter.hpp"
#include "traffic.hpp"

using namespace cr;

// To see it we give the kernel an image with something behind it, so that the last
// read does not fall off.
static void beyond_edge(Chapter& chapter) {
  chapter.section("Broken: beyond the edge");
  Generator random(chapter.seed());
  Bench bench =
      emulated({.n = 1, .c = 4, .h = 12, .w = 12, .o = 8, .pad = 1}, random);
  Bench with_room = bench;
  with_room.x = cat({bench.layer.x.reshape({-1}), zeros({64})}).to(Device::simt);
  const Tensor wrong = with_room.forward(bench.r.beyond_edge);

  // Where are the errors?
  const Tensor units = abs(wrong.to(DType::float64) - bench.layer.y64) /
                       (bench.layer.y_room + 1e-300);  // (1, 8, 12, 12)
  const Tensor where = (amax(units, {0, 1}) > 1).to(DType::float64);  // (12, 12)
  chapter.figure("beyond-edge", "places whose result is wrong (dark), of 12 x 12")
      .size(420, 400)
      .heatmap(where)
      .axes("x", "y");
  const Tensor last = where[{Slice{}, Slice{11}}];
  chapter.claim("edge-wrong", "share of the right column that is wrong",
                mean(last).item(), exactly(1), identity,
                {.symptom_of = "beyond-edge", .unit = "%"});
  chapter.claim("edge-inside", "share of all other places that are wrong",
                mean(where[{Slice{}, Slice{0, 11}}]).item(), exactly(0), identity,
                {.symptom_of = "beyond-edge", .unit = "%"});

  // A test that looks at the middle of the image passes. And if nothing is behind
  // the image, the very last read is out of bounds, once in thousands. A GPU hardly
  // ever notices: what lies there belongs to the program as well. The emulator
  // does.
  if (!watched()) return;
  std::string what = "nothing";
  try {
    bench.forward(bench.r.beyond_edge);
  } catch (const DeviceError& error) {
    what = error.what();
  }
  chapter.say("Without room behind the image the emulator says: {}", what);
  chapter.claim("edge-caught", "the emulator stops the read behind the image",
                what == "nothing" ? 0 : 1, exactly(1), identity,
                {.symptom_of = "beyond-edge"});
}

// What helps against it? To ask the question in one place only, as our map does,
// and to try that place with every row, column and tap, as the test does. An image
// of random numbers and a truth to compare with find the rest: here every place in
// the right column is off in some channel, and not by a little.
//
// **Weights in the wrong order.** Tensor cores sum over $(r, s, c)$, so weights have
// to be (o, kh, kw, c). Here they go in as they came, as (o, c, kh, kw): the same
// number of bytes, every copy inside its tensor.
//
// ? We test with random numbers, on all layers of ResNet-50. Where does the mistake show?
// - [ ] nowhere but in the training: the sum has the same terms in another order; but each weight meets another pixel
// - [ ] in every layer: in one of 1 × 1 there is only one tap, and the two orders are the same
// - [x] in the 3 × 3 layers and the 7 × 7 layer: half of the network is right to the last bit
static void weight_order(Chapter& chapter) {
  chapter.section("Broken: weights in the wrong order");
  Generator random(chapter.seed());
  auto share_wrong = [&](int taps) {
    Bench bench = emulated({.n = 1,
                            .c = 16,
                            .h = 9,
                            .w = 9,
                            .o = 16,
                            .kh = taps,
                            .kw = taps,
                            .pad = taps / 2},
                           random, true);
    const Layer& l = bench.layer;
    const Tensor y = bench.tensor_forward(l.w.to(DType::bfloat16), kProcessors);
    const Tensor room = l.y_room + (abs(l.y64) + l.y_room) / 256.0;
    const Tensor wrong = abs(y.to(DType::float64) - l.y64) > room;
    return mean(wrong.to(DType::float64)).item();
  };
  const double pointwise = share_wrong(1), wide = share_wrong(3);
  chapter.say(
      "Wrong results: {:.1f} % with 1 x 1 taps, {:.1f} % with 3 x 3. The emulator "
      "said nothing.",
      100 * pointwise, 100 * wide);
  chapter.claim("order-hidden", "1 x 1: share of results that are wrong", pointwise,
                exactly(0), identity, {.symptom_of = "weight-order", .unit = "%"});
  chapter.claim("order-wrong", "3 x 3: share of results that are wrong", wide,
                at_least(0.9), found, {.symptom_of = "weight-order", .unit = "%"});
}

// No address was wrong, so nothing that watches addresses could find it. What finds
// it is a comparison with numbers that were computed in another way, on shapes in
// which no two sizes are equal and none is 1.
//
// **A wrong sign.** Winograd's matrices are typed in by somebody. Here the last row
// of $A^\top$ adds $m_4$ where it should subtract it.
//
// ? Which of the 2 × 2 results of a tile are wrong?
// - [ ] all: the four are made of the same 16 products; but not each of all of them
// - [x] three: all but the upper left one, which uses the first row of $A^\top$ twice
// - [ ] one, the lower right: there the wrong row is used in both directions; once is enough
#include "wrong_sign.hpp"
