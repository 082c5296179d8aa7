// # Normalisation
//
// Numbers are brought to mean 0 and variance 1 over some of their dimensions, $\hat x = (x - \mu) / \sqrt{\sigma^2 +
// \varepsilon}$, then scaled and shifted: $y = \hat x \cdot \text{weight} + \text{bias}$. Which dimensions makes the
// difference between the kinds. The variance divides by n. An undefined weight or bias is left out.
//
// All throw ShapeError for sizes that do not fit and DTypeError for tensors that are not of one floating-point type.
#pragma once

#include <optional>

#include "tensor/tensor.hpp"

namespace cr {

// Over the last dimensions, which must be `normalized_shape`, of each sample by itself (Ba et al. 2016). weight and bias
// have that shape.
Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

// The same without mean and bias: x / √(mean x² + eps) · weight (Zhang and Sennrich 2019). Without eps, it is the
// distance from 1 to the next number of x's type.
Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {},
                std::optional<double> eps = {});

// x (N, C, …): over each of `num_groups` equal groups of channels and all that follows them (Wu and He 2018). weight and
// bias are (C,).
Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

// x (N, C, …): each channel over all samples and places (Ioffe and Szegedy 2015). In training the batch's own mean and
// variance are used, and `running_mean` and `running_var` (C,), if there are any, move towards them in place:
// r ← (1 − momentum) r + momentum · batch, with the variance that divides by n − 1. Otherwise the running ones are used.
// ShapeError in training for a single number a channel: its variance says nothing.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, bool training = false, double momentum = 0.1, double eps = 1e-5);

// x (N, C, …): each channel of each sample by itself (Ulyanov et al. 2016). Running statistics move towards the mean over
// the samples; they are used instead where `use_input_stats` is false.
Tensor instance_norm(const Tensor& x, const Tensor& running_mean = {}, const Tensor& running_var = {},
                     const Tensor& weight = {}, const Tensor& bias = {}, bool use_input_stats = true,
                     double momentum = 0.1, double eps = 1e-5);

// x (N, C, …): x / (k + alpha · mean of x² over `size` neighbouring channels, absent ones counting as 0)^beta
// (Krizhevsky et al. 2012).
Tensor local_response_norm(const Tensor& x, int64_t size, double alpha = 1e-4, double beta = 0.75, double k = 1);

// x / max(‖x‖ₚ, eps), the norm being taken over `dims`.
Tensor normalize(const Tensor& x, double p = 2, const Dims& dims = {1}, double eps = 1e-12);

}  // namespace cr
