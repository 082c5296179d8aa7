// # Layers that pool
//
// The operations of `ops/pool.hpp` with their options: nothing here is learned.
//
//     nn::Sequential net(nn::MaxPool2d(2), nn::Flatten(), nn::Linear(784, 10));
#pragma once

#include "ops/ops.hpp"

namespace cr::nn {

// A pool whose windows have a kernel's size: `pool` is the operation, `Options` the struct that it takes.
template <class Options, Tensor (*pool)(const Tensor&, const Sizes&, const Options&)> struct Pool {
  Sizes kernel_size = 1;
  Options options;

  Pool() = default;
  explicit Pool(const Sizes& kernel, const Options& rest = {}) : kernel_size(kernel), options(rest) {}
  Tensor operator()(const Tensor& x) const { return pool(x, kernel_size, options); }
};
using MaxPool1d = Pool<MaxPool, max_pool1d>;
using MaxPool2d = Pool<MaxPool, max_pool2d>;
using MaxPool3d = Pool<MaxPool, max_pool3d>;
using AvgPool1d = Pool<AvgPool, avg_pool1d>;
using AvgPool2d = Pool<AvgPool, avg_pool2d>;
using AvgPool3d = Pool<AvgPool, avg_pool3d>;

// A pool to a given size.
template <Tensor (*pool)(const Tensor&, const Sizes&)> struct AdaptivePool {
  Sizes output_size = 1;

  AdaptivePool() = default;
  explicit AdaptivePool(const Sizes& size) : output_size(size) {}
  Tensor operator()(const Tensor& x) const { return pool(x, output_size); }
};
using AdaptiveAvgPool1d = AdaptivePool<adaptive_avg_pool1d>;
using AdaptiveAvgPool2d = AdaptivePool<adaptive_avg_pool2d>;
using AdaptiveAvgPool3d = AdaptivePool<adaptive_avg_pool3d>;
using AdaptiveMaxPool1d = AdaptivePool<adaptive_max_pool1d>;
using AdaptiveMaxPool2d = AdaptivePool<adaptive_max_pool2d>;
using AdaptiveMaxPool3d = AdaptivePool<adaptive_max_pool3d>;

// The opposite of a max pool, which needs to know the places.
template <Tensor (*unpool)(const Tensor&, const Tensor&, const Sizes&, const MaxUnpool&)> struct Unpool {
  Sizes kernel_size = 1;
  MaxUnpool options;

  Unpool() = default;
  explicit Unpool(const Sizes& kernel, const MaxUnpool& rest = {}) : kernel_size(kernel), options(rest) {}
  Tensor operator()(const Tensor& x, const Tensor& indices) const { return unpool(x, indices, kernel_size, options); }
};
using MaxUnpool1d = Unpool<max_unpool1d>;
using MaxUnpool2d = Unpool<max_unpool2d>;
using MaxUnpool3d = Unpool<max_unpool3d>;

template <Tensor (*pool)(const Tensor&, double, const Sizes&, const LpPool&)> struct NormPool {
  double norm_type = 2;
  Sizes kernel_size = 1;
  LpPool options;

  NormPool() = default;
  NormPool(double p, const Sizes& kernel, const LpPool& rest = {}) : norm_type(p), kernel_size(kernel), options(rest) {}
  Tensor operator()(const Tensor& x) const { return pool(x, norm_type, kernel_size, options); }
};
using LPPool1d = NormPool<lp_pool1d>;
using LPPool2d = NormPool<lp_pool2d>;
using LPPool3d = NormPool<lp_pool3d>;

// (n, c, h, w) → (n, c h w): dimensions `start_dim` to `end_dim` become one.
struct Flatten {
  int64_t start_dim = 1, end_dim = -1;

  Flatten() = default;
  explicit Flatten(int64_t start, int64_t end = -1) : start_dim(start), end_dim(end) {}
  Tensor operator()(const Tensor& x) const { return x.flatten(start_dim, end_dim); }
};

}  // namespace cr::nn
