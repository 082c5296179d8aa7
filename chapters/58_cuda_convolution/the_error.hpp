#pragma once

#include "bench.hpp"
#include "book/chapter.hpp"

using namespace cr;

// For each way: run it on the emulator, and compare with float64. A bound as above
// would not say much here, as Winograd's rule adds and subtracts other numbers than
// those of the layer. So we compare typical errors: the root of the mean squared
// gap, over that of the results.
static void the_error(Chapter& chapter, Bench& bench) {
  chapter.section("What it costs");
  chapter.claim("growth-two", "F(2,3): so many times may a rounding grow",
                growth<2>(), near(7.111, 1e-4), identity);
  chapter.claim("growth-four", "F(4,3): so many times may a rounding grow",
                growth<4>(), near(256, 1e-4), identity);
  const Rungs& r = bench.r;
  const Tensor& truth = bench.layer.y64;
  auto by = [&](Rungs::WithSpace rung, int m) {
    return bench.forward(rung, winograd_space(bench.d, m));
  };
  const double direct = typical_error(bench.forward(r.implicit), truth),
               two = typical_error(by(r.winograd2, 2), truth),
               four = typical_error(by(r.winograd4, 4), truth);

  // The bench's numbers are such as bfloat16 can hold, so a direct product loses
  // nothing when it takes them in bfloat16; only its result is rounded, on the way
  // out. We round it by hand here, for all ways alike.
  auto rounded = [&](const Tensor& y) {
    return typical_error(y.to(DType::bfloat16), truth);
  };
  const double direct16 = rounded(bench.forward(r.implicit)),
               two16 = rounded(by(r.winograd2_bf16, 2)),
               four16 = rounded(by(r.winograd4_bf16, 4));
  Table table = chapter.table(
      {"typical error", "float32", "factors in bfloat16", "rounding may grow"});
  table.row("direct", direct, direct16, 1.0);
  table.row("F(2,3)", two, two16, growth<2>());
  table.row("F(4,3)", four, four16, growth<4>());
  const std::vector<double> grow = {1, growth<2>(), growth<4>()};
  std::vector<double> root;
  for (double g : grow) root.push_back(direct * std::sqrt(g));
  chapter
      .figure("errors",
              "typical error of direct, F(2,3) and F(4,3), by how much a rounding "
              "may grow")
      .line(grow, {direct, two, four}, "float32")
      .line(grow, {direct16, two16, four16}, "bfloat16")
      .dashed(grow, root, "its root")
      .note(1.1, direct16 / 3, "direct")
      .note(growth<2>(), two16 / 3, "F(2,3)")
      .note(0.5 * growth<4>(), four16 / 3, "F(4,3)")
      .log_x()
      .log_y()
      .axes("largest growth of a rounding", "typical error");
  chapter.claim("error-two", "float32: F(2,3) is so many times as wrong as direct",
                two / direct, between(1.1, 1.8), found);
  chapter.claim("error-four", "float32: F(4,3) is so many times as wrong as F(2,3)",
                four / two, between(5, 12), found, {.quick = between(4, 16)});
  chapter.claim(
      "error-two-bf16", "bfloat16: F(2,3) is so many times as wrong as direct",
      two16 / direct16, between(1.8, 3.5), found, {.quick = between(1.6, 4)});
  chapter.claim("error-four-bf16", "bfloat16: typical error of F(4,3)", four16,
                between(0.015, 0.04), found,
                {.quick = between(0.01, 0.05), .unit = "%"});
}
