#pragma once

#include "by_hand.hpp"

// The matrix of a single image of 4 × 4 pixels under a 3 × 3 filter with padding 1,
// each number drawn as the number of the pixel it comes from. It has 16 rows of 9,
// and every pixel occurs up to nine times. Nothing in the figure needs to be stored
// to know what stands where.
static void index_map(Chapter& chapter) {
  const Map map(Conv{.h = 4, .w = 4, .pad = 1});
  Tensor pixels = zeros({16, 9});
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 9; ++k)
      pixels.mutable_data<float>()[i * 9 + k] =
          float(map.x_under(0, map.place(i), map.tap(k)) + 1);
  chapter
      .figure("index-map",
              "which pixel (1 to 16) stands in row i, column k; 0: padding")
      .heatmap(pixels)
      .axes("tap k", "place i")
      .size(420, 480);
}
