// # Optimiser steps
//
// One thread for each parameter. A step reads and writes a few numbers for each and computes little, so it is as fast as
// memory is, and doing all of it in one kernel is what counts.
#include <cmath>

#include "backend/functor.hpp"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

template <class T> struct Sgd {
  T lr, decay, sign, keep, take, own, ahead;
  __device__ void operator()(T& p, T g) const { p -= lr * (sign * g + decay * p); }
  __device__ void operator()(T& p, T g, T& m) const {
    const T d = sign * g + decay * p;
    m = keep * m + take * d;
    p -= lr * (own * d + ahead * m);
  }
};
template <class T> __global__ void sgd_kernel(int64_t n, T* p, const T* g, T* m, Sgd<T> step) {
  for (int64_t i = first_element(); i < n; i += all_threads()) {
    if (m) step(p[i], g[i], m[i]);
    else step(p[i], g[i]);
  }
}

template <class T> struct Adam { T beta1, beta2, take1, take2, eps, decay, shrink, step, root, sign; };
template <class T> __global__ void adam_kernel(int64_t n, T* p, const T* g, T* m, T* v, T* largest, Adam<T> o) {
  for (int64_t i = first_element(); i < n; i += all_threads()) {
    const T d = o.sign * g[i] + o.decay * p[i];
    const T mean = o.beta1 * m[i] + o.take1 * d;
    T square = o.beta2 * v[i] + o.take2 * d * d;
    m[i] = mean;
    v[i] = square;
    if (largest) square = largest[i] = functor::Maximum{}(largest[i], square);
    p[i] = p[i] * o.shrink - o.step * mean / (functor::vsqrt(square) / o.root + o.eps);
  }
}

template <class T> __global__ void adagrad_kernel(int64_t n, T* p, const T* g, T* sum, T lr, T eps, T decay, T sign) {
  for (int64_t i = first_element(); i < n; i += all_threads()) {
    const T d = sign * g[i] + decay * p[i], total = sum[i] + d * d;
    sum[i] = total;
    p[i] -= lr * d / (functor::vsqrt(total) + eps);
  }
}

template <class T> struct Rmsprop { T lr, eps, decay, keep, take, momentum, sign; };
template <class T> __global__ void rmsprop_kernel(int64_t n, T* p, const T* g, T* square, T* mean, T* m, Rmsprop<T> o) {
  for (int64_t i = first_element(); i < n; i += all_threads()) {
    const T d = o.sign * g[i] + o.decay * p[i];
    T v = square[i] = o.keep * square[i] + o.take * d * d;
    if (mean) {
      const T average = mean[i] + o.take * (d - mean[i]);
      mean[i] = average;
      v -= average * average;
    }
    T push = d / (functor::vsqrt(v) + o.eps);
    if (m) push = m[i] = o.momentum * m[i] + push;
    p[i] -= o.lr * push;
  }
}

}  // namespace

// ## The launches: numbers in the parameters' own type
void Waist::sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& o) {
  if (p.numel() == 0) return;
  dispatch_floating(p.dtype(), "SGD", [&](auto t) {
    using T = decltype(t);
    Sgd<T> step{static_cast<T>(o.lr),
                static_cast<T>(o.weight_decay),
                T(o.maximize ? -1 : 1),
                o.first ? T(0) : static_cast<T>(o.momentum),
                o.first ? T(1) : static_cast<T>(1 - o.dampening),
                T(o.nesterov ? 1 : 0),
                o.nesterov ? static_cast<T>(o.momentum) : T(1)};
    launch("sgd", sgd_kernel<T>, grid_for(p.numel()), p.numel(), elements<T>(p), elements<const T>(g),
           elements<T>(momentum), step);
  });
}

void Waist::adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& largest_v,
                 const AdamStep& o) {
  if (p.numel() == 0) return;
  dispatch_floating(p.dtype(), "Adam", [&](auto t) {
    using T = decltype(t);
    const double steps = static_cast<double>(o.step);
    Adam<T> step{.beta1 = static_cast<T>(o.beta1),
                 .beta2 = static_cast<T>(o.beta2),
                 .take1 = static_cast<T>(1 - o.beta1),  // 1 - 0.999f would be 0.0013 % off
                 .take2 = static_cast<T>(1 - o.beta2),
                 .eps = static_cast<T>(o.eps),
                 .decay = static_cast<T>(o.decoupled ? 0 : o.weight_decay),
                 .shrink = static_cast<T>(o.decoupled ? 1 - o.lr * o.weight_decay : 1),
                 .step = static_cast<T>(o.lr / (1 - std::pow(o.beta1, steps))),
                 .root = functor::vsqrt(static_cast<T>(1 - std::pow(o.beta2, steps))),
                 .sign = T(o.maximize ? -1 : 1)};
    launch("adam", adam_kernel<T>, grid_for(p.numel()), p.numel(), elements<T>(p), elements<const T>(g), elements<T>(m),
           elements<T>(v), elements<T>(largest_v), step);
  });
}

void Waist::adagrad(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradStep& o) {
  if (p.numel() == 0) return;
  dispatch_floating(p.dtype(), "Adagrad", [&](auto t) {
    using T = decltype(t);
    launch("adagrad", adagrad_kernel<T>, grid_for(p.numel()), p.numel(), elements<T>(p), elements<const T>(g),
           elements<T>(sum), static_cast<T>(o.lr), static_cast<T>(o.eps), static_cast<T>(o.weight_decay),
           T(o.maximize ? -1 : 1));
  });
}

void Waist::rmsprop(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean, const Tensor& momentum,
                    const RmspropStep& o) {
  if (p.numel() == 0) return;
  dispatch_floating(p.dtype(), "RMSprop", [&](auto t) {
    using T = decltype(t);
    Rmsprop<T> step{static_cast<T>(o.lr),    static_cast<T>(o.eps),       static_cast<T>(o.weight_decay),
                    static_cast<T>(o.alpha), static_cast<T>(1 - o.alpha), static_cast<T>(o.momentum),
                    T(o.maximize ? -1 : 1)};
    launch("rmsprop", rmsprop_kernel<T>, grid_for(p.numel()), p.numel(), elements<T>(p), elements<const T>(g),
           elements<T>(square), elements<T>(mean), elements<T>(momentum), step);
  });
}

}  // namespace cr::backend::CR_GPU
