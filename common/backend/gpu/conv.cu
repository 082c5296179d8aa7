// # Convolution
//
// For one place the sum over taps is a row of weights times a column of numbers; for all places of all images it is a
// matrix product C = W P, whose right matrix P has a row for every tap of every channel and repeats each number of x as
// often as a window sees it: nine times for a 3 × 3 kernel. Nobody writes P down (**implicit GEMM**). A block that needs a
// tile of it fetches its numbers from x, where they lie, straight into shared memory.
//
// Zeros around x are numbers like others: they are multiplied, so an infinite weight makes NaN of them.
#include "backend/gpu/conv.cuh"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/tile.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// ## Rows of P
//
// Row p of P belongs to a channel and a tap. To find them takes divisions, so it is done once for the whole block: kK rows
// ahead, in shared memory, before they are needed.
struct Seen {
  int64_t x, w;  // from the first channel's first number on, and from the row's first weight on
  int64_t at[3];
};
template <int kK> __device__ Seen* seen_rows() {
  __shared__ Seen seen[kK];
  return seen;
}

// The left matrix. A thread fetches weights that belong to one row of P.
template <class T, class Tile> struct Weights : Source {
  static constexpr bool along_k = true;
  const T* at;
  int64_t rows, row_step;
  __device__ T operator()(int i, int64_t p) const {
    return i < rows ? at[i * row_step + seen_rows<Tile::kK>()[p % Tile::kK].w] : T(0);
  }
};

// The right matrix. A thread fetches numbers of one column: one place of one image.
template <class T, class Tile> struct Pictures : Source {
  static constexpr bool along_k = false, kPrepares = true;
  const Convolution<T>& c;
  const ConvClass& own;
  const T* at;      // the image's channels of this group
  int64_t from[3];  // what the place sees through a tap at 0
  bool exists;

  __device__ Pictures(const Convolution<T>& conv, const ConvClass& its_class, int64_t group, int64_t first)
      : c(conv), own(its_class) {
    const int64_t column = first + static_cast<int>(threadIdx.x) % Tile::kN;
    exists = column < c.images * own.places;
    at = c.x + (column / own.places * c.groups + group) * c.channels * c.x_places;
    int64_t place = column % own.places;
    for (int d = 2; d >= 0; --d) {
      from[d] = place % own.line[d].places * own.line[d].stride + own.line[d].first;
      place /= own.line[d].places;
    }
  }

  __device__ void prepare(int64_t p0) {
    const int t = static_cast<int>(threadIdx.x);
    if (t >= Tile::kK) return;
    Seen& seen = seen_rows<Tile::kK>()[t];
    int64_t tap = (p0 + t) % own.taps, channel = (p0 + t) / own.taps;
    seen.x = channel * c.x_places;
    seen.w = channel * c.w_channel;
    int64_t tap_size = 1;
    for (int d = 2; d >= 0; --d) {
      const ClassLine& line = own.line[d];
      const int64_t m = tap % line.taps;
      tap /= line.taps;
      seen.at[d] = m * line.tap_step;
      seen.w += (line.tap_first + m * line.tap_gap) * tap_size;
      tap_size *= c.lines[d].taps;
    }
  }

  __device__ T operator()(int, int64_t p) const {
    const Seen& seen = seen_rows<Tile::kK>()[p % Tile::kK];
    const int64_t z = from[0] + seen.at[0], y = from[1] + seen.at[1], x = from[2] + seen.at[2];
    const bool inside =
        exists && z >= 0 && z < own.line[0].size && y >= 0 && y < own.line[1].size && x >= 0 && x < own.line[2].size;
    return inside ? at[seen.x + (z * own.line[1].size + y) * own.line[2].size + x] : T(0);
  }
};

// One block for each tile of C; along the grid's z one for each group of each class.
template <class Tile, class T> __global__ void __launch_bounds__(Tile::kThreads) conv_kernel(Convolution<T> c) {
  const int64_t down = (c.rows + Tile::kM - 1) / Tile::kM;
  const int64_t row = blockIdx.x % down * Tile::kM, column = blockIdx.x / down * Tile::kN;
  const int64_t all = c.groups * c.classes[0] * c.classes[1] * c.classes[2];
  for (int64_t number = blockIdx.z; number < all; number += gridDim.z) {
    const int64_t group = number % c.groups;
    const ConvClass& own = shared_class(c, number / c.groups);
    if (column >= c.images * own.places) continue;
    Weights<T, Tile> weights{{}, c.w + group * c.w_group + row * c.w_row, c.rows - row, c.w_row};
    Pictures<T, Tile> pictures(c, own, group, column);
    T sum[Tile::kRows][Tile::kColumns] = {};
    multiply_tile<Tile>(sum, 0, c.channels * own.taps, weights, pictures, MultiplyAdd{});
#pragma unroll
    for (int s = 0; s < Tile::kColumns; ++s) {
      const int64_t j = column + Tile::column(s);
      if (j >= c.images * own.places) continue;
      T* y = c.y + (j / own.places * c.groups + group) * c.rows * c.y_places + own.place(j % own.places);
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
        const int64_t i = row + Tile::row(r);
        if (i < c.rows) y[i * c.y_places] = c.bias ? sum[r][s] + c.bias[group * c.rows + i] : sum[r][s];
      }
    }
  }
}

// ## Without tiles
//
// Where every channel is on its own (**depthwise** convolution) a product has one row, and a tile would be nearly empty.
// Then each thread computes one number of y. So are whole numbers.
template <class T> __device__ void direct_class(const Convolution<T>& c, const ConvClass& own) {
  const int64_t total = c.images * c.groups * c.rows * own.places;
  for (int64_t e = first_element(); e < total; e += all_threads()) {
    const int64_t place = e % own.places, of_all = e / own.places, part = of_all / c.rows, row = of_all % c.rows;
    const int64_t group = part % c.groups;
    const T* w = c.w + group * c.w_group + row * c.w_row;
    const T* x = c.x + part * c.channels * c.x_places;
    const ClassLine &lz = own.line[0], &ly = own.line[1], &lx = own.line[2];
    const int64_t z0 = place / lx.places / ly.places * lz.stride + lz.first;
    const int64_t y0 = place / lx.places % ly.places * ly.stride + ly.first;
    const int64_t x0 = place % lx.places * lx.stride + lx.first;
    T sum = 0;
    for (int64_t channel = 0; channel < c.channels; ++channel, w += c.w_channel, x += c.x_places) {
      for (int64_t tz = 0, at_z = z0; tz < lz.taps; ++tz, at_z += lz.tap_step) {
        for (int64_t ty = 0, at_y = y0; ty < ly.taps; ++ty, at_y += ly.tap_step) {
          const bool in_row = at_z >= 0 && at_z < lz.size && at_y >= 0 && at_y < ly.size;
          const T* from = x + (at_z * ly.size + at_y) * lx.size;
          const T* weights =
              w +
              ((lz.tap_first + tz * lz.tap_gap) * c.lines[1].taps + ly.tap_first + ty * ly.tap_gap) * c.lines[2].taps +
              lx.tap_first;
          for (int64_t tx = 0, at_x = x0; tx < lx.taps; ++tx, at_x += lx.tap_step) {
            const T seen = in_row && at_x >= 0 && at_x < lx.size ? from[at_x] : T(0);
            sum = multiply_add(weights[tx * lx.tap_gap], seen, sum);
          }
        }
      }
    }
    if (c.bias) sum += c.bias[group * c.rows + row];
    c.y[of_all * c.y_places + own.place(place)] = sum;
  }
}

template <class T> __global__ void direct_kernel(Convolution<T> c) {
  for (int64_t number = blockIdx.z; number < c.classes[0] * c.classes[1] * c.classes[2]; number += gridDim.z)
    direct_class(c, shared_class(c, number));
}

// ## Which one
template <class Tile, class T> void launch_tiles(const Convolution<T>& c, int64_t columns) {
  launch("conv", conv_kernel<Tile, T>,
         {.blocks = {static_cast<unsigned>(pieces(c.rows, Tile::kM) * pieces(columns, Tile::kN)), 1,
                     deep(c.groups * c.classes[0] * c.classes[1] * c.classes[2])},
          .threads = {Tile::kThreads}},
         c);
}

template <class T> void convolve(const Convolution<T>& c) {
  // The largest class has the residue 0 in each dimension.
  int64_t columns = c.images, classes = 1;
  for (int d = 0; d < 3; ++d) {
    columns *= c.adjoint ? pieces(c.lines[d].x, c.lines[d].stride) : c.lines[d].y;
    classes *= c.classes[d];
  }
  if (columns == 0 || c.groups == 0 || c.rows == 0) return;
  if constexpr (!std::is_same_v<T, uint64_t>) {
    if (c.rows > 2) {
      if constexpr (sizeof(T) == 4) {
        const int64_t tiles = pieces(c.rows, LargeTile::kM) * pieces(columns, LargeTile::kN) * c.groups * classes;
        if (c.rows > 64 && tiles >= 128) return launch_tiles<LargeTile>(c, columns);
      }
      if (c.rows > 32) return launch_tiles<MiddleTile<T>>(c, columns);
      return launch_tiles<SmallTile>(c, columns);
    }
  }
  Grid grid = grid_for(columns * c.groups * c.rows);
  grid.blocks.z = deep(classes);
  launch("conv_direct", direct_kernel<T>, grid, c);
}

template <class T>
Convolution<T> make(const ConvShape& s, bool adjoint, const Tensor& x, const Tensor& w, const Tensor& bias,
                    const Tensor& y) {
  Convolution<T> c{};
  c.adjoint = adjoint;
  c.images = s.images, c.groups = s.groups;
  c.channels = adjoint ? s.rows : s.channels, c.rows = adjoint ? s.channels : s.rows;
  for (int d = 0; d < 3; ++d) {
    const ConvLine& l = c.lines[d] = s.lines[d];
    c.gap[d] = adjoint ? l.stride / std::gcd(l.stride, l.dilation) : 1;
    c.classes[d] = adjoint ? std::max<int64_t>(std::min(l.stride, l.x), 1) : 1;
  }
  c.x_places = adjoint ? s.y_places : s.x_places, c.y_places = adjoint ? s.x_places : s.y_places;
  c.taps = s.taps;
  c.w_group = s.rows * s.channels * s.taps;
  c.w_row = adjoint ? s.taps : s.channels * s.taps, c.w_channel = adjoint ? s.channels * s.taps : s.taps;
  c.x = elements<T>(x), c.w = elements<T>(w), c.bias = elements<T>(bias), c.y = elements<T>(y);
  return c;
}

// int64 wraps around, so its kernels count in uint64_t.
template <class F> void dispatch_conv(DType type, const char* op, F&& f) {
  dispatch_numbers(type, op, [&](auto t) {
    if constexpr (std::is_same_v<decltype(t), int64_t>) f(uint64_t{});
    else f(t);
  });
}

}  // namespace

void Waist::conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Window& window,
                 int64_t groups) {
  const ConvShape s(x, w, y, window, groups);
  dispatch_conv(x.dtype(), "conv", [&](auto t) { convolve(make<decltype(t)>(s, false, x, w, bias, y)); });
}

void Waist::conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& bias, const Window& window,
                       int64_t groups) {
  const ConvShape s(dx, w, dy, window, groups);
  dispatch_conv(dx.dtype(), "conv_input", [&](auto t) { convolve(make<decltype(t)>(s, true, dy, w, bias, dx)); });
}

}  // namespace cr::backend::CR_GPU
