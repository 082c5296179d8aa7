// # Reductions
//
// Sums, products and extremes over any dimensions. The dimensions of x fall into those that stay, one result each, and
// those that go. A result is the work of a team (`team.cuh`): its members take the elements in turn, and their totals meet
// in a fixed order. Sums and products of floating-point numbers are float64 on the way, extremes what they are, and
// all others int64.
//
// Which threads work together follows from memory, where neighbours should read neighbours: along a row that goes, a team
// shares the row; where rows go and columns stay, neighbouring threads take neighbouring columns.
#include <algorithm>

#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/team.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

template <class F> constexpr bool kExtreme = std::is_same_v<F, functor::Max> || std::is_same_v<F, functor::Min>;
template <class F, class T>
using Total = std::conditional_t<!std::is_floating_point_v<T>, int64_t, std::conditional_t<kExtreme<F>, T, double>>;

// What the first number is combined with; of bools the extremes are 0 and 1.
template <class F, class T> __device__ constexpr Total<F, T> identity() {
  constexpr bool most = std::is_same_v<F, functor::Min>;
  if constexpr (std::is_floating_point_v<T> || !kExtreme<F>) return static_cast<Total<F, T>>(F::identity);
  else if constexpr (std::is_same_v<T, bool>) return most;
  else return most ? INT64_MAX : INT64_MIN;
}

// `stay` has the places of the results in out and of their first elements in x, `go` those of a result's elements. With
// more than one piece, result r's piece k, `length` elements from k · length on, writes out[r · pieces + k].
struct Reduction {
  Places<2> stay;
  Places<1> go;
  int64_t pieces, length;
  __device__ int64_t end(int64_t piece) const { return piece + 1 < pieces ? (piece + 1) * length : go.numel; }
};

// Elements begin, begin + step, … of those that go, beginning at x.
template <class F, class T>
__device__ Total<F, T> collect(const Places<1>& go, const T* x, int64_t begin, int64_t step, int64_t end) {
  Total<F, T> total = identity<F, T>();
  if (go.dims == 1) {
    for (int64_t j = begin; j < end; j += step) total = F{}(total, static_cast<Total<F, T>>(x[j * go.stride[0][0]]));
  } else {
    for (int64_t j = begin; j < end; j += step) {
      int64_t at[1];
      go.find(j, at);
      total = F{}(total, static_cast<Total<F, T>>(x[at[0]]));
    }
  }
  return total;
}

template <class F, int team, class T, class R> __global__ void reduce_rows_kernel(Reduction p, R* out, const T* x) {
  for (int64_t i = first_row(); i < p.stay.numel * p.pieces; i += all_rows()) {
    const int64_t result = i / p.pieces, piece = i - result * p.pieces;
    int64_t at[2];
    p.stay.find(result, at);
    Total<F, T> total = collect<F>(p.go, x + at[1], piece * p.length + threadIdx.x, team, p.end(piece));
    total = team_total<F, team>(total);
    if (threadIdx.x == 0) out[p.pieces > 1 ? i : at[0]] = static_cast<R>(total);
  }
}

// A warp has 32 columns, and the block's eight warps take every eighth row.
template <class F, class T, class R> __global__ void reduce_columns_kernel(Reduction p, R* out, const T* x) {
  constexpr int kRows = kBlock / kWarp;
  __shared__ Total<F, T> totals[kRows][kWarp];
  const int across = static_cast<int>(threadIdx.x), down = static_cast<int>(threadIdx.y);
  const int64_t columns = (p.stay.numel + kWarp - 1) / kWarp;  // in units of a warp
  for (int64_t i = blockIdx.x; i < columns * p.pieces; i += gridDim.x) {
    const int64_t piece = i / columns, result = (i - piece * columns) * kWarp + across;
    int64_t at[2] = {0, 0};
    if (result < p.stay.numel) {
      p.stay.find(result, at);
      totals[down][across] = collect<F>(p.go, x + at[1], piece * p.length + down, kRows, p.end(piece));
    }
    __syncthreads();
    if (down == 0 && result < p.stay.numel) {
      Total<F, T> total = totals[0][across];
      for (int row = 1; row < kRows; ++row) total = F{}(total, totals[row][across]);
      out[p.pieces > 1 ? result * p.pieces + piece : at[0]] = static_cast<R>(total);
    }
    __syncthreads();
  }
}

template <class F, class T, class R> void launch_reduce(const Reduction& p, bool columns, R* out, const T* x) {
  const int64_t results = p.stay.numel * p.pieces;
  if (columns) {
    const Grid grid{.blocks = {blocks_for(pieces(p.stay.numel, kWarp) * p.pieces, 1, kGridBlocks)},
                    .threads = {kWarp, kBlock / kWarp}};
    return launch(F::kName, reduce_columns_kernel<F, T, R>, grid, p, out, x);
  }
  with_team(p.length, [&](auto team) {
    launch(F::kName, reduce_rows_kernel<F, team(), T, R>, grid_for_rows<team()>(results), p, out, x);
  });
}

// x as it stays, beginning where x does, and as it goes.
struct Parts {
  Tensor stay_out, stay_x, go;
};
Parts split(const Tensor& out, const Tensor& x, const Dims& dims) {
  Shape stay, go;
  Strides out_strides, stay_strides, go_strides;
  for (int d = 0; d < x.dim(); ++d) {
    const bool goes = std::find(dims.begin(), dims.end(), d) != dims.end();
    (goes ? go : stay).push_back(x.shape()[d]);
    (goes ? go_strides : stay_strides).push_back(x.strides()[d]);
    if (!goes) out_strides.push_back(out.strides()[d]);
  }
  return {window(out, stay, out_strides, out.impl()->offset), window(x, stay, stay_strides, x.impl()->offset),
          window(x, go, go_strides, 0)};
}

// From elements T to results R. Where few results have many elements each, teams take pieces of them first, and the pieces'
// totals are rows to be reduced in turn.
template <class F, class T, class R> void reduce_parts(const Parts& parts) {
  Reduction p{places<2>(F::kName, parts.stay_x.shape(), {&parts.stay_out, &parts.stay_x}),
              places<1>(F::kName, parts.go.shape(), {&parts.go}), 1, 0};
  if (p.stay.numel == 0) return;
  const T* x = elements<const T>(parts.stay_x);
  const int last = p.stay.dims - 1;
  const bool columns = p.stay.stride[1][last] == 1 && p.stay.size[last] > 1 && p.go.stride[0][p.go.dims - 1] != 1;
  constexpr int64_t kShortest = 1024;
  const int64_t blocks = columns ? pieces(p.stay.numel, kWarp) : p.stay.numel;
  if (p.go.numel >= 8 * kShortest)
    p.length = pieces(p.go.numel, std::clamp<int64_t>(kEnoughBlocks / blocks, 1, p.go.numel / kShortest));
  else p.length = std::max<int64_t>(p.go.numel, 1);
  p.pieces = std::max<int64_t>(pieces(p.go.numel, p.length), 1);
  if (p.pieces == 1) return launch_reduce<F>(p, columns, elements<R>(parts.stay_out), x);

  const DType type = dtype_of<Total<F, T>>;
  Tensor totals = empty({p.stay.numel, p.pieces}, type, parts.go.device());
  launch_reduce<F>(p, columns, elements<Total<F, T>>(totals), x);
  Strides steps = contiguous_strides(parts.stay_out.shape());
  for (int64_t& step : steps) step *= p.pieces;
  reduce_parts<F, Total<F, T>, R>(
      {parts.stay_out, window(totals, parts.stay_out.shape(), steps, 0), window(totals, {p.pieces}, {1}, 0)});
}

template <class F> void reduce_by(const Tensor& out, const Tensor& x, const Dims& dims) {
  const Parts parts = split(out, x, dims);
  switch (x.dtype()) {
    case DType::boolean:
      if (out.dtype() == DType::boolean) return reduce_parts<F, bool, bool>(parts);
      return reduce_parts<F, bool, int64_t>(parts);
    case DType::int64: return reduce_parts<F, int64_t, int64_t>(parts);
    case DType::float32: return reduce_parts<F, float, float>(parts);
    case DType::float64: return reduce_parts<F, double, double>(parts);
    default: refuse_storage(x.dtype(), F::kName);
  }
}
template <class... F> constexpr auto reducers(functor::List<F...>) { return std::array{reduce_by<F>...}; }

}  // namespace

void Waist::reduce(int functor, const Tensor& out, const Tensor& x, const Dims& dims) {
  constexpr auto kReduce = reducers(functor::Reductions{});
  kReduce[static_cast<size_t>(functor)](out, x, dims);
}

// ## Where the extreme is
//
// The same with pairs of a number and its index. Of two equal numbers the first one is meant; NaN is beyond all.
namespace {

template <class T> struct Found {
  T value;
  int64_t index;
};

template <class T> __device__ bool is_nan(T x) { return x != x; }

// Is b further out than a, or as far and earlier?
template <bool largest, class T> __device__ bool beats(const Found<T>& b, const Found<T>& a) {
  const bool further = largest ? b.value > a.value : b.value < a.value;
  const bool as_far = b.value == a.value || (is_nan(b.value) && is_nan(a.value));
  return further || (is_nan(b.value) && !is_nan(a.value)) || (as_far && b.index < a.index);
}

// Lines are counted by `lines`: their results' places and their first elements.
template <bool largest, int team, class T>
__global__ void arg_reduce_kernel(Places<2> lines, int64_t n, int64_t step, int64_t* out, const T* x) {
  __shared__ Found<T> winners[kBlock / kWarp];
  for (int64_t line = first_row(); line < lines.numel; line += all_rows()) {
    int64_t at[2];
    lines.find(line, at);
    const T* first = x + at[1];
    Found<T> best{first[0], 0};
    for (int64_t j = threadIdx.x; j < n; j += team) {
      const Found<T> next{first[j * step], j};
      if (beats<largest>(next, best)) best = next;
    }
    for (int away = team > 1 ? kWarp / 2 : 0; away > 0; away /= 2) {
      using Passed = std::conditional_t<std::is_same_v<T, bool>, int, T>;  // a shuffle moves four bytes or eight
      const Found<T> other{static_cast<T>(__shfl_xor_sync(~0u, static_cast<Passed>(best.value), away)),
                           __shfl_xor_sync(~0u, best.index, away)};
      if (beats<largest>(other, best)) best = other;
    }
    if constexpr (team == kBlock) {
      if (threadIdx.x % kWarp == 0) winners[threadIdx.x / kWarp] = best;
      __syncthreads();
      for (int warp = 0; warp < kBlock / kWarp && threadIdx.x == 0; ++warp) {
        if (beats<largest>(winners[warp], best)) best = winners[warp];
      }
      __syncthreads();
    }
    if (threadIdx.x == 0) out[at[0]] = best.index;
  }
}

}  // namespace

void Waist::arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) {
  Shape rest = x.shape();
  const int64_t n = rest[d], step = x.strides()[d];
  rest[d] = 1;
  const Tensor first = window(x, rest, x.strides(), x.impl()->offset);
  const Places<2> lines = places<2>("argmax", rest, {&out, &first});
  if (lines.numel == 0) return;
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    auto start = [&](auto team, auto most) {
      launch(most() ? "argmax" : "argmin", arg_reduce_kernel<most(), team(), T>, grid_for_rows<team()>(lines.numel),
             lines, n, step, elements<int64_t>(out), elements<const T>(x));
    };
    // Lines that lie side by side are left to a thread each, if there are many.
    with_team(step != 1 && lines.numel >= 4096 ? 1 : n, [&](auto team) {
      if (largest) start(team, std::true_type{});
      else start(team, std::false_type{});
    });
  });
}

}  // namespace cr::backend::CR_GPU
