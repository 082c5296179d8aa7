#pragma once

static void the_ladder(Chapter& chapter, Bed& bed) {
  chapter.section("The ladder");
  if (!watched()) return chapter.say("This build's emulator does not count.");

  // The work forward is the same for all: two products of $N d$ multiply-adds for
  // each query. What differs is how many bytes it takes. Their ratio is the arithmetic
  // intensity of chapter 56, here in multiply-adds per byte. Back there are seven
  // products.
  Table table =
      chapter.table({"rung", "bytes per query", "multiply-adds per byte", "error"});
  const double product = double(bed.layer.keys * bed.layer.width);
  auto rows = [&](const std::vector<Bed::Step>& steps, double products,
                  const std::string& way) {
    std::vector<double> rung, bytes;
    for (const Bed::Step& step : steps) {
      table.row(step.name + way, step.bytes, products * product / step.bytes,
                step.error);
      rung.push_back(step.name[0] - '0'), bytes.push_back(step.bytes);
    }
    return std::pair{rung, bytes};
  };
  const auto [rung, bytes] = rows(bed.steps, 2, "");
  const auto [rung_back, bytes_back] = rows(bed.back, 7, ", back");
  Figure figure = chapter.figure(
      "ladder", "bytes moved for each query, counted by the emulator");
  figure.scatter(rung, bytes, "forward").scatter(rung_back, bytes_back, "back");
  for (const auto& steps : {bed.steps, bed.back})
    for (const Bed::Step& step : steps)
      figure.note(step.name[0] - '0' + 0.1, step.bytes, step.name.substr(3));
  figure.log_y().xlim(0.5, 6).axes("rung", "bytes");
}
