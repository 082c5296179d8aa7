// # Initial values
//
// Where training starts. For a weight (out, in) the **fan-in** is the number of inputs each output sums over, the
// **fan-out** the number of outputs each input feeds.
#pragma once

#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr::nn {

// Uniform over [lo, hi); normal with this mean and standard deviation.
Tensor uniform(const Shape& shape, double lo, double hi, Generator& generator, DType dtype = DType::float32);
Tensor normal(const Shape& shape, double mean, double deviation, Generator& generator, DType dtype = DType::float32);

// Variance 2 / (fan-in + fan-out): keeps the size of activations and gradients through linear layers (Glorot and Bengio
// 2010, equation 16). Shape (out, in).
Tensor xavier_uniform(const Shape& shape, Generator& generator, DType dtype = DType::float32);

// Variance 2 / fan-in: the same through ReLU layers, which drop half of it (He et al. 2015, equation 10). Shape (out, in).
Tensor kaiming_normal(const Shape& shape, Generator& generator, DType dtype = DType::float32);

}  // namespace cr::nn
