#pragma once

#include "workbench.hpp"

// Bytes are counted by the emulator, over all kernels of a rung; the layout's
// change for the tensor cores is left out, since a network makes it once.
// Multiplications are those of the product, for each multiply-add of the layer.
// Memory is what a rung keeps besides x, w and y, in multiples of the image.
static void the_ladder(Chapter& chapter, const std::vector<Rung>& ladder) {
  if (ladder.empty()) return;
  chapter.section("The ladder");
  Table table = chapter.table({"rung", "bytes per multiply-add", "multiplications",
                               "extra memory, in images"});
  std::vector<std::string> names;
  std::vector<double> bytes;
  for (const Rung& rung : ladder) {
    table.row(rung.name, rung.bytes, rung.products, rung.extra);
    names.push_back(rung.name);
    bytes.push_back(rung.bytes);
  }
  chapter
      .figure("ladder", "bytes through memory for each multiply-add of the layer")
      .bar(names, bytes)
      .log_y()
      .ylim(0.01, 10)
      .axes("", "bytes");
}
