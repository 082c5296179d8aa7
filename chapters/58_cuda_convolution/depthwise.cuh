// So a depthwise layer gets a kernel of its own. A block computes 32 × 8 places of
// one channel. With 3 × 3 taps these see 34 × 10 pixels, all of which are used by
// several places. The block copies them into shared memory, each once, and the
// threads take them from there nine times: 340 pixels fetched for 256 results,
// where the direct kernel asks for 2304.
//
// The border of the tile, pixels that belong to the neighbouring block's places, is
// called its **halo**. Its size depends on stride, taps and dilation, so memory is
// asked for at launch. The channel's weights lie in front of the tile: they are the
// same for all threads, and a warp that went to memory for each would fetch a
// sector of 32 bytes for four that it needs.
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
__global__ void depthwise_kernel(Map map, Divide by_right, Divide by_tiles,
                                 Divide by_filters, const T* x, const T* w, T* y) {
  const Conv& d = map.d;
  const int right = int(threadIdx.x) % kWide, down = int(threadIdx.x) / kWide;

  // One number says which tile of which filter and image a block has.
  const int plane = by_tiles.of(int(blockIdx.x)),
            tile = int(blockIdx.x) - plane * by_tiles.by;
  const int top = by_right.of(tile) * kHigh,
            left = (tile - by_right.of(tile) * by_right.by) * kWide;
  const int image = by_filters.of(plane), filter = plane - image * d.o;
  const int channel = map.by_group_o.of(filter);
  const int rows = tile_rows(d), columns = tile_columns(d);

  // Each warp copies rows of the tile, 32 pixels at a time.
  T* weights = dynamic_shared<T>();
  T* pixels = weights + map.by_taps.by;
  for (int k = int(threadIdx.x); k < map.by_taps.by; k += kWide * kHigh)
    weights[k] = w[filter * map.by_taps.by + k];
  for (int row = down; row < rows; row += kHigh)
    for (int column = right; column < columns; column += kWide) {
      bool inside = false;
      const T pixel =
          fetched(x[map.nearest(image, channel, top * d.stride - d.pad + row,
                                left * d.stride - d.pad + column, inside)]);
      pixels[row * columns + column] = inside ? pixel : T(0);
    }
  __syncthreads();

  // Threads outside of the output leave now, and not earlier: all were needed to
  // copy, and all have to reach the barrier.
  if (left + right >= map.out_w || top + down >= map.out_h) return;
  T sum = 0;
  for (int r = 0; r < d.kh; ++r)
    for (int s = 0; s < d.kw; ++s)
      sum += pixels[(down * d.stride + r * d.dilation) * columns +
                    right * d.stride + s * d.dilation] *
             weights[r * d.kw + s];
  y[map.y_at(image, filter, top + down, left + right)] = sum;
}

// For `groups` = `c`: each filter sees one channel.
template <class T> void depthwise(const Conv& d, const T* x, const T* w, T* y) {
  const int right = int(blocks_for(d.out_w(), kWide)),
            tiles = right * int(blocks_for(d.out_h(), kHigh));
  const size_t numbers = size_t(d.taps() + tile_rows(d) * tile_columns(d));
  launch("depthwise", depthwise_kernel<T>,
         {.blocks = {unsigned(tiles * d.n * d.o)},
          .threads = {kWide * kHigh},
          .shared_bytes = sizeof(T) * numbers},
         Map(d), Divide(right), Divide(tiles), Divide(d.o), x, w, y);
}

}  // namespace cr::backend::CR_GPU
