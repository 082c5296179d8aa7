#pragma once

#include "rung_6_vectors.cuh"

// **Rung 7, no bank conflicts**, and **rung 8, warp tiles**: the same kernel,
// two other layouts.
namespace cr::backend::CR_GPU {

inline void free_banks(const Product<float>& g) {
  vector_tiles<Spread>("free banks", g);
}

inline void warp_tiles(const Product<float>& g) {
  vector_tiles<Warps>("warp tiles", g);
}

}  // namespace cr::backend::CR_GPU
