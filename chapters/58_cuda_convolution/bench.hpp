// The layer's tensors on a device, and the rungs called on them. Every call returns
// its result on the host. What a rung did not write shows: results begin as NaN.
#pragma once

#include <limits>

#include "lab.hpp"

inline float* raw(const cr::Tensor& x) {
  return static_cast<float*>(x.impl()->storage->data()) + x.impl()->offset;
}
inline uint16_t* raw16(const cr::Tensor& x) {
  return reinterpret_cast<uint16_t*>(raw(x));
}

constexpr int padded8(int channels) { return (channels + 7) / 8 * 8; }

class Bench {
 public:
  Bench(const Layer& layer, cr::Device device, const Rungs& rungs)
      : d(layer.d),
        x(layer.x.to(device)),
        w(layer.w.to(device)),
        dy(layer.dy.to(device)),
        device_(device),
        r(rungs) {}

  // ## float32
  //
  // Forward by any rung; the two ways back by the implicit product.
  cr::Tensor forward(Rungs::Fn rung) {
    cr::Tensor y = fresh(y_shape());
    rung(d, raw(x), raw(w), raw(y));
    return y.to(cr::Device::cpu);
  }
  cr::Tensor forward(Rungs::WithSpace rung, int64_t space) {
    cr::Tensor y = fresh(y_shape()), room = fresh({space});
    rung(d, raw(x), raw(w), raw(room), raw(y));
    return y.to(cr::Device::cpu);
  }
  cr::Tensor data_gradient() {
    cr::Tensor dx = fresh(x.shape());
    r.data_gradient(d, raw(dy), raw(w), raw(dx));
    return dx.to(cr::Device::cpu);
  }
  cr::Tensor weight_gradient(int parts) {
    cr::Tensor dw = fresh(w.shape()), partial = fresh({parts * d.w_size()});
    r.weight_gradient(d, raw(x), raw(dy), parts, raw(partial), raw(dw));
    return dw.to(cr::Device::cpu);
  }

  // The numbers that a rung needs besides x, w and y.
  int64_t columns() const {
    return int64_t{d.places()} * d.group_c() * d.taps() * d.groups;
  }
  int64_t winograd_space(int m) const {
    const int64_t tiles =
        int64_t{d.n} * ((d.out_h() + m - 1) / m) * ((d.out_w() + m - 1) / m);
    return (m + 2) * (m + 2) * (int64_t{d.o} * d.c + (d.o + d.c) * tiles);
  }

  // ## bfloat16
  //
  // The tensors change layout and type on the way in and change back on the way
  // out.
  cr::Tensor tensor_forward() {
    cr::Tensor in = last(x, d.n, d.c, d.h * d.w),
               weights = last(w, d.o, d.c, d.taps()),
               out = fresh16(int64_t{d.places()} * padded8(d.o));
    r.tensor_forward(d, raw16(in), raw16(weights), raw16(out));
    return first(out, y_shape());
  }
  cr::Tensor tensor_data_gradient() {
    cr::Tensor in = last(dy, d.n, d.o, d.out_h() * d.out_w()),
               weights = last(w, d.o, d.c, d.taps(), true),
               out = fresh16(int64_t{d.pixels()} * padded8(d.c));
    r.tensor_data_gradient(d, raw16(in), raw16(weights), raw16(out));
    return first(out, x.shape());
  }
  cr::Tensor tensor_weight_gradient(int parts) {
    const int64_t size = int64_t{d.o} * d.taps() * padded8(d.c);
    cr::Tensor in = last(x, d.n, d.c, d.h * d.w),
               from = last(dy, d.n, d.o, d.out_h() * d.out_w()),
               partial = fresh({parts * size}), out = fresh({size}),
               dw = fresh(w.shape());
    r.tensor_weight_gradient(d, raw16(in), raw16(from), parts, raw(partial),
                             raw(out));
    r.floats_first(d.o, d.c, d.taps(), raw(out), raw(dw));
    return dw.to(cr::Device::cpu);
  }

  Conv d;
  cr::Tensor x, w, dy;

 private:
  cr::Shape y_shape() const { return {d.n, d.o, d.out_h(), d.out_w()}; }
  // Results begin as NaN, so that a number that nobody wrote fails every
  // comparison.
  cr::Tensor fresh(const cr::Shape& shape) const {
    return cr::full(shape, std::numeric_limits<float>::quiet_NaN()).to(device_);
  }
  cr::Tensor fresh16(int64_t count) const { return fresh({(count + 1) / 2}); }
  cr::Tensor last(const cr::Tensor& from, int a, int b, int inner,
                  bool turned = false) {
    cr::Tensor to =
        fresh16(int64_t{turned ? b : a} * inner * padded8(turned ? a : b));
    r.channels_last(a, b, inner, turned, raw(from), raw16(to));
    return to;
  }
  cr::Tensor first(const cr::Tensor& from, const cr::Shape& shape) {
    cr::Tensor to = fresh(shape);
    r.channels_first(int(shape[0]), int(shape[1]), int(shape[2] * shape[3]),
                     raw16(from), raw(to));
    return to.to(cr::Device::cpu);
  }

  cr::Device device_;
  const Rungs& r;
};
