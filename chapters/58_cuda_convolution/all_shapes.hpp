#pragma once

#include "bench.hpp"
#include "book/chapter.hpp"

using namespace cr;

// A shape for every option, alone and together.
inline std::vector<std::pair<std::string, Conv>> shapes() {
  return {
      {"3 x 3", {.n = 2, .c = 6, .h = 9, .w = 11, .o = 10, .pad = 1}},
      {"no padding", {.n = 2, .c = 6, .h = 9, .w = 11, .o = 10}},
      {"stride 2",
       {.n = 2, .c = 6, .h = 10, .w = 9, .o = 10, .stride = 2, .pad = 1}},
      {"dilation 2",
       {.n = 1, .c = 6, .h = 12, .w = 9, .o = 10, .pad = 2, .dilation = 2}},
      {"3 groups", {.n = 1, .c = 6, .h = 9, .w = 8, .o = 9, .pad = 1, .groups = 3}},
      {"depthwise",
       {.n = 2, .c = 6, .h = 9, .w = 8, .o = 6, .pad = 1, .groups = 6}},
      {"1 x 1", {.n = 2, .c = 20, .h = 7, .w = 6, .o = 24, .kh = 1, .kw = 1}},
      {"7 x 7, stride 2",
       {.n = 1,
        .c = 3,
        .h = 13,
        .w = 12,
        .o = 8,
        .kh = 7,
        .kw = 7,
        .stride = 2,
        .pad = 3}},
      {"5 x 3, all at once",
       {.n = 2,
        .c = 4,
        .h = 17,
        .w = 16,
        .o = 6,
        .kh = 5,
        .kw = 3,
        .stride = 3,
        .pad = 3,
        .dilation = 2,
        .groups = 2}},
  };
}

// Each goes forward by three kernels and back by two, the weights' gradient with
// its sum in one part and in five. The numbers are errors in units of their bound:
// 1 would be the worst that rounding can do, and what one sees is far less, since
// roundings go up as often as down. The longer the sum, the more they cancel: the
// weights' gradient sums over all places.
static void all_shapes(Chapter& chapter, Generator& random) {
  chapter.section("Back, and every shape");
  Table table =
      chapter.table({"shape", "forward", "to the image", "to the weights"});
  double worst = 0;
  for (const auto& [name, d] : shapes()) {
    Bench bench = emulated(d, random);
    double forward = 0;
    for (const Tensor& y : {bench.forward(bench.r.direct), bench.im2col(),
                            bench.forward(bench.r.implicit)})
      forward = std::max(forward, bench.y_error(y));
    const double data = bench.dx_error(bench.data_gradient()),
                 weights = std::max(bench.dw_error(bench.weight_gradient(1)),
                                    bench.dw_error(bench.weight_gradient(5)));
    table.row(name, forward, data, weights);
    worst = std::max({worst, forward, data, weights});
  }
  chapter.claim("all-shapes", "largest error of any, in units of its bound", worst,
                at_most(1), identity);
}
