// # Filling and copying
//
// These kernels compute nothing: how fast they are is how well they move bytes. Two rules decide it. Threads that are
// neighbours touch places that are neighbours, so that one request serves a whole warp; and each thread moves 16 bytes
// where it can.
#include "backend/functor_convert.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

template <class T> __global__ void fill_kernel(Places<1> p, T* out, T number) {
  for (int64_t i = first_element(); i < p.numel; i += all_threads()) {
    int64_t at[1];
    p.find(i, at);
    out[at[0]] = number;
  }
}

template <class To, class From> __global__ void copy_kernel(Places<2> p, To* out, const From* x) {
  for (int64_t i = first_element(); i < p.numel; i += all_threads()) {
    int64_t at[2];
    p.find(i, at);
    out[at[0]] = functor::convert<To>(x[at[1]]);
  }
}

// n elements in a row, from an address that 16 divides: packs first, and what is left one by one.
template <class T> __global__ void fill_row_kernel(int64_t n, T* out, T number) {
  constexpr int kSize = Pack<T>::kSize;
  Pack<T> pack;
  for (T& x : pack.x) x = number;
  const int64_t packs = n / kSize;
  for (int64_t i = first_element(); i < packs; i += all_threads()) store_pack(out + i * kSize, pack);
  for (int64_t i = packs * kSize + first_element(); i < n; i += all_threads()) out[i] = number;
}
template <class T> __global__ void copy_row_kernel(int64_t n, T* out, const T* x) {
  constexpr int kSize = Pack<T>::kSize;
  const int64_t packs = n / kSize;
  for (int64_t i = first_element(); i < packs; i += all_threads())
    store_pack(out + i * kSize, load_pack(x + i * kSize));
  for (int64_t i = packs * kSize + first_element(); i < n; i += all_threads()) out[i] = x[i];
}

// ## Transposing
//
// Rows that become columns cannot be read and written by neighbours both. A block therefore reads a tile of 32 × 32 row by
// row into shared memory, and writes it column by column from there. Rows of the tile are 33 long: in rows of 32, a column
// would lie in one single bank of the shared memory, and its 32 numbers would come one after the other.
//
// out (rows, columns) lies row by row, x column by column; further dimensions are copies of their own, along z.
constexpr int kTile = 32, kTileRows = 8;
struct Transpose {
  int64_t rows, columns, out_row_step, x_column_step;
  Places<2> matrices;
};
template <class T> __global__ void transpose_kernel(Transpose p, T* out, const T* x) {
  __shared__ T tile[kTile][kTile + 1];
  const int across = static_cast<int>(threadIdx.x), down = static_cast<int>(threadIdx.y);
  const int64_t top = static_cast<int64_t>(blockIdx.x) * kTile, left = static_cast<int64_t>(blockIdx.y) * kTile;
  for (int64_t m = blockIdx.z; m < p.matrices.numel; m += gridDim.z) {
    int64_t at[2];
    p.matrices.find(m, at);
    for (int j = down; j < kTile; j += kTileRows) {
      const int64_t row = top + across, column = left + j;
      if (row < p.rows && column < p.columns) tile[j][across] = x[at[1] + column * p.x_column_step + row];
    }
    __syncthreads();
    for (int i = down; i < kTile; i += kTileRows) {
      const int64_t row = top + i, column = left + across;
      if (row < p.rows && column < p.columns) out[at[0] + row * p.out_row_step + column] = tile[across][i];
    }
    __syncthreads();
  }
}

// After merging, the dimension along which out lies in a row is its last one, and x's is another one.
template <class T> bool copy_transposed(const Places<2>& p, T* out, const T* x) {
  const int last = p.dims - 1;
  int other = 0;
  while (other < last && p.stride[1][other] != 1) ++other;
  if (other == last || p.stride[0][last] != 1 || p.size[last] < kTile / 2 || p.size[other] < kTile / 2) return false;
  Transpose t{p.size[other], p.size[last], p.stride[0][other], p.stride[1][last], {}};
  t.matrices.numel = p.numel / (t.rows * t.columns);
  for (int d = 0; d < last; ++d) {
    if (d == other) continue;
    const int to = t.matrices.dims++;
    t.matrices.size[to] = p.size[d];
    for (int k = 0; k < 2; ++k) t.matrices.stride[k][to] = p.stride[k][d];
  }
  if (t.matrices.dims == 0) t.matrices.dims = 1, t.matrices.size[0] = 1;
  const Grid grid{.blocks = {blocks_for(t.rows, kTile, INT64_MAX), blocks_for(t.columns, kTile, INT64_MAX),
                             blocks_for(t.matrices.numel, 1, 65535)},
                  .threads = {kTile, kTileRows}};
  if (grid.blocks.y > 65535) return false;
  launch("transpose", transpose_kernel<T>, grid, t, out, x);
  return true;
}

// ## The launches
//
// The C++ type behind any element type; and one of the same size, for numbers that are moved and not looked at.
template <class F> void with_type(DType t, F&& f) {
  if (t == DType::float16) return f(Float16{});
  if (t == DType::bfloat16) return f(BFloat16{});
  dispatch(t, f);
}
template <class T> void copy_same(const Tensor& out, const Tensor& x) {
  T* to = elements<T>(out);
  const T* from = elements<T>(x);
  const Places<2> p = places<2>("copy", out.shape(), {&out, &x});
  if (in_a_row(p) && is_aligned(to) && is_aligned(from)) {
    launch("copy", copy_row_kernel<T>, grid_for(p.numel / Pack<T>::kSize + 1), p.numel, to, from);
  } else if (!copy_transposed(p, to, from)) {
    launch("copy", copy_kernel<T, T>, grid_for(p.numel), p, to, from);
  }
}

template <class T> T converted(Scalar number) {
  if constexpr (functor::kStored<T>) return functor::convert<T>(number.as<float>());
  else return number.as<T>();
}

}  // namespace

void Waist::fill(const Tensor& out, Scalar number) {
  if (out.numel() == 0) return;
  with_type(out.dtype(), [&](auto t) {
    using T = decltype(t);
    const Places<1> p = places<1>("fill", out.shape(), {&out});
    T *to = elements<T>(out), value = converted<T>(number);
    if (in_a_row(p) && is_aligned(to)) {
      launch("fill", fill_row_kernel<T>, grid_for(p.numel / Pack<T>::kSize + 1), p.numel, to, value);
    } else {
      launch("fill", fill_kernel<T>, grid_for(p.numel), p, to, value);
    }
  });
}

void Waist::copy(const Tensor& out, const Tensor& x) {
  if (out.numel() == 0) return;
  if (out.dtype() == x.dtype()) return dispatch_size(x.dtype(), [&](auto t) { copy_same<decltype(t)>(out, x); });
  with_type(out.dtype(), [&](auto to) {
    with_type(x.dtype(), [&](auto from) {
      using To = decltype(to);
      using From = decltype(from);
      if constexpr (!std::is_same_v<To, From>) {
        const Places<2> p = places<2>("copy", out.shape(), {&out, &x});
        launch("copy", copy_kernel<To, From>, grid_for(p.numel), p, elements<To>(out), elements<const From>(x));
      }
    });
  });
}

// ## Counting
namespace {

template <class T> __global__ void arange_kernel(int64_t n, T* out, double start, double step) {
  for (int64_t i = first_element(); i < n; i += all_threads())
    out[i] = static_cast<T>(start + static_cast<double>(i) * step);
}
// i · step may leave int64 where the sum does not; unsigned arithmetic wraps there and back.
template <class T> __global__ void arange_whole_kernel(int64_t n, T* out, uint64_t start, uint64_t step) {
  for (int64_t i = first_element(); i < n; i += all_threads())
    out[i] = static_cast<T>(start + static_cast<uint64_t>(i) * step);
}

}  // namespace

void Waist::arange(const Tensor& out, Scalar start, Scalar step) {
  const int64_t n = out.numel();
  if (n == 0) return;
  dispatch(out.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_integral_v<T>) {
      const auto first = static_cast<uint64_t>(start.as<int64_t>()), by = static_cast<uint64_t>(step.as<int64_t>());
      launch("arange", arange_whole_kernel<T>, grid_for(n), n, elements<T>(out), first, by);
    } else {
      launch("arange", arange_kernel<T>, grid_for(n), n, elements<T>(out), start.value, step.value);
    }
  });
}

}  // namespace cr::backend::CR_GPU
