#pragma once

#include "workbench.hpp"

// To see it we give the kernel an image with something behind it, so that the last
// read does not fall off.
static void beyond_edge(Chapter& chapter) {
  chapter.section("Broken: beyond the edge");
  Generator random(chapter.seed());
  const Truth t(
      make_layer({.n = 1, .c = 4, .h = 12, .w = 12, .o = 8, .pad = 1}, random));
  const Rungs& r = backend::simt::rungs();
  Bench bench(t.l, Device::simt, r);
  Bench with_room = bench;
  with_room.x = cat({t.l.x.reshape({-1}), zeros({64})}).to(Device::simt);
  const Tensor wrong = with_room.forward(r.beyond_edge);

  // Where are the errors?
  const Tensor units = abs(wrong.to(DType::float64) - t.l.y64) /
                       (t.y_room + 1e-300);  // (1, 8, 12, 12)
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
    bench.forward(r.beyond_edge);
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
// of random numbers and a truth to compare with find the rest: here every number in
// the right column is off, and not by a little.
//
// **One barrier.** The product waits twice in each round: before it multiplies, and
// before it fetches the next tiles. The second looks superfluous, and the kernel
// runs without it.
//
// ? A GPU runs the kernel without its second barrier. What comes out?
// - [ ] nonsense: then somebody would have noticed
// - [x] the right numbers, most of the time: warps run about equally fast, and only one that is late reads a tile that was overwritten
// - [ ] it hangs: a barrier that some threads do not reach would do that; this one nobody reaches
static void one_barrier(Chapter& chapter) {
  chapter.section("Broken: one barrier");
  Generator random(chapter.seed());
  const Truth t(
      make_layer({.n = 1, .c = 8, .h = 12, .w = 12, .o = 8, .pad = 1}, random));
  const Rungs& r = backend::simt::rungs();
  Bench bench(t.l, Device::simt, r);
  if (!watched())
    return chapter.say("This build's emulator does not watch for races.");
  std::string what = "nothing";
  try {
    bench.forward(r.one_barrier);
  } catch (const DeviceError& error) {
    what = error.what();
  }
  chapter.say("The emulator says: {}", what);
  chapter.claim("race-caught", "the emulator stops the race",
                what == "nothing" ? 0 : 1, exactly(1), identity,
                {.symptom_of = "one-barrier"});
}

// It was thread 0 that came round first, because the emulator lets it run until it
// has to wait, and thread 1 found the new tile where it looked for the old one. On
// a GPU the threads of a warp go together and warps drift apart by a few
// instructions, so it happens once in a while, with some shapes, on some machines.
// A race cannot be tested away there. It can be excluded by looking at every
// access, and that is what the emulator does: between a write and a read of the
// same place by different threads there has to be a barrier.
//
// **A wrong sign.** Winograd's matrices are typed in by somebody. Here the last row
// of $A^\top$ adds $m_4$ where it should subtract it.
//
// ? Which of the 2 × 2 results of a tile are wrong?
// - [ ] all: the four are made of the same 16 products; but not each of all of them
// - [x] three: all but the upper left one, which uses the first row of $A^\top$ twice
// - [ ] one, the lower right: there the wrong row is used in both directions; once is enough
#include "wrong_sign.hpp"
