// So a depthwise layer gets a kernel of its own. A block computes 32 × 8 places of
// one channel. With 3 × 3 taps these see 34 × 10 pixels, all of which are used by
// several places. The block copies them into shared memory, each once, and the
// threads take them from there nine times: 340 pixels fetched for 256 results,
// where the direct kernel asks for 2304.
//
// The border of the tile, pixels that belong to the neighbouring block's places, is
// called its **halo**. Its size depends on stride, taps and dilation, so memory is
// asked for at launch.
#pragma once

#include "product.cuh"

namespace cr::backend::CR_GPU {

constexpr int kWide = 32, kHigh = 8;

constexpr int tile_rows(const Conv& d) {
  return (kHigh - 1) * d.stride + d.dilation * (d.kh - 1) + 1;
}
constexpr int tile_columns(const Conv& d) {
  return (kWide - 1) * d.stride + d.dilation * (d.kw - 1) + 1;
}

template <class T>
__global__ void depthwise_kernel(Map map, const T* x, const T* w, T* y) {
  const Conv& d = map.d;
  const int thread = int(threadIdx.x);
  const int tiles_right = (map.out_w + kWide - 1) / kWide;
  const int left = int(blockIdx.x) % tiles_right * kWide,
            top = int(blockIdx.x) / tiles_right * kHigh;
  const int filter = int(blockIdx.y) % d.o, image = int(blockIdx.y) / d.o;
  const int channel = filter / d.group_o();
  const int rows = tile_rows(d), columns = tile_columns(d);

  // All threads copy, in rows, until the tile is full: there are more pixels than
  // threads.
  T* tile = dynamic_shared<T>();
  for (int q = thread; q < rows * columns; q += kWide * kHigh) {
    const int row = top * d.stride - d.pad + q / columns,
              column = left * d.stride - d.pad + q % columns;
    bool inside = false;
    const T pixel = fetched(x[map.x_near(image, channel, row, column, inside)]);
    tile[q] = inside ? pixel : T(0);
  }
  __syncthreads();

  const int right = thread % kWide, down = thread / kWide;
  // Threads outside of the output leave now, and not earlier: all were needed to
  // copy, and all have to reach the barrier.
  if (left + right >= map.out_w || top + down >= map.out_h) return;
  T sum = 0;
  for (int r = 0; r < d.kh; ++r)
    for (int s = 0; s < d.kw; ++s)
      sum += tile[(down * d.stride + r * d.dilation) * columns + right * d.stride +
                  s * d.dilation] *
             w[(filter * d.kh + r) * d.kw + s];
  y[map.y_at(image, filter, top + down, left + right)] = sum;
}

// For `groups` = `c`: each filter sees one channel.
template <class T> void depthwise(const Conv& d, const T* x, const T* w, T* y) {
  const unsigned tiles =
      blocks_for(d.out_w(), kWide) * blocks_for(d.out_h(), kHigh);
  launch(
      "depthwise", depthwise_kernel<T>,
      {.blocks = {tiles, unsigned(d.n * d.o)},
       .threads = {kWide * kHigh},
       .shared_bytes = sizeof(T) * size_t(tile_rows(d)) * size_t(tile_columns(d))},
      Map(d), x, w, y);
}

}  // namespace cr::backend::CR_GPU
