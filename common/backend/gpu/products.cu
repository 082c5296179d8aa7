// # Matrix products
//
// Three kernels: tiles, the usual case; few rows (or columns), where every number of the large matrix is used so rarely that
// all there is to do is to fetch it fast; and what puts the parts of a long sum together. Which one serves follows from the
// shape alone, so that the same product always gives the same bits. (`rounded_products.cu` has a fourth, for whoever allows
// factors to be rounded.)
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/products.cuh"
#include "backend/gpu/tile.cuh"
#include "backend/gpu_options.hpp"

namespace cr::backend::CR_GPU {
namespace {

// ## Tiles
//
// One block for each tile of C; along the grid's z one for each product and each part of its sum. A grid has at most 65 535
// blocks there: then each takes every so-manieth. A sum in `parts` goes to `partial`, (products, parts, m, n), unfinished.
//
// spills tile_kernel: three blocks to a multiprocessor leave 168 registers; four words of addresses wait outside of the loop.
template <class Tile, class T>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    tile_kernel(Product<T> p, int64_t parts, T* partial, bool packs) {
  const int64_t down = (p.m + Tile::kM - 1) / Tile::kM;
  const int64_t row = blockIdx.x % down * Tile::kM, column = blockIdx.x / down * Tile::kN;
  for (int64_t z = blockIdx.z; z < p.batch.numel * parts; z += gridDim.z) {
    const Product<T> one = one_of(p, z / parts);
    const int64_t part = z % parts, begin = p.k * part / parts, end = p.k * (part + 1) / parts;
    MatrixSource<T> a(one.a, row, p.m, p.a_row, p.a_column), b(one.b, column, p.n, p.b_column, p.b_row);
    T sum[Tile::kRows][Tile::kColumns] = {};
    multiply_tile<Tile>(sum, begin, end, a, b, MultiplyAdd{});
    constexpr int kPack = Pack<T>::kSize;
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
      for (int s = 0; s < Tile::kColumns; s += kPack) {
        const int64_t i = row + Tile::row(r), j = column + Tile::column(s);
        if (i >= p.m || j >= p.n) continue;
        T four[kPack];
#pragma unroll
        for (int k = 0; k < kPack; ++k) four[k] = sum[r][s + k];
        if (partial) {
          for (int k = 0; k < kPack && j + k < p.n; ++k) partial[(z * p.m + i) * p.n + j + k] = four[k];
        } else {
          finish_row(one, packs, i, j, four);
        }
      }
    }
  }
}

// The parts of each sum meet in order.
template <class T> __global__ void meet_kernel(Product<T> p, int64_t parts, const T* partial) {
  const int64_t each = p.m * p.n, total = p.batch.numel * each;
  for (int64_t e = first_element(); e < total; e += all_threads()) {
    const T* from = partial + e / each * parts * each + e % each;
    T sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += from[part * each];
    finish(one_of(p, e / each), e % each / p.n, e % each % p.n, sum);
  }
}

// ## Few rows
//
// A has at most `kRows` of them. A block computes some columns of C, each by several threads that share out k and add up
// what they have at the end. Which threads are neighbours depends on how B lies: along a row of B 32 columns next to each
// other, along a column 32 steps of k.
constexpr int kRowThreads = 128;

template <int kRows, class T> __global__ void rows_kernel(Product<T> p) {
  __shared__ T shared[kRows][kRowThreads];
  const bool along_k = p.b_row == 1 && p.b_column != 1;
  const int t = static_cast<int>(threadIdx.x), columns = along_k ? 4 : 32, slices = kRowThreads / columns;
  const int own = along_k ? t / slices : t % columns, slice = along_k ? t % slices : t / columns;
  const int64_t j = int64_t{blockIdx.x} * columns + own;
  for (int64_t z = blockIdx.z; z < p.batch.numel; z += gridDim.z) {
    const Product<T> one = one_of(p, z);
    T sum[kRows] = {};
    if (j < p.n) {
      for (int64_t k = slice; k < p.k; k += slices) {
        const T b = one.b[k * p.b_row + j * p.b_column];
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          if (i < p.m) sum[i] = multiply_add(one.a[i * p.a_row + k * p.a_column], b, sum[i]);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) shared[i][slice * columns + own] = sum[i];
    // Halve the number of slices until one is left: always the same pairs.
    for (int left = slices / 2; left > 0; left /= 2) {
      __syncthreads();
      for (int e = t; e < kRows * left * columns; e += kRowThreads) {
        const int i = e / (left * columns), at = e % (left * columns);
        shared[i][at] += shared[i][at + left * columns];
      }
    }
    __syncthreads();
    for (int e = t; e < kRows * columns; e += kRowThreads) {
      const int64_t i = e / columns, column = int64_t{blockIdx.x} * columns + e % columns;
      if (i < p.m && column < p.n) finish(one, i, column, shared[i][e % columns]);
    }
    __syncthreads();
  }
}

// ## Which one
template <class T> void multiply_rows(const Product<T>& p) {
  const int64_t columns = p.b_row == 1 && p.b_column != 1 ? 4 : 32;
  const Grid grid{.blocks = {static_cast<unsigned>(pieces(p.n, columns)), 1, deep(p.batch.numel)},
                  .threads = {kRowThreads}};
  if (p.m == 1) launch("matmul_rows", rows_kernel<1, T>, grid, p);
  else if (p.m <= 4) launch("matmul_rows", rows_kernel<4, T>, grid, p);
  else launch("matmul_rows", rows_kernel<8, T>, grid, p);
}

template <class Tile, class T> int64_t tiles(const Product<T>& p) {
  return pieces(p.m, Tile::kM) * pieces(p.n, Tile::kN);
}

// Does every fourth number of C (second, of those of 8 bytes) begin 16 bytes?
template <class T> bool in_packs(const Product<T>& p) {
  bool packs = p.c_column == 1 && p.c_row % Pack<T>::kSize == 0 && is_aligned(p.c);
  for (int d = 0; d < p.batch.dims; ++d) packs = packs && p.batch.stride[0][d] % Pack<T>::kSize == 0;
  return packs;
}

template <class Tile, class T> void multiply_tiles(const Product<T>& p, Device device) {
  const int64_t parts = parts_of(p, tiles<Tile>(p));
  const Scratch<T> partial(parts > 1 ? p.batch.numel * parts * p.m * p.n : 0, device);
  launch(
      "matmul", tile_kernel<Tile, T>,
      {.blocks = {static_cast<unsigned>(tiles<Tile>(p)), 1, deep(p.batch.numel * parts)}, .threads = {Tile::kThreads}},
      p, parts, partial.data(), in_packs(p));
  if (parts > 1) add_parts(p, parts, partial.data());
}

// C columns by rows: the transposed product $C^\top = B^\top A^\top$.
template <class T> Product<T> transposed(const Product<T>& p) {
  Product<T> t = p;
  std::swap(t.m, t.n);
  std::swap(t.a, t.b);
  t.a_row = p.b_column, t.a_column = p.b_row, t.b_row = p.a_column, t.b_column = p.a_row;
  std::swap(t.c_row, t.c_column);
  std::swap(t.bias_row, t.bias_column);
  for (int d = 0; d < p.batch.dims; ++d) std::swap(t.batch.stride[1][d], t.batch.stride[2][d]);
  return t;
}

}  // namespace

template <class T> void add_parts(const Product<T>& p, int64_t parts, const T* partial) {
  launch("matmul_meet", meet_kernel<T>, grid_for(p.batch.numel * p.m * p.n), p, parts, partial);
}

template <class T> void multiply(const Product<T>& p, Device device) {
  constexpr int64_t kFewRows = 8, kLong = 64, kManyTiles = 128;
  if (p.m == 0 || p.n == 0 || p.batch.numel == 0) return;
  if (p.k >= kLong && p.m <= kFewRows) return multiply_rows(p);
  if (p.k >= kLong && p.n <= kFewRows) return multiply_rows(transposed(p));
  if constexpr (sizeof(T) == 4) {
    if (gpu_options().precision != Precision::fp32 && p.m >= 32 && p.n >= 32) return multiply_rounded(p, device);
    if (tiles<LargeTile>(p) * p.batch.numel >= kManyTiles && p.m > 64 && p.n > 64)
      return multiply_tiles<LargeTile>(p, device);
  }
  if (p.m > 32 && p.n > 32) multiply_tiles<MiddleTile<T>>(p, device);
  else if (p.n <= 16) multiply_tiles<NarrowTile>(p, device);
  else if (p.m <= 16) multiply_tiles<NarrowTile>(transposed(p), device);
  else multiply_tiles<SmallTile>(p, device);
}

template void multiply(const Product<float>&, Device);
template void multiply(const Product<double>&, Device);
template void multiply(const Product<uint64_t>&, Device);

void Waist::gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) {
  if (c.numel() == 0) return;
  dispatch_numbers(c.dtype(), "matmul", [&](auto type) {
    using T = std::conditional_t<std::is_same_v<decltype(type), int64_t>, uint64_t, decltype(type)>;
    const int row = c.dim() - 2, column = c.dim() - 1;
    Product<T> p{};
    p.m = c.shape()[row], p.n = c.shape()[column], p.k = a.shape()[column];
    p.a = elements<T>(a), p.b = elements<T>(b), p.c = elements<T>(c);
    p.bias = options.bias ? elements<T>(*options.bias) : nullptr;
    p.a_row = a.strides()[row], p.a_column = a.strides()[column];
    p.b_row = b.strides()[row], p.b_column = b.strides()[column];
    p.c_row = c.strides()[row];
    p.accumulate = options.accumulate, p.relu = options.relu;

    auto batch = [](const Tensor& x) {
      Shape shape = x.shape();
      Strides strides = x.strides();
      shape.resize(x.dim() - 2);
      strides.resize(x.dim() - 2);
      return window(x, shape, strides, 0);
    };
    const Tensor of_c = batch(c), of_a = batch(a), of_b = batch(b);
    p.batch = places<3>("matmul", of_c.shape(), {&of_c, &of_a, &of_b});
    multiply(p, c.device());
  });
}

}  // namespace cr::backend::CR_GPU
