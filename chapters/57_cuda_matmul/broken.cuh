#pragma once

#include "rung_10_tf32.cuh"

namespace cr::backend::CR_GPU {

struct ShortRows {
  static constexpr int kDepth = 16;
  uint32_t a[kSide][kDepth];
  uint32_t b[kDepth][kSide];
};

inline void short_rows(const Product<float>& g) {
  launch("short rows", tf32_kernel<ShortRows>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide))},
          .threads = {kThreads},
          .needs = 80},
         g);
}

}  // namespace cr::backend::CR_GPU
