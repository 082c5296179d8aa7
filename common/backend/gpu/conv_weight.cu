// # The gradient of a convolution's weights
//
// $$dw_{o,c,t} = \sum_{\text{images}} \sum_p dy_o(p)\; x_c(p \cdot s + t \cdot d - \text{padding})$$
//
// is a matrix product again, dy (o × places) times the pictures of `conv.cu`, transposed (places × taps). This time the sum
// runs over all places of all images: it is long, and the result is small. So it is cut into parts, which are added up in
// the end, in order.
#include "backend/gpu/block.cuh"
#include "backend/gpu/conv.cuh"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/tile.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

template <class T> struct WeightGradient {
  int64_t images, groups, channels, rows;
  ConvLine lines[3];
  int64_t x_places, y_places, taps;
  const T *x, *dy;
  T* dw;
};

// Which number of a channel of x a place of y sees through a tap; −1 beyond the edges.
template <class T> __device__ int64_t seen(const WeightGradient<T>& g, int64_t place, int64_t tap) {
  int64_t at = 0, size = 1;
  for (int d = 2; d >= 0; --d) {
    const ConvLine& l = g.lines[d];
    const int64_t i = place % l.y * l.stride + tap % l.taps * l.dilation - l.padding;
    place /= l.y, tap /= l.taps;
    if (i < 0 || i >= l.x) return -1;
    at += i * size;
    size *= l.x;
  }
  return at;
}

// ## Tiles
//
// Places that lie next to each other are next to each other along the sum: so threads share out the sum, and each fetches
// what belongs to one place. What belongs to a column, its channel and its tap, is found once.
template <class T> struct Rows : Source {
  static constexpr bool along_k = true;
  const T* at;  // dy of this group, from the tile's first row on
  int64_t rows, places, image_step;
  __device__ T operator()(int i, int64_t p) const {
    return i < rows ? at[p / places * image_step + i * places + p % places] : T(0);
  }
};

struct Column {
  int64_t x, tap[3];
};
template <class T, class Tile> struct Pictures : Source {
  static constexpr bool along_k = true;
  const WeightGradient<T>& g;
  const T* at;
  int64_t columns;
  static __device__ Column* table() {
    __shared__ Column columns[Tile::kN];
    return columns;
  }
  __device__ Pictures(const WeightGradient<T>& gradient, int64_t group, int64_t first)
      : g(gradient), at(g.x + group * g.channels * g.x_places), columns(g.channels * g.taps - first) {
    for (int j = static_cast<int>(threadIdx.x); j < Tile::kN; j += Tile::kThreads) {
      int64_t tap = (first + j) % g.taps;
      Column& own = table()[j];
      own.x = (first + j) / g.taps * g.x_places;
      for (int d = 2; d >= 0; --d) {
        own.tap[d] = tap % g.lines[d].taps * g.lines[d].dilation - g.lines[d].padding;
        tap /= g.lines[d].taps;
      }
    }
    __syncthreads();
  }
  __device__ T operator()(int j, int64_t p) const {
    if (j >= columns) return 0;
    const ConvLine &lz = g.lines[0], &ly = g.lines[1], &lx = g.lines[2];
    const int64_t place = p % g.y_places;
    const Column& own = table()[j];
    const int64_t z = place / lx.y / ly.y * lz.stride + own.tap[0], y = place / lx.y % ly.y * ly.stride + own.tap[1],
                  x = place % lx.y * lx.stride + own.tap[2];
    const bool inside = z >= 0 && z < lz.x && y >= 0 && y < ly.x && x >= 0 && x < lx.x;
    return inside ? at[p / g.y_places * g.groups * g.channels * g.x_places + own.x + (z * ly.x + y) * lx.x + x] : T(0);
  }
};

// Part z / groups of group z % groups goes to `out` (parts, groups, rows, channels, taps).
template <class Tile, class T>
__global__ void __launch_bounds__(Tile::kThreads) weight_kernel(WeightGradient<T> g, int64_t parts, T* out) {
  const int64_t down = (g.rows + Tile::kM - 1) / Tile::kM, n = g.channels * g.taps, k = g.images * g.y_places;
  const int64_t row = blockIdx.x % down * Tile::kM, column = blockIdx.x / down * Tile::kN;
  for (int64_t number = blockIdx.z; number < parts * g.groups; number += gridDim.z) {
    const int64_t part = number / g.groups, group = number % g.groups;
    Rows<T> rows{
        {}, g.dy + (group * g.rows + row) * g.y_places, g.rows - row, g.y_places, g.groups * g.rows * g.y_places};
    Pictures<T, Tile> pictures(g, group, column);
    T sum[Tile::kRows][Tile::kColumns] = {};
    multiply_tile<Tile>(sum, k * part / parts, k * (part + 1) / parts, rows, pictures, MultiplyAdd{});
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
      for (int s = 0; s < Tile::kColumns; ++s) {
        const int64_t i = row + Tile::row(r), j = column + Tile::column(s);
        if (i < g.rows && j < n) out[(number * g.rows + i) * n + j] = sum[r][s];
      }
    }
    __syncthreads();
  }
}

template <class T> __global__ void meet_kernel(T* dw, const T* partial, int64_t size, int64_t parts) {
  for (int64_t e = first_element(); e < size; e += all_threads()) {
    T sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += partial[part * size + e];
    dw[e] = sum;
  }
}

// ## Without tiles
//
// A depthwise convolution has a few weights in each group: a block sums for one of them.
constexpr int kThreads = 128;
template <class T> __global__ void single_kernel(WeightGradient<T> g) {
  const int64_t of_row = g.channels * g.taps, weights = g.groups * g.rows * of_row, k = g.images * g.y_places;
  for (int64_t e = blockIdx.x; e < weights; e += gridDim.x) {
    const int64_t group = e / of_row / g.rows, tap = e % g.taps, channel = e % of_row / g.taps;
    const T* dy = g.dy + e / of_row * g.y_places;
    const T* x = g.x + (group * g.channels + channel) * g.x_places;
    const double sum = sum_of<T>(threadIdx.x, k, kThreads, [&](int64_t p) {
      const int64_t image = p / g.y_places, place = p % g.y_places, at = seen(g, place, tap);
      const T number = at < 0 ? T(0) : x[image * g.groups * g.channels * g.x_places + at];
      return dy[image * g.groups * g.rows * g.y_places + place] * number;
    });
    const double total = block_sum<kThreads>(sum);
    if (threadIdx.x == 0) g.dw[e] = static_cast<T>(total);
  }
}

template <class Tile, class T> void launch_tiles(const WeightGradient<T>& g, Device device) {
  const int64_t tiles = pieces(g.rows, Tile::kM) * pieces(g.channels * g.taps, Tile::kN);
  const int64_t size = g.groups * g.rows * g.channels * g.taps;
  const int64_t parts = parts_of(g.images * g.y_places, tiles * g.groups);
  const Scratch<T> partial(parts > 1 ? parts * size : 0, device);
  launch("conv_weight", weight_kernel<Tile, T>,
         {.blocks = {static_cast<unsigned>(tiles), 1, deep(parts * g.groups)}, .threads = {Tile::kThreads}}, g, parts,
         parts > 1 ? partial.data() : g.dw);
  if (parts == 1) return;
  launch("conv_weight_meet", meet_kernel<T>, grid_for(size), g.dw, partial.data(), size, parts);
}

}  // namespace

void Waist::conv_weight(const Tensor& dw, const Tensor& x, const Tensor& dy, const Window& window, int64_t groups) {
  if (dw.numel() == 0) return;
  const ConvShape s(x, dw, dy, window, groups);
  dispatch_floating(dw.dtype(), "conv_weight", [&](auto t) {
    using T = decltype(t);
    WeightGradient<T> g{s.images,       s.groups,   s.channels, s.rows,         {s.lines[0], s.lines[1], s.lines[2]},
                        s.x_places,     s.y_places, s.taps,     elements<T>(x), elements<T>(dy),
                        elements<T>(dw)};
    const int64_t columns = s.channels * s.taps;
    if (s.rows <= 4 && columns <= 32) {
      launch("conv_weight_single", single_kernel<T>,
             {.blocks = {blocks_for(dw.numel(), 1, kGridBlocks)}, .threads = {kThreads}}, g);
    } else if (s.rows > 32 && columns > 32) {
      launch_tiles<MiddleTile<T>>(g, dw.device());
    } else {
      launch_tiles<SmallTile>(g, dw.device());
    }
  });
}

}  // namespace cr::backend::CR_GPU
