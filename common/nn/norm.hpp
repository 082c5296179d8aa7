// # Layers that normalise
//
// The operations of `ops/norm.hpp` with their parameters, which begin as 1 and 0: at first nothing is scaled or shifted.
// Names are PyTorch's, so that its checkpoints load. Constructors throw ShapeError for sizes below 1.
#pragma once

#include <optional>

#include "nn/fields.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

struct LayerNormOptions {
  double eps = 1e-5;
  bool affine = true;  // weight and bias
  bool bias = true;
};

// Each sample by itself, over its last dimensions.
struct LayerNorm {
  Tensor weight, bias;  // normalized_shape
  Shape normalized_shape;
  double eps = 1e-5;

  LayerNorm() = default;
  explicit LayerNorm(const Shape& normalized_shape, LayerNormOptions options = {});
  explicit LayerNorm(int64_t n, LayerNormOptions options = {}) : LayerNorm(Shape{n}, options) {}
  Tensor operator()(const Tensor& x) const { return layer_norm(x, normalized_shape, weight, bias, eps); }
  CR_FIELDS(weight, bias)
};

struct RMSNormOptions {
  std::optional<double> eps = {};  // none: that of x's type
  bool affine = true;
};

// The same without mean and bias.
struct RMSNorm {
  Tensor weight;  // normalized_shape
  Shape normalized_shape;
  std::optional<double> eps;

  RMSNorm() = default;
  explicit RMSNorm(const Shape& normalized_shape, RMSNormOptions options = {});
  explicit RMSNorm(int64_t n, RMSNormOptions options = {}) : RMSNorm(Shape{n}, options) {}
  Tensor operator()(const Tensor& x) const { return rms_norm(x, normalized_shape, weight, eps); }
  CR_FIELDS(weight)
};

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;
};

// Each sample by itself, over groups of channels. ShapeError if the channels do not divide into them.
struct GroupNorm {
  Tensor weight, bias;  // (C,)
  int64_t num_groups = 1;
  double eps = 1e-5;

  GroupNorm() = default;
  GroupNorm(int64_t num_groups, int64_t num_channels, GroupNormOptions options = {});
  Tensor operator()(const Tensor& x) const { return group_norm(x, num_groups, weight, bias, eps); }
  CR_FIELDS(weight, bias)
};

// ## With running statistics
//
// Momentum is how far the running statistics move towards a batch's. Without one they are the mean over all batches so
// far, which `num_batches_tracked` counts. The number in a name counts the dimensions after (N, C).
struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;
  bool affine = true;
  bool track_running_stats = true;
};

// Each channel over the whole batch; afterwards, over what was seen in training. BatchNorm1d also takes (N, C).
template <int places> struct BatchNorm {
  Tensor weight, bias;               // (C,)
  Tensor running_mean, running_var;  // (C,), buffers
  Tensor num_batches_tracked;        // (), int64
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;
  bool training = true;

  BatchNorm() = default;
  explicit BatchNorm(int64_t num_features, BatchNormOptions options = {});

  // In training it writes to the running statistics.
  Tensor operator()(const Tensor& x) const;
  CR_FIELDS(weight, bias, running_mean, running_var, num_batches_tracked, training)
};
using BatchNorm1d = BatchNorm<1>;
using BatchNorm2d = BatchNorm<2>;
using BatchNorm3d = BatchNorm<3>;

struct InstanceNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = false;
  bool track_running_stats = false;
};

// Each channel of each sample by itself.
template <int places> struct InstanceNorm {
  Tensor weight, bias, running_mean, running_var;  // (C,)
  Tensor num_batches_tracked;                      // (), int64: PyTorch's has it, and never counts
  double eps = 1e-5, momentum = 0.1;
  bool training = true;

  InstanceNorm() = default;
  explicit InstanceNorm(int64_t num_features, InstanceNormOptions options = {});
  Tensor operator()(const Tensor& x) const;
  CR_FIELDS(weight, bias, running_mean, running_var, num_batches_tracked, training)
};
using InstanceNorm1d = InstanceNorm<1>;
using InstanceNorm2d = InstanceNorm<2>;
using InstanceNorm3d = InstanceNorm<3>;

}  // namespace cr::nn
