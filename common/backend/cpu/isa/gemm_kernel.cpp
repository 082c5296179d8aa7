// # The register tile
//
// Everything here is compiled once per instruction set, into the namespace that `CR_ISA` names. No header with
// templates or inline functions of its own may be included: a copy of one compiled for AVX-512 could be the copy the
// linker keeps for everybody, and an older machine would stop at an illegal instruction. (`vectors.hpp` is made for this.)
#include "backend/cpu/isa/gemm_kernel.hpp"
#include "backend/cpu/isa/vectors.hpp"

namespace cr::backend::cpu::CR_ISA {
namespace {

// The shape of the register tile. Each step along $k$ loads R elements of A and V vectors of B and does R × V vector
// multiply-adds: the larger the tile, the less is loaded per multiplication. It must fit in the registers, with V
// left for B and one for A. AVX-512 has 32: 14 × 2 + 3 = 31. AVX2 has 16: 6 × 2 + 3 = 15. SSE2 has 16 too, but needs
// another for each product before it is added: 4 × 2 leaves some to spare.
//
// The second condition: a multiply-add takes 4 cycles and two can start in each, so at least 8 independent
// sums must be under way. All three shapes have that.
#if defined(__AVX512F__)
constexpr int kRows = 14;
#elif defined(__AVX2__)
constexpr int kRows = 6;
#else
constexpr int kRows = 4;
#endif
constexpr int kVectors = 2;

// ## What happens to a finished sum
//
// Bias and ReLU are applied while the sum is still in a register; a pass over C of their own would cost as much as
// reading all of C again. `x < 0 ? 0 : x` keeps NaN, since every comparison with NaN is false.
template <class T> [[gnu::always_inline]] inline Vector<T> relu_of(Vector<T> v) {
  const Vector<T> zero = splat(T{0});
  return v < zero ? zero : v;
}

// Multiplies R rows of A by a V-vector panel of B. R and V are known when this is compiled, so the loops over them are
// unrolled and each `sum[i][j]` lives in a register of its own from the first step to the last. (Left as loops, the
// array would lie on the stack, and the tile would run at half speed.)
//
// `kPacked`: the R numbers of one step lie side by side. Otherwise each row of A is a stream of its own. The processor
// adds a base and 1 or 2 times another register in one address, so one pointer serves four rows.
template <class T, int R, int V, bool kPacked> [[gnu::noinline]] void multiply(const GemmTile<T>& t) {
  constexpr int W = kWidth<T>;
  Vector<T> sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) sum[i][j] = splat(T{0});

  const int64_t a_row = t.a_row, a_step = t.a_step, b_step = t.b_step;
  const T* a[(R + 3) / 4];
#pragma GCC unroll 16
  for (int i = 0; i < R; i += 4) a[i / 4] = t.a + i * (kPacked ? 1 : a_row);
  const T* b = t.b;

  // What the tile will want is asked for early: C now, panels some steps ahead. A wait for the second cache costs as much
  // as a step.
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) __builtin_prefetch(t.c + i * t.c_step + j * W, 1);
  for (int64_t p = t.k; p > 0; --p) {
    if (kPacked) __builtin_prefetch(a[0] + 16 * a_step);
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) __builtin_prefetch(b + 8 * b_step + j * W);
    Vector<T> row[V];
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) row[j] = load(b + j * W);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vector<T> left = splat(kPacked ? a[0][i] : a[i / 4][i % 4 * a_row]);
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) sum[i][j] = fma(left, row[j], sum[i][j]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; i += 4) a[i / 4] += a_step;
    b += b_step;
  }

  // Most tiles are whole, and have nothing to do but to be stored.
  const int64_t last = t.columns - (V - 1) * W;  // columns in the last vector
  if (last == W && !t.bias && !t.relu) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      T* c = t.c + i * t.c_step;
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) store(c + j * W, t.accumulate ? load(c + j * W) + sum[i][j] : sum[i][j]);
    }
    return;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    T* c = t.c + i * t.c_step;
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) {
      const int64_t count = j + 1 < V ? W : last;
      Vector<T> v = sum[i][j];
      if (t.accumulate) v = load(c + j * W, count) + v;
      if (t.bias) v = v + load(t.bias + j * W, count);
      if (t.relu) v = relu_of<T>(v);
      store(c + j * W, v, count);
    }
  }
}

// A tile at the edge of C has fewer rows or needs one vector only. Each size has its own compiled function, so an edge
// costs what it holds: 64 rows are 4 × 14 + 8, not 5 × 14.
template <class T, int R> void multiply_rows(const GemmTile<T>& t) {
  if constexpr (R > 1)
    if (t.rows < R) return multiply_rows<T, R - 1>(t);
  const bool wide = t.columns > kWidth<T>, packed = t.a_row == 1;
  if (packed) return wide ? multiply<T, R, 2, true>(t) : multiply<T, R, 1, true>(t);
  wide ? multiply<T, R, 2, false>(t) : multiply<T, R, 1, false>(t);
}

template <class T> void tile(const GemmTile<T>& t) { multiply_rows<T, kRows>(t); }

// ## Packing
//
// The register tile reads A and B from **panels**: the numbers of one step of k side by side, step after step, so that
// memory is read from front to back whatever the strides of the matrix were. A panel of N lanes holds k groups of N
// numbers.
template <class T, int N>
void pack(T* panel, int64_t lanes, int64_t k, const T* from, int64_t lane_step, int64_t k_step) {
  constexpr int W = kWidth<T>;

  // The lanes lie side by side already: copy, and fill up with zeros.
  if (lane_step == 1) {
    for (int64_t p = 0; p < k; ++p, from += k_step, panel += N) {
      if (lanes == N) {
        __builtin_memcpy(panel, from, N * sizeof(T));
      } else {
        for (int j = 0; j < N; j += W) {
          const int64_t have = lanes > j ? lanes - j : 0;
          store(panel + j, load(from + (have > 0 ? j : 0), have), N - j);
        }
      }
    }
    return;
  }

  // Each lane lies in one piece: transpose squares of W × W.
  if (k_step == 1) {
    for (int lane = 0; lane < N; lane += W) {
      const int64_t have = lanes > lane ? lanes - lane : 0;
      for (int64_t p = 0; p < k; p += W) {
        Vector<T> square[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) square[i] = i < have ? load(from + (lane + i) * lane_step + p, k - p) : splat(T{0});
        transpose<T>(square);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i)
          if (p + i < k) store(panel + (p + i) * N + lane, square[i], N - lane);
      }
    }
    return;
  }

  for (int64_t p = 0; p < k; ++p)
    for (int64_t i = 0; i < N; ++i) panel[p * N + i] = i < lanes ? from[i * lane_step + p * k_step] : T{0};
}

// ## One row times a matrix
//
// With a single row every number of B is used once, and fetching it is all the work: no packing, no reuse, only reading
// B from front to back. There are two loops, for B stored by rows and by columns.
//
// By rows: V vectors of the result stay in registers while we walk down the rows of B.
template <class T, int V>
[[gnu::always_inline]] inline void row_block(const GemmRow<T>& r, int64_t j, int64_t columns) {
  constexpr int W = kWidth<T>;
  const int64_t last = columns - (V - 1) * W;
  Vector<T> sum[V];
#pragma GCC unroll 16
  for (int v = 0; v < V; ++v) sum[v] = splat(T{0});
  const T* b = r.b + j;
  for (int64_t p = 0; p < r.k; ++p, b += r.b_step) {
    const Vector<T> x = splat(r.x[p * r.x_step]);
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[v] = fma(x, v + 1 < V ? load(b + v * W) : load(b + v * W, last), sum[v]);
  }
#pragma GCC unroll 16
  for (int v = 0; v < V; ++v) {
    const int64_t count = v + 1 < V ? W : last, at = j + v * W;
    if (r.accumulate) sum[v] = load(r.y + at, count) + sum[v];
    if (r.bias) sum[v] = sum[v] + load(r.bias + at, count);
    if (r.relu) sum[v] = relu_of<T>(sum[v]);
    store(r.y + at, sum[v], count);
  }
}

template <class T> void row(const GemmRow<T>& r) {
  constexpr int W = kWidth<T>, V = 8;
  int64_t j = 0;
  for (; j + V * W <= r.columns; j += V * W) row_block<T, V>(r, j, V * W);
  for (; j < r.columns; j += W) row_block<T, 1>(r, j, r.columns - j < W ? r.columns - j : W);
}

// By columns: each result is a dot product of x with a contiguous column. R of them at once share the loads of x; two
// sums for each keep the multipliers busy. A result's order of summation does not depend on R.
template <class T, int R> [[gnu::always_inline]] inline void dot_block(const GemmRow<T>& r, int64_t j) {
  constexpr int W = kWidth<T>;
  const T* column = r.b + j * r.b_step;
  Vector<T> even[R], odd[R];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) even[i] = odd[i] = splat(T{0});
  int64_t p = 0;
  for (; p + 2 * W <= r.k; p += 2 * W) {
    const Vector<T> x0 = load(r.x + p), x1 = load(r.x + p + W);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      even[i] = fma(x0, load(column + i * r.b_step + p), even[i]);
      odd[i] = fma(x1, load(column + i * r.b_step + p + W), odd[i]);
    }
  }
  for (; p < r.k; p += W) {
    const Vector<T> x = load(r.x + p, r.k - p);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) even[i] = fma(x, load(column + i * r.b_step + p, r.k - p), even[i]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    // Add the halves of the vector, then the halves of that, down to one number.
    T part[W];
    store(part, even[i] + odd[i]);
#pragma GCC unroll 4
    for (int half = W / 2; half > 0; half /= 2)
      for (int w = 0; w < half; ++w) part[w] += part[w + half];
    T* y = r.y + (j + i) * r.y_step;
    T result = r.accumulate ? *y + part[0] : part[0];
    if (r.bias) result += r.bias[(j + i) * r.bias_step];
    *y = r.relu && result < T{0} ? T{0} : result;
  }
}

template <class T> void dots(const GemmRow<T>& r) {
  int64_t j = 0;
  for (; j + 4 <= r.columns; j += 4) dot_block<T, 4>(r, j);
  for (; j < r.columns; ++j) dot_block<T, 1>(r, j);
}

template <class T> constexpr GemmKernel<T> table() {
  constexpr int N = kVectors * kWidth<T>;
  return {kRows, N, pack<T, kRows>, pack<T, N>, tile<T>, row<T>, dots<T>};
}

}  // namespace

const GemmKernel<float> gemm_float = table<float>();
const GemmKernel<double> gemm_double = table<double>();

}  // namespace cr::backend::cpu::CR_ISA
