#pragma once

#include <string>

#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "map.hpp"

using namespace cr;

// The matrix of a single image of 4 × 4 pixels under a 3 × 3 filter with padding 1:
// in each cell the number of the pixel that it comes from, 0 to 15, and nothing
// where the tap sees padding. It has 16 rows of 9, and a pixel in the middle of the
// image occurs nine times. Nothing in the figure needs to be stored to know what
// stands where.
static void index_map(Chapter& chapter) {
  const Map map(Conv{.h = 4, .w = 4, .pad = 1});
  Tensor cells = zeros({16, 9});
  Figure figure = chapter.figure("index-map",
                                 "which pixel, 0 to 15, stands in row i, column k");
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 9; ++k) {
      const int64_t pixel = map.seen(0, map.place(i), map.tap(k));
      cells.mutable_data<float>()[i * 9 + k] = float(pixel + 1);
      if (pixel != kOutside) figure.note(k, i, std::to_string(pixel));
    }
  figure.heatmap(cells).axes("tap k", "place i").size(420, 520);
}
