// A layer to try things on: random images, weights, and a random gradient from
// above. The truth is computed by the library in float64, forward and, by autograd,
// back.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "chainrule.hpp"
#include "fragments.hpp"
#include "rungs.hpp"

struct Layer {
  Conv d;
  cr::Tensor x, w, dy;  // (n, c, h, w), (o, c / groups, kh, kw), (n, o, …)
  cr::Tensor y64 = {}, dx64 = {}, dw64 = {};  // the truth
};

inline cr::ConvOptions options(const Conv& d) {
  return {.stride = d.stride,
          .padding = d.pad,
          .dilation = d.dilation,
          .groups = d.groups};
}

// With `bf16` the numbers are such as bfloat16 can hold, so that rounding them
// changes nothing and what is left is the error of the arithmetic.
inline cr::Tensor random_numbers(const cr::Shape& shape, cr::Generator& random,
                                 bool bf16) {
  cr::Tensor x = cr::randn(shape, random);
  if (bf16)
    for (int64_t i = 0; i < x.numel(); ++i)
      x.mutable_data<float>()[i] = round_to_bfloat16(x.data<float>()[i]);
  return x;
}

inline Layer make_layer(const Conv& d, cr::Generator& random, bool bf16 = false) {
  Layer l = {d, random_numbers({d.n, d.c, d.h, d.w}, random, bf16),
             random_numbers({d.o, d.group_c(), d.kh, d.kw}, random, bf16),
             random_numbers({d.n, d.o, d.out_h(), d.out_w()}, random, bf16)};
  // The gradient from above, $\delta$, enters as the loss $\sum \delta \cdot y$,
  // whose derivative with respect to $y$ is just $\delta$.
  cr::Tensor x = l.x.to(cr::DType::float64).requires_grad_(),
             w = l.w.to(cr::DType::float64).requires_grad_();
  cr::Tensor y = cr::conv2d(x, w, {}, options(d));
  cr::sum(y * l.dy.to(cr::DType::float64)).backward();
  l.y64 = y.detach(), l.dx64 = x.grad(), l.dw64 = w.grad();
  return l;
}

// ## How wrong?
//
// A sum of $K$ products in float32 is off by at most $K u / (1 - K u)$ times the
// sum of the products' sizes, $u = 2^{-24}$, whatever the order ([chapter
// 56](../56_cpu_performance/main.cpp#three-loops) says why). The sizes' sum is a
// convolution too. An error in units of this bound is at most 1 for a kernel that
// is right, and it is usually far below; a kernel that leaves out one product is
// far above. The bound is another one for each number of the result: where all that
// is summed up is small, little may go wrong. That makes it sharp, where one bound
// for all would let small numbers pass that are entirely wrong.
//
// A result that is rounded to bfloat16 at the end may be off by another part in
// $2^8$.
struct Truth {
  Layer l;
  cr::Tensor y_room, dx_room, dw_room;  // the bounds

  explicit Truth(const Layer& layer) : l(layer) {
    const Conv& d = l.d;
    cr::Tensor x = cr::abs(l.x.to(cr::DType::float64)).requires_grad_(),
               w = cr::abs(l.w.to(cr::DType::float64)).requires_grad_();
    cr::Tensor y = cr::conv2d(x, w, {}, options(d));
    cr::sum(y * cr::abs(l.dy.to(cr::DType::float64))).backward();
    y_room = gamma(d.group_c() * d.taps()) * y.detach();
    dx_room = gamma(d.group_o() * d.taps()) * x.grad();
    dw_room = gamma(d.places()) * w.grad();
  }
  static double gamma(double terms) {
    const double u = std::ldexp(1.0, -24);
    return (terms + 1) * u / (1 - (terms + 1) * u);
  }
};

inline double in_bounds(const cr::Tensor& got, const cr::Tensor& truth,
                        const cr::Tensor& room, bool bf16 = false) {
  cr::Tensor allowed = room + 1e-300;
  if (bf16) allowed = allowed + cr::abs(truth) / 255.0;
  cr::Tensor units = cr::abs(got.to(cr::DType::float64) - truth) / allowed;
  return cr::amax(units).item();
}

// The typical error, relative to a typical result.
inline double typical_error(const cr::Tensor& got, const cr::Tensor& truth) {
  cr::Tensor gap = got.to(cr::DType::float64) - truth;
  return std::sqrt(cr::mean(cr::square(gap)).item() /
                   cr::mean(cr::square(truth)).item());
}
