// Four kernels, then:
//
// 1. weights into $U = G\,g\,G^\top$, for each filter and channel;
// 2. pixels into $V = B^\top d\,B$, for each channel and tile;
// 3. for each of the $(m + 2)^2$ numbers in a tile one product of matrices,
// $M_e = U_e V_e$, which sums over the channels;
// 4. results $A^\top M A$, for each filter and tile.
//
// For 3 × 3 filters, stride 1, dilation 1, one group. With a stride, neighbouring
// results no longer share pixels in the way that F(2,3) makes use of.
#pragma once

#include "backend/gpu/tensor_core.cuh"
#include "product.cuh"
#include "winograd.hpp"

namespace cr::backend::CR_GPU {

// Tiles of m × m results, numbered through all images. Where the output is no
// multiple of $m$ the last tiles reach beyond it; they are computed, and only what
// exists is stored.
struct Tiles {
  Map map;
  int down = 0, right = 0, count = 0;
  Divide by_image, by_row;
  constexpr Tiles() = default;
  constexpr Tiles(const Conv& d, int m)
      : map(d),
        down((d.out_h() + m - 1) / m),
        right((d.out_w() + m - 1) / m),
        count(tiles_of(d, m)),
        by_image(down * right),
        by_row(right) {}
  constexpr Place tile(int i) const { return Map::split(i, by_image, by_row); }
};

// U (e, c, o), where $e$ is one of the $(m + 2)^2$ numbers in a tile. A thread has
// one channel of one filter: it reads nine weights and writes 16 or 36.
// Neighbouring threads have neighbouring filters, because they are neighbours in U;
// so they read weights that lie far apart. That is done once for all images, and a
// network in use does it once for ever.
template <int m>
__global__ void winograd_weights_kernel(Conv d, const float* w, float* u) {
  constexpr int kSize = m + 2;
  const int filter = int(blockIdx.x * blockDim.x + threadIdx.x),
            channel = int(blockIdx.y);
  if (filter >= d.o) return;
  float g[3][3], out[kSize][kSize];
  for (int r = 0; r < 3; ++r)
    for (int s = 0; s < 3; ++s)
      g[r][s] = w[((int64_t{filter} * d.c + channel) * 3 + r) * 3 + s];
  transform(Winograd<m>::weight(), g, out);
  for (int e = 0; e < kSize * kSize; ++e)
    u[(int64_t{e} * d.c + channel) * d.o + filter] = out[e / kSize][e % kSize];
}

// V (e, c, tiles). A thread has one channel of one tile. All its numbers are in
// registers: for F(4,3) 36 pixels, 36 half-done and 36 done, and the compiler has
// to see that they need not all live at the same time.
template <int m>
__global__ void winograd_input_kernel(Tiles tiles, const float* x, float* v) {
  constexpr int kSize = m + 2;
  const Conv& d = tiles.map.d;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int channel = int(blockIdx.y);
  if (i >= tiles.count) return;
  const Place tile = tiles.tile(int(i));
  float in[kSize][kSize], out[kSize][kSize];
  for (int r = 0; r < kSize; ++r)
    for (int s = 0; s < kSize; ++s) {
      const int row = tile.y * m - d.pad + r, column = tile.x * m - d.pad + s;
      bool inside = false;
      const float pixel =
          fetched(x[tiles.map.nearest(tile.image, channel, row, column, inside)]);
      in[r][s] = inside ? pixel : 0;
    }
  transform(Winograd<m>::input(), in, out);
  for (int e = 0; e < kSize * kSize; ++e)
    v[(int64_t{e} * d.c + channel) * tiles.count + i] = out[e / kSize][e % kSize];
}

// M (e, o, tiles): for each e a product over the channels. Nothing is left here of
// windows and padding; V is the left factor, U the right one, as they lie. With
// `kRound` both are rounded to bfloat16 first, as tensor cores would want them.
template <bool kRound> struct WinogradProduct : Whole {
  static constexpr bool kLeftAlongK = false, kRightAlongK = false;
  const float *u, *v;
  float* product;

  __device__ static float rounded(float x) {
    return kRound ? unpack_bf16(pack_bf16(x, 0), 0) : x;
  }
  using Row = int;
  __device__ Row row(int i) const { return i; }
  __device__ float left(int e, Row i, int k) const {
    return rounded(v[(int64_t{e} * depth + k) * rows + i]);
  }
  __device__ float right(int e, int k, int j) const {
    return rounded(u[(int64_t{e} * depth + k) * columns + j]);
  }
  __device__ void store(int e, int i, int j, float value) const {
    product[(int64_t{e} * columns + j) * rows + i] = value;
  }
};

// A thread has one filter of one tile, and adds up what the rows of $A^\top$ tell
// it to.
template <int m>
__global__ void winograd_output_kernel(Tiles tiles, const float* product,
                                       float* y) {
  constexpr int kSize = m + 2;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int filter = int(blockIdx.y);
  if (i >= tiles.count) return;
  const Place tile = tiles.tile(int(i));
  float in[kSize][kSize], out[m][m];
  for (int e = 0; e < kSize * kSize; ++e)
    in[e / kSize][e % kSize] =
        product[(int64_t{e} * tiles.map.d.o + filter) * tiles.count + i];
  transform(Winograd<m>::output(), in, out);
  for (int r = 0; r < m; ++r)
    for (int s = 0; s < m; ++s) {
      const int row = tile.y * m + r, column = tile.x * m + s;
      if (row < tiles.map.out_h && column < tiles.map.out_w)
        y[tiles.map.y_at(tile.image, filter, row, column)] = out[r][s];
    }
}

// `space` holds U, V and M, one behind the other.
template <int m, bool kRound = false>
void winograd(const Conv& d, const float* x, const float* w, float* space,
              float* y) {
  constexpr int kNumbers = (m + 2) * (m + 2);
  const Tiles tiles(d, m);
  float* u = space;
  float* v = u + kNumbers * int64_t{d.o} * d.c;
  float* product = v + kNumbers * int64_t{d.c} * tiles.count;
  auto grid = [](int64_t count, int lines) {
    return Grid{.blocks = {blocks_for(count, 64), unsigned(lines)},
                .threads = {64}};
  };
  launch("weights to U", winograd_weights_kernel<m>, grid(d.o, d.c), d, w, u);
  launch("image to V", winograd_input_kernel<m>, grid(tiles.count, d.c), tiles, x,
         v);
  multiply("products of U and V",
           WinogradProduct<kRound>{{tiles.count, d.o, d.c}, u, v, product},
           kNumbers);
  launch("M to output", winograd_output_kernel<m>, grid(tiles.count, d.o), tiles,
         product, y);
}

}  // namespace cr::backend::CR_GPU
