// # Inner loops of Winograd's rule, one set per instruction set
//
// `conv_winograd.cpp` tells the story. A vector holds the same place of as many images, so each transform is a few additions
// of vectors.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

constexpr int kWinogradProducts = 16;  // of a tile of 2 × 2 results

// Neighbouring tiles of one channel: from four lines of the image to sixteen factors for each tile.
struct WinogradInput {
  const float* lines[4];   // null where the image ends
  int64_t first, columns;  // column of the first tile's first place, which may be outside; how many columns there are
  int64_t tiles;
  float* to;  // `to_tile` from tile to tile, `to_factor` from factor to factor
  int64_t to_tile, to_factor;
};

// One tile: from sixteen sums for each row to 2 × 2 results, or as many of them as there are.
struct WinogradOutput {
  const float* sums;
  int64_t rows, sums_row, sums_factor;
  float* y;
  int64_t y_row, y_line, height, width;
};

struct WinogradKernel {
  // The nine taps of one channel, in order, to its sixteen factors: `rows` numbers each.
  void (*weights)(float* to, int64_t to_factor, const float* const* taps, int64_t rows);
  void (*input)(const WinogradInput&);
  bool (*output)(const WinogradOutput&);  // whether all results are finite
};

namespace base {
extern const WinogradKernel winograd_kernel;
}
namespace avx2 {
extern const WinogradKernel winograd_kernel;
}
namespace avx512 {
extern const WinogradKernel winograd_kernel;
}

}  // namespace cr::backend::cpu
