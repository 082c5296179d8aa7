#include "ops/norm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/join.hpp"
#include "ops/reduce.hpp"
#include "ops/statistics.hpp"

namespace cr {
namespace {

void check_floating(const char* op, const Tensor& x) {
  if (is_floating(x.dtype())) return;
  throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(x.dtype()));
}

// A parameter, or running statistics, of this shape, or none.
void check_parameter(const char* op, const char* what, const Tensor& x, const Tensor& parameter, const Shape& shape) {
  if (!parameter.defined()) return;
  if (!(parameter.shape() == shape)) {
    throw ShapeError(std::string(op) + ": " + what + " " + to_string(parameter.shape()) + " for input " +
                     to_string(x.shape()) + ": it must be " + to_string(shape));
  }
  if (parameter.dtype() != x.dtype()) {
    throw DTypeError(std::string(op) + ": " + what + " is " + name(parameter.dtype()) + ", the input " +
                     name(x.dtype()));
  }
  backend::check_device(op, x, parameter);
}

// (N, C, …)
void check_channels(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_floating(op, x);
  if (x.dim() < 2) {
    throw ShapeError(std::string(op) + ": needs an input (N, C, …), got " + to_string(x.shape()));
  }
  check_parameter(op, "weight", x, weight, {x.shape()[1]});
  check_parameter(op, "bias", x, bias, {x.shape()[1]});
}

// A tensor (C,) as (1, C, 1, …), to meet x.
Tensor along_channels(const Tensor& v, const Tensor& x) {
  Shape shape(x.dim(), 1);
  shape[1] = v.shape()[0];
  return v.reshape(shape);
}

// y = x s + t in one pass, s and t broadcast to x
Tensor stretched(const Tensor& x, const Tensor& scale, const Tensor& shift) {
  return record("norm", backend::map(shift, x, scale, functor::AddScaled{}), inputs(x, scale, shift), saved(x, scale),
                [](Backward& b) {
                  return Grads{b.needs(0) ? b.dy() * b[1] : Tensor(), b.needs(1) ? b.dy() * b[0] : Tensor(),
                               b.needs(2) ? b.dy() : Tensor()};
                });
}

Tensor scaled(Tensor y, const Tensor& weight, const Tensor& bias) {
  if (weight.defined() && bias.defined()) return stretched(y, along_channels(weight, y), along_channels(bias, y));
  if (weight.defined()) y = y * along_channels(weight, y);
  if (bias.defined()) y = y + along_channels(bias, y);
  return y;
}

}  // namespace

// ## One formula
//
// x̂ = (x − mean x) / √(mean (x − mean x)² + ε),  y = x̂ w + b
//
// With g = dy w:  dx = (g − mean g − x̂ · mean(g x̂)) / √(…), dw = Σ dy x̂, db = Σ dy. Moving all of x, or stretching it,
// changes nothing in x̂, so those two parts of g are taken out. The means run over the rows of a matrix, where w and b are
// one row, or over the channels of x (N, C, places), where they are a number a channel; without `center`, mean x is left
// out. All kinds of normalisation come down to this.
//
// The backend computes y, and its first derivatives, in one go. When the gradient is to be differentiated again, the
// formula is spelled out in operations that can be.
namespace {

struct Normalized {
  Tensor y;
  Tensor mean, var;  // one number a row or channel, float64, outside the graph
};

Grads normalized_rule(Backward& b) {
  Tensor x = b[0], dy = b.dy();
  double eps = b.number(0);
  bool center = b.integer(1), has_weight = b.integer(2), has_bias = b.integer(3), channels = x.dim() == 3;
  if (!b.create_graph()) {
    Tensor dx = empty(x.shape(), x.dtype(), x.device()), weight = has_weight ? b[1] : Tensor(), dweight, dbias;
    Shape row{x.shape()[1]};
    if (has_weight && b.needs(1)) dweight = empty(row, x.dtype(), x.device());
    if (has_bias && b.needs(2)) dbias = empty(row, x.dtype(), x.device());
    backend::Backend& device = backend::on(x.device());
    if (channels) device.batch_norm_backward(dx, dweight, dbias, dy.contiguous(), x, weight, b[2], b[3], eps);
    else
      device.layer_norm_backward(dx, dweight, dbias, dy.contiguous(), x, weight, center ? b[2] : Tensor(), b[3], eps);
    return {dx, dweight, dbias};
  }
  Dims over = channels ? Dims{0, 2} : Dims{1}, others = channels ? Dims{0, 2} : Dims{0};
  Tensor d = center ? x - mean(x, over, true) : x;
  Tensor scale = 1 / sqrt(mean(square(d), over, true) + eps), normal = d * scale, g = dy;
  if (has_weight) g = dy * (channels ? b[1].unsqueeze(1) : b[1]);
  Tensor dx = g - normal * mean(g * normal, over, true);
  if (center) dx = dx - mean(g, over, true);
  return {dx * scale, has_weight ? sum(dy * normal, others) : Tensor(), has_bias ? sum(dy, others) : Tensor()};
}

// x is a matrix or (N, C, places).
Normalized normalized(const char* op, const Tensor& strided, const Tensor& weight, const Tensor& bias, double eps,
                      bool center = true) {
  Tensor x = strided.contiguous(), none = x.detach();
  bool channels = x.dim() == 3;
  Shape each{x.shape()[channels ? 1 : 0]};
  Normalized out{empty(x.shape(), x.dtype(), x.device()), center ? empty(each, DType::float64, x.device()) : Tensor(),
                 empty(each, DType::float64, x.device())};
  Tensor w = weight.defined() ? weight.contiguous() : none, b = bias.defined() ? bias.contiguous() : none;
  const Tensor &given_w = weight.defined() ? w : weight, &given_b = bias.defined() ? b : bias;
  backend::Backend& device = backend::on(x.device());
  if (channels) device.batch_norm(out.y, out.mean, out.var, x, given_w, given_b, eps);
  else device.layer_norm(out.y, out.mean, out.var, x, given_w, given_b, eps);
  // An absent parameter's place is taken by a tensor that needs no gradient.
  out.y = record(op, out.y, inputs(x, w, b), saved(x, w, constant(center ? out.mean : none), constant(out.var)),
                 attributes(eps, int64_t{center}, int64_t{weight.defined()}, int64_t{bias.defined()}), normalized_rule);
  return out;
}

// x (…, normalized_shape) as rows, and back.
Tensor over_last(const char* op, const Tensor& x, const Shape& normalized_shape, const Tensor& weight,
                 const Tensor& bias, double eps, bool center) {
  check_floating(op, x);
  int outer = x.dim() - normalized_shape.size();
  bool fits = !normalized_shape.empty() && outer >= 0;
  for (int d = 0; fits && d < normalized_shape.size(); ++d) fits = x.shape()[outer + d] == normalized_shape[d];
  if (!fits) {
    throw ShapeError(std::string(op) + ": the last dimensions of input " + to_string(x.shape()) +
                     " must be normalized_shape = " + to_string(normalized_shape));
  }
  check_parameter(op, "weight", x, weight, normalized_shape);
  check_parameter(op, "bias", x, bias, normalized_shape);
  int64_t n = numel(normalized_shape), rows = 1;
  for (int d = 0; d < outer; ++d) rows *= x.shape()[d];
  Tensor w = weight.defined() ? weight.reshape({n}) : Tensor(), b = bias.defined() ? bias.reshape({n}) : Tensor();
  if (x.dim() == 2 && outer == 1) return normalized(op, x, w, b, eps, center).y;
  return normalized(op, x.reshape({rows, n}), w, b, eps, center).y.reshape(x.shape());
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                  double eps) {
  return over_last("layer_norm", x, normalized_shape, weight, bias, eps, true);
}

Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight, std::optional<double> eps) {
  double least = x.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon()
                                             : static_cast<double>(std::numeric_limits<float>::epsilon());
  return over_last("rms_norm", x, normalized_shape, weight, {}, eps.value_or(least), false);
}

// ## Channels
Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps) {
  check_channels("group_norm", x, weight, bias);
  int64_t samples = x.shape()[0], channels = x.shape()[1];
  if (num_groups < 1 || channels % num_groups != 0) {
    throw ShapeError("group_norm: " + std::to_string(channels) + " channels do not divide into " +
                     std::to_string(num_groups) + " equal groups");
  }
  int64_t rows = samples * num_groups;
  Tensor flat = x.reshape({rows, rows == 0 ? 0 : x.numel() / rows});
  return scaled(normalized("group_norm", flat, {}, {}, eps).y.reshape(x.shape()), weight, bias);
}

namespace {

// r ← (1 − momentum) r + momentum · batch, the variance scaled from division by n to division by n − 1.
void move_running(const Tensor& running_mean, const Tensor& running_var, const Tensor& mean, const Tensor& var,
                  double momentum, int64_t n) {
  NoGrad off;
  double unbiased = static_cast<double>(n) / static_cast<double>(n - 1);
  if (running_mean.defined()) running_mean.copy_(running_mean * (1 - momentum) + mean * momentum);
  if (running_var.defined()) running_var.copy_(running_var * (1 - momentum) + var * (momentum * unbiased));
}

// (x − running mean) / √(running var + ε) · w + b, as x · scale + shift
Tensor by_running(const char* op, const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, double eps) {
  if (!running_mean.defined() || !running_var.defined()) {
    throw Error(std::string(op) + ": needs running_mean and running_var where the input's own are not used");
  }
  Tensor scale = 1 / sqrt(running_var + eps);
  if (weight.defined()) scale = scale * weight;
  Tensor shift = -(running_mean * scale);
  if (bias.defined()) shift = bias + shift;
  return stretched(x, along_channels(scale, x), along_channels(shift, x));
}

void check_running(const char* op, const Tensor& x, const Tensor& running_mean, const Tensor& running_var) {
  check_parameter(op, "running_mean", x, running_mean, {x.shape()[1]});
  check_parameter(op, "running_var", x, running_var, {x.shape()[1]});
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, bool training, double momentum, double eps) {
  if (x.dim() == 1 && x.numel() == 0) return x.clone();
  check_channels("batch_norm", x, weight, bias);
  check_running("batch_norm", x, running_mean, running_var);
  if (x.numel() == 0) return scaled(x.clone(), weight, bias);
  if (!training) return by_running("batch_norm", x, running_mean, running_var, weight, bias, eps);

  int64_t samples = x.shape()[0], channels = x.shape()[1], n = x.numel() / channels;
  if (n == 1) {
    throw ShapeError("batch_norm: input " + to_string(x.shape()) +
                     " has one number a channel; training needs more to find a variance");
  }
  Normalized out = normalized("batch_norm", x.reshape({samples, channels, n / samples}), weight, bias, eps);
  move_running(running_mean, running_var, out.mean, out.var, momentum, n);
  return out.y.reshape(x.shape());
}

Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool use_input_stats, double momentum, double eps) {
  check_channels("instance_norm", x, weight, bias);
  check_running("instance_norm", x, running_mean, running_var);
  if (!use_input_stats) return by_running("instance_norm", x, running_mean, running_var, weight, bias, eps);
  int64_t samples = x.shape()[0], channels = x.shape()[1], rows = samples * channels;
  int64_t n = 1;
  for (int d = 2; d < x.dim(); ++d) n *= x.shape()[d];
  if (n == 1) {
    throw ShapeError("instance_norm: input " + to_string(x.shape()) +
                     " has one number a channel and sample; it needs more to find a variance");
  }
  Normalized out = normalized("instance_norm", x.reshape({rows, n}), {}, {}, eps);
  if (x.numel() > 0) {
    Shape shape{samples, channels};
    move_running(running_mean, running_var, mean(out.mean.reshape(shape), {0}), mean(out.var.reshape(shape), {0}),
                 momentum, n);
  }
  return scaled(out.y.reshape(x.shape()), weight, bias);
}

// y = x / (k + α · mean x²)^β, the mean running over channels c − size/2 … c + (size − 1)/2. Integers have a whole mean.
Tensor local_response_norm(const Tensor& x, int64_t size, double alpha, double beta, double k) {
  if (x.dim() < 3 || size < 1) {
    throw ShapeError("local_response_norm: needs an input (N, C, …) of at least three dimensions and size ≥ 1, got " +
                     to_string(x.shape()) + " and " + std::to_string(size));
  }
  if (x.numel() == 0) return x.clone();
  int64_t channels = x.shape()[1], before = std::min(size / 2, channels), after = std::min((size - 1) / 2, channels);
  auto none = [&](int64_t count) {  // channels beyond the edge
    Shape shape = x.shape();
    shape[1] = count;
    return zeros(shape, x.dtype(), x.device());
  };
  Tensor padded = cat({none(before), square(x), none(after)}, 1), total = padded.narrow(1, 0, channels);
  for (int64_t i = 1; i <= before + after; ++i) total = total + padded.narrow(1, i, channels);
  Tensor average = total.to(is_floating(x.dtype()) ? x.dtype() : DType::float64) / static_cast<double>(size);
  if (!is_floating(x.dtype())) average = average.to(DType::int64);
  return x / pow(average * alpha + k, beta);
}

// x / max(‖x‖ₚ, ε)
Tensor normalize(const Tensor& x, double p, const Dims& dims, double eps) {
  check_floating("normalize", x);
  return x / clamp_min(norm(x, p, dims, true), eps);
}

}  // namespace cr
