#pragma once

#include <string>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// Where the tiles lie: two of F(2,3) next to each other, on the upper left of an
// image. Each sees four pixels a side and makes two results a side, so the next
// begins two pixels further and they overlap by two. A pixel in the middle of the
// image belongs to four tiles.
static void winograd_tiles(Chapter& chapter) {
  Figure figure = chapter.figure(
      "tiles",
      "F(2,3): the 4 x 4 pixels that a tile sees (1), the places of its results (2)");
  for (int tile : {0, 1}) {
    Tensor cells = zeros({4, 6});
    figure.panel(tile == 0 ? "tile 1" : "tile 2");
    for (int row = 0; row < 4; ++row)
      for (int column = 0; column < 6; ++column) {
        const int right = column - 2 * tile;
        const bool seen = right >= 0 && right < 4,
                   result = seen && right % 3 != 0 && row % 3 != 0;
        cells.mutable_data<float>()[row * 6 + column] = result ? 2 : seen ? 1 : 0;
        figure.note(column, row, std::to_string(row * 6 + column));
      }
    figure.heatmap(cells).axes("column", "row");
  }
  figure.size(720, 260);
}
