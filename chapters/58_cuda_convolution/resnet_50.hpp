#pragma once

#include "bench.hpp"
#include "book/chapter.hpp"
#include "resnet.hpp"

using namespace cr;

// Its 53 convolutions are 23 different ones. First what they ask for at full size,
// on paper.
static void resnet_50(Chapter& chapter, Generator& random) {
  chapter.section("ResNet-50");
  double macs = 0, pointwise = 0, tiles = 0;
  int layers = 0;
  for (const ResnetLayer& l : resnet50()) {
    const double all = double(l.d.macs()) * l.times;
    macs += all, layers += l.times;
    if (l.d.kh == 1) pointwise += all;
    if (l.d.kh == 3 && l.d.stride == 1) tiles += all;
  }
  chapter.say(
      "{} convolutions, {:.3f} billion multiply-adds for an image; {:.1f} % of them in 1 x 1 "
      "layers, {:.1f} % where Winograd's tiles fit (3 x 3, stride 1).",
      layers, macs / 1e9, 100 * pointwise / macs, 100 * tiles / macs);
  chapter.claim("resnet-macs", "multiply-adds of all convolutions, in billions",
                macs / 1e9, near(4.087136256, 1e-9), identity);
  chapter.claim("resnet-pointwise", "share of the 1 x 1 layers", pointwise / macs,
                near(0.5186, 1e-3), identity, {.unit = "%"});

  // A 1 × 1 layer has a ninth of the weights of a 3 × 3 layer, but ResNet's are
  // wide: a block comes in with four times as many channels as its middle has, and
  // goes out with as many.
  //
  // Then each of them, forward and back, scaled down for the emulator: in float32,
  // and on tensor cores with numbers that bfloat16 can hold.
  Table table = chapter.table({"layer", "times", "float32", "bf16 forward",
                               "bf16 to image", "bf16 to weights"});
  double worst = 0;
  int at = 0;
  for (const ResnetLayer& l : resnet50()) {
    if (chapter.quick() && at++ % 7 != 2) continue;
    Bench bench = emulated(scaled_down(l.d), random, true);
    const double f32 = std::max({bench.y_error(bench.forward(bench.r.implicit)),
                                 bench.dx_error(bench.data_gradient()),
                                 bench.dw_error(bench.weight_gradient(2))});
    const double y = bench.y_error(bench.tensor_forward(), true),
                 dx = bench.dx_error(bench.tensor_data_gradient(), true),
                 dw = bench.dw_error(bench.tensor_weight_gradient(2));
    table.row(l.name, l.times, f32, y, dx, dw);
    worst = std::max({worst, f32, y, dx, dw});
  }
  chapter.claim("resnet-right", "largest error of any layer, in units of its bound",
                worst, at_most(1), identity);
}

// So half of the network is 1 × 1 layers, plain products, and of the rest three
// quarters are where Winograd could help.
