// One thread for each number of the output. It walks through all weights of its
// filter and fetches, for each of them, one weight and one pixel: two numbers for
// one multiply-add.
//
// Threads that stand next to each other compute places next to each other, of the
// same filter. So the 32 threads of a warp want 32 pixels in a row, which lie in
// four or five sectors, and all want the same weight. (Exercise 2 turns it round,
// and pays for it.)
#pragma once

#include "product.cuh"

namespace cr::backend::CR_GPU {

template <class T>
__global__ void direct_kernel(Map map, const T* x, const T* w, T* y) {
  const Conv& d = map.d;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= map.places) return;
  const Place place = map.place(int(i));
  const int filter = int(blockIdx.y), group = map.by_group_o.of(filter);

  // No thread skips a tap that lies outside of the image. It takes the nearest
  // pixel and adds nothing, so that its warp stays together.
  T sum = 0;
  for (int c = 0; c < map.group_c; ++c)
    for (int r = 0; r < d.kh; ++r)
      for (int s = 0; s < d.kw; ++s) {
        bool inside = false;
        const T pixel = fetched(x[map.nearest(group, place, {c, r, s}, inside)]);
        const T weight =
            fetched(w[((int64_t{filter} * map.group_c + c) * d.kh + r) * d.kw + s]);
        sum += inside ? pixel * weight : T(0);
      }
  y[map.y_at(place.image, filter, place.y, place.x)] = sum;
}

template <class T> void direct(const Conv& d, const T* x, const T* w, T* y) {
  launch("direct", direct_kernel<T>,
         {.blocks = {blocks_for(d.places(), 128), unsigned(d.o)}, .threads = {128}},
         Map(d), x, w, y);
}

}  // namespace cr::backend::CR_GPU
