// # Distances
//
// Every row of x against every row of y: a matrix product in which the term is not a · b but $|a - b|^p$. So it is computed
// in the tiles of `tile.cuh`. Eight terms of float32 at a time are added as they are and then meet in float64, as sums do
// everywhere; beyond the last number of a row both sides are 0, and so is their distance.
#include <cmath>

#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/tile.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// ## Norms
//
// What a coordinate's difference contributes, how contributions meet, and what becomes of the total.
template <class T> __device__ T magnitude(T d) { return d < 0 ? -d : d; }

struct Count {  // p = 0
  double p;
  template <class T> __device__ T term(T d) const { return d != 0 ? T(1) : T(0); }
  template <class T> __device__ T join(T x, T y) const { return x + y; }
  __device__ double finish(double total) const { return total; }
};
struct Sum {  // p = 1
  double p;
  template <class T> __device__ T term(T d) const { return magnitude(d); }
  template <class T> __device__ T join(T x, T y) const { return x + y; }
  __device__ double finish(double total) const { return total; }
};
struct Euclid {  // p = 2
  double p;
  template <class T> __device__ T term(T d) const { return d * d; }
  template <class T> __device__ T join(T x, T y) const { return x + y; }
  __device__ double finish(double total) const { return functor::Sqrt{}(total); }
};
struct Largest {  // p = ∞; NaN wins
  double p;
  template <class T> __device__ T term(T d) const { return magnitude(d); }
  template <class T> __device__ T join(T x, T y) const { return x > y || x != x ? x : y; }
  __device__ double finish(double total) const { return total; }
};
struct Power {  // any other p
  double p;
  template <class T> __device__ T term(T d) const { return functor::Pow{}(magnitude(d), static_cast<T>(p)); }
  template <class T> __device__ T join(T x, T y) const { return x + y; }
  __device__ double finish(double total) const { return functor::Pow{}(total, 1 / p); }
};

// x is (batches, m, k), y (batches, n, k), out (batches, m, n), all contiguous.
template <class T> struct Distances {
  int64_t batches, m, n, k;
  const T *x, *y;
  T* out;
};

template <class Norm, class T> __global__ void distances_kernel(Distances<T> d, Norm norm) {
  using Tile = SmallTile;
  const int64_t down = (d.m + Tile::kM - 1) / Tile::kM;
  const int64_t row = blockIdx.x % down * Tile::kM, column = blockIdx.x / down * Tile::kN;
  for (int64_t b = blockIdx.z; b < d.batches; b += gridDim.z) {
    MatrixSource<T> x(d.x + b * d.m * d.k, row, d.m, d.k, 1), y(d.y + b * d.n * d.k, column, d.n, d.k, 1);
    T sum[Tile::kRows][Tile::kColumns] = {};
    double total[Tile::kRows][Tile::kColumns] = {};
    auto meet = [&] {
#pragma unroll
      for (int i = 0; i < Tile::kRows; ++i) {
#pragma unroll
        for (int j = 0; j < Tile::kColumns; ++j) {
          total[i][j] = norm.join(total[i][j], static_cast<double>(sum[i][j]));
          sum[i][j] = 0;
        }
      }
    };
    multiply_tile<Tile>(
        sum, 0, d.k, x, y, [&](T& s, T a, T b) { s = norm.join(s, norm.term(a - b)); }, meet);
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
      for (int s = 0; s < Tile::kColumns; ++s) {
        const int64_t i = row + Tile::row(r), j = column + Tile::column(s);
        if (i < d.m && j < d.n) d.out[(b * d.m + i) * d.n + j] = static_cast<T>(norm.finish(total[r][s]));
      }
    }
  }
}

// With p below 0 the zeros beyond a row's end would each be infinite: here every thread walks a pair of rows by itself.
template <class T> __global__ void negative_power_kernel(Distances<T> d, Power norm) {
  const int64_t numel = d.batches * d.m * d.n, threads = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < numel; e += threads) {
    const int64_t i = e / d.n, j = i / d.m * d.n + e % d.n;  // rows of all x, of all y
    double total = 0;
    for (int64_t c = 0; c < d.k; ++c) total += static_cast<double>(norm.term(d.x[i * d.k + c] - d.y[j * d.k + c]));
    d.out[e] = static_cast<T>(norm.finish(total));
  }
}

}  // namespace

void Waist::distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) {
  if (out.numel() == 0) return;
  dispatch_floating(out.dtype(), "cdist", [&](auto t) {
    using T = decltype(t);
    const Distances<T> d{x.shape()[0],   x.shape()[1],   y.shape()[1],    x.shape()[2],
                         elements<T>(x), elements<T>(y), elements<T>(out)};
    const Grid grid{
        .blocks = {static_cast<unsigned>(pieces(d.m, SmallTile::kM) * pieces(d.n, SmallTile::kN)), 1, deep(d.batches)},
        .threads = {SmallTile::kThreads}};
    auto run = [&](auto norm) { launch("cdist", distances_kernel<decltype(norm), T>, grid, d, norm); };
    if (p < 0 && !std::isinf(p)) {
      const unsigned blocks = static_cast<unsigned>(std::min<int64_t>((out.numel() + 255) / 256, 1 << 16));
      return launch("cdist", negative_power_kernel<T>, {.blocks = {blocks}, .threads = {256}}, d, Power{p});
    }
    if (p == 0) run(Count{p});
    else if (p == 1) run(Sum{p});
    else if (p == 2) run(Euclid{p});
    else if (std::isinf(p)) run(Largest{p});
    else run(Power{p});
  });
}

}  // namespace cr::backend::CR_GPU
