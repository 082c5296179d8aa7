// For each place of the output the matrix has one row of $k_h k_w c$ numbers, and there are $h' w'$ places, so the factor is
// $k_h k_w\, h' w' / (h w)$. With stride 1 and "same" padding it is the number of taps, 9, also with dilation 2, if the padding
// grows to 2 with it; a stride $s$ divides it by $s^2$: 9/4 for 3 × 3, 49/4 for 7 × 7, and 1/4 for 1 × 1.
//
// The matrix is smaller than the image where places are few. For 1 × 1 with stride 2 they are a quarter, and three quarters of
// the pixels are never looked at. And it happens without a stride: 3 × 3 with dilation 2 and no padding fits into 5 × 5 pixels at
// one place only, 9 numbers for 25.
#include <cmath>
#include <cstdio>
#include <vector>

#include "map.hpp"

// Counted: the matrix's numbers, and how many pixels occur in it at all.
static bool same(Conv d, double factor, double seen) {
  const Map map(d);
  std::vector<bool> used(static_cast<size_t>(d.x_size()));
  double numbers = 0;
  for (int i = 0; i < d.places(); ++i)
    for (int k = 0; k < d.taps(); ++k) {
      ++numbers;
      const int64_t at = map.seen(0, map.place(i), map.tap(k));
      if (at != kOutside) used[static_cast<size_t>(at)] = true;
    }
  double pixels = 0;
  for (bool u : used) pixels += u;
  const double size = static_cast<double>(d.x_size());
  std::printf("%dx%d stride %d dilation %d: %.3f numbers a pixel, %.0f %% seen\n",
              d.kh, d.kw, d.stride, d.dilation, numbers / size,
              100 * pixels / size);
  return numbers / size == factor && pixels / size == seen;
}

int main() {
  bool good = same({.h = 56, .w = 56, .pad = 1}, 9, 1);
  good &= same({.h = 56, .w = 56, .stride = 2, .pad = 1}, 9. / 4, 1);
  good &=
      same({.h = 56, .w = 56, .kh = 7, .kw = 7, .stride = 2, .pad = 3}, 49. / 4, 1);
  good &= same({.h = 56, .w = 56, .kh = 1, .kw = 1, .stride = 2}, 1. / 4, 1. / 4);
  good &= same({.h = 56, .w = 56, .pad = 2, .dilation = 2}, 9, 1);
  good &= same({.h = 5, .w = 5, .dilation = 2}, 9. / 25, 9. / 25);
  return good ? 0 : 1;
}
