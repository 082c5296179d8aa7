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
// A plane is written in strips as wide as a vector. Narrow rows are one strip, and spill: what comes behind is written
// afterwards.
template <class T> void fill_rows(const ConvPlane<T>& plane, T* to) {
  constexpr int W = kWidth<T>;
  const int64_t rows = plane.end_row - plane.first_row;
  const T* from = plane.from - plane.first;
  if (plane.pitch <= W) {
    for (int64_t row = 0; row < rows; ++row)
      store(to + row * plane.pitch, load_between(from + row * plane.row_step, plane.first, plane.end));
    return;
  }
  for (int64_t i = 0; i < plane.pitch; i += W) {
    const int64_t lo = plane.first - i, hi = plane.end - i, width = plane.pitch - i;
    const T* source = from + i;
    if (lo <= 0 && hi >= W && width >= W) {
      for (int64_t row = 0; row < rows; ++row) store(to + i + row * plane.pitch, load(source + row * plane.row_step));
    } else {
      for (int64_t row = 0; row < rows; ++row)
        store_below(to + i + row * plane.pitch, load_between(source + row * plane.row_step, lo, hi), width);
    }
  }
}

// With a stride of 2, from every second column to neighbours: the even ones of two vectors.
template <class V, int W> [[gnu::always_inline]] inline V even(V a, V b) {
  if constexpr (W == 2) return __builtin_shufflevector(a, b, 0, 2);
  if constexpr (W == 4) return __builtin_shufflevector(a, b, 0, 2, 4, 6);
  if constexpr (W == 8) return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
  if constexpr (W == 16)
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

template <class T> void fill_rows_by_two(const ConvPlane<T>& plane, T* to) {
  constexpr int W = kWidth<T>;
  for (int64_t i = 0; i < plane.pitch; i += W) {
    const int64_t lo = 2 * (plane.first - i), hi = 2 * (plane.end - i) - 1, width = plane.pitch - i;
    const T* from = plane.from + 2 * (i - plane.first);
    for (int64_t row = 0; row < plane.end_row - plane.first_row; ++row, from += plane.row_step) {
      const Vector<T> a = load_between(from, lo, hi), b = load_between(from + W, lo - W, hi - W);
      store_below(to + i + row * plane.pitch, even<Vector<T>, W>(a, b), width);
    }
  }
}

template <class T> void fill_rows_apart(const ConvPlane<T>& plane, T* to) {
  const T* from = plane.from;
  for (int64_t row = plane.first_row; row < plane.end_row; ++row, to += plane.pitch, from += plane.row_step) {
    for (int64_t i = 0; i < plane.first; ++i) to[i] = 0;
    for (int64_t i = plane.first; i < plane.end; ++i) to[i] = from[(i - plane.first) * plane.step];
    for (int64_t i = plane.end; i < plane.pitch; ++i) to[i] = 0;
  }
}

template <class T> void fill(const ConvPlane<T>& plane) {
  auto zeros = [](T* from, const T* to) {
    for (; from < to; from += kWidth<T>) store(from, splat(T{0}));
  };
  T *first = plane.to + plane.first_row * plane.pitch, *end = plane.to + plane.end_row * plane.pitch;
  zeros(plane.to, first);
  if (plane.step == 1) fill_rows(plane, first);
  else if (plane.step == 2) fill_rows_by_two(plane, first);
  else fill_rows_apart(plane, first);
  zeros(end, plane.to + plane.rows * plane.pitch);
}

// `room`: lanes from `to` on. A run that the next one follows may spill into it: that one is written afterwards.
template <class T>
void gather_run(T* to, int64_t width, int64_t taps, const int64_t* offset, const T* from, int64_t count, int64_t room) {
  constexpr int64_t W = kWidth<T>;
  if (count <= W / 2 && room >= W / 2) {
    for (int64_t p = 0; p < taps; ++p) __builtin_memcpy(to + p * width, from + offset[p], W / 2 * sizeof(T));
  } else if (room >= W) {
    for (int64_t p = 0; p < taps; ++p) store(to + p * width, load(from + offset[p]));
  } else {
    for (int64_t p = 0; p < taps; ++p) store_below(to + p * width, load(from + offset[p]), room);
  }
}

// A few taps at a time, so that what the next run reads and writes is near.
template <class T>
void gather(T* panel, int64_t width, int64_t taps, const int64_t* offset, const T* canvas, const ConvRun* runs,
            int64_t num_runs) {
  constexpr int64_t kTogether = 32;
  for (int64_t p = 0; p < taps; p += kTogether, offset += kTogether, panel += kTogether * width) {
    const int64_t here = taps - p < kTogether ? taps - p : kTogether;
    for (const ConvRun* run = runs; run != runs + num_runs; ++run)
      for (int64_t i = 0; i < run->count; i += kWidth<T>)
        gather_run(panel + run->to + i, width, here, offset, canvas + run->from + i, run->count - i,
                   width - run->to - i);
  }
}

// A square, or what is there of one at the matrix's edge: `rows` and `columns` of it. (A function of its own: inlined into
// two loops, g++ keeps 32 addresses for the next square, most of them on the stack, which takes twice the time.)
template <class T, bool kWhole>
[[gnu::noinline]] void turn(T* to, int64_t to_row, const T* from, int64_t from_row, int64_t rows, int64_t columns) {
  constexpr int W = kWidth<T>;
  Vector<T> square[W];
#pragma GCC unroll 16
  for (int p = 0; p < W; ++p) {
    if (kWhole) square[p] = load(from + p * from_row);
    else square[p] = p < rows ? load(from + p * from_row, columns) : splat(T{0});
  }
  transpose<T>(square);
#pragma GCC unroll 16
  for (int p = 0; p < W; ++p) {
    if (kWhole) store(to + p * to_row, square[p]);
    else if (p < columns) store(to + p * to_row, square[p], rows);
  }
}

template <class T>
void transposed(T* to, int64_t to_row, const T* from, int64_t from_row, int64_t rows, int64_t columns) {
  constexpr int64_t W = kWidth<T>;
  for (int64_t i = 0; i < rows; i += W)
    for (int64_t j = 0; j < columns; j += W) {
      T* square = to + j * to_row + i;
      const T* source = from + i * from_row + j;
      if (rows - i >= W && columns - j >= W) turn<T, true>(square, to_row, source, from_row, W, W);
      else turn<T, false>(square, to_row, source, from_row, rows - i, columns - j);
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
  T* sums = t.first && t.last ? nullptr : t.sums + (lanes - t.lanes) * W;
  if (t.first) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vector<T> start = splat(t.bias ? t.bias[i] : T{0});
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) sum[i][j] = start;
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) sum[i][j] = load(sums + i * t.sums_row + j * W);
  }

  const T* b[V];
#pragma GCC unroll 16
  for (int j = 0; j < V; ++j) b[j] = t.b + lanes[j].from;
  const ConvStep* step = t.steps;
  for (int64_t p = t.taps; p > 0; --p, ++step) {
    const T* a = t.a + step->a * R;
    const int64_t at = step->b;
    __builtin_prefetch(a + 16 * R);
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

  if (!t.last) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) store(sums + i * t.sums_row + j * W, sum[i][j]);
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

// The sums of two classes of places are zipped.
template <class T> void spread(const ConvSpread<T>& s) {
  constexpr int W = kWidth<T>;
  T* y = s.y;
  const T* sums = s.sums;
  for (int64_t row = 0; row < s.rows; ++row, y += s.y_row, sums += s.sums_row) {
    if (s.step == 1) {
      for (int64_t i = 0; i < s.count; i += W) store_below(y + i, load(sums + i), s.count - i);
    } else if (s.step == 2 && s.classes == 2) {
      for (int64_t i = 0; i < s.count; i += 2 * W) {
        const Vector<T> a = load(sums + i / 2), b = load(sums + s.sums_class + i / 2);
        store_below(y + i, zip_low(a, b), s.count - i);
        store_below(y + i + W, zip_high(a, b), s.count - i - W);
      }
    } else {
      for (int64_t k = 0; k < s.classes; ++k)
        for (int64_t i = k, j = 0; i < s.count; i += s.step, ++j) y[i] = sums[k * s.sums_class + j];
    }
  }
}

// ## Output channels in vectors
//
// The gradient of the weights is a sum over places. Here the vectors run over output channels, whose dy lie side by side,
// and each of R taps gives one number of x for each place.
template <class T, int R, int V> [[gnu::noinline]] void multiply_weights(const ConvWeightTile<T>& t) {
  constexpr int W = kWidth<T>;
  Vector<T> sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) sum[i][j] = splat(T{0});

  const int64_t* offset = t.offset;
  const T* dy = t.dy;
  for (int64_t p = 0; p < t.places; ++p, dy += 2 * W) {
    const T* x = t.x[p];
    Vector<T> row[V];
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) row[j] = load(dy + j * W);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vector<T> left = splat(x[offset[i]]);
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) sum[i][j] = fma(left, row[j], sum[i][j]);
    }
  }
  // Sums of sums: to add each place to a total of all places would lose more digits, the more of them there are.
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) {
      T* c = t.c + (2 * i + j) * W;
      store(c, load(c) + sum[i][j]);
    }
}

template <class T, int R = kRows> void weight_tile(const ConvWeightTile<T>& t) {
  if constexpr (R > 1)
    if (t.rows < R) return weight_tile<T, R - 1>(t);
  t.columns > kWidth<T> ? multiply_weights<T, R, 2>(t) : multiply_weights<T, R, 1>(t);
}

int64_t vectors(int64_t rows) { return vectors_for(static_cast<int>(rows)); }

template <class T> constexpr ConvKernel<T> table() {
  return {kWidth<T>, kRows, vectors, fill<T>, gather<T>, transposed<T>, tile<T>, spread<T>, weight_tile<T>};
}

}  // namespace

const ConvKernel<float> conv_float = table<float>();
const ConvKernel<double> conv_double = table<double>();

}  // namespace cr::backend::cpu::CR_ISA
