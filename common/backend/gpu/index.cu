// # Reading and placing at computed indices
//
// Both primitives walk the index. The tensor it points into stands still along dimension d, where the index decides; along
// the others the two go together.
//
// A kernel cannot throw. It raises a flag instead, which the host looks at; only if it is up, the host looks for the index
// that was wrong.
#include <algorithm>
#include <numeric>

#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/waist.hpp"
#include "backend/gpu_options.hpp"

namespace cr::backend::CR_GPU {
namespace {

__device__ bool inside(int64_t i, int64_t size) { return static_cast<uint64_t>(i) < static_cast<uint64_t>(size); }

// One number on the device, 0 unless a kernel wrote something else.
struct Flag {
  Tensor memory;
  explicit Flag(Device device) : memory(full({1}, 0, DType::int64, device)) {}
  int64_t* raise() const { return elements<int64_t>(memory); }
  bool is_up() const { return backend::copy(memory, DType::int64, Device::cpu).item<int64_t>() != 0; }
};

[[noreturn]] void complain(const Tensor& index, int64_t size, const char* op) {
  const Tensor host = backend::copy(index, DType::int64, Device::cpu);
  for (int64_t i : host.span<int64_t>()) {
    if (i >= 0 && i < size) continue;
    throw IndexError(std::string(op) + ": index " + std::to_string(i) + " is out of range for a dimension of size " +
                     std::to_string(size));
  }
  throw std::logic_error(std::string(op) + ": a kernel saw an index that the host does not find");
}

// x with stride 0 along d, as wide as the index.
Tensor standing_still(const Tensor& x, int d, const Tensor& index) {
  Strides strides = x.strides();
  strides[d] = 0;
  return window(x, index.shape(), strides, x.impl()->offset);
}

// Operands: out, x standing still, index.
template <class T>
__global__ void gather_kernel(Places<3> p, T* out, const T* x, const int64_t* index, int64_t size, int64_t step,
                              int64_t* flag) {
  for (int64_t i = first_element(); i < p.numel; i += all_threads()) {
    int64_t at[3];
    p.find(i, at);
    const int64_t chosen = index[at[2]];
    if (inside(chosen, size)) out[at[0]] = x[at[1] + chosen * step];
    else *flag = 1;
  }
}

}  // namespace

void Waist::gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) {
  if (index.numel() == 0) return;
  const int64_t size = x.shape()[d], step = x.strides()[d];
  const Tensor still = standing_still(x, d, index);
  const Flag flag(out.device());
  dispatch_size(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Places<3> p = places<3>(op, index.shape(), {&out, &still, &index});
    launch("gather", gather_kernel<T>, grid_for(p.numel), p, elements<T>(out), elements<const T>(x),
           elements<const int64_t>(index), size, step, flag.raise());
  });
  if (flag.is_up()) complain(index, size, op);
}

// ## Placing
//
// Two elements of the index may point at one place, but only if they differ along d: they lie in one **line**. So a thread
// walks a line from its beginning to its end, and what meets at one place meets in order; the same bits every time, and of
// several values `set` the last one remains. Where lines are few and long, several threads walk each, and every one places
// what falls into its share of the destinations.
namespace {

__global__ void check_kernel(Places<1> p, const int64_t* index, int64_t size, int64_t* flag) {
  for (int64_t i = first_element(); i < p.numel; i += all_threads()) {
    int64_t at[1];
    p.find(i, at);
    if (!inside(index[at[0]], size)) *flag = 1;
  }
}

struct PlaceSet {
  template <class T> __device__ T operator()(T, T value) const { return value; }
};

// `lines` has the beginnings of a line in out, x and index, and each has a step along it.
struct Lines {
  Places<3> lines;
  int64_t length, size, step[3], shares;
};
template <class Combine, class T> __global__ void scatter_kernel(Lines p, T* out, const T* x, const int64_t* index) {
  for (int64_t i = first_element(); i < p.lines.numel * p.shares; i += all_threads()) {
    const int64_t share = i / p.lines.numel;
    const int64_t begin = share * p.size / p.shares, end = (share + 1) * p.size / p.shares;
    int64_t at[3];
    p.lines.find(i - share * p.lines.numel, at);
    for (int64_t j = 0; j < p.length; ++j) {
      const int64_t chosen = index[at[2] + j * p.step[2]];
      if (chosen < begin || chosen >= end) continue;
      T& place = out[at[0] + chosen * p.step[0]];
      place = Combine{}(place, x[at[1] + j * p.step[1]]);
    }
  }
}

template <class Combine, class T>
void launch_scatter(const Tensor& out, int d, const Tensor& index, const Tensor& x, const char* op) {
  Shape across = index.shape();
  across[d] = 1;
  const Tensor out_lines = window(out, across, out.strides(), out.impl()->offset),
               x_lines = window(x, across, x.strides(), x.impl()->offset),
               index_lines = window(index, across, index.strides(), index.impl()->offset);
  Lines p{places<3>(op, across, {&out_lines, &x_lines, &index_lines}),
          index.shape()[d],
          out.shape()[d],
          {out.strides()[d], x.strides()[d], index.strides()[d]},
          1};
  constexpr int64_t kEnough = 1 << 15;  // threads
  if (p.length >= 256) p.shares = std::clamp<int64_t>(kEnough / p.lines.numel, 1, std::min<int64_t>(p.size, 128));
  launch("scatter", scatter_kernel<Combine, T>, grid_for(p.lines.numel * p.shares), p, elements<T>(out),
         elements<const T>(x), elements<const int64_t>(index));
}

// With `--fast` a thread takes one element, and those that meet at a place add up in whatever order they arrive: thousands
// of threads for a long line, but not the same bits every time.
__device__ inline void add_at_once(float& place, float x) { atomicAdd(&place, x); }
__device__ inline void add_at_once(double& place, double x) { atomicAdd(&place, x); }
__device__ inline void add_at_once(int64_t& place, int64_t x) {
  atomicAdd(reinterpret_cast<unsigned long long*>(&place), static_cast<unsigned long long>(x));
}
template <class T>
__global__ void scatter_add_kernel(Places<3> p, T* out, const T* x, const int64_t* index, int64_t step) {
  for (int64_t i = first_element(); i < p.numel; i += all_threads()) {
    int64_t at[3];
    p.find(i, at);
    add_at_once(out[at[0] + index[at[2]] * step], x[at[1]]);
  }
}
template <class T>
void launch_scatter_add(const Tensor& out, int d, const Tensor& index, const Tensor& x, const char* op) {
  const Tensor still = standing_still(out, d, index), from = window(x, index.shape(), x.strides(), x.impl()->offset);
  const Places<3> p = places<3>(op, index.shape(), {&still, &from, &index});
  launch("scatter_add", scatter_add_kernel<T>, grid_for(p.numel), p, elements<T>(out), elements<const T>(x),
         elements<const int64_t>(index), out.strides()[d]);
}

}  // namespace

void Waist::scatter(const Tensor& out, int d, const Tensor& index, const Tensor& x, Place how, const char* op) {
  if (index.numel() == 0) return;
  const Flag flag(out.device());
  const Places<1> all = places<1>(op, index.shape(), {&index});
  launch("check index", check_kernel, grid_for(all.numel), all, elements<const int64_t>(index), out.shape()[d],
         flag.raise());
  if (flag.is_up()) complain(index, out.shape()[d], op);
  if (how == Place::set) {
    return dispatch_size(x.dtype(), [&](auto t) { launch_scatter<PlaceSet, decltype(t)>(out, d, index, x, op); });
  }
  if (is_storage(x.dtype())) refuse_storage(x.dtype(), op);
  if (how == Place::add && gpu_options().fast && x.dtype() != DType::boolean) {
    return dispatch_numbers(x.dtype(), op, [&](auto t) { launch_scatter_add<decltype(t)>(out, d, index, x, op); });
  }
  dispatch(x.dtype(), [&](auto t) {
    using T = decltype(t);
    switch (how) {
      case Place::add: return launch_scatter<functor::Add, T>(out, d, index, x, op);
      case Place::multiply: return launch_scatter<functor::Mul, T>(out, d, index, x, op);
      case Place::smallest: return launch_scatter<functor::Minimum, T>(out, d, index, x, op);
      default: return launch_scatter<functor::Maximum, T>(out, d, index, x, op);
    }
  });
}

// ## Adding where elements overlap
//
// Elements of `out` may share memory: in a row that `expand` repeats, or in windows that overlap. Then threads must not add
// at once. But some dimensions keep their elements apart: dimension k does if all the smaller steps together do not reach as
// far as its own, and all the larger ones jump over everything it and they can reach. A thread takes one index of each such
// dimension, and walks the others in order.
//
// The widest of those others would leave few threads to walk far. Windows that overlap only their next three do not overlap
// every fourth: so it is taken in **phases**, one launch each.
namespace {

bool keeps_apart(const Tensor& out, int k) {
  const int64_t own = out.strides()[k];
  int64_t below = 0, above = 0;  // how far smaller steps reach; of what the larger ones are multiples
  for (int d = 0; d < out.dim(); ++d) {
    if (d == k || out.shape()[d] == 1) continue;
    const int64_t step = out.strides()[d];
    if (step > own) above = std::gcd(above, step);
    else below += (out.shape()[d] - 1) * step;
  }
  return own > below && (above == 0 || below + (out.shape()[k] - 1) * own < above);
}

template <class T> __global__ void add_overlapping_kernel(Places<2> apart, Places<2> together, T* out, const T* x) {
  for (int64_t i = first_element(); i < apart.numel; i += all_threads()) {
    int64_t at[2];
    apart.find(i, at);
    for (int64_t j = 0; j < together.numel; ++j) {
      int64_t more[2];
      together.find(j, more);
      T& place = out[at[0] + more[0]];
      place = static_cast<T>(place + x[at[1] + more[1]]);
    }
  }
}

// Every `phases`-th index of dimension d, from `first` on.
Tensor phase(const Tensor& x, int d, int64_t first, int64_t phases) {
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape[d] = (shape[d] - first + phases - 1) / phases;
  strides[d] *= phases;
  return window(x, shape, strides, x.impl()->offset + first * x.strides()[d]);
}
// How many phases keep dimension d apart; 1 if there is no reasonable number.
int64_t phases_of(const Tensor& out, int d) {
  constexpr int64_t kMost = 64;
  for (int64_t phases = 2; phases <= std::min(kMost, out.shape()[d] - 1); ++phases) {
    if (keeps_apart(phase(out, d, 0, phases), d)) return phases;
  }
  return 1;
}

void add_in_order(const Tensor& out, const Tensor& x) {
  Shape apart = out.shape(), together = out.shape();
  for (int d = 0; d < out.dim(); ++d) (keeps_apart(out, d) ? together : apart)[d] = 1;
  auto among = [&](const Shape& shape) {
    const Tensor to = window(out, shape, out.strides(), 0), from = window(x, shape, x.strides(), 0);
    return places<2>("add", shape, {&to, &from});
  };
  const Places<2> threads = among(apart), steps = among(together);
  dispatch(out.dtype(), [&](auto t) {
    using T = decltype(t);
    launch("add overlapping", add_overlapping_kernel<T>, grid_for(threads.numel), threads, steps, elements<T>(out),
           elements<const T>(x));
  });
}

}  // namespace

void Waist::add_overlapping(const Tensor& out, const Tensor& x) {
  if (out.numel() == 0) return;
  // Along a stride of 0 all meet at one place: that is a sum.
  Shape met = out.shape();
  Dims repeats;
  int widest = -1;
  for (int d = 0; d < out.dim(); ++d) {
    if (out.shape()[d] == 1 || keeps_apart(out, d)) continue;
    if (out.strides()[d] == 0) repeats.push_back(d), met[d] = 1;
    else if (widest < 0 || out.shape()[d] > out.shape()[widest]) widest = d;
  }
  if (!repeats.empty() && x.dtype() != DType::boolean) {
    const Tensor sums = empty(met, x.dtype(), x.device());
    reduce(functor::Reductions::index_of<functor::Sum>(), sums, x, repeats);
    return add_overlapping(window(out, met, out.strides(), out.impl()->offset), sums);
  }
  const int64_t phases = widest < 0 ? 1 : phases_of(out, widest);
  if (phases == 1) return add_in_order(out, x);
  for (int64_t p = 0; p < phases; ++p) add_in_order(phase(out, widest, p, phases), phase(x, widest, p, phases));
}

}  // namespace cr::backend::CR_GPU
