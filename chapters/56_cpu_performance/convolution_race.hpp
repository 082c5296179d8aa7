// The third way is the library's. It copies the image once with a border of zeros, 17 × 17
// numbers for 16 × 16 (the zeros to the right of a row are those to the left of the next).
// The tile then reads the nine numbers of each window from that copy: a matrix product
// whose B is never written down (**implicit GEMM**).
#pragma once

#include "convolution.hpp"
#include "skinny.hpp"

static void convolution(Chapter& chapter, std::vector<Dot>& dots) {
  chapter.section("A convolution");
  const Images d = {chapter.pick(1, 4, 4), 64, 16, 64};
  Generator random(chapter.seed());
  Tensor images = randn({d.n, d.c, d.size, d.size}, random);
  Tensor weight = randn({d.o, d.c, 3, 3}, random) / 24.0;
  NoGrad no_grad;
  const int before = backend::num_threads();
  backend::set_num_threads(1);
  Tensor first = convolve_with_loops(images, weight, d),
         second = convolve_with_im2col(images, weight, d),
         third = conv2d(images, weight, {}, {.padding = 1});
  // Each way adds the 576 products of a number in an order of its own, so the results differ
  // by rounding, and by no more.
  const double gap =
      std::max(amax(abs(first - second)).item(), amax(abs(first - third)).item());
  const std::vector<double> times =
      race({[&] { convolve_with_loops(images, weight, d); },
            [&] { convolve_with_im2col(images, weight, d); },
            [&] { conv2d(images, weight, {}, {.padding = 1}); }},
           5);
  backend::set_num_threads(before);
  const double work = 2e-9 * 9 * double(d.n * d.o * d.c * d.size * d.size);
  const double bytes = 4 * double(images.numel() + weight.numel() + first.numel());
  Table table = chapter.table({"convolution", "GFLOP/s", "numbers written down"});
  table.row("seven loops", work / times[0], first.numel());
  table.row("im2col and a matrix product", work / times[1],
            first.numel() + 9 * images.numel());
  const int64_t padded = d.n * d.c * (d.size + 1) * (d.size + 1);
  table.row("the library's conv2d", work / times[2], first.numel() + padded);
  chapter.claim("conv-right", "three ways to convolve: largest gap", gap,
                at_most(3e-5), identity);
  chapter.claim("im2col",
                "as a matrix product it is so many times as fast as seven loops",
                times[0] / times[1], at_least(3), found);
  chapter.claim("conv", "the library is so many times as fast as im2col",
                times[1] / times[2], at_least(0.7), found);
  dots.push_back({"convolution", 1e9 * work / bytes, work / times[2], 1.2});
  dots.push_back({"seven loops", 1e9 * work / bytes, work / times[0]});
}
