#pragma once

static void the_ladder(Chapter& chapter, Bed& bed) {
  chapter.section("The ladder");
  if (!watched()) return chapter.say("This build's emulator does not count.");

  // The work is the same for all: two products of $N d$ multiply-adds for each
  // query. What differs is how many bytes it takes. Their ratio is the arithmetic
  // intensity of chapter 56, here in multiply-adds per byte.
  Table table =
      chapter.table({"rung", "bytes per query", "multiply-adds per byte", "error"});
  std::vector<std::string> names;
  std::vector<double> bytes;
  for (const Bed::Step& step : bed.steps) {
    const double work =
        2 * double(bed.layer.keys * bed.layer.width);  // multiply-adds per query
    table.row(step.name, step.bytes, work / step.bytes, step.error);
    names.push_back(step.name), bytes.push_back(step.bytes);
  }
  chapter.figure("ladder", "bytes moved for each query, counted by the emulator")
      .bar(names, bytes)
      .log_y()
      .axes("", "bytes");
}
