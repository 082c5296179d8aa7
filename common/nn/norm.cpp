#include "nn/norm.hpp"

namespace cr::nn {
namespace {

Tensor parameter(const Shape& shape, double value, bool wanted) {
  return wanted ? full(shape, value).requires_grad_() : Tensor();
}

void check_sizes(const char* layer, const Shape& shape) {
  bool ok = !shape.empty();
  for (int64_t n : shape) ok = ok && n >= 1;
  if (!ok) throw ShapeError(std::string(layer) + ": sizes must be at least 1, got " + to_string(shape));
}

void check_rank(const std::string& layer, const Tensor& x, int places, bool or_less) {
  if (x.dim() == places + 2 || (or_less && x.dim() == places + 1)) return;
  throw ShapeError(layer + std::to_string(places) + "d: needs an input of " + std::to_string(places + 2) +
                   (or_less ? " or " + std::to_string(places + 1) : "") + " dimensions, got " + to_string(x.shape()));
}

// Running statistics begin as those of a standard normal distribution.
template <class Layer> void make_buffers(Layer& layer, int64_t channels) {
  layer.running_mean = zeros({channels});
  layer.running_var = ones({channels});
  layer.num_batches_tracked = zeros({}, DType::int64);
}

}  // namespace

LayerNorm::LayerNorm(const Shape& shape, LayerNormOptions o)
    : weight(parameter(shape, 1, o.affine)),
      bias(parameter(shape, 0, o.affine && o.bias)),
      normalized_shape(shape),
      eps(o.eps) {
  check_sizes("LayerNorm", shape);
}

RMSNorm::RMSNorm(const Shape& shape, RMSNormOptions o)
    : weight(parameter(shape, 1, o.affine)), normalized_shape(shape), eps(o.eps) {
  check_sizes("RMSNorm", shape);
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, GroupNormOptions o)
    : weight(parameter({channels}, 1, o.affine)),
      bias(parameter({channels}, 0, o.affine)),
      num_groups(groups),
      eps(o.eps) {
  check_sizes("GroupNorm", {groups, channels});
  if (channels % groups != 0) {
    throw ShapeError("GroupNorm: " + std::to_string(channels) + " channels do not divide into " +
                     std::to_string(groups) + " equal groups");
  }
}

template <int places>
BatchNorm<places>::BatchNorm(int64_t channels, BatchNormOptions o)
    : weight(parameter({channels}, 1, o.affine)),
      bias(parameter({channels}, 0, o.affine)),
      eps(o.eps),
      momentum(o.momentum) {
  check_sizes("BatchNorm", {channels});
  if (o.track_running_stats) make_buffers(*this, channels);
}

template <int places> Tensor BatchNorm<places>::operator()(const Tensor& x) const {
  check_rank("BatchNorm", x, places, places == 1);
  bool tracks = running_mean.defined();
  if (!training || !tracks) return batch_norm(x, running_mean, running_var, weight, bias, !tracks, 0, eps);
  double step = momentum.value_or(1 / static_cast<double>(num_batches_tracked.item<int64_t>() + 1));
  Tensor y = batch_norm(x, running_mean, running_var, weight, bias, true, step, eps);
  num_batches_tracked.add_(1);
  return y;
}

template <int places>
InstanceNorm<places>::InstanceNorm(int64_t channels, InstanceNormOptions o)
    : weight(parameter({channels}, 1, o.affine)),
      bias(parameter({channels}, 0, o.affine)),
      eps(o.eps),
      momentum(o.momentum) {
  check_sizes("InstanceNorm", {channels});
  if (o.track_running_stats) make_buffers(*this, channels);
}

template <int places> Tensor InstanceNorm<places>::operator()(const Tensor& x) const {
  check_rank("InstanceNorm", x, places, false);
  bool own = training || !running_mean.defined();
  return instance_norm(x, running_mean, running_var, weight, bias, own, momentum, eps);
}

template struct BatchNorm<1>;
template struct BatchNorm<2>;
template struct BatchNorm<3>;
template struct InstanceNorm<1>;
template struct InstanceNorm<2>;
template struct InstanceNorm<3>;

}  // namespace cr::nn
