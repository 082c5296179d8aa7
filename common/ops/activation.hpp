// # Activations
//
// The bends between linear layers, element by element, with PyTorch's names and defaults; and dropout, which is one with
// dice. All take floating-point tensors (DTypeError otherwise); those of straight pieces marked "int64 too" take integers
// as well. `relu`, `tanh` and `sigmoid` are in `ops/elementwise.hpp`, `softmax` in `ops/reduce.hpp`.
#pragma once

#include <optional>

#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr {

// ## Rectifiers and their relatives
//
// max(x, 0) + slope · min(x, 0). `prelu` learns the slope: one for all, or one for each channel, dimension 1 of x: weight
// (1,) or (channels,). `rrelu` draws it for every negative element from [lower, upper) while training, and takes the
// middle otherwise.
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
Tensor prelu(const Tensor& x, const Tensor& weight);
Tensor rrelu(const Tensor& x, double lower = 1.0 / 8, double upper = 1.0 / 3);
Tensor rrelu(const Tensor& x, double lower, double upper, bool training, Generator& generator);

// x where positive; elsewhere α (eˣ − 1), which for `celu` is α (e^(x/α) − 1), so that the slope at 0 is 1. `selu` is an
// elu scaled so that a deep network keeps mean 0 and variance 1.
Tensor elu(const Tensor& x, double alpha = 1);
Tensor celu(const Tensor& x, double alpha = 1);  // α (e^(x/α) − 1) below 0; Error unless alpha > 0
Tensor selu(const Tensor& x);                    // elu · 1.0507… with α = 1.6733…

// ## Gates: x times a curve from 0 to 1
//
// `gelu` gates with the normal distribution Φ(x) or, `approximate` = "tanh", with a curve close to it; `silu`, also called
// Swish, with σ(x); `mish` with tanh(softplus(x)). `glu` halves dimension d and gates the first half with σ of the second.
Tensor gelu(const Tensor& x, const std::string& approximate = "none");
Tensor silu(const Tensor& x);
Tensor mish(const Tensor& x);
Tensor hardswish(const Tensor& x);
Tensor glu(const Tensor& x, int64_t d = -1);

// ## Soft and hard
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);  // log(1 + e^βx) / β; x where βx > threshold
Tensor logsigmoid(const Tensor& x);                                        // log σ(x)
Tensor hardtanh(const Tensor& x, double min_val = -1, double max_val = 1);  // x held between the two; int64 too
Tensor relu6(const Tensor& x);                                              // x held between 0 and 6; int64 too
Tensor hardsigmoid(const Tensor& x);                                        // x / 6 + ½ held between 0 and 1
Tensor hardshrink(const Tensor& x, double lambd = 0.5);                     // 0 where |x| ≤ λ
Tensor softshrink(const Tensor& x, double lambd = 0.5);                     // x moved by λ towards 0, not beyond
Tensor tanhshrink(const Tensor& x);                                         // x − tanh x
Tensor softsign(const Tensor& x);                                           // x / (1 + |x|)
Tensor threshold(const Tensor& x, double threshold, double value);          // value where x ≤ threshold; int64 too

// ## Across a dimension
//
// The largest of every k neighbouring channels: (…, channels, …) → (…, channels / k, …), the channels being dimension d
// (Goodfellow et al. 2013). ShapeError if k does not divide them.
Tensor maxout(const Tensor& x, int64_t k, int64_t d = 1);

// softmax(−x) along d, computed in `dtype` if one is given.
Tensor softmin(const Tensor& x, int64_t d, std::optional<DType> dtype = {});

// A random draw from softmax(logits / τ) that can be differentiated (Jang et al. 2017): softmax((logits + G) / τ) with
// Gumbel noise G, the nearer to one-hot the smaller τ. `hard` gives the one-hot vector itself with the soft one's gradient.
Tensor gumbel_softmax(const Tensor& logits, Generator& generator, double tau = 1, bool hard = false, int64_t d = -1);

// ## Dropout
//
// While training, each element becomes 0 with probability p and is divided by 1 − p otherwise, so that its mean stays.
// `dropout1d`, `dropout2d` and `dropout3d` drop whole channels of (n, channels, …); the first and the last also take one
// example without the n, as in PyTorch.
// `alpha_dropout` drops to selu's lower end and keeps mean 0 and variance 1; `feature_alpha_dropout` does so by channels.
// Which elements fall depends on the generator only, not on threads. Error unless 0 ≤ p ≤ 1.
Tensor dropout(const Tensor& x, double p, bool training, Generator& generator);
Tensor dropout1d(const Tensor& x, double p, bool training, Generator& generator);
Tensor dropout2d(const Tensor& x, double p, bool training, Generator& generator);
Tensor dropout3d(const Tensor& x, double p, bool training, Generator& generator);
Tensor alpha_dropout(const Tensor& x, double p, bool training, Generator& generator);
Tensor feature_alpha_dropout(const Tensor& x, double p, bool training, Generator& generator);

}  // namespace cr
