#pragma once

#include "winograd.hpp"
#include "workbench.hpp"

// For each way: run it on the emulator, and compare with float64. A bound as above
// would not say much here, as Winograd's rule adds and subtracts other numbers than
// those of the layer. So we compare typical errors: the root of the mean squared
// gap, over that of the results.
static void the_error(Chapter& chapter, Bed& bed) {
  chapter.section("What it costs");
  chapter.say(
      "A rounding error may grow {:.1f} times with F(2,3) and {:.0f} times with F(4,3), in "
      "the worst case. And on the workbench's layer?",
      growth<2>(), growth<4>());
  chapter.claim("growth-two", "F(2,3): so many times may a rounding grow",
                growth<2>(), near(64.0 / 9, 1e-12), identity);
  chapter.claim("growth-four", "F(4,3): so many times may a rounding grow",
                growth<4>(), near(256, 1e-12), identity);
  Bench& bench = bed.bench;
  const Rungs& r = bed.rungs;
  const Tensor& truth = bed.truth.l.y64;
  auto error = [&](Rungs::WithSpace rung, int m) {
    return typical_error(bench.forward(rung, bench.winograd_space(m)), truth);
  };
  const double direct = typical_error(bench.forward(r.implicit), truth),
               two = error(r.winograd2, 2), four = error(r.winograd4, 4);

  // The workbench's numbers are such as bfloat16 can hold, so a direct product
  // loses nothing when it takes them in bfloat16; only its result is rounded, on
  // the way out. We round it by hand here, for all ways alike.
  auto rounded = [&](Tensor y) {
    for (int64_t i = 0; i < y.numel(); ++i)
      y.mutable_data<float>()[i] = round_to_bfloat16(y.data<float>()[i]);
    return typical_error(y, truth);
  };
  const double direct16 = rounded(bench.forward(r.implicit)),
               two16 = rounded(
                   bench.forward(r.winograd2_bf16, bench.winograd_space(2))),
               four16 = rounded(
                   bench.forward(r.winograd4_bf16, bench.winograd_space(4)));
  Table table = chapter.table({"typical error", "float32", "factors in bfloat16"});
  table.row("direct", direct, direct16);
  table.row("F(2,3)", two, two16);
  table.row("F(4,3)", four, four16);
  chapter
      .figure("errors",
              "typical error relative to a typical result, on a log scale")
      .bar({"direct", "F(2,3)", "F(4,3)"}, {direct, two, four}, "float32")
      .bar({"direct", "F(2,3)", "F(4,3)"}, {direct16, two16, four16}, "bfloat16")
      .log_y()
      .ylim(1e-8, 1)
      .axes("", "error");
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
