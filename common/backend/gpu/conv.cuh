// # A convolution as the kernels see it
//
// x (images, groups, channels, x's places) → y (images, groups, rows, y's places):
//
// $$y(\text{place}) = b + \sum_{\text{channels}} \sum_{\text{taps}} w \cdot x(\text{where that tap looks}) .$$
//
// Its adjoint is a convolution, too, but for one thing. With a stride s, number i of x was seen through those taps t for
// which i + padding − t · dilation is divisible by s: which ones depends on i modulo s. So the numbers fall into
// **classes**, s of them in each dimension, and each class is a convolution of its own with every so-manieth tap.
#pragma once

#include <cstdint>
#include <numeric>

#include "backend/backend.hpp"
#include "backend/gpu/gpu.cuh"

namespace cr::backend::CR_GPU {

// One dimension of a convolution y = x ⋆ w, as the caller gives it.
struct ConvLine {
  int64_t x, y;  // places
  int64_t stride, padding, dilation, taps;
};

// One dimension of one class. Place p of the class is place residue + p · apart of the result, which has `all` of them;
// through tap m of `taps` it sees p · stride + first + m · tap_step, of `size` places; in w that is tap tap_first + m ·
// tap_gap.
struct ClassLine {
  int64_t places, residue, apart, all;
  int64_t size, stride, first, tap_step;
  int64_t taps, tap_first, tap_gap;
};

__device__ inline ClassLine forward_line(const ConvLine& l) {
  return {l.y, 0, 1, l.y, l.x, l.stride, -l.padding, l.dilation, l.taps, 0, 1};
}

// `gap` is stride / gcd(stride, dilation): so far apart are the taps that see the same residue.
__device__ inline ClassLine adjoint_line(const ConvLine& l, int64_t gap, int64_t residue) {
  int64_t tap = 0;
  while (tap < gap && tap < l.taps && (residue + l.padding - tap * l.dilation) % l.stride != 0) ++tap;
  const bool some = tap < gap && tap < l.taps;
  return {(l.x - residue + l.stride - 1) / l.stride,
          residue,
          l.stride,
          l.x,
          l.y,
          1,
          some ? (residue + l.padding - tap * l.dilation) / l.stride : 0,
          -gap * l.dilation / l.stride,
          some ? (l.taps - tap + gap - 1) / gap : 0,
          tap,
          gap};
}

// One to three dimensions of places as three: the missing ones, in front, have one place.
struct ConvShape {
  int64_t images, groups, channels, rows;  // channels in and out of one group
  ConvLine lines[3];
  int64_t x_places = 1, y_places = 1, taps = 1;

  ConvShape(const Tensor& x, const Tensor& w, const Tensor& y, const Window& window, int64_t of_groups)
      : images(x.shape()[0]), groups(of_groups), channels(w.shape()[1]), rows(w.shape()[0] / of_groups) {
    for (int d = 0; d < 3; ++d) {
      const int own = d - (5 - x.dim());  // of the dimensions that are there
      lines[d] = {1, 1, 1, 0, 1, 1};
      if (own >= 0) {
        lines[d] = {x.shape()[own + 2],  y.shape()[own + 2],   window.stride[own],
                    window.padding[own], window.dilation[own], w.shape()[own + 2]};
      }
      x_places *= lines[d].x, y_places *= lines[d].y, taps *= lines[d].taps;
    }
  }
};

// What a kernel computes: y = x ⋆ w, or its adjoint, where x has dy and y will have dx. `rows` are those of y then.
template <class T> struct Convolution {
  bool adjoint;
  int64_t images, groups, channels, rows;
  ConvLine lines[3];
  int64_t gap[3], classes[3];               // of the adjoint; otherwise 1
  int64_t x_places, y_places;               // of a channel
  int64_t taps, w_group, w_row, w_channel;  // taps of a whole kernel, and steps in w
  const T *x, *w, *bias;
  T* y;
};

struct ConvClass {
  ClassLine line[3];
  int64_t places, taps;

  // Where place `p` of the class lies in a channel of y.
  __device__ int64_t place(int64_t p) const {
    int64_t at = 0, size = 1;
    for (int d = 2; d >= 0; --d) {
      at += (line[d].residue + p % line[d].places * line[d].apart) * size;
      p /= line[d].places;
      size *= line[d].all;
    }
    return at;
  }
};

// Class `number` of a convolution. It is the same for a whole block, so it lies in shared memory. All threads must come.
template <class T> __device__ const ConvClass& shared_class(const Convolution<T>& c, int64_t number) {
  __shared__ ConvClass own;
  __syncthreads();
  if (threadIdx.x == 0) {
    own.places = own.taps = 1;
    for (int d = 2; d >= 0; --d) {
      own.line[d] = c.adjoint ? adjoint_line(c.lines[d], c.gap[d], number % c.classes[d]) : forward_line(c.lines[d]);
      number /= c.classes[d];
      own.places *= own.line[d].places, own.taps *= own.line[d].taps;
    }
  }
  __syncthreads();
  return own;
}

}  // namespace cr::backend::CR_GPU
