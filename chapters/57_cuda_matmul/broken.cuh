// **Short rows.** Rung 10 with its tiles as they come: A's rows 16 words
// long, B's 128. The result is right. Only the banks know.
#pragma once

#include "rung_10_tf32.cuh"
#include "rung_3_shared.cuh"

namespace cr::backend::CR_GPU {

struct ShortRows {
  static constexpr int kDepth = 16;
  float a[kSide][kDepth];
  float b[kDepth][kSide];
};

inline void short_rows(const Product<float>& g) {
  launch("short rows", tf32_kernel<ShortRows>,
         {.blocks = {unsigned(tiles(g.n, kSide)), unsigned(tiles(g.m, kSide))},
          .threads = {kThreads}},
         g);
}

}  // namespace cr::backend::CR_GPU
