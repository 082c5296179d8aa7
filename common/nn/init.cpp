#include "nn/init.hpp"

#include <cmath>

#include "ops/ops.hpp"

namespace cr::nn {

Tensor uniform(const Shape& shape, double lo, double hi, Generator& generator, DType dtype) {
  return rand(shape, generator, dtype) * (hi - lo) + lo;
}

Tensor normal(const Shape& shape, double mean, double deviation, Generator& generator, DType dtype) {
  return randn(shape, generator, dtype) * deviation + mean;
}

static void check_matrix(const char* op, const Shape& shape) {
  if (shape.size() != 2) throw ShapeError(std::string(op) + ": needs a shape (out, in), got " + to_string(shape));
}

Tensor xavier_uniform(const Shape& shape, Generator& generator, DType dtype) {
  check_matrix("xavier_uniform", shape);
  double bound = std::sqrt(6.0 / static_cast<double>(shape[0] + shape[1]));  // a uniform's variance is bound² / 3
  return uniform(shape, -bound, bound, generator, dtype);
}

Tensor kaiming_normal(const Shape& shape, Generator& generator, DType dtype) {
  check_matrix("kaiming_normal", shape);
  return normal(shape, 0, std::sqrt(2.0 / static_cast<double>(shape[1])), generator, dtype);
}

}  // namespace cr::nn
