#pragma once

#include <string>
#include <vector>

#include "book/chapter.hpp"
#include "traffic.hpp"

using namespace cr;

// Cycles of one multiprocessor of an H100 for 1000 multiply-adds of the layer, as
// worked out [at the beginning](traffic.hpp#what-the-counts-mean). The layout's
// change for the tensor cores is left out, since a network makes it once. Memory is
// what a rung keeps besides x, w and y, in multiples of the image.
static void the_ladder(Chapter& chapter, const std::vector<Rung>& ladder) {
  if (ladder.empty()) return;
  chapter.section("The ladder");
  Table table = chapter.table({"rung", "cache", "shared memory", "multiplying",
                               "cycles at least", "extra memory, in images"});
  std::vector<std::string> names;
  std::vector<double> global, shared, multiplying;
  for (const Rung& rung : ladder) {
    table.row(rung.name, rung.global, rung.shared, rung.multiplying, rung.cycles(),
              rung.extra);
    names.push_back(rung.name);
    global.push_back(rung.global), shared.push_back(rung.shared);
    multiplying.push_back(rung.multiplying);
  }
  chapter.figure("ladder", "an H100's cycles for 1000 multiply-adds, at least")
      .bar(names, global, "cache")
      .bar(names, shared, "shared memory")
      .bar(names, multiplying, "multiplying")
      .axes("", "cycles");
}
