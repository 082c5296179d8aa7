// One thread for each number of the output. It walks through all weights of its
// filter and fetches, for each of them, one weight and one pixel: two numbers for
// one multiply-add.
//
// Threads that stand next to each other compute places next to each other. So the
// 32 threads of a warp want 32 pixels in a row, which lie in four or five sectors,
// and all want the same weight. (Exercise 2 turns it round, and pays for it.)
#pragma once

#include "product.cuh"

namespace cr::backend::CR_GPU {

template <class T>
__global__ void direct_kernel(Map map, const T* x, const T* w, T* y) {
  const Conv& d = map.d;
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int plane = map.out_h * map.out_w;
  if (at >= d.y_size()) return;
  const int filter = int(at / plane % d.o);
  Place place = map.place(int(at % plane));
  place.image = int(at / plane / d.o);
  const int group = filter / d.group_o();

  // No thread skips a tap that lies outside of the image. It takes the nearest
  // pixel and adds nothing, so that its warp stays together.
  T sum = 0;
  for (int c = 0; c < d.group_c(); ++c)
    for (int r = 0; r < d.kh; ++r)
      for (int s = 0; s < d.kw; ++s) {
        bool inside = false;
        const T pixel = fetched(x[map.x_near(group, place, {c, r, s}, inside)]);
        const T weight =
            fetched(w[((int64_t{filter} * d.group_c() + c) * d.kh + r) * d.kw + s]);
        sum += inside ? pixel * weight : T(0);
      }
  y[at] = sum;
}

template <class T> void direct(const Conv& d, const T* x, const T* w, T* y) {
  constexpr unsigned kThreads = 128;
  launch("direct", direct_kernel<T>,
         {.blocks = {blocks_for(d.y_size(), kThreads)}, .threads = {kThreads}},
         Map(d), x, w, y);
}

}  // namespace cr::backend::CR_GPU
