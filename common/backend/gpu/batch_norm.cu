// # Batch norm
//
// A channel of x (n, channels, places) is n runs of `places` numbers. A block adds up some of them, a **part**; where there
// is one place, as in x (n, channels), the numbers of a channel lie far apart, so a block takes 32 channels side by side.
// Then the parts of a channel meet, in order, and one more pass over x does the rest.
#include "backend/gpu/block.cuh"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/norm.cuh"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

constexpr int kThreads = 128;

// What is known of a channel: y = centered(x) · weight + shift; dx = (dy − level − x̂ · slope) · factor.
template <class T> struct Channel {
  Centered<T> centered;
  T weight, shift, level, slope, factor;
};

struct Batch {
  int64_t images, channels, places, parts;
  int lanes;  // channels side by side
  __host__ __device__ int64_t first(int64_t part) const { return images * places * part / parts; }

  // The channel of number i.
  __device__ int64_t channel_of(int64_t i) const {
    if (images * channels * places > 0x7fffffff) return i / places % channels;
    return static_cast<uint32_t>(i) / static_cast<uint32_t>(places) % static_cast<uint32_t>(channels);
  }

  // Calls f(i) for this thread's share of a part of a channel's numbers: without dividing at every step, and with the loads
  // of several steps under way at once.
  template <class F> __device__ void for_each_number(int64_t channel, int64_t part, const F& f) const {
    if (places == 0) return;
    const int64_t step = kThreads / lanes, begin = first(part) + static_cast<int>(threadIdx.x) / lanes;
    const int64_t images_on = step / places, places_on = step % places;
    int64_t image = begin / places, place = begin % places;
#pragma unroll 4
    for (int64_t number = begin; number < first(part + 1); number += step) {
      f((image * channels + channel) * places + place);
      image += images_on, place += places_on;
      if (place >= places) place -= places, ++image;
    }
  }
};

// The block's channels and part: for (…) calls in a loop, since a grid has an end along z.
template <class F> __device__ void for_each_part(const Batch& b, const F& f) {
  const int64_t channel = int64_t{blockIdx.x} * b.lanes + static_cast<int>(threadIdx.x) % b.lanes;
  for (int64_t part = blockIdx.z; part < b.parts; part += gridDim.z) f(channel, part);
}

// ## Forward
//
// `sums`, (parts, 2, channels): the mean of a part, and the sum of squares around it. As in layer norm, a first mean that is
// only near keeps the digits.
template <class T> __global__ void moments_kernel(Batch b, const T* x, double* sums) {
  for_each_part(b, [&](int64_t channel, int64_t part) {
    const bool exists = channel < b.channels;
    const double count = static_cast<double>(b.first(part + 1) - b.first(part));
    LongSum<T> sum, around, squares;
    if (exists) b.for_each_number(channel, part, [&](int64_t i) { sum.add(x[i]); });
    const T near = static_cast<T>(block_sum<kThreads>(sum.value(), b.lanes) / count);
    if (exists) {
      b.for_each_number(channel, part, [&](int64_t i) {
        const T d = x[i] - near;
        around.add(d);
        squares.add(d * d);
      });
    }
    const double rest_sum = block_sum<kThreads>(around.value(), b.lanes), rest = rest_sum / count;
    const double square = block_sum<kThreads>(squares.value(), b.lanes) - rest * rest_sum;
    if (!exists || static_cast<int>(threadIdx.x) >= b.lanes) return;
    sums[2 * part * b.channels + channel] = static_cast<double>(near) + rest;
    sums[(2 * part + 1) * b.channels + channel] = square < 0 ? 0 : square;
  });
}

// Parts are merged (Chan, Golub and LeVeque 1979): the squares around two means that differ by a step grow by the square of
// that step, weighed by how many numbers each stands for.
template <class T>
__global__ void channels_kernel(Batch b, const double* sums, double* mean, double* var, const T* weight, const T* bias,
                                double eps, Channel<T>* own) {
  for (int64_t c = first_element(); c < b.channels; c += all_threads()) {
    double m = 0, squares = 0;
    for (int64_t part = 0; part < b.parts; ++part) {
      const double before = static_cast<double>(b.first(part)), all = static_cast<double>(b.first(part + 1));
      const double step = sums[2 * part * b.channels + c] - m, share = step * ((all - before) / all);
      m += share;
      squares += sums[(2 * part + 1) * b.channels + c] + step * share * before;
    }
    mean[c] = m;
    var[c] = squares / static_cast<double>(b.images * b.places);
    own[c].centered = Centered<T>(m, var[c], eps);
    own[c].weight = weight ? weight[c] : T(1);
    own[c].shift = bias ? bias[c] : T(0);
  }
}

template <class T> __global__ void apply_kernel(Batch b, T* y, const T* x, const Channel<T>* channels) {
  for (int64_t i = first_element(); i < b.images * b.channels * b.places; i += all_threads()) {
    const Channel<T>& own = channels[b.channel_of(i)];
    y[i] = own.centered(x[i]) * own.weight + own.shift;
  }
}

// ## Backward
//
// `sums`, (parts, 2, channels): Σ dy and Σ dy x̂.
template <class T>
__global__ void backward_sums_kernel(Batch b, const T* dy, const T* x, const double* mean, const double* var,
                                     double eps, double* sums) {
  for_each_part(b, [&](int64_t channel, int64_t part) {
    const bool exists = channel < b.channels;
    LongSum<T> plain, times_x;
    if (exists) {
      const Centered<T> centered(mean[channel], var[channel], eps);
      b.for_each_number(channel, part, [&](int64_t i) {
        plain.add(dy[i]);
        times_x.add(dy[i] * centered(x[i]));
      });
    }
    const double total = block_sum<kThreads>(plain.value(), b.lanes);
    const double total_x = block_sum<kThreads>(times_x.value(), b.lanes);
    if (!exists || static_cast<int>(threadIdx.x) >= b.lanes) return;
    sums[2 * part * b.channels + channel] = total;
    sums[(2 * part + 1) * b.channels + channel] = total_x;
  });
}

template <class T>
__global__ void backward_channels_kernel(Batch b, const double* sums, const double* mean, const double* var,
                                         const T* weight, double eps, T* dweight, T* dbias, Channel<T>* own) {
  for (int64_t c = first_element(); c < b.channels; c += all_threads()) {
    const double count = static_cast<double>(b.images * b.places);
    double total = 0, total_x = 0;
    for (int64_t part = 0; part < b.parts; ++part) {
      total += sums[2 * part * b.channels + c];
      total_x += sums[(2 * part + 1) * b.channels + c];
    }
    if (dweight) dweight[c] = static_cast<T>(total_x);
    if (dbias) dbias[c] = static_cast<T>(total);
    own[c].centered = Centered<T>(mean[c], var[c], eps);
    own[c].level = static_cast<T>(total / count);
    own[c].slope = static_cast<T>(total_x / count);
    own[c].factor = weight ? own[c].centered.scale * weight[c] : own[c].centered.scale;
  }
}

template <class T>
__global__ void backward_kernel(Batch b, T* dx, const T* dy, const T* x, const Channel<T>* channels) {
  for (int64_t i = first_element(); i < b.images * b.channels * b.places; i += all_threads()) {
    const Channel<T>& own = channels[b.channel_of(i)];
    dx[i] = (dy[i] - own.level - own.centered(x[i]) * own.slope) * own.factor;
  }
}

// How many parts follows from the shape alone: enough blocks for a GPU, and enough numbers for a block.
struct Plan {
  Batch b;
  Grid grid;
  explicit Plan(const Tensor& x) : b{x.shape()[0], x.shape()[1], x.shape()[2], 1, x.shape()[2] == 1 ? 32 : 1} {
    constexpr int64_t kFewest = 1024;
    const int64_t across = pieces(b.channels, b.lanes);
    b.parts = std::clamp<int64_t>(b.images * b.places * b.lanes / kFewest, 1, pieces(kEnoughBlocks, across));
    grid = {.blocks = {static_cast<unsigned>(across), 1, deep(b.parts)}, .threads = {kThreads}};
  }
};

template <class T> Channel<T>* channels_in(const Scratch<T>& scratch) {
  return reinterpret_cast<Channel<T>*>(scratch.data());
}
template <class T> constexpr int64_t kChannelSize = sizeof(Channel<T>) / sizeof(T);

}  // namespace

void Waist::batch_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                       const Tensor& bias, double eps) {
  if (x.shape()[1] == 0) return;
  dispatch_floating(x.dtype(), "batch_norm", [&](auto t) {
    using T = decltype(t);
    const auto [b, grid] = Plan(x);
    const Scratch<double> sums(b.parts * 2 * b.channels, x.device());
    const Scratch<T> own(kChannelSize<T> * b.channels, x.device());
    launch("batch_moments", moments_kernel<T>, grid, b, elements<const T>(x), sums.data());
    launch("batch_channels", channels_kernel<T>, grid_for(b.channels), b, sums.data(), elements<double>(mean),
           elements<double>(var), elements<const T>(weight), elements<const T>(bias), eps, channels_in(own));
    if (x.numel() == 0) return;
    launch("batch_norm", apply_kernel<T>, grid_for(x.numel()), b, elements<T>(y), elements<const T>(x),
           channels_in(own));
  });
}

void Waist::batch_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                                const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                                double eps) {
  if (x.shape()[1] == 0) return;
  dispatch_floating(x.dtype(), "batch_norm", [&](auto t) {
    using T = decltype(t);
    const auto [b, grid] = Plan(x);
    const Scratch<double> sums(b.parts * 2 * b.channels, x.device());
    const Scratch<T> own(kChannelSize<T> * b.channels, x.device());
    const auto *m = elements<const double>(mean), *v = elements<const double>(var);
    launch("batch_backward_sums", backward_sums_kernel<T>, grid, b, elements<const T>(dy), elements<const T>(x), m, v,
           eps, sums.data());
    launch("batch_backward_channels", backward_channels_kernel<T>, grid_for(b.channels), b, sums.data(), m, v,
           elements<const T>(weight), eps, elements<T>(dweight), elements<T>(dbias), channels_in(own));
    if (x.numel() == 0) return;
    launch("batch_norm_backward", backward_kernel<T>, grid_for(x.numel()), b, elements<T>(dx), elements<const T>(dy),
           elements<const T>(x), channels_in(own));
  });
}

}  // namespace cr::backend::CR_GPU
