// # Pools
//
// One thread for each window, which looks through it. Back, one thread for each place, which asks the windows that see it:
// windows overlap, and if each of them added its share to its places, the order of the sums would be a matter of chance.
#include "backend/gpu/block.cuh"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

// ## Windows
//
// Windows nearly always lie equally far apart; then no table has to be brought to the device.
struct Sequence {
  int64_t first, step;
  const int64_t* table;
  __device__ int64_t operator[](int64_t i) const { return table ? table[i] : first + i * step; }
};
struct PoolLine {
  int64_t places, outputs, step;
  Sequence begin, end, size;
};

// What a thread looks at in one dimension: places begin, begin + step, … before end.
struct Range {
  int64_t begin, end;
};
__device__ inline Range window_of(const PoolLine& l, int64_t i) {
  int64_t begin = l.begin[i], end = l.end[i];
  if (begin < 0) begin += (-begin + l.step - 1) / l.step * l.step;
  return {begin, end < l.places ? end : l.places};
}

// The windows that may see place `at`. Begins and ends rise with i, so they are neighbours: from the first one that does not
// end before it to the last one that does not begin after it.
__device__ inline Range windows_of(const PoolLine& l, int64_t at) {
  auto first = [&](const Sequence& s, int64_t above) {  // the first i with s[i] > above
    int64_t low = 0, high = l.outputs;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (s[middle] > above) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return {first(l.end, at), first(l.begin, at)};
}
__device__ inline bool sees(const PoolLine& l, int64_t i, int64_t at) { return (at - l.begin[i]) % l.step == 0; }

// Three lines, of which the first have one place where x has fewer. `tables` holds what they point to.
struct Pool {
  int64_t planes, places = 1, outputs = 1;
  PoolLine line[3];
};
struct HeldPool {
  Pool pool;
  Tensor tables;
  HeldPool(const Tensor& x, std::span<const PoolSpan> spans) {
    pool.planes = x.shape()[0];
    std::vector<int64_t> numbers;
    std::ptrdiff_t offsets[9];  // of each sequence in `numbers`; −1: it needs no table
    const int missing = 3 - static_cast<int>(spans.size());
    auto sequence = [&](const std::vector<int64_t>& v, int which) {
      offsets[which] = -1;
      Sequence s{v.empty() ? 0 : v[0], v.size() > 1 ? v[1] - v[0] : 0, nullptr};
      for (size_t i = 1; i < v.size(); ++i) {
        if (v[i] - v[i - 1] == s.step) continue;
        offsets[which] = std::ssize(numbers);
        numbers.insert(numbers.end(), v.begin(), v.end());
        break;
      }
      return s;
    };
    for (int d = 0; d < 3; ++d) {
      PoolLine& l = pool.line[d];
      l = {1, 1, 1, {0, 0, nullptr}, {1, 0, nullptr}, {1, 0, nullptr}};
      for (int i = 0; i < 3; ++i) offsets[3 * d + i] = -1;
      if (d >= missing) {
        const PoolSpan& s = spans[static_cast<size_t>(d - missing)];
        l.places = x.shape()[d - missing + 1], l.outputs = std::ssize(s.begin), l.step = s.step;
        l.begin = sequence(s.begin, 3 * d), l.end = sequence(s.end, 3 * d + 1), l.size = sequence(s.size, 3 * d + 2);
      }
      pool.places *= l.places, pool.outputs *= l.outputs;
    }
    if (numbers.empty()) return;
    Tensor host = empty({std::ssize(numbers)}, DType::int64);
    std::copy(numbers.begin(), numbers.end(), elements<int64_t>(host));
    tables = host.to(x.device());
    for (int i = 0; i < 9; ++i) {
      PoolLine& l = pool.line[i / 3];
      Sequence& s = i % 3 == 0 ? l.begin : i % 3 == 1 ? l.end : l.size;
      if (offsets[i] >= 0) s.table = elements<int64_t>(tables) + offsets[i];
    }
  }
};

// Calls f(place) for all places that window (i, j, k) sees, in order.
template <class F> __device__ void for_each_place(const Pool& p, int64_t i, int64_t j, int64_t k, const F& f) {
  const Range z = window_of(p.line[0], i), y = window_of(p.line[1], j), x = window_of(p.line[2], k);
  for (int64_t d = z.begin; d < z.end; d += p.line[0].step) {
    for (int64_t r = y.begin; r < y.end; r += p.line[1].step) {
      const int64_t row = (d * p.line[1].places + r) * p.line[2].places;
      for (int64_t c = x.begin; c < x.end; c += p.line[2].step) f(row + c);
    }
  }
}

// Calls f(window, shares) for all windows that see a place, in order.
template <class F> __device__ void for_each_window(const Pool& p, int64_t place, const F& f) {
  const PoolLine &lz = p.line[0], &ly = p.line[1], &lx = p.line[2];
  const int64_t x = place % lx.places, y = place / lx.places % ly.places, z = place / lx.places / ly.places;
  const Range zs = windows_of(lz, z), ys = windows_of(ly, y), xs = windows_of(lx, x);
  for (int64_t i = zs.begin; i < zs.end; ++i) {
    if (!sees(lz, i, z)) continue;
    for (int64_t j = ys.begin; j < ys.end; ++j) {
      if (!sees(ly, j, y)) continue;
      for (int64_t k = xs.begin; k < xs.end; ++k) {
        if (sees(lx, k, x)) f((i * ly.outputs + j) * lx.outputs + k, lz.size[i] * ly.size[j] * lx.size[k]);
      }
    }
  }
}

// ## The largest
template <class T> __device__ T lowest() {
  if constexpr (std::is_same_v<T, int64_t>) return INT64_MIN;
  else return static_cast<T>(-__builtin_huge_val());
}

template <class T> __global__ void max_pool_kernel(Pool p, T* y, int64_t* indices, const T* x) {
  for (int64_t e = first_element(); e < p.planes * p.outputs; e += all_threads()) {
    const int64_t out = e % p.outputs, k = out % p.line[2].outputs, j = out / p.line[2].outputs % p.line[1].outputs,
                  i = out / p.line[2].outputs / p.line[1].outputs;
    const T* plane = x + e / p.outputs * p.places;
    T best = lowest<T>();
    int64_t where = -1;
    for_each_place(p, i, j, k, [&](int64_t place) {
      const T number = plane[place];
      if (number > best || number != number || where < 0) best = number, where = place;
    });
    y[e] = best;
    if (indices) indices[e] = where;
  }
}

template <class T> __global__ void max_pool_backward_kernel(Pool p, T* dx, const T* dy, const int64_t* indices) {
  for (int64_t e = first_element(); e < p.planes * p.places; e += all_threads()) {
    const int64_t place = e % p.places, plane = e / p.places * p.outputs;
    T sum = 0;
    for_each_window(p, place, [&](int64_t window, int64_t) {
      if (indices[plane + window] == place) sum += dy[plane + window];
    });
    dx[e] = sum;
  }
}

// ## The mean
//
// Float32 adds up in float64, whole numbers wrap around.
template <class T> using Total = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, double>;
template <class T> __device__ T share(Total<T> total, int64_t shares) {
  if constexpr (std::is_same_v<T, int64_t>) return static_cast<int64_t>(total) / shares;
  else return static_cast<T>(total / static_cast<double>(shares));
}

template <class T> __global__ void avg_pool_kernel(Pool p, T* y, const T* x) {
  for (int64_t e = first_element(); e < p.planes * p.outputs; e += all_threads()) {
    const int64_t out = e % p.outputs, k = out % p.line[2].outputs, j = out / p.line[2].outputs % p.line[1].outputs,
                  i = out / p.line[2].outputs / p.line[1].outputs;
    const T* plane = x + e / p.outputs * p.places;
    Total<T> total = 0;
    for_each_place(p, i, j, k, [&](int64_t place) { total += static_cast<Total<T>>(plane[place]); });
    y[e] = share<T>(total, p.line[0].size[i] * p.line[1].size[j] * p.line[2].size[k]);
  }
}

// A plane that is one large window is summed by a whole block.
constexpr int kThreads = 128;
template <class T> __global__ void avg_plane_kernel(Pool p, T* y, const T* x) {
  for (int64_t plane = blockIdx.x; plane < p.planes; plane += gridDim.x) {
    Total<T> own = 0;
    for (int64_t i = threadIdx.x; i < p.places; i += kThreads) own += static_cast<Total<T>>(x[plane * p.places + i]);
    const Total<T> total = block_sum<kThreads>(own);
    if (threadIdx.x == 0) y[plane] = share<T>(total, p.line[0].size[0] * p.line[1].size[0] * p.line[2].size[0]);
  }
}

template <class T> __global__ void avg_pool_backward_kernel(Pool p, T* dx, const T* dy) {
  for (int64_t e = first_element(); e < p.planes * p.places; e += all_threads()) {
    const int64_t plane = e / p.places * p.outputs;
    T sum = 0;
    for_each_window(p, e % p.places,
                    [&](int64_t window, int64_t shares) { sum += dy[plane + window] / static_cast<T>(shares); });
    dx[e] = sum;
  }
}

bool is_whole(const Pool& p, std::span<const PoolSpan> spans) {
  constexpr int64_t kLarge = 256;
  bool whole = p.outputs == 1 && p.places >= kLarge;
  for (size_t d = 0; d < spans.size() && whole; ++d) {
    const PoolLine& l = p.line[3 - spans.size() + d];
    whole = spans[d].begin[0] <= 0 && spans[d].end[0] >= l.places && l.step == 1;
  }
  return whole;
}

}  // namespace

void Waist::max_pool(const Tensor& y, const Tensor& indices, const Tensor& x, std::span<const PoolSpan> spans) {
  if (y.numel() == 0) return;
  const HeldPool held(x, spans);
  dispatch_numbers(x.dtype(), "max_pool", [&](auto t) {
    using T = decltype(t);
    launch("max_pool", max_pool_kernel<T>, grid_for(y.numel()), held.pool, elements<T>(y), elements<int64_t>(indices),
           elements<const T>(x));
  });
}

void Waist::max_pool_backward(const Tensor& dx, const Tensor& dy, const Tensor& indices,
                              std::span<const PoolSpan> spans) {
  if (dx.numel() == 0) return;
  if (dy.numel() == 0) return fill(dx, 0);
  const HeldPool held(dx, spans);
  dispatch_floating(dx.dtype(), "max_pool_backward", [&](auto t) {
    using T = decltype(t);
    launch("max_pool_backward", max_pool_backward_kernel<T>, grid_for(dx.numel()), held.pool, elements<T>(dx),
           elements<const T>(dy), elements<const int64_t>(indices));
  });
}

void Waist::avg_pool(const Tensor& y, const Tensor& x, std::span<const PoolSpan> spans) {
  if (y.numel() == 0) return;
  const HeldPool held(x, spans);
  dispatch_numbers(x.dtype(), "avg_pool", [&](auto t) {
    using T = decltype(t);
    if (is_whole(held.pool, spans)) {
      launch("avg_plane", avg_plane_kernel<T>,
             {.blocks = {blocks_for(y.numel(), 1, kGridBlocks)}, .threads = {kThreads}}, held.pool, elements<T>(y),
             elements<const T>(x));
    } else {
      launch("avg_pool", avg_pool_kernel<T>, grid_for(y.numel()), held.pool, elements<T>(y), elements<const T>(x));
    }
  });
}

void Waist::avg_pool_backward(const Tensor& dx, const Tensor& dy, std::span<const PoolSpan> spans) {
  if (dx.numel() == 0) return;
  if (dy.numel() == 0) return fill(dx, 0);
  const HeldPool held(dx, spans);
  dispatch_floating(dx.dtype(), "avg_pool_backward", [&](auto t) {
    using T = decltype(t);
    launch("avg_pool_backward", avg_pool_backward_kernel<T>, grid_for(dx.numel()), held.pool, elements<T>(dx),
           elements<const T>(dy));
  });
}

}  // namespace cr::backend::CR_GPU
