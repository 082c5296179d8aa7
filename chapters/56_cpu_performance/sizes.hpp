#pragma once

#include "the_ladder.hpp"

static void sizes(Chapter& chapter) {
  chapter.section("Any size");
  Generator random(chapter.seed());
  std::vector<double> size, ours, library, blas;
  const bool here = OpenBlas().here();
  double lowest = INFINITY;
  // Sizes between the powers of two are there as well: what is good at 1024 may be bad at
  // 1536. Small products show the costs that do not grow with the arithmetic: waking
  // threads, packing, the last thin tile. In large ones these vanish, and what remains is
  // the register tile, and how well it is fed.
  for (int64_t n : {32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
                    3072, 4096}) {
    Tensor a = randn({n, n}, random), b = randn({n, n}, random), c = empty({n, n});
    const Product g = product_of(a, b, c);
    std::vector<Racer> contestants = {{[&] { ::threads(g); }, true},
                                      {[&] { library_gemm(g); }, true}};
    if (here) contestants.push_back({[&] { openblas<0>(g); }, true});
    const std::vector<double> times = race(contestants, 3);
    size.push_back(double(n));
    ours.push_back(gflops(g, times[0]));
    library.push_back(gflops(g, times[1]));
    if (here) blas.push_back(gflops(g, times[2]));
    if (here) lowest = std::min(lowest, times[2] / times[1]);
  }
  Figure figure =
      chapter.figure("sizes", "GFLOP/s by the side of the matrices, all threads");
  figure.line(size, ours, "five loops").line(size, library, "library");
  if (here) figure.line(size, blas, "OpenBLAS");
  figure.axes("n", "GFLOP/s").log_x();
  // A mean would hide a bad size, so the claim takes the worst one.
  if (openblas_is_fair())
    chapter.claim("any-size", "the library over OpenBLAS where it does worst",
                  lowest, at_least(0.6), found, {.at = Size::full});
}
