// # Initial values
//
// Where training starts. For a weight (out, in, …) the **fan-in** is the number of inputs each output sums over, in times
// whatever follows, and the **fan-out** the number of outputs each input feeds. Constants are `zeros`, `ones` and `full`
// of `ops/create.hpp`.
#pragma once

#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr::nn {

// Uniform over [lo, hi); normal with this mean and standard deviation.
Tensor uniform(const Shape& shape, double lo, double hi, Generator& generator, DType dtype = DType::float32);
Tensor normal(const Shape& shape, double mean, double deviation, Generator& generator, DType dtype = DType::float32);

// The same normal distribution with everything outside [a, b] cut off. Throws Error unless a < b.
Tensor trunc_normal(const Shape& shape, double mean, double deviation, double a, double b, Generator& generator,
                    DType dtype = DType::float32);

// ## By the size of a layer
//
// All throw ShapeError for a shape of fewer than two dimensions.
//
// Variance gain² · 2 / (fan-in + fan-out): keeps the size of activations and gradients through linear layers (Glorot and
// Bengio 2010, equation 16).
Tensor xavier_uniform(const Shape& shape, Generator& generator, double gain = 1, DType dtype = DType::float32);
Tensor xavier_normal(const Shape& shape, Generator& generator, double gain = 1, DType dtype = DType::float32);

// What a nonlinearity takes from the size of its input, and the gain that gives it back. `slope` is leaky ReLU's for
// negative numbers.
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };
double calculate_gain(Nonlinearity nonlinearity, double slope = 0.01);

enum class Fan { in, out };  // keeps the size of activations on the way forward, or of gradients on the way back
struct KaimingOptions {
  double a = 0;  // the slope of leaky ReLU: 0 is ReLU
  Fan mode = Fan::in;
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};

// Variance gain² / fan: 2 / fan-in through ReLU layers, which drop half of it (He et al. 2015, equation 10).
Tensor kaiming_uniform(const Shape& shape, Generator& generator, KaimingOptions options = {},
                       DType dtype = DType::float32);
Tensor kaiming_normal(const Shape& shape, Generator& generator, KaimingOptions options = {},
                      DType dtype = DType::float32);

// A matrix (out, in · …) whose rows, or, if there are more of them, columns are orthogonal and of length `gain`: it keeps
// lengths exactly (Saxe et al. 2014).
Tensor orthogonal(const Shape& shape, Generator& generator, double gain = 1, DType dtype = DType::float32);

}  // namespace cr::nn
