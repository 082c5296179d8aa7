// A layer's tensors on a device, and the rungs called on them. Every call returns
// its result on the host. What a rung did not write shows: results begin as NaN, so
// that a number that nobody wrote fails every comparison.
#pragma once

#include <limits>

#include "book/progress.hpp"
#include "layer.hpp"
#include "rungs.hpp"
#include "winograd.hpp"

// Where a tensor's numbers begin, on whatever device.
template <class T = float> T* raw(const cr::Tensor& x) {
  return static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset;
}

// (a, b, h, w) to (a, h, w, padded b) in bfloat16, and back in float32.
inline cr::Tensor channels_last(const cr::Tensor& x) {
  cr::Tensor y = x.permute({0, 2, 3, 1});
  const int64_t spare = padded(int(x.size(1))) - x.size(1);
  if (spare > 0)
    y = cr::cat({y, cr::zeros({y.size(0), y.size(1), y.size(2), spare}, y.dtype(),
                              y.device())},
                3);
  return y.to(cr::DType::bfloat16).contiguous();
}
inline cr::Tensor channels_first(const cr::Tensor& y, int64_t channels) {
  const cr::Tensor x = y.to(cr::DType::float32).permute({0, 3, 1, 2});
  return x.narrow(1, 0, channels).contiguous();
}

// The processors that the emulator stands for: an H100's.
constexpr int kProcessors = 132;

class Bench {
 public:
  Bench(const Layer& layer, cr::Device device, const Rungs& rungs)
      : layer(layer),
        d(layer.d),
        r(rungs),
        x(layer.x.to(device)),
        w(layer.w.to(device)),
        dy(layer.dy.to(device)),
        device_(device) {}

  // ## float32
  //
  // Forward by any rung; the two ways back by the implicit product.
  cr::Tensor forward(Rungs::Fn rung) {
    cr::Tensor y = fresh(layer.dy.shape());
    rung(d, raw(x), raw(w), raw(y));
    return y.to(cr::Device::cpu);
  }
  cr::Tensor forward(Rungs::WithSpace rung, int64_t space) {
    cr::Tensor y = fresh(layer.dy.shape()), room = fresh({space});
    rung(d, raw(x), raw(w), raw(room), raw(y));
    return y.to(cr::Device::cpu);
  }
  cr::Tensor im2col() { return forward(r.im2col, columns()); }
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

  // The numbers of im2col's matrix.
  int64_t columns() const { return int64_t{d.places()} * d.c * d.taps(); }

  // ## bfloat16
  //
  // The tensors change layout and type on the way in and change back on the way
  // out. A network that runs on tensor cores keeps them as they are in between.
  cr::Tensor tensor_forward(int processors = kProcessors) {
    return tensor_forward(channels_last(layer.w), processors);
  }
  cr::Tensor tensor_forward(const cr::Tensor& weights, int processors) {
    const cr::Tensor in = last(layer.x), there = weights.to(device_),
                     out = fresh16({d.n, d.out_h(), d.out_w(), padded(d.o)});
    r.tensor_forward(d, processors, raw<cr::BFloat16>(in), raw<cr::BFloat16>(there),
                     raw<cr::BFloat16>(out));
    return channels_first(out.to(cr::Device::cpu), d.o);
  }
  cr::Tensor tensor_data_gradient(int processors = kProcessors) {
    const cr::Tensor in = last(layer.dy), weights = last(layer.w.transpose(0, 1)),
                     out = fresh16({d.n, d.h, d.w, padded(d.c)});
    r.tensor_data_gradient(d, processors, raw<cr::BFloat16>(in),
                           raw<cr::BFloat16>(weights), raw<cr::BFloat16>(out));
    return channels_first(out.to(cr::Device::cpu), d.c);
  }
  cr::Tensor tensor_weight_gradient(int parts) {
    const cr::Shape shape = {d.o, d.kh, d.kw, padded(d.c)};
    const cr::Tensor in = last(layer.x), from = last(layer.dy), out = fresh(shape),
                     partial = fresh({parts * out.numel()});
    r.tensor_weight_gradient(d, raw<cr::BFloat16>(in), raw<cr::BFloat16>(from),
                             parts, raw(partial), raw(out));
    return channels_first(out.to(cr::Device::cpu), d.c);
  }

  // Errors in units of their bounds.
  double y_error(const cr::Tensor& y, bool bf16 = false) const {
    return in_bounds(y, layer.y64, layer.y_room, bf16);
  }
  double dx_error(const cr::Tensor& dx, bool bf16 = false) const {
    return in_bounds(dx, layer.dx64, layer.dx_room, bf16);
  }
  double dw_error(const cr::Tensor& dw) const {
    return in_bounds(dw, layer.dw64, layer.dw_room);
  }

  Layer layer;
  Conv d;
  const Rungs& r;
  cr::Tensor x, w, dy;

 private:
  // Every call begins here: Ctrl-C stops a run between two kernels.
  cr::Tensor fresh(const cr::Shape& shape,
                   cr::DType dtype = cr::DType::float32) const {
    cr::book::throw_if_interrupted();
    return cr::full(shape, std::numeric_limits<float>::quiet_NaN())
        .to(dtype)
        .to(device_);
  }
  cr::Tensor fresh16(const cr::Shape& shape) const {
    return fresh(shape, cr::DType::bfloat16);
  }
  cr::Tensor last(const cr::Tensor& from) const {
    return channels_last(from).to(device_);
  }

  cr::Device device_;
};

// On the emulator, with the truth beside it. Numbers that bfloat16 can hold are for
// comparing all rungs: each gets the same, and tensor cores lose nothing on the way
// in.
inline Bench emulated(const Conv& d, cr::Generator& random, bool bf16 = false) {
  return {make_layer(d, random, bf16), cr::Device::simt,
          cr::backend::simt::rungs()};
}
