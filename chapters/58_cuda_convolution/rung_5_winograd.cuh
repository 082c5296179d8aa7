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

#include "fragments.hpp"
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
        count(d.n * down * right),
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
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t all = int64_t{d.o} * d.c;
  if (at >= all) return;
  const int filter = int(at % d.o), channel = int(at / d.o);
  float g[3][3], out[kSize][kSize];
  for (int r = 0; r < 3; ++r)
    for (int s = 0; s < 3; ++s)
      g[r][s] = w[((int64_t{filter} * d.c + channel) * 3 + r) * 3 + s];
  transform(Winograd<m>::weight(), g, out);
  for (int e = 0; e < kSize * kSize; ++e)
    u[e * all + at] = out[e / kSize][e % kSize];
}

// V (e, c, tiles). A thread has one channel of one tile. All its numbers are in
// registers: for F(4,3) 36 pixels, 36 half-done and 36 done, and the compiler has
// to see that they need not all live at the same time.
template <int m>
__global__ void winograd_input_kernel(Tiles tiles, const float* x, float* v) {
  constexpr int kSize = m + 2;
  const Conv& d = tiles.map.d;
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t all = int64_t{d.c} * tiles.count;
  if (at >= all) return;
  const int channel = int(at / tiles.count);
  const Place tile = tiles.tile(int(at % tiles.count));
  float in[kSize][kSize], out[kSize][kSize];
  for (int i = 0; i < kSize; ++i)
    for (int j = 0; j < kSize; ++j) {
      const int row = tile.y * m - d.pad + i, column = tile.x * m - d.pad + j;
      bool inside = false;
      const float pixel =
          fetched(x[tiles.map.x_near(tile.image, channel, row, column, inside)]);
      in[i][j] = inside ? pixel : 0;
    }
  transform(Winograd<m>::input(), in, out);
  for (int e = 0; e < kSize * kSize; ++e)
    v[e * all + at] = out[e / kSize][e % kSize];
}

// M (e, o, tiles): for each e a product over the channels. Nothing is left here of
// windows and padding; A is V, B is U, as they lie. With `kRound` both factors are
// rounded to bfloat16 first, as tensor cores would want them.
template <bool kRound> struct WinogradProduct : Whole {
  static constexpr bool kAAlongK = false, kBAlongK = false;
  const float *u, *v;
  float* product;

  __device__ static float rounded(float x) {
    return kRound ? round_to_bfloat16(x) : x;
  }
  __device__ float a(int e, int i, int p) const {
    return rounded(v[(int64_t{e} * k + p) * m + i]);
  }
  __device__ float b(int e, int p, int j) const {
    return rounded(u[(int64_t{e} * k + p) * n + j]);
  }
  __device__ void store(int e, int i, int j, float value) const {
    product[(int64_t{e} * n + j) * m + i] = value;
  }
};

// A thread has one filter of one tile, and adds up what the rows of $A^\top$ tell
// it to.
template <int m>
__global__ void winograd_output_kernel(Tiles tiles, const float* product,
                                       float* y) {
  constexpr int kSize = m + 2;
  const Conv& d = tiles.map.d;
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t all = int64_t{d.o} * tiles.count;
  if (at >= all) return;
  const int filter = int(at / tiles.count);
  const Place tile = tiles.tile(int(at % tiles.count));
  float in[kSize][kSize], out[m][m];
  for (int e = 0; e < kSize * kSize; ++e)
    in[e / kSize][e % kSize] = product[e * all + at];
  transform(Winograd<m>::output(), in, out);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < m; ++j) {
      const int row = tile.y * m + i, column = tile.x * m + j;
      if (row < tiles.map.out_h && column < tiles.map.out_w)
        y[tiles.map.y_at(tile.image, filter, row, column)] = out[i][j];
    }
}

// `space` holds U, V and M, one behind the other. For F(2,3) V is four times as
// large as the image: 16 numbers for each tile of 2 × 2 pixels. For F(4,3) it is 36
// / 16 = 2.25 times.
template <int m> int64_t winograd_space(const Conv& d) {
  const int64_t tiles = Tiles(d, m).count;
  return (m + 2) * (m + 2) * (int64_t{d.o} * d.c + (d.o + d.c) * tiles);
}

template <int m, bool kRound = false>
void winograd(const Conv& d, const float* x, const float* w, float* space,
              float* y) {
  constexpr int kPlaces = (m + 2) * (m + 2);
  const Tiles tiles(d, m);
  float* u = space;
  float* v = u + kPlaces * int64_t{d.o} * d.c;
  float* product = v + kPlaces * int64_t{d.c} * tiles.count;
  auto grid = [](int64_t count) {
    return Grid{.blocks = {blocks_for(count, 64)}, .threads = {64}};
  };
  launch("weights to U", winograd_weights_kernel<m>, grid(int64_t{d.o} * d.c), d, w,
         u);
  launch("image to V", winograd_input_kernel<m>, grid(int64_t{d.c} * tiles.count),
         tiles, x, v);
  multiply("products of U and V",
           WinogradProduct<kRound>{{tiles.count, d.o, d.c}, u, v, product},
           kPlaces);
  launch("M to output", winograd_output_kernel<m>, grid(int64_t{d.o} * tiles.count),
         tiles, product, y);
}

}  // namespace cr::backend::CR_GPU
