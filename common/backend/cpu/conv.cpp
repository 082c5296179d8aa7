// # Convolution
//
// $$y_{o}(p) = b_o + \sum_{c}\sum_{t} w_{o,c,t}\; x_c(p \cdot s + t)$$
//
// and its adjoint, which is a convolution as well. What both come to is in `conv.hpp`. There are three ways to compute it, and
// the one that is least work is taken: image by image (`conv_plan.cpp`), many images at once (`conv_batch.cpp`), and with
// fewer multiplications (`conv_winograd.cpp`).
#include "backend/cpu/conv.hpp"

#include "backend/cpu/conv_ways.hpp"
#include "backend/cpu/cpu.hpp"

namespace cr::backend::cpu {
namespace {

// The plain loop, for integers.
void convolve(const Convolution<int64_t>& c) {
  for (int64_t part = 0; part < c.images * c.groups; ++part)
    for (int64_t row = 0; row < c.rows; ++row)
      for (int64_t place = 0; place < c.y_row(); ++place) {
        const int64_t group = part % c.groups, row_of_all = group * c.rows + row;
        const std::array<int64_t, 3> at = c.coordinates(place);
        const ConvClass& own = c.class_of(at);
        uint64_t sum = c.bias ? static_cast<uint64_t>(c.bias[row_of_all]) : 0;
        for (int64_t channel = 0; channel < c.channels; ++channel)
          for (int64_t i = 0; i < own.taps; ++i) {
            const ConvTap& tap = c.taps[own.first_tap + i];
            int64_t number;
            if (!c.sees(at, tap, number)) continue;
            const int64_t x = (part * c.channels + channel) * c.x_channel() + number;
            sum += static_cast<uint64_t>(c.w[group * c.w_group + row * c.w_row + channel * c.w_channel + tap.w]) *
                   static_cast<uint64_t>(c.x[x]);
          }
        c.y[(part * c.rows + row) * c.y_row() + place] = static_cast<int64_t>(sum);
      }
}

template <class T> void convolve(const Convolution<T>& c) {
  const double plan = c.work(), batch = batch_work(c);
  if constexpr (std::is_same_v<T, float>)
    if (winograd_work(c) < std::min(plan, batch) && convolve_winograd(c)) return;
  batch < plan ? convolve_batch(c) : convolve_plan(c);
}

template <class T> void run(const Convolution<T>& c) {
  if (c.images != 0 && c.groups != 0 && c.rows != 0 && c.y_row() != 0) convolve(c);
}

template <class T> T* numbers(const Tensor& x) {
  return x.defined() ? static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset : nullptr;
}

template <class F> void dispatch(const Tensor& x, const char* op, F&& f) {
  if (x.dtype() == DType::int64) f(int64_t{});
  else dispatch_floating(x.dtype(), op, f);
}

// Calls f(z, y, x) for all coordinates below these sizes.
template <class F> void for_each(const std::array<int64_t, 3>& sizes, F&& f) {
  for (int64_t z = 0; z < sizes[0]; ++z)
    for (int64_t y = 0; y < sizes[1]; ++y)
      for (int64_t x = 0; x < sizes[2]; ++x) f(z, y, x);
}

}  // namespace

ConvShape::ConvShape(const Tensor& x, const Tensor& w, const Tensor& y, const Window& window, int64_t of_groups)
    : images(x.shape()[0]), groups(of_groups), channels(w.shape()[1]), rows(w.shape()[0] / of_groups) {
  for (int d = 0; d < 3; ++d) {
    const int own = d - (5 - x.dim());  // of the dimensions that are there
    lines[d] = ConvLine{};
    if (own >= 0) {
      lines[d] = {.size = x.shape()[own + 2],
                  .places = y.shape()[own + 2],
                  .stride = window.stride[own],
                  .tap = -window.padding[own],
                  .tap_step = window.dilation[own],
                  .taps = w.shape()[own + 2]};
    }
    kernel[d] = lines[d].taps;
  }
}

void Cpu::conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Window& window,
               int64_t groups) {
  const ConvShape s(x, w, y, window, groups);
  dispatch(x, "conv", [&](auto type) {
    using T = decltype(type);
    Convolution<T> c;
    c.images = s.images, c.groups = groups, c.channels = s.channels, c.rows = s.rows;
    c.x = numbers<T>(x), c.w = numbers<T>(w), c.bias = numbers<T>(bias), c.y = numbers<T>(y);
    for (int d = 0; d < 3; ++d) {
      c.lines[d] = s.lines[d], c.size[d] = s.lines[d].places;
      for (int64_t t = 0; t < s.kernel[d]; ++t) c.seen[d].push_back(t);
    }
    for_each({s.kernel[0], s.kernel[1], s.kernel[2]}, [&](int64_t tz, int64_t ty, int64_t tx) {
      c.taps.push_back({{tz, ty, tx}, c.num_taps()});
    });
    c.classes = {{.taps = c.num_taps()}};
    c.w_channel = c.num_taps(), c.w_row = s.channels * c.w_channel, c.w_group = s.rows * c.w_row;
    run(c);
  });
}

// ## The adjoint
//
// Number i of x was seen by place p through tap t wherever i = p s + t d − padding. So dx(i) sums dy(p) w(t) over these
// pairs: a convolution of dy with the taps in reverse. With a stride s, which taps they are depends on i mod s, and each of
// these residues has its class. Nothing is scattered, and every sum has its order.
void Cpu::conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& bias, const Window& window,
                     int64_t groups) {
  const ConvShape s(dx, w, dy, window, groups);
  // In one dimension, for residue r: the taps t with r + padding − t d divisible by s. Place j of the class, number r + j s,
  // sees dy at j + `ahead`, where ahead = (r + padding − t d) / s.
  struct Seen {
    int64_t tap, ahead;
  };
  std::vector<std::vector<Seen>> residues[3];
  ConvLine lines[3];
  std::vector<int64_t> seen[3];
  for (int d = 0; d < 3; ++d) {
    const ConvLine& l = s.lines[d];
    residues[d].resize(std::min(l.stride, l.size));
    for (int64_t t = 0; t < l.taps; ++t) {
      // The residue that makes r − from divisible, without a sign.
      const int64_t from = l.tap + t * l.tap_step, r = (from % l.stride + l.stride) % l.stride;
      if (r >= std::ssize(residues[d])) continue;
      residues[d][r].push_back({t, (r - from) / l.stride});
      seen[d].push_back((r - from) / l.stride);
    }
    std::sort(seen[d].begin(), seen[d].end());
    seen[d].erase(std::unique(seen[d].begin(), seen[d].end()), seen[d].end());
    if (seen[d].empty()) seen[d] = {0};
    lines[d] = {.size = l.places,
                .places = (l.size + l.stride - 1) / l.stride,
                .tap = seen[d].front(),
                .taps = seen[d].back() - seen[d].front() + 1};
  }
  dispatch(dx, "conv_input", [&](auto type) {
    using T = decltype(type);
    Convolution<T> c;
    c.images = s.images, c.groups = groups, c.channels = s.rows, c.rows = s.channels;
    c.x = numbers<T>(dy), c.w = numbers<T>(w), c.bias = numbers<T>(bias), c.y = numbers<T>(dx);
    auto index = [&](int d, int64_t ahead) {
      return std::lower_bound(seen[d].begin(), seen[d].end(), ahead) - seen[d].begin();
    };
    for_each({std::ssize(residues[0]), std::ssize(residues[1]), std::ssize(residues[2])},
             [&](int64_t rz, int64_t ry, int64_t rx) {
               ConvClass own{{rz, ry, rx}, c.num_taps(), 0};
               for (const Seen& z : residues[0][rz])
                 for (const Seen& y : residues[1][ry])
                   for (const Seen& x : residues[2][rx])
                     c.taps.push_back({{index(0, z.ahead), index(1, y.ahead), index(2, x.ahead)},
                                       (z.tap * s.kernel[1] + y.tap) * s.kernel[2] + x.tap});
               own.taps = c.num_taps() - own.first_tap;
               c.classes.push_back(own);
             });
    for (int d = 0; d < 3; ++d) {
      c.lines[d] = lines[d], c.size[d] = s.lines[d].size, c.step[d] = s.lines[d].stride;
      for (int64_t ahead : seen[d]) c.seen[d].push_back(ahead - lines[d].tap);
    }
    c.w_row = s.kernel[0] * s.kernel[1] * s.kernel[2];
    c.w_channel = s.channels * c.w_row, c.w_group = s.rows * c.w_channel;
    run(c);
  });
}

}  // namespace cr::backend::cpu
