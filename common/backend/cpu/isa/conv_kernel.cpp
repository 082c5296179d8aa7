// # Convolution in registers
//
// Compiled once per instruction set; see `gemm_kernel.cpp` for what that means and for why sums live in registers of
// their own only if every loop over them is unrolled.
#include "backend/cpu/isa/conv_kernel.hpp"

#include "backend/cpu/isa/vectors.hpp"

namespace cr::backend::cpu::CR_ISA {
namespace {

// ## Laying out
//
// A row is written in whole vectors, which spill into the next row; that one is written afterwards.
template <class T> void fill(const ConvPlane<T>& plane) {
  constexpr int W = kWidth<T>;
  T* to = plane.to;
  const T* from = plane.from;
  for (int64_t row = 0; row < plane.rows; ++row, to += plane.pitch) {
    if (row < plane.first_row || row >= plane.end_row) {
      for (int64_t i = 0; i < plane.pitch; i += W) store(to + i, splat(T{0}));
      continue;
    }
    if (plane.step == 1) {
      for (int64_t i = 0; i < plane.pitch; i += W)
        store(to + i, load_between(from + (i - plane.first), plane.first - i, plane.end - i));
    } else {
      int64_t i = 0;
      const T* next = from;
      for (; i < plane.first; ++i) to[i] = 0;
      for (; i < plane.end; ++i, next += plane.step) to[i] = *next;
      for (; i < plane.pitch; ++i) to[i] = 0;
    }
    from += plane.row_step;
  }
}

template <class T>
void gather(T* panel, int64_t width, int64_t taps, const int64_t* offset, const T* canvas, const ConvRun* runs,
            int64_t num_runs) {
  constexpr int W = kWidth<T>;
  for (int64_t p = 0; p < taps; ++p, panel += width) {
    const T* from = canvas + offset[p];
    for (const ConvRun* run = runs; run != runs + num_runs; ++run)
      for (int64_t i = 0; i < run->count; i += W) store(panel + run->to + i, load(from + run->from + i));
  }
}

// ## Places in vectors
//
// R rows of weights by V vectors of places. For each tap V vectors and R numbers are loaded for R · V multiply-adds: the
// fewer rows there are, the more vectors, as long as all sums, the vectors and one weight find a register.
#if defined(__AVX512F__)
constexpr int kRows = 14;
constexpr int vectors_for(int rows) { return rows <= 2 ? 8 : rows <= 6 ? 4 : rows <= 9 ? 3 : 2; }
#elif defined(__AVX2__)
constexpr int kRows = 6;
constexpr int vectors_for(int rows) { return rows <= 1 ? 6 : rows <= 2 ? 4 : rows <= 3 ? 3 : 2; }
#else
constexpr int kRows = 4;
constexpr int vectors_for(int rows) { return rows <= 1 ? 6 : rows <= 2 ? 4 : 2; }
#endif

template <class T, int R, int V> [[gnu::noinline]] void multiply(const ConvTile<T>& t, const ConvLanes* lanes) {
  constexpr int W = kWidth<T>;
  Vector<T> sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    const Vector<T> start = splat(t.bias ? t.bias[i] : T{0});
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) sum[i][j] = start;
  }

  const T* b[V];
#pragma GCC unroll 16
  for (int j = 0; j < V; ++j) b[j] = t.b + lanes[j].from;
  const T* a = t.a;
  const int64_t* offset = t.offset;
  for (int64_t p = t.taps; p > 0; --p, a += R, ++offset) {
    const int64_t at = *offset;
    Vector<T> places[V];
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) places[j] = load(b[j] + at);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vector<T> weight = splat(a[i]);
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) sum[i][j] = fma(weight, places[j], sum[i][j]);
    }
  }

  // Results that do not lie side by side go one by one.
  if (t.places) {
    const int64_t* places = t.places + (lanes - t.lanes) * W;
    T part[R][V * W];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) store(part[i] + j * W, sum[i][j]);
    for (int i = 0; i < R; ++i)
      for (int j = 0; j < V * W; ++j)
        if (places[j] >= 0) t.y[i * t.y_row + places[j]] = part[i][j];
    return;
  }
#pragma GCC unroll 16
  for (int j = 0; j < V; ++j) {
    const uint32_t mask = lanes[j].mask;
    T* y = t.y + lanes[j].to;
    if (mask == lanes_below(W)) {
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) store(y + i * t.y_row, sum[i][j]);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) store_chosen(y + i * t.y_row, sum[i][j], mask);
    }
  }
}

// A tile takes all its vectors at once or, where there are fewer, one after another. (Of two tiles that share their
// vectors one may have a row less.)
template <class T, int R = kRows> void tile(const ConvTile<T>& t) {
  constexpr int kOwn = vectors_for(R), kShared = vectors_for(R < kRows ? R + 1 : R);
  if constexpr (R > 1)
    if (t.rows < R) return tile<T, R - 1>(t);
  if (t.vectors == kOwn) return multiply<T, R, kOwn>(t, t.lanes);
  if (t.vectors == kShared) return multiply<T, R, kShared>(t, t.lanes);
  for (int64_t j = 0; j < t.vectors; ++j) multiply<T, R, 1>(t, t.lanes + j);
}

// ## Output channels in vectors
//
// The gradient of the weights is a sum over places. Here the vectors run over output channels, whose dy lie side by
// side, and each of R taps gives one number of x for each place. The taps' offsets are read again every four places: to
// keep R of them there are too few registers, and a run is a piece of one row, where four places are neighbours.
template <class T, int R, int V, int U>
[[gnu::always_inline]] inline void add_places(Vector<T> (&sum)[R][V], const T* x, const int64_t* offset, const T* dy) {
  constexpr int W = kWidth<T>;
  Vector<T> row[U][V];
#pragma GCC unroll 16
  for (int u = 0; u < U; ++u) {
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) row[u][j] = load(dy + (2 * u + j) * W);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vector<T> left = splat(x[offset[i] + u]);
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) sum[i][j] = fma(left, row[u][j], sum[i][j]);
    }
  }
}

template <class T, int R, int V> [[gnu::noinline]] void multiply_weights(const ConvWeightTile<T>& t) {
  constexpr int W = kWidth<T>;
  Vector<T> sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) sum[i][j] = load(t.c + (2 * i + j) * W);

  const T* dy = t.dy;
  const int64_t* offset = t.offset;
  for (const ConvRun* run = t.runs; run != t.runs + t.num_runs; ++run) {
    const T* x = t.x + run->from;
    int64_t places = run->count;
    for (; places >= 4; places -= 4, x += 4, dy += 8 * W) add_places<T, R, V, 4>(sum, x, offset, dy);
    for (; places > 0; --places, ++x, dy += 2 * W) add_places<T, R, V, 1>(sum, x, offset, dy);
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) store(t.c + (2 * i + j) * W, sum[i][j]);
}

template <class T, int R = kRows> void weight_tile(const ConvWeightTile<T>& t) {
  if constexpr (R > 1)
    if (t.rows < R) return weight_tile<T, R - 1>(t);
  t.columns > kWidth<T> ? multiply_weights<T, R, 2>(t) : multiply_weights<T, R, 1>(t);
}

int64_t vectors(int64_t rows) { return vectors_for(static_cast<int>(rows)); }

template <class T> constexpr ConvKernel<T> table() {
  return {kWidth<T>, kRows, vectors, fill<T>, gather<T>, tile<T>, weight_tile<T>};
}

}  // namespace

const ConvKernel<float> conv_float = table<float>();
const ConvKernel<double> conv_double = table<double>();

}  // namespace cr::backend::cpu::CR_ISA
