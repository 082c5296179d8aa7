#include "backend/cpu/isa/pool_kernel.hpp"

// Iterations do not depend on each other: outputs overlap no input.
#if defined(__clang__)
#define CR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#pragma clang diagnostic ignored "-Wpass-failed"
#else
#define CR_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace cr::backend::cpu::CR_ISA {
namespace {

// Places are counted in a type as wide as the numbers, so that both move through the same lanes.
template <class T> struct Count { using I = int64_t; };
template <> struct Count<float> { using I = int32_t; };

template <class T> constexpr T lowest() {
  if constexpr (__is_same(T, int64_t)) return INT64_MIN;
  else return static_cast<T>(-__builtin_inf());
}

// Whole numbers wrap.
template <class T> constexpr void add(T& sum, T x) {
  if constexpr (__is_same(T, int64_t)) sum = static_cast<T>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(x));
  else sum += x;
}

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// The part of window i that lies within the edges.
struct Range {
  int64_t begin, end;
};
Range window(const PoolAxis& a, int64_t i) {
  int64_t begin = a.begin[i];
  if (begin < 0) begin += (-begin + a.step - 1) / a.step * a.step;
  return {begin, smaller(a.end[i], a.places)};
}

int64_t places(const PoolAxis* a) { return a[0].places * a[1].places * a[2].places; }
int64_t outputs(const PoolAxis* a) { return a[0].outputs * a[1].outputs * a[2].outputs; }

// Calls `f(first output, i, j)` for each row of outputs, `f(first place)` for each row of places that such a row sees.
template <class F> void for_each_output_row(const PoolAxis* a, F&& f) {
  for (int64_t i = 0, out = 0; i < a[0].outputs; ++i) {
    for (int64_t j = 0; j < a[1].outputs; ++j, out += a[2].outputs) f(out, i, j);
  }
}
template <class F> void for_each_row(const PoolAxis* a, int64_t i, int64_t j, F&& f) {
  Range depth = window(a[0], i), rows = window(a[1], j);
  for (int64_t d = depth.begin; d < depth.end; d += a[0].step) {
    for (int64_t r = rows.begin; r < rows.end; r += a[1].step) f((d * a[1].places + r) * a[2].places);
  }
}

// ## A row laid out for its windows
//
// Windows that lie `stride` apart read every stride-th number of a row. So we deal a row out like cards: **hand** f holds the
// numbers at f, f + stride, f + 2 stride, …, and tap t of all windows, side by side, is a run of hand t mod stride. Beyond the
// edges lies a number that changes nothing, so no window is special. A row is done in strips of 64 windows.
// Loops run over whole vectors, since a vectorised loop's leftovers cost as much as several vectors.
constexpr int64_t kStrip = 64, kRoom = 2048;
template <class T> constexpr int64_t whole_vectors(int64_t n) {
  constexpr int64_t kLanes = 64 / sizeof(T);
  return (n + kLanes - 1) / kLanes * kLanes;
}

struct Hands {
  int64_t start, stride, count, length;  // the place of the first card
  Hands(const PoolAxis& a, int64_t first) : start(a.begin[first]), stride(a.stride) {
    int64_t reach = (a.taps - 1) * a.step;
    count = smaller(stride, reach + 1);
    length = kStrip + reach / stride;
  }
  // Where in the hands tap t of the first window lies.
  int64_t tap(int64_t t, int64_t step) const { return t * step % stride * length + t * step / stride; }
  // The cards k of hand f that lie within a row.
  Range within(int64_t f, int64_t n) const {
    int64_t at = start + f, begin = at < 0 ? (-at + stride - 1) / stride : 0;
    int64_t end = n > at ? (n - at + stride - 1) / stride : 0;
    return {smaller(begin, length), larger(smaller(begin, length), smaller(end, length))};
  }
};
bool fits_hands(const PoolAxis& a) {
  if (a.stride == 0 || a.taps > kRoom || a.step > kRoom || a.stride > kRoom) return false;
  int64_t reach = (a.taps - 1) * a.step;
  return smaller(a.stride, reach + 1) * (kStrip + reach / a.stride) <= kRoom;
}

template <int64_t stride, class T> void gather(int64_t n, T* hand, const T* row, int64_t other) {
  CR_INDEPENDENT
  for (int64_t k = 0; k < n; ++k) hand[k] = row[k * (stride ? stride : other)];
}
template <class T> void deal(const Hands& h, T* hands, const T* row, int64_t n, T beyond) {
  for (int64_t f = 0; f < h.count; ++f) {
    T* hand = hands + f * h.length;
    Range in = h.within(f, n);
    for (int64_t k = 0; k < in.begin; ++k) hand[k] = beyond;
    for (int64_t k = in.end; k < h.length; ++k) hand[k] = beyond;
    const T* from = row + (h.start + f + in.begin * h.stride);
    if (h.stride == 1) gather<1>(in.end - in.begin, hand + in.begin, from, 1);
    else if (h.stride == 2) gather<2>(in.end - in.begin, hand + in.begin, from, 2);
    else gather<0>(in.end - in.begin, hand + in.begin, from, h.stride);
  }
}

// ## The largest
template <class T, class I> inline void take(T& best, I& at, T x, I place) {
  bool better = (x > best) | (x != x);
  best = better ? x : best;
  at = better ? place : at;
}

// Each window by itself.
template <class T> void max_windows(const PoolAxis* a, T* y, int64_t* at, const T* x) {
  for_each_output_row(a, [&](int64_t out, int64_t i, int64_t j) {
    for (int64_t k = 0; k < a[2].outputs; ++k) {
      Range columns = window(a[2], k);
      T best = lowest<T>();
      int64_t place = -1;
      for_each_row(a, i, j, [&](int64_t row) {
        if (place < 0) place = row + columns.begin;
        for (int64_t c = columns.begin; c < columns.end; c += a[2].step) take(best, place, x[row + c], row + c);
      });
      y[out + k] = best;
      if (at) at[out + k] = place;
    }
  });
}

// All windows of a strip side by side: what one tap of each sees. (Not inlined: on its own, the loop has no jumps.)
template <class T, class I>
[[gnu::noinline]] void take_tap(int64_t n, T* __restrict best, I* __restrict place, const T* __restrict tap, I where,
                                I stride) {
  CR_INDEPENDENT
  for (int64_t k = 0; k < n; ++k) {
    I here = static_cast<I>(where + static_cast<I>(k) * stride);
    T now = tap[k], before = best[k];
    I there = place[k];
    take(before, there, now, here);
    best[k] = before;
    place[k] = there;
  }
}

template <class T> void max_strips(const PoolAxis* a, T* y, int64_t* at, const T* x) {
  using I = typename Count<T>::I;
  T hands[kRoom], best[kStrip];
  I place[kStrip];
  for_each_output_row(a, [&](int64_t out, int64_t i, int64_t j) {
    for (int64_t left = 0; left < a[2].outputs; left += kStrip) {
      int64_t n = smaller(kStrip, a[2].outputs - left), lanes = whole_vectors<T>(n);
      Hands h(a[2], left);
      for (int64_t k = 0; k < kStrip; ++k) best[k] = lowest<T>();
      bool first = true;
      for_each_row(a, i, j, [&](int64_t row) {
        if (first) {
          for (int64_t k = 0; k < n; ++k) place[k] = static_cast<I>(row + window(a[2], left + k).begin);
          for (int64_t k = n; k < kStrip; ++k) place[k] = 0;
        }
        first = false;
        deal(h, hands, x + row, a[2].places, lowest<T>());
        for (int64_t t = 0; t < a[2].taps; ++t) {
          const T* tap = hands + h.tap(t, a[2].step);
          I where = static_cast<I>(row + h.start + t * a[2].step), stride = static_cast<I>(h.stride);
          take_tap(lanes, best, place, tap, where, stride);
        }
      });
      for (int64_t k = 0; k < n; ++k) y[out + left + k] = best[k];
      for (int64_t k = 0; at && k < n; ++k) at[out + left + k] = place[k];
    }
  });
}

// **Squares of 2 x 2**, two apart and none over an edge: what most networks use.
bool of_squares(const PoolAxis* a) {
  auto pairs = [](const PoolAxis& d) {
    return d.stride == 2 && d.taps == 2 && d.step == 1 && d.begin[0] == 0 && 2 * d.outputs <= d.places;
  };
  return a[0].places == 1 && a[0].outputs == 1 && pairs(a[1]) && pairs(a[2]);
}

template <class T> void max_squares(const PoolAxis* a, T* y, int64_t* at, const T* x) {
  using I = typename Count<T>::I;
  T upper[2 * kStrip] = {}, lower[2 * kStrip] = {}, best[kStrip];
  I place[kStrip];
  for_each_output_row(a, [&](int64_t out, int64_t, int64_t j) {
    for (int64_t left = 0; left < a[2].outputs; left += kStrip) {
      int64_t n = smaller(kStrip, a[2].outputs - left), lanes = whole_vectors<T>(n);
      int64_t first = 2 * j * a[2].places + 2 * left;
      __builtin_memcpy(upper, x + first, static_cast<size_t>(2 * n) * sizeof(T));
      __builtin_memcpy(lower, x + first + a[2].places, static_cast<size_t>(2 * n) * sizeof(T));
      I start = static_cast<I>(first), down = static_cast<I>(a[2].places);
      CR_INDEPENDENT
      for (int64_t k = 0; k < lanes; ++k) {
        I p = static_cast<I>(start + static_cast<I>(2 * k)), here = p;
        T most = upper[2 * k];
        take(most, p, upper[2 * k + 1], static_cast<I>(here + 1));
        take(most, p, lower[2 * k], static_cast<I>(here + down));
        take(most, p, lower[2 * k + 1], static_cast<I>(here + down + 1));
        best[k] = most;
        place[k] = p;
      }
      __builtin_memcpy(y + out + left, best, static_cast<size_t>(n) * sizeof(T));
      for (int64_t k = 0; at && k < n; ++k) at[out + left + k] = place[k];
    }
  });
}

template <class T> void max(const PoolAxis* a, T* y, int64_t* at, const T* x) {
  if (places(a) > INT32_MAX) max_windows(a, y, at, x);
  else if (of_squares(a)) max_squares(a, y, at, x);
  else if (fits_hands(a[2])) max_strips(a, y, at, x);
  else max_windows(a, y, at, x);
}

// Squares that do not overlap are written whole: dy at the place that was largest, 0 at the other three.
template <class T> void max_backward(const PoolAxis* a, T* dx, const T* dy, const int64_t* at) {
  int64_t n = outputs(a), size = places(a);
  if (!of_squares(a)) {
    for (int64_t i = 0; i < size; ++i) dx[i] = 0;
    for (int64_t i = 0; i < n; ++i) add(dx[at[i]], dy[i]);
    return;
  }
  int64_t width = a[2].places, rest = 2 * a[2].outputs;
  for_each_output_row(a, [&](int64_t out, int64_t, int64_t j) {
    int64_t row = 2 * j * width;
    T *upper = dx + row, *lower = upper + width;
    CR_INDEPENDENT
    for (int64_t k = 0; k < a[2].outputs; ++k) {
      int64_t where = at[out + k] - row - 2 * k;
      T d = dy[out + k];
      upper[2 * k] = where == 0 ? d : T(0);
      upper[2 * k + 1] = where == 1 ? d : T(0);
      lower[2 * k] = where == width ? d : T(0);
      lower[2 * k + 1] = where == width + 1 ? d : T(0);
    }
    for (int64_t k = rest; k < width; ++k) upper[k] = lower[k] = 0;
  });
  for (int64_t i = 2 * a[1].outputs * width; i < size; ++i) dx[i] = 0;
}

// ## The mean
//
// Whole planes and large windows are each summed by themselves, and their float32 meets in float64, as everywhere. Strips of
// small windows add in their own type.
template <class T> struct Total { using A = double; };
template <> struct Total<int64_t> { using A = int64_t; };

template <class T> typename Total<T>::A sum(int64_t n, const T* x) {
  using A = typename Total<T>::A;
  constexpr int64_t kLanes = 128 / sizeof(T);
  A eight[8] = {}, total = 0;
  int64_t i = 0;
  while (n - i >= kLanes) {
    T lane[kLanes] = {};
    for (int64_t end = smaller(n, i + 4096); i + kLanes <= end; i += kLanes) {
      for (int64_t k = 0; k < kLanes; ++k) add(lane[k], x[i + k]);
    }
    for (int64_t k = 0; k < kLanes; k += 8) {
      for (int64_t j = 0; j < 8; ++j) add(eight[j], static_cast<A>(lane[k + j]));
    }
  }
  for (; i < n; ++i) add(total, static_cast<A>(x[i]));
  for (int half = 4; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) add(eight[j], eight[j + half]);
  add(total, eight[0]);
  return total;
}

template <class T> T share(const PoolAxis* a, int64_t i, int64_t j, int64_t k) {
  return static_cast<T>(a[0].size[i] * a[1].size[j] * a[2].size[k]);
}

template <class T> void avg_windows(const PoolAxis* a, T* y, const T* x) {
  using A = typename Total<T>::A;
  for_each_output_row(a, [&](int64_t out, int64_t i, int64_t j) {
    for (int64_t k = 0; k < a[2].outputs; ++k) {
      Range columns = window(a[2], k);
      A total = 0;
      for_each_row(a, i, j,
                   [&](int64_t row) { add(total, sum(columns.end - columns.begin, x + row + columns.begin)); });
      y[out + k] = static_cast<T>(total / static_cast<A>(share<A>(a, i, j, k)));
    }
  });
}

// A mean can be taken down the columns first, then along the row of their sums.
template <class T> void avg_strips(const PoolAxis* a, T* y, const T* x) {
  T hands[kRoom], down[kRoom], total[kStrip];
  for_each_output_row(a, [&](int64_t out, int64_t i, int64_t j) {
    for (int64_t left = 0; left < a[2].outputs; left += kStrip) {
      int64_t n = smaller(kStrip, a[2].outputs - left), lanes = whole_vectors<T>(n);
      Hands h(a[2], left);
      int64_t begin = larger(h.start, 0), end = smaller(h.start + (n - 1) * h.stride + a[2].taps, a[2].places);
      for (int64_t c = begin; c < end; ++c) down[c - begin] = 0;
      for_each_row(a, i, j, [&](int64_t row) {
        CR_INDEPENDENT
        for (int64_t c = begin; c < end; ++c) add(down[c - begin], x[row + c]);
      });
      for (int64_t k = 0; k < kStrip; ++k) total[k] = 0;
      Hands moved = h;
      moved.start -= begin;
      deal(moved, hands, down, end - begin, T(0));
      for (int64_t t = 0; t < a[2].taps; ++t) {
        const T* tap = hands + h.tap(t, 1);
        CR_INDEPENDENT
        for (int64_t k = 0; k < lanes; ++k) add(total[k], tap[k]);
      }
      for (int64_t k = 0; k < n; ++k) y[out + left + k] = total[k] / share<T>(a, i, j, left + k);
    }
  });
}

// Is the whole plane one window?
bool is_whole(const PoolAxis* a) {
  bool whole = true;
  for (int d = 0; d < 3; ++d) whole = whole && a[d].outputs == 1 && a[d].begin[0] <= 0 && a[d].end[0] >= a[d].places;
  return whole;
}
// Strips hold the sums of at most kRoom columns.
bool fits_strips(const PoolAxis& a) { return fits_hands(a) && kStrip * a.stride + a.taps <= kRoom; }

template <class T> void avg(const PoolAxis* a, T* y, const T* x) {
  using A = typename Total<T>::A;
  if (is_whole(a)) *y = static_cast<T>(sum(places(a), x) / static_cast<A>(share<A>(a, 0, 0, 0)));
  else if (fits_strips(a[2])) avg_strips(a, y, x);
  else avg_windows(a, y, x);
}

// Back, all rows of a window get the same: what the row's windows hand out is added up once, and then to each row.
template <class T> void avg_backward(const PoolAxis* a, T* dx, const T* dy) {
  int64_t size = places(a);
  if (is_whole(a)) {
    T d = *dy / share<T>(a, 0, 0, 0);
    for (int64_t i = 0; i < size; ++i) dx[i] = d;
    return;
  }
  for (int64_t i = 0; i < size; ++i) dx[i] = 0;
  bool strips = fits_strips(a[2]);
  T along[kRoom], handed[kStrip];
  for_each_output_row(a, [&](int64_t out, int64_t i, int64_t j) {
    for (int64_t left = 0; strips && left < a[2].outputs; left += kStrip) {
      int64_t n = smaller(kStrip, a[2].outputs - left), start = a[2].begin[left];
      int64_t reach = (n - 1) * a[2].stride + a[2].taps;
      for (int64_t k = 0; k < n; ++k) handed[k] = dy[out + left + k] / share<T>(a, i, j, left + k);
      for (int64_t c = 0; c < reach; ++c) along[c] = 0;
      for (int64_t t = 0; t < a[2].taps; ++t) {
        T* tap = along + t;
        if (a[2].stride == 1) {
          for (int64_t k = 0; k < n; ++k) add(tap[k], handed[k]);
        } else {
          for (int64_t k = 0; k < n; ++k) add(tap[k * a[2].stride], handed[k]);
        }
      }
      int64_t begin = larger(0, -start), end = smaller(reach, a[2].places - start);
      for_each_row(a, i, j, [&](int64_t row) {
        T* to = dx + (row + start + begin);
        CR_INDEPENDENT
        for (int64_t c = 0; c < end - begin; ++c) add(to[c], along[begin + c]);
      });
    }
    for (int64_t k = 0; !strips && k < a[2].outputs; ++k) {
      Range columns = window(a[2], k);
      T d = dy[out + k] / share<T>(a, i, j, k);
      for_each_row(a, i, j, [&](int64_t row) {
        for (int64_t c = columns.begin; c < columns.end; ++c) add(dx[row + c], d);
      });
    }
  });
}

template <class T> constexpr PoolKernel<T> kernel_of() { return {max<T>, max_backward<T>, avg<T>, avg_backward<T>}; }

}  // namespace

constinit const PoolKernels pool_kernels = {kernel_of<float>(), kernel_of<double>(), kernel_of<int64_t>()};

}  // namespace cr::backend::cpu::CR_ISA
