// # Scans
//
// In a running sum every result waits for the one before, and yet thousands of threads can help: sums of neighbours may be
// formed first, in any grouping, as long as their order stays. A thread takes four elements, 128 threads of a block combine
// what they have, each with the one 1, 2, 4, … before it, and what a block has is carried into its next tile. A line that
// is very long is cut into parts: first every part's total, then, from the totals before it, its own scan.
//
// Where there are lines enough, or short ones, each thread walks along a line of its own.
#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// ## What is scanned
//
// Each gives the state of one element, `take(i, at)` (the i-th of its line, at `at` in memory), joins the states of two
// neighbouring stretches, and writes a result. Sums and products of floating-point numbers run in float64, int64 wraps
// around.
template <class T> using Total = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, double>;

template <class T> struct Sum {
  using S = Total<T>;
  T* out;
  const T* x;
  __device__ S take(int64_t, int64_t at) const { return static_cast<S>(x[at]); }
  __device__ S join(S a, S b) const { return a + b; }
  __device__ void write(int64_t at, S s) const { out[at] = static_cast<T>(s); }
};

template <class T> struct Product : Sum<T> {
  using typename Sum<T>::S;
  __device__ S join(S a, S b) const { return a * b; }
};

// log(eᵃ + eᵇ), exact where one of them is infinite.
template <class T> struct LogSumExp : Sum<T> {
  __device__ double join(double a, double b) const {
    if (a != a || b != b) return a + b;
    const double high = a > b ? a : b, low = a > b ? b : a, never = __builtin_huge_val();
    if (high == never || low == -never) return high;
    return high + functor::Log1p{}(functor::Exp{}(low - high));
  }
};

// s ↦ factor · s + shift; two of them after each other are one. The first factor of a line meets nothing: were it infinite,
// ∞ · 0 would spoil the line.
struct Affine {
  double factor, shift;
};
template <class T> struct Linear {
  using S = Affine;
  T* out;
  const T *factor, *x;
  __device__ S take(int64_t i, int64_t at) const {
    return {i == 0 ? 0 : static_cast<double>(factor[at]), static_cast<double>(x[at])};
  }
  __device__ S join(S a, S b) const { return {a.factor * b.factor, b.factor * a.shift + b.shift}; }
  __device__ void write(int64_t at, S s) const { out[at] = static_cast<T>(s.shift); }
};

// The largest or smallest and the last place where it is; NaN is beyond all. Eight bytes hold every type's numbers, and
// leave no gap that nobody writes.
template <class T> struct Best {
  std::conditional_t<std::is_floating_point_v<T>, double, int64_t> value;
  int64_t at;
};
template <bool largest, class T> struct Extreme {
  using S = Best<T>;
  T* out;
  int64_t* index;
  const T* x;
  __device__ S take(int64_t i, int64_t at) const { return {x[at], i}; }
  __device__ S join(S a, S b) const {
    const bool beyond = largest ? b.value >= a.value : b.value <= a.value;
    return b.value != b.value || (beyond && a.value == a.value) ? b : a;
  }
  __device__ void write(int64_t at, S s) const { out[at] = static_cast<T>(s.value), index[at] = s.at; }
};

// ## Lines
//
// Element i of line (a, b) is at (a · n + i) · inner + b; `reverse` counts from the far end.
struct Lines {
  int64_t outer = 1, n, inner = 1;
  bool reverse;
  Lines(const Tensor& x, int d, bool backwards) : n(x.shape()[d]), reverse(backwards) {
    for (int i = 0; i < x.dim(); ++i) (i < d ? outer : inner) *= i == d ? 1 : x.shape()[i];
  }
  __host__ __device__ int64_t count() const { return outer * inner; }
  __device__ int64_t at(int64_t line, int64_t i) const {
    return (line / inner * n + (reverse ? n - 1 - i : i)) * inner + line % inner;
  }
};

template <class F> __global__ void scan_lines_kernel(Lines lines, F f) {
  for (int64_t line = first_element(); line < lines.count(); line += all_threads()) {
    typename F::S state = f.take(0, lines.at(line, 0));
    f.write(lines.at(line, 0), state);
    for (int64_t i = 1; i < lines.n; ++i) {
      const int64_t at = lines.at(line, i);
      state = f.join(state, f.take(i, at));
      f.write(at, state);
    }
  }
}

// ## A block for each line, or part of one
//
// Which threads have elements follows from how many are left: those from 0 on. So nobody needs a state that stands for
// nothing, which a largest number of several NaNs would not have.
constexpr int kThreads = 128, kOwn = 4, kTile = kThreads * kOwn;

// Block z has part z % parts of line z / parts. `totals` has one state for each: with `write` that of all parts before, which
// is read, otherwise the part's own, which is written.
template <bool write, class F>
__global__ void scan_parts_kernel(Lines lines, F f, int64_t parts, typename F::S* totals) {
  using S = typename F::S;
  __shared__ S shared[2][kThreads];
  const int t = static_cast<int>(threadIdx.x);
  for (int64_t z = blockIdx.x; z < lines.count() * parts; z += gridDim.x) {
    const int64_t line = z / parts, part = z % parts;
    const int64_t begin = lines.n * part / parts, end = lines.n * (part + 1) / parts;
    bool some = write && part > 0;  // is there anything to carry?
    S carried{};
    if (some) carried = totals[z];
    for (int64_t i0 = begin; i0 < end; i0 += kTile) {
      const int64_t first = i0 + t * kOwn;
      const int own_count = end - first < kOwn ? static_cast<int>(end - first) : kOwn;  // may be negative
      const int members = end - i0 < kTile ? static_cast<int>((end - i0 + kOwn - 1) / kOwn) : kThreads;
      S own[kOwn], total{};
#pragma unroll
      for (int k = 0; k < kOwn; ++k) {
        if (k >= own_count) continue;
        own[k] = f.take(first + k, lines.at(line, first + k));
        total = k == 0 ? own[k] : f.join(total, own[k]);
      }
      // After the step of 2ᵏ, thread t has the total of itself and the 2ᵏ⁺¹ − 1 threads before it.
      int from = 0;
      if (t < members) shared[from][t] = total;
      for (int step = 1; step < kThreads; step *= 2, from = 1 - from) {
        __syncthreads();
        if (t >= members) continue;
        if (t >= step) total = f.join(shared[from][t - step], total);
        shared[1 - from][t] = total;
      }
      __syncthreads();
      if (write && t < members) {
        S state{};
        if (t > 0) state = some ? f.join(carried, shared[from][t - 1]) : shared[from][t - 1];
        else if (some) state = carried;
#pragma unroll
        for (int k = 0; k < kOwn; ++k) {
          if (k >= own_count) continue;
          state = k > 0 || t > 0 || some ? f.join(state, own[k]) : own[k];
          f.write(lines.at(line, first + k), state);
        }
      }
      const S last = shared[from][members - 1];
      carried = some ? f.join(carried, last) : last;
      some = true;
      __syncthreads();
    }
    if (!write && t == 0) totals[z] = carried;
  }
}

// From the totals of the parts to those of all parts before; nothing comes before the first.
template <class F> __global__ void scan_totals_kernel(int64_t lines, F f, int64_t parts, typename F::S* totals) {
  using S = typename F::S;
  for (int64_t line = first_element(); line < lines; line += all_threads()) {
    S* part = totals + line * parts;
    S before = part[0];
    for (int64_t i = 1; i < parts; ++i) {
      const S own = part[i];
      part[i] = before;
      before = f.join(before, own);
    }
  }
}

template <class F> void scan_all(const Lines& lines, F f, Device device) {
  constexpr int64_t kShort = 64, kManyLines = 4096, kShortestPart = 4096;
  if (lines.count() * lines.n == 0) return;
  if (lines.n < kShort || (lines.inner > 1 && lines.count() >= kManyLines)) {
    return launch("scan_lines", scan_lines_kernel<F>, grid_for(lines.count()), lines, f);
  }
  using S = typename F::S;
  const int64_t parts = std::clamp<int64_t>(lines.n / kShortestPart, 1, pieces(kEnoughBlocks, lines.count()));
  const Grid grid{.blocks = {blocks_for(lines.count() * parts, 1, kGridBlocks)}, .threads = {kThreads}};
  const Scratch<double> memory(parts > 1 ? lines.count() * parts * static_cast<int64_t>((sizeof(S) + 7) / 8) : 0,
                               device);
  S* totals = reinterpret_cast<S*>(memory.data());
  if (parts > 1) {
    launch("scan_part_totals", scan_parts_kernel<false, F>, grid, lines, f, parts, totals);
    launch("scan_totals", scan_totals_kernel<F>, grid_for(lines.count()), lines.count(), f, parts, totals);
  }
  launch("scan_parts", scan_parts_kernel<true, F>, grid, lines, f, parts, totals);
}

}  // namespace

void Waist::scan(Scan kind, const Tensor& out, const Tensor& x, int d, bool reverse) {
  const Lines lines(x, d, reverse);
  dispatch_numbers(x.dtype(), "scan", [&](auto t) {
    using T = decltype(t);
    const Sum<T> sum{elements<T>(out), elements<const T>(x)};
    switch (kind) {
      case Scan::sum: return scan_all(lines, sum, x.device());
      case Scan::prod: return scan_all(lines, Product<T>{sum}, x.device());
      case Scan::logsumexp:
        if constexpr (!std::is_same_v<T, int64_t>) return scan_all(lines, LogSumExp<T>{sum}, x.device());
        throw DTypeError("logcumsumexp: does not take int64 tensors");
    }
  });
}

void Waist::scan_linear(const Tensor& out, const Tensor& factor, const Tensor& x, int d, bool reverse) {
  dispatch_floating(x.dtype(), "linear_scan", [&](auto t) {
    using T = decltype(t);
    scan_all(Lines(x, d, reverse), Linear<T>{elements<T>(out), elements<const T>(factor), elements<const T>(x)},
             x.device());
  });
}

void Waist::scan_extreme(bool largest, const Tensor& values, const Tensor& indices, const Tensor& x, int d) {
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Lines lines(x, d, false);
    auto* out = elements<T>(values);
    auto* index = elements<int64_t>(indices);
    const auto* from = elements<const T>(x);
    if (largest) scan_all(lines, Extreme<true, T>{out, index, from}, x.device());
    else scan_all(lines, Extreme<false, T>{out, index, from}, x.device());
  });
}

}  // namespace cr::backend::CR_GPU
