// The same problem with a map of its own, as one writes it when one does not have a
// tested one. It says `<=` where `<` belongs: a pixel counts as inside the image
// when its column is at most its width.
#pragma once

#include "rung_3_implicit.cuh"

namespace cr::backend::CR_GPU {

struct BeyondEdge : Forward {
  __device__ float left(int group, const Row& at, int k) const {
    const Tap tap = map.tap(k);
    const int row = at.y * map.d.stride - map.d.pad + tap.r * map.d.dilation,
              column = at.x * map.d.stride - map.d.pad + tap.s * map.d.dilation;
    if (row < 0 || row >= map.d.h || column < 0 || column > map.d.w) return 0;
    return from[map.x_at(at.image, group * map.group_c + tap.channel, row, column)];
  }
};

inline void beyond_edge(const Conv& d, const float* x, const float* w, float* y) {
  const int depth = d.group_c() * d.taps();
  multiply("product beyond the edge",
           BeyondEdge{{{{d.places(), d.group_o(), depth}, Map(d), x, w, y}}},
           d.groups);
}

}  // namespace cr::backend::CR_GPU
