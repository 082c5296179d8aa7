// A layer to try things on: random images, weights, and a random gradient from
// above. The truth is computed by the library in float64, forward and, by autograd,
// back.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "chainrule.hpp"
#include "shape.hpp"

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
// A result that is rounded to bfloat16 at the end, to 8 binary digits, may be off by
// another part in $2^8$ of what was rounded.
//
// (One caution. The emulator's tensor cores round each addition to the nearest
// float32, as the bound assumes. The hardware's cut off what does not fit, and where
// exactly NVIDIA does not say; there the bound is a yardstick, and not proven.)
struct Layer {
  Conv d;
  cr::Tensor x, w, dy;  // (n, c, h, w), (o, c / groups, kh, kw), (n, o, …)
  cr::Tensor y64 = {}, dx64 = {}, dw64 = {};           // the truth
  cr::Tensor y_room = {}, dx_room = {}, dw_room = {};  // how far from it one may be
};

inline cr::ConvOptions options(const Conv& d) {
  return {.stride = d.stride,
          .padding = d.pad,
          .dilation = d.dilation,
          .groups = d.groups};
}

inline double rounding_bound(int64_t terms) {
  const double ku = double(terms) * std::ldexp(1.0, -24);
  return ku / (1 - ku);
}

// The gradient from above, $\delta$, enters as the loss $\sum \delta \cdot y$, whose
// derivative with respect to $y$ is just $\delta$. With all signs removed the same
// three lines give the sizes' sums.
inline void add_truth(Layer& l) {
  const Conv& d = l.d;
  auto run = [&](auto sign, cr::Tensor& y, cr::Tensor& dx, cr::Tensor& dw) {
    auto leaf = [&](const cr::Tensor& t) { return sign(t.to(cr::DType::float64)); };
    cr::Tensor x = leaf(l.x).requires_grad_(), w = leaf(l.w).requires_grad_();
    cr::Tensor result = cr::conv2d(x, w, {}, options(d));
    cr::sum(result * leaf(l.dy)).backward();
    y = result.detach(), dx = x.grad(), dw = w.grad();
  };
  run([](const cr::Tensor& t) { return t; }, l.y64, l.dx64, l.dw64);
  run([](const cr::Tensor& t) { return cr::abs(t); }, l.y_room, l.dx_room,
      l.dw_room);
  l.y_room = rounding_bound(d.group_c() * d.taps()) * l.y_room;
  l.dx_room = rounding_bound(d.group_o() * d.taps()) * l.dx_room;
  l.dw_room = rounding_bound(d.places()) * l.dw_room;
}

// With `bf16` the numbers are such as bfloat16 can hold, so that rounding them
// changes nothing and what is left is the error of the arithmetic.
inline Layer random_layer(const Conv& d, cr::Generator& random, bool bf16 = false) {
  auto numbers = [&](const cr::Shape& shape) {
    cr::Tensor x = cr::randn(shape, random);
    return bf16 ? x.to(cr::DType::bfloat16).to(cr::DType::float32) : x;
  };
  cr::Tensor x = numbers({d.n, d.c, d.h, d.w}),
             w = numbers({d.o, d.group_c(), d.kh, d.kw}),
             dy = numbers({d.n, d.o, d.out_h(), d.out_w()});
  return {d, x, w, dy};
}

inline Layer make_layer(const Conv& d, cr::Generator& random, bool bf16 = false) {
  Layer l = random_layer(d, random, bf16);
  add_truth(l);
  return l;
}

inline double in_bounds(const cr::Tensor& got, const cr::Tensor& truth,
                        const cr::Tensor& room, bool bf16 = false) {
  cr::Tensor allowed = room + 1e-300;
  if (bf16) allowed = allowed + (cr::abs(truth) + room) / 256.0;
  cr::Tensor units = cr::abs(got.to(cr::DType::float64) - truth) / allowed;
  return cr::amax(units).item();
}

// The typical error, relative to a typical result.
inline double typical_error(const cr::Tensor& got, const cr::Tensor& truth) {
  cr::Tensor gap = got.to(cr::DType::float64) - truth.to(cr::DType::float64);
  return std::sqrt(cr::mean(cr::square(gap)).item() /
                   cr::mean(cr::square(truth.to(cr::DType::float64))).item());
}
