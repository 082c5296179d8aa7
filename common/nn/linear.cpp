#include "nn/linear.hpp"

#include <cmath>

namespace cr::nn {

Linear::Linear(int64_t in, int64_t out, Generator& generator, bool with_bias) {
  if (in < 1 || out < 1) {
    throw ShapeError("Linear: sizes must be at least 1, got in = " + std::to_string(in) +
                     ", out = " + std::to_string(out));
  }
  double bound = 1 / std::sqrt(static_cast<double>(in));
  weight = uniform({out, in}, -bound, bound, generator).requires_grad_();
  if (with_bias) bias = uniform({out}, -bound, bound, generator).requires_grad_();
}

Linear::Linear(int64_t in, int64_t out, bool with_bias) {
  Generator generator = Generator(0).split(static_cast<uint64_t>(in)).split(static_cast<uint64_t>(out));
  *this = Linear(in, out, generator, with_bias);
}

}  // namespace cr::nn
