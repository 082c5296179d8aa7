// The convolutions of ResNet-50 (version 1.5, where the 3 × 3 layer has the stride)
// for one image of 224 × 224 pixels: 23 different ones, and how often each occurs.
#pragma once

#include <string>
#include <vector>

#include "shape.hpp"

struct ResnetLayer {
  std::string name;
  Conv d;
  int times;
};

inline std::vector<ResnetLayer> resnet50(int images = 1) {
  std::vector<ResnetLayer> all;
  auto add = [&](int size, int c, int o, int k, int stride, int times) {
    Conv d = {.n = images, .c = c, .h = size, .w = size, .o = o, .kh = k, .kw = k};
    d.stride = stride, d.pad = k / 2;
    std::string name = std::to_string(k) + "x" + std::to_string(k) + " " +
                       std::to_string(c) + "-" + std::to_string(o) + " @" +
                       std::to_string(size);
    all.push_back({name + (stride > 1 ? " /2" : ""), d, times});
  };
  add(224, 3, 64, 7, 2, 1);

  // Four stages. A block narrows its channels by a 1 × 1 layer, looks around by a 3
  // × 3 layer, and widens again. A stage's first block also has a 1 × 1 layer
  // beside it, and, but for the first stage, halves the image.
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 0, in = 64, size = 56; stage < 4; ++stage) {
    const int mid = 64 << stage, out = 4 * mid, stride = stage == 0 ? 1 : 2,
              half = size / stride;
    add(size, in, mid, 1, 1, 1);
    add(size, mid, mid, 3, stride, stage == 0 ? blocks[0] : 1);
    if (stage > 0) add(half, mid, mid, 3, 1, blocks[stage] - 1);
    add(half, mid, out, 1, 1, stage == 0 ? blocks[0] + 1 : blocks[stage]);
    if (stage > 0) add(size, in, out, 1, stride, 1);
    add(half, out, mid, 1, 1, blocks[stage] - 1);
    in = out, size = half;
  }
  return all;
}

// At full size the emulator would need hours. What can go wrong depends on stride,
// taps, edges and leftovers, and those stay in a layer with a quarter of the pixels
// each way (but at least 7) and an eighth of the channels.
inline Conv scaled_down(Conv d) {
  d.h = d.w = d.h / 4 < 7 ? 7 : d.h / 4;
  if (d.c > 3) d.c /= 8;
  d.o /= 8;
  return d;
}
