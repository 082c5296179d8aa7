// # Scans
//
// In a sum the order of the terms is ours to choose; in a running sum every result waits for the one before. What can be
// done at once are the lines: eight rows side by side, or a block of columns. A single long line is cut into pieces: first
// each piece's total, then, from the totals before it, its own running sum. Sums and products of float32 run in float64.
#include <cmath>
#include <limits>
#include <vector>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/lines.hpp"

namespace cr::backend::cpu {
namespace {

template <class T> using Total = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;

// The lines of a contiguous tensor: element i of line (a, b) is at (a · n + i) · inner + b.
struct Lines {
  int64_t outer = 1, n, inner = 1;
  Lines(const Tensor& x, int d) : n(x.shape()[d]) {
    for (int i = 0; i < x.dim(); ++i) (i < d ? outer : inner) *= i == d ? 1 : x.shape()[i];
  }
};

// Several lines side by side: element i of line j is at start + i · step + j · apart. `f(state, i, at)` makes one step.
template <int kWidth, class S, class F>
void side_by_side(int64_t width, int64_t n, int64_t start, int64_t step, int64_t apart, S* state, F&& f) {
  if (width == kWidth) {
    S own[kWidth];  // nobody else has its address, so it can stay in registers
    std::copy_n(state, kWidth, own);
    for (int64_t i = 0; i < n; ++i) {
      for (int j = 0; j < kWidth; ++j) f(own[j], i, start + i * step + j * apart);
    }
    std::copy_n(own, kWidth, state);
  } else {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < width; ++j) f(state[j], i, start + i * step + j * apart);
    }
  }
}

template <class F> void tiles(int64_t count, int64_t elements, F&& f) {
  if (elements < kParallelElements) {
    for (int64_t t = 0; t < count; ++t) f(t);
  } else {
    parallel_for(count, f);
  }
}

// Every line from its own state, which begins as `first`.
template <class S, class F> void scan_lines(const Lines& lines, bool reverse, S first, F&& f) {
  constexpr int kRows = 4, kColumns = 128;
  int64_t step = reverse ? -lines.inner : lines.inner, from = reverse ? (lines.n - 1) * lines.inner : 0;
  int64_t elements = lines.outer * lines.n * lines.inner;
  if (elements == 0) return;
  if (lines.inner == 1) {
    int64_t groups = (lines.outer + kRows - 1) / kRows;
    int64_t block = std::max<int64_t>(1, kTileElements / (lines.n * kRows));
    tiles((groups + block - 1) / block, elements, [&](int64_t tile) {
      for (int64_t g = tile * block; g < std::min(groups, (tile + 1) * block); ++g) {
        S state[kRows];
        std::fill_n(state, kRows, first);
        int64_t width = std::min<int64_t>(kRows, lines.outer - g * kRows);
        side_by_side<kRows>(width, lines.n, g * kRows * lines.n + from, step, lines.n, state, f);
      }
    });
  } else {
    int64_t pieces = (lines.inner + kColumns - 1) / kColumns;
    tiles(lines.outer * pieces, elements, [&](int64_t tile) {
      S state[kColumns];
      std::fill_n(state, kColumns, first);
      int64_t left = tile % pieces * kColumns, width = std::min<int64_t>(kColumns, lines.inner - left);
      int64_t start = tile / pieces * lines.n * lines.inner + left + from;
      side_by_side<kColumns>(width, lines.n, start, step, 1, state, f);
    });
  }
}

// One long line of a sum, in pieces. Backwards, the pieces count from the far end.
template <class T> void sum_in_pieces(T* out, const T* x, int64_t n, bool reverse) {
  constexpr int64_t kPiece = 2048;
  constexpr int kRows = 4;
  int64_t pieces = (n + kPiece - 1) / kPiece, groups = (pieces + kRows - 1) / kRows;
  int64_t sign = reverse ? -1 : 1, from = reverse ? n - 1 : 0;
  std::vector<Total<T>> before(static_cast<size_t>(groups * kRows));
  auto add = [&](Total<T>& s, int64_t, int64_t at) { s += static_cast<Total<T>>(x[at]); };
  auto write = [&](Total<T>& s, int64_t, int64_t at) { out[at] = static_cast<T>(s += static_cast<Total<T>>(x[at])); };
  auto each_piece = [&](auto& f) {
    parallel_for(groups, [&](int64_t g) {
      int64_t begin = g * kRows * kPiece, whole = std::min<int64_t>(kRows, (n - begin) / kPiece);
      Total<T>* state = &before[static_cast<size_t>(g * kRows)];
      Total<T> local[kRows];
      std::copy_n(state, kRows, local);
      side_by_side<kRows>(whole, kPiece, from + sign * begin, sign, sign * kPiece, local, f);
      int64_t rest = begin + whole * kPiece;
      if (whole < kRows && rest < n) side_by_side<1>(1, n - rest, from + sign * rest, sign, 0, local + whole, f);
      std::copy_n(local, kRows, state);
    });
  };
  each_piece(add);
  Total<T> total = 0;
  for (auto& s : before) s = std::exchange(total, total + s);
  each_piece(write);
}

// log(eˢ + eˣ), exact where one of them is infinite.
double add_exponentials(double s, double x) {
  if (std::isnan(s) || std::isnan(x)) return s + x;
  double high = std::max(s, x), low = std::min(s, x);
  return std::isinf(high) || std::isinf(low) ? high : high + std::log1p(std::exp(low - high));
}

}  // namespace

void Cpu::scan(Scan kind, const Tensor& out, const Tensor& x, int d, bool reverse) {
  Lines lines(x, d);
  auto typed = [&](auto t) {
    using T = decltype(t);
    using S = Total<T>;
    T* o = elements<T>(out);
    const T* p = elements<T>(x);
    switch (kind) {
      case Scan::sum:
        if (lines.inner == 1 && lines.n >= kTileElements) {
          for (int64_t a = 0; a < lines.outer; ++a) sum_in_pieces(o + a * lines.n, p + a * lines.n, lines.n, reverse);
          return;
        }
        return scan_lines(lines, reverse, S(0),
                          [=](S& s, int64_t, int64_t at) { o[at] = static_cast<T>(s += static_cast<S>(p[at])); });
      case Scan::prod:
        return scan_lines(lines, reverse, S(1),
                          [=](S& s, int64_t, int64_t at) { o[at] = static_cast<T>(s *= static_cast<S>(p[at])); });
      case Scan::logsumexp:
        return scan_lines(lines, reverse, -std::numeric_limits<double>::infinity(),
                          [=](double& s, int64_t, int64_t at) {
                            s = add_exponentials(s, static_cast<double>(p[at]));
                            o[at] = static_cast<T>(s);
                          });
    }
  };
  if (x.dtype() == DType::int64) typed(int64_t{});
  else dispatch_floating(x.dtype(), "scan", typed);
}

void Cpu::scan_linear(const Tensor& out, const Tensor& factor, const Tensor& x, int d, bool reverse) {
  dispatch_floating(x.dtype(), "linear_scan", [&](auto t) {
    using T = decltype(t);
    T* o = elements<T>(out);
    const T *a = elements<T>(factor), *p = elements<T>(x);
    // The first factor meets nothing: were it infinite, ∞ · 0 would spoil the line.
    scan_lines(Lines(x, d), reverse, 0., [=](double& s, int64_t i, int64_t at) {
      s = i == 0 ? static_cast<double>(p[at]) : static_cast<double>(a[at]) * s + static_cast<double>(p[at]);
      o[at] = static_cast<T>(s);
    });
  });
}

void Cpu::scan_extreme(bool largest, const Tensor& values, const Tensor& indices, const Tensor& x, int d) {
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    struct Best {
      T value;
      int64_t at;
    };
    T* o = elements<T>(values);
    int64_t* index = elements<int64_t>(indices);
    const T* p = elements<T>(x);
    scan_lines(Lines(x, d), false, Best{T(0), -1}, [=](Best& best, int64_t i, int64_t at) {
      T candidate = p[at];
      bool beyond = largest ? candidate >= best.value : candidate <= best.value;
      if (best.at < 0 || candidate != candidate || (beyond && best.value == best.value)) best = {candidate, i};
      o[at] = best.value;
      index[at] = best.at;
    });
  });
}

}  // namespace cr::backend::cpu
