#pragma once

#include <string>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// Where the tiles lie: two of F(2,3) next to each other. Each sees four pixels a
// side and makes two results a side, so the next begins two pixels further and they
// overlap by two. A pixel in the middle of the image belongs to four tiles.
static void winograd_tiles(Chapter& chapter) {
  Figure figure = chapter.figure(
      "tiles",
      "F(2,3): tiles of 4 x 4 pixels, two apart, and the 2 x 2 results of each");
  figure.size(640, 400);
  auto square = [&](double left, double top, double side,
                    const std::string& label) {
    figure.line({left, left + side, left + side, left, left},
                {top, top, top + side, top + side, top}, label);
  };
  square(0.05, 0.05, 3.9, "tile 1");
  square(2.05, 0.15, 3.9, "tile 2");
  square(1.1, 1.1, 1.8, "results 1");
  square(3.1, 1.2, 1.8, "results 2");
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 6; ++column)
      figure.note(column + 0.4, row + 0.5, std::to_string(row * 6 + column));
  figure.xlim(-0.2, 7).ylim(4.4, -0.2).axes("column of the image", "row");
}
