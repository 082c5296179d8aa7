// A **bench** carries a layer to a device, calls rungs there, and brings back what
// they found. Results begin as NaN, so what a rung forgets to write shows. It also
// counts the bytes that a rung needs beyond q, k, v and the output.
#pragma once

#include <type_traits>

#include "lab.hpp"

template <class T> T* raw(const cr::Tensor& x) {
  return static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset;
}

template <class T> class Bench {
 public:
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

  explicit Bench(const Layer& layer, cr::Device device = cr::Device::simt)
      : layer_(layer),
        device_(device),
        q_(carried(layer.q)),
        k_(carried(layer.k)),
        v_(carried(layer.v)) {}

  cr::Tensor forward(void (*rung)(const ForwardCall<T, Sum>&)) {
    // A fresh output for each call, so that nothing of an earlier rung is left in
    // it.
    const ForwardCall<T, Sum> call = begin();
    rung(call);
    return brought(o_);
  }

  // A rung that wants room for all scores.
  cr::Tensor forward(void (*rung)(const ForwardCall<T, Sum>&, Sum*)) {
    const ForwardCall<T, Sum> call = begin();
    cr::Tensor scores =
        fresh<Sum>({layer_.batch, layer_.heads, layer_.queries, layer_.keys});
    rung(call, raw<Sum>(scores));
    return brought(o_);
  }

  // After a forward rung: dq, dk, dv.
  std::vector<cr::Tensor> backward(void (*rung)(const BackwardCall<T, Sum>&)) {
    cr::Tensor d_o = carried(layer_.d_o), dq = fresh<T>(q_.shape()),
               dk = fresh<T>(k_.shape()), dv = fresh<T>(v_.shape());
    bytes = 0;
    cr::Tensor dots = fresh<Sum>(row_log_.shape());
    BackwardCall<T, Sum> a;
    static_cast<AttentionSizes&>(a) = layer_;

    // Fill in what the kernels are told.
    a.q = raw<T>(q_), a.k = raw<T>(k_), a.v = raw<T>(v_), a.o = raw<T>(o_),
    a.d_o = raw<T>(d_o);
    a.row_log = raw<Sum>(row_log_), a.dots = raw<Sum>(dots);
    a.dq = raw<T>(dq), a.dk = raw<T>(dk), a.dv = raw<T>(dv),
    a.scale = Sum(layer_.scale());
    rung(a);
    return {brought(dq), brought(dk), brought(dv)};
  }

  cr::Tensor row_log() const { return brought(row_log_); }
  int64_t bytes = 0;

 private:
  ForwardCall<T, Sum> begin() {
    o_ = fresh<T>(q_.shape());
    bytes = 0;
    row_log_ = fresh<Sum>({layer_.batch, layer_.heads, layer_.queries});
    ForwardCall<T, Sum> a;
    static_cast<AttentionSizes&>(a) = layer_;
    a.q = raw<T>(q_), a.k = raw<T>(k_), a.v = raw<T>(v_), a.o = raw<T>(o_);
    a.row_log = raw<Sum>(row_log_), a.scale = Sum(layer_.scale());
    return a;
  }
  cr::Tensor carried(const cr::Tensor& x) const {
    return x.to(cr::dtype_of<T>).to(device_);
  }
  static cr::Tensor brought(const cr::Tensor& x) {
    return x.to(cr::Device::cpu).to(cr::DType::float64);
  }

  // All that a rung asks for comes through here.
  template <class U> cr::Tensor fresh(const cr::Shape& shape) {
    // Room on the device, and its bytes on the bill.
    cr::Tensor x = cr::full(shape, std::numeric_limits<float>::quiet_NaN())
                       .to(cr::dtype_of<U>)
                       .to(device_);
    bytes += x.numel() * int64_t{sizeof(U)};
    return x;
  }

  Layer layer_;
  cr::Device device_;
  cr::Tensor q_, k_, v_, o_, row_log_;
};
