#include "nn/init.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/ops.hpp"

namespace cr::nn {

Tensor uniform(const Shape& shape, double lo, double hi, Generator& generator, DType dtype) {
  return rand(shape, generator, dtype) * (hi - lo) + lo;
}

Tensor normal(const Shape& shape, double mean, double deviation, Generator& generator, DType dtype) {
  return cr::normal(mean, deviation, shape, generator, dtype);
}

// If u is uniform, the x with Φ(x) = u is normal; u between Φ(a) and Φ(b) gives x between a and b.
Tensor trunc_normal(const Shape& shape, double mean, double deviation, double a, double b, Generator& generator,
                    DType dtype) {
  if (!(a < b)) throw Error("trunc_normal: needs a < b");
  auto erf_of = [&](double x) { return std::erf((x - mean) / (deviation * std::numbers::sqrt2)); };
  Tensor u = uniform(shape, erf_of(a), erf_of(b), generator, DType::float64);
  return clamp(erfinv(u) * (deviation * std::numbers::sqrt2) + mean, a, b).to(dtype);
}

// ## By the size of a layer
namespace {

struct Fans {
  double in, out;
};
Fans fans(const char* op, const Shape& shape) {
  if (shape.size() < 2) throw ShapeError(std::string(op) + ": needs a shape (out, in, …), got " + to_string(shape));
  double places = 1;
  for (int d = 2; d < shape.size(); ++d) places *= static_cast<double>(shape[d]);
  return {static_cast<double>(shape[1]) * places, static_cast<double>(shape[0]) * places};
}

double kaiming_deviation(const char* op, const Shape& shape, const KaimingOptions& o) {
  Fans f = fans(op, shape);
  double gain = calculate_gain(o.nonlinearity, o.a);
  return gain / std::sqrt(o.mode == Fan::in ? f.in : f.out);
}

}  // namespace

// A uniform distribution's variance is bound² / 3.
Tensor xavier_uniform(const Shape& shape, Generator& generator, double gain, DType dtype) {
  Fans f = fans("xavier_uniform", shape);
  double bound = gain * std::sqrt(6 / (f.in + f.out));
  return uniform(shape, -bound, bound, generator, dtype);
}

Tensor xavier_normal(const Shape& shape, Generator& generator, double gain, DType dtype) {
  Fans f = fans("xavier_normal", shape);
  return normal(shape, 0, gain * std::sqrt(2 / (f.in + f.out)), generator, dtype);
}

double calculate_gain(Nonlinearity nonlinearity, double slope) {
  switch (nonlinearity) {
    case Nonlinearity::tanh: return 5.0 / 3;
    case Nonlinearity::relu: return std::numbers::sqrt2;
    case Nonlinearity::leaky_relu: return std::sqrt(2 / (1 + slope * slope));
    case Nonlinearity::selu: return 0.75;
    default: return 1;
  }
}

Tensor kaiming_uniform(const Shape& shape, Generator& generator, KaimingOptions options, DType dtype) {
  double bound = std::sqrt(3.0) * kaiming_deviation("kaiming_uniform", shape, options);
  return uniform(shape, -bound, bound, generator, dtype);
}

Tensor kaiming_normal(const Shape& shape, Generator& generator, KaimingOptions options, DType dtype) {
  return normal(shape, 0, kaiming_deviation("kaiming_normal", shape, options), generator, dtype);
}

// Q of a random matrix, with the signs that make R's diagonal positive: then every Q is equally likely (Mezzadri 2007).
Tensor orthogonal(const Shape& shape, Generator& generator, double gain, DType dtype) {
  fans("orthogonal", shape);
  int64_t rows = shape[0], columns = rows > 0 ? numel(shape) / rows : 0;
  Tensor v = randn({rows, columns}, generator, DType::float64);
  auto [q, r] = linalg::qr(rows < columns ? v.t() : v);
  q = q * sign(r.diagonal());
  return ((rows < columns ? q.t() : q) * gain).to(dtype).reshape(shape);
}

}  // namespace cr::nn
