#include "ops/activation.hpp"

#include <cmath>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/reduce.hpp"
#include "ops/view.hpp"

namespace cr {

// ## Two patterns
//
// Backward, a function y = f(x) multiplies dy by f′(x). The functor does so in one pass. What that result's own derivative
// is depends on f.
namespace {

// A number as a tensor that broadcasts against x.
Tensor like(const Tensor& x, double value) { return backend::full({}, value, x.dtype(), x.device()); }

// Made of **straight pieces**, f has no second derivative: dy f′(x) is linear in dy, and its derivative is itself again.
template <class F> Tensor along_pieces(const Tensor& dy, const Tensor& x) {
  return record(F::kName, backend::map(dy, x, functor::Through<F>{}), inputs(dy), saved(constant(x)),
                [](Backward& b) { return Grads{along_pieces<F>(b.dy(), b[0])}; });
}
template <class F> Tensor along_pieces(const Tensor& dy, const Tensor& x, double a) {
  return record(F::kName, backend::map(dy, x, a, functor::Through<F>{}), inputs(dy), saved(constant(x)), attributes(a),
                [](Backward& b) { return Grads{along_pieces<F>(b.dy(), b[0], b.number(0))}; });
}
template <class F> Tensor straight(const Tensor& x) {
  return record(F::kName, backend::map(x, F{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{along_pieces<F>(b.dy(), b[0])}; });
}
template <class F> Tensor straight(const Tensor& x, double a) {
  return record(F::kName, backend::map(x, a, F{}), inputs(x), saved(x), attributes(a),
                [](Backward& b) { return Grads{along_pieces<F>(b.dy(), b[0], b.number(0))}; });
}

// Of a **curve** f, `slope` spells f′ out in operations, for when the gradient is to be differentiated again.
template <class F, Tensor (*slope)(const Tensor&)> Tensor curve(const Tensor& x) {
  return record(F::kName, backend::map(x, F{}), inputs(x), saved(x), [](Backward& b) {
    if (b.create_graph()) return Grads{b.dy() * slope(b[0])};
    return Grads{backend::map(b.dy(), b[0], functor::Through<F>{})};
  });
}
template <class F, Tensor (*slope)(const Tensor&, double)> Tensor curve(const Tensor& x, double a) {
  return record(F::kName, backend::map(x, a, F{}), inputs(x), saved(x), attributes(a), [](Backward& b) {
    if (b.create_graph()) return Grads{b.dy() * slope(b[0], b.number(0))};
    return Grads{backend::map(b.dy(), b[0], b.number(0), functor::Through<F>{})};
  });
}

}  // namespace

// ## Rectifiers and their relatives
//
// y = x where x > 0, else a x
Tensor leaky_relu(const Tensor& x, double negative_slope) { return straight<functor::LeakyRelu>(x, negative_slope); }

// y = x where x > 0, else w x;  dy/dx = 1 or w, dy/dw = 0 or x
Tensor prelu(const Tensor& x, const Tensor& weight) {
  int64_t channels = x.dim() > 1 ? x.shape()[1] : 1;
  if (weight.dim() > 1 || (weight.numel() != 1 && weight.numel() != channels)) {
    throw ShapeError("prelu: weight " + to_string(weight.shape()) + " for input " + to_string(x.shape()) +
                     ": needs (1,) or (" + std::to_string(channels) + ",), one for each channel");
  }
  if (weight.dtype() != x.dtype()) {
    throw DTypeError(std::string("prelu: ") + name(x.dtype()) + " input with " + name(weight.dtype()) + " weight");
  }
  Shape along(std::max(x.dim() - 1, 0), 1);  // (channels, 1, 1, …) lies along dimension 1
  if (weight.numel() != 1) along[0] = channels;
  Tensor w = weight.reshape(along);
  return record("prelu", backend::map(x, w, functor::LeakyRelu{}), inputs(x, w), saved(x, w), [](Backward& b) {
    Tensor x = b[0], up = x > 0, zero = like(x, 0);
    return Grads{b.needs(0) ? where(up, b.dy(), b.dy() * b[1]) : Tensor(),
                 b.needs(1) ? where(up, zero, b.dy() * x) : Tensor()};
  });
}

Tensor rrelu(const Tensor& x, double lower, double upper) { return leaky_relu(x, (lower + upper) / 2); }
Tensor rrelu(const Tensor& x, double lower, double upper, bool training, Generator& generator) {
  if (lower > upper) {
    throw Error("rrelu: slopes from " + std::to_string(lower) + " to " + std::to_string(upper) + ": none lies between");
  }
  if (!training) return rrelu(x, lower, upper);
  Tensor slope = rand(x.shape(), generator, x.dtype()).to(x.device()) * (upper - lower) + lower;
  return x * where(x > 0, like(x, 1), slope);
}

// e^min(x, 0): x is cut first, since the infinite eˣ of a large x, though not chosen, would spoil the gradient.
static Tensor falling_exp(const Tensor& x, double scale = 1) { return exp(neg(relu(-x)) / scale); }

// y = x where x > 0, else α (eˣ − 1);  dy/dx = 1 or α eˣ
static Tensor elu_slope(const Tensor& x, double alpha) { return where(x > 0, like(x, 1), falling_exp(x) * alpha); }
Tensor elu(const Tensor& x, double alpha) { return curve<functor::Elu, elu_slope>(x, alpha); }

// y = x where x > 0, else α (e^(x/α) − 1);  dy/dx = 1 or e^(x/α)
static Tensor celu_slope(const Tensor& x, double alpha) { return where(x > 0, like(x, 1), falling_exp(x, alpha)); }
Tensor celu(const Tensor& x, double alpha) {
  if (!(alpha > 0)) throw Error("celu: alpha = " + std::to_string(alpha) + " is not positive");
  return curve<functor::Celu, celu_slope>(x, alpha);
}

// y = scale · elu(x, α)
static Tensor selu_slope(const Tensor& x) { return elu_slope(x, functor::Selu::kAlpha) * functor::Selu::kScale; }
Tensor selu(const Tensor& x) { return curve<functor::Selu, selu_slope>(x); }

// ## Gates
//
// φ(x) = e^(−x²/2) / √2π, and Φ, whose derivative it is.
static Tensor normal_density(const Tensor& x) { return exp(square(x) * -0.5) * 0.39894228040143267794; }
static Tensor normal_cdf(const Tensor& x) {
  return record("normal_cdf", backend::map(x, functor::NormalCdf{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{b.dy() * normal_density(b[0])}; });
}

// y = x Φ(x),  dy/dx = Φ(x) + x φ(x). Hendrycks and Gimpel 2016; their approximation writes σ(x (c₁ + c₃ x²)) for Φ(x).
static Tensor gelu_slope(const Tensor& x) { return normal_cdf(x) + x * normal_density(x); }
static Tensor gelu_tanh_slope(const Tensor& x) {
  constexpr double k1 = functor::GeluTanh::k1, k3 = functor::GeluTanh::k3;
  Tensor c = clamp(x, -22, 22), s = sigmoid(c * (square(c) * k3 + k1));
  return s * (1 + (1 - s) * (c * (square(c) * (3 * k3) + k1)));
}
Tensor gelu(const Tensor& x, const std::string& approximate) {
  if (approximate == "none") return curve<functor::Gelu, gelu_slope>(x);
  if (approximate == "tanh") return curve<functor::GeluTanh, gelu_tanh_slope>(x);
  throw Error("gelu: approximate = \"" + approximate + "\" is neither \"none\" nor \"tanh\"");
}

// y = x σ(x),  dy/dx = σ(x) (1 + x (1 − σ(x)))
static Tensor silu_slope(const Tensor& x) {
  Tensor s = sigmoid(x);
  return s * (1 + x * (1 - s));
}
Tensor silu(const Tensor& x) { return curve<functor::Silu, silu_slope>(x); }

// y = x t with t = tanh(softplus(x)),  dy/dx = t + x (1 − t²) σ(x). Misra 2019.
// The second term is 0 far out, where its derivative must not be 0 · ∞.
static Tensor mish_slope(const Tensor& x) {
  Tensor t = tanh(softplus(x));
  return t + clamp(x, -1000, 1000) * ((1 - square(t)) * sigmoid(x));
}
Tensor mish(const Tensor& x) { return curve<functor::Mish, mish_slope>(x); }

// y = x h with h = (x + 3) / 6 held between 0 and 1;  dy/dx = x / 3 + ½ where h bends x, else 0 or 1
static Tensor hardswish_slope(const Tensor& x) {
  return where(x <= -3, like(x, 0), where(x < 3, x / 3 + 0.5, like(x, 1)));
}
Tensor hardswish(const Tensor& x) { return curve<functor::Hardswish, hardswish_slope>(x); }

// y = x σ(g),  dy/dx = σ(g), dy/dg = x σ(g) (1 − σ(g))
Tensor glu(const Tensor& x, int64_t dim) {
  int d = wrap_dim(dim, x.dim(), "glu");
  if (x.dim() == 0 || x.shape()[d] % 2 != 0) {
    throw ShapeError("glu: dimension " + std::to_string(d) + " of " + to_string(x.shape()) + " has no two halves");
  }
  int64_t half = x.shape()[d] / 2;
  Tensor a = x.narrow(d, 0, half), g = x.narrow(d, half, half);
  return record("glu", backend::map(a, g, functor::Glu{}), inputs(a, g), saved(a, g), [](Backward& b) {
    Tensor s = sigmoid(b[1]), da = b.dy() * s;
    return Grads{da, b.needs(1) ? da * ((1 - s) * b[0]) : Tensor()};
  });
}

// ## Soft and hard
//
// y = log(1 + eᶻ) = max(z, 0) + log(1 + e^−|z|), which does not overflow;  dy/dz = σ(z)
static Tensor softplus_slope(const Tensor& z, double threshold) { return where(z > threshold, like(z, 1), sigmoid(z)); }
Tensor softplus(const Tensor& x, double beta, double threshold) {
  if (beta == 1) return curve<functor::Softplus, softplus_slope>(x, threshold);
  return curve<functor::Softplus, softplus_slope>(x * beta, threshold) / beta;
}

// y = log σ(x) = min(x, 0) − log(1 + e^−|x|),  dy/dx = σ(−x)
static Tensor logsigmoid_slope(const Tensor& x) { return sigmoid(-x); }
Tensor logsigmoid(const Tensor& x) { return curve<functor::LogSigmoid, logsigmoid_slope>(x); }

// dy where x > bound, or x < bound, else 0
template <class Gate> static Tensor gate_at(const Tensor& dy, const Tensor& x, double bound) {
  return record(Gate::kName, backend::map(dy, x, bound, Gate{}), inputs(dy), saved(constant(x)), attributes(bound),
                [](Backward& b) { return Grads{gate_at<Gate>(b.dy(), b[0], b.number(0))}; });
}

// A bound for x's type: integers take its whole part.
static Scalar bound(const Tensor& x, double value) {
  if (is_floating(x.dtype())) return value;
  return value >= 0x1p63 ? INT64_MAX : value < -0x1p63 ? INT64_MIN : static_cast<int64_t>(value);
}

// y = x held between lo and hi,  dy/dx = 1 strictly between, else 0
Tensor hardtanh(const Tensor& x, double lo, double hi) {
  if (lo > hi) throw Error("hardtanh: min_val " + std::to_string(lo) + " is above max_val " + std::to_string(hi));
  return record("hardtanh", backend::map(x, bound(x, lo), bound(x, hi), functor::Hardtanh{}), inputs(x), saved(x),
                attributes(lo, hi), [](Backward& b) {
                  Tensor above = gate_at<functor::GateAbove>(b.dy(), b[0], b.number(0));
                  return Grads{gate_at<functor::GateBelow>(above, b[0], b.number(1))};
                });
}
Tensor relu6(const Tensor& x) { return hardtanh(x, 0, 6); }

// y = x / 6 + ½ held between 0 and 1,  dy/dx = 1/6 strictly between
Tensor hardsigmoid(const Tensor& x) { return straight<functor::Hardsigmoid>(x); }

// y = 0 where |x| ≤ λ, else x, or x ∓ λ;  dy/dx = 0 or 1
Tensor hardshrink(const Tensor& x, double lambd) { return straight<functor::Hardshrink>(x, lambd); }
Tensor softshrink(const Tensor& x, double lambd) {
  if (!(lambd >= 0)) throw Error("softshrink: lambd = " + std::to_string(lambd) + " is negative");
  return straight<functor::Softshrink>(x, lambd);
}

Tensor tanhshrink(const Tensor& x) { return x - tanh(x); }
Tensor softsign(const Tensor& x) { return x / (abs(x) + 1); }

// y = value where x ≤ threshold, else x;  dy/dx = 0 or 1
Tensor threshold(const Tensor& x, double threshold, double value) {
  return record("threshold", backend::map(x, bound(x, threshold), bound(x, value), functor::Threshold{}), inputs(x),
                saved(x), attributes(threshold),
                [](Backward& b) { return Grads{gate_at<functor::GateAbove>(b.dy(), b[0], b.number(0))}; });
}

// ## Across a dimension
Tensor maxout(const Tensor& x, int64_t k, int64_t dim) {
  int d = wrap_dim(dim, x.dim(), "maxout");
  if (x.dim() == 0 || k < 1 || x.shape()[d] % k != 0) {
    throw ShapeError("maxout: dimension " + std::to_string(d) + " of " + to_string(x.shape()) +
                     " does not fall into groups of " + std::to_string(k));
  }
  Shape groups = x.shape();
  groups[d] /= k;
  groups.insert(d + 1, k);
  return amax(x.reshape(groups), {d + 1});
}

Tensor softmin(const Tensor& x, int64_t d, std::optional<DType> dtype) {
  return softmax(-(dtype ? to_dtype(x, *dtype) : x), d);
}

// −log E is Gumbel for exponential E = −log(1 − u). Drawn in float64, where u rarely comes close enough to 0 to matter.
Tensor gumbel_softmax(const Tensor& logits, Generator& generator, double tau, bool hard, int64_t dim) {
  if (!is_floating(logits.dtype()))
    throw DTypeError(std::string("gumbel_softmax: needs floating-point logits, got ") + name(logits.dtype()));
  Tensor u = rand(logits.shape(), generator, DType::float64);
  Tensor noise = -log(maximum(-log(1 - u), like(u, 1e-20)));
  Tensor soft = softmax((logits + noise.to(logits.dtype()).to(logits.device())) / tau, dim);
  if (!hard) return soft;
  int d = wrap_dim(dim, logits.dim(), "gumbel_softmax");
  Tensor chosen = one_hot(argmax(soft.detach(), d), logits.shape()[d], logits.dtype());
  return movedim(chosen, {-1}, {d}) - soft.detach() + soft;
}

// ## Dropout
namespace {

// Does anything fall? Then x must be of a type that can be scaled.
bool drops(const char* op, const Tensor& x, double p, bool training) {
  if (!(p >= 0 && p <= 1)) throw Error(std::string(op) + ": p = " + std::to_string(p) + " is not between 0 and 1");
  if (!training || p == 0) return false;
  if (!is_floating(x.dtype()))
    throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(x.dtype()));
  return true;
}
Tensor uniform(const Tensor& x, const Shape& shape, Generator& g) { return rand(shape, g, x.dtype()).to(x.device()); }

// One number for a whole channel: (n, channels, 1, …).
Shape channels_of(const char* op, const Tensor& x) {
  if (x.dim() < 2) throw ShapeError(std::string(op) + ": needs (n, channels, …), got " + to_string(x.shape()));
  Shape shape(x.dim(), 1);
  shape[0] = x.shape()[0];
  shape[1] = x.shape()[1];
  return shape;
}

// y = x / (1 − p) where u ≥ p, else 0: linear in x, and dx is dy with the same elements dropped.
Tensor drop(const Tensor& x, const Tensor& u, double p) {
  return record("dropout", backend::map(x, u, p, functor::Drop{}), inputs(x), saved(constant(u)), attributes(p),
                [](Backward& b) { return Grads{drop(b.dy(), b[0], b.number(0))}; });
}
Tensor drop_channels(const char* op, const Tensor& x, double p, bool training, Generator& g) {
  Shape shape = channels_of(op, x);
  if (!drops(op, x, p, training)) return x;
  return p == 1 ? x * 0 : drop(x, uniform(x, shape, g), p);
}

// What falls becomes selu's lower end; a x + b brings mean and variance back to 0 and 1 (Klambauer et al. 2017).
Tensor alpha_drop(const Tensor& x, const Tensor& u, double p) {
  constexpr double kLow = -functor::Selu::kAlpha * functor::Selu::kScale;
  double a = 1 / std::sqrt((1 - p) * (1 + p * kLow * kLow)), b = -a * p * kLow;
  Tensor kept = (u >= p).to(x.dtype());
  return x * (kept * a) + ((1 - kept) * (a * kLow) + b);
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training, Generator& generator) {
  if (!drops("dropout", x, p, training)) return x;
  return p == 1 ? x * 0 : drop(x, uniform(x, x.shape(), generator), p);
}
Tensor dropout1d(const Tensor& x, double p, bool training, Generator& generator) {
  if (x.dim() == 2) return drop_channels("dropout1d", x.unsqueeze(0), p, training, generator).squeeze(0);
  if (x.dim() != 3) throw ShapeError("dropout1d: needs ([n,] channels, length), got " + to_string(x.shape()));
  return drop_channels("dropout1d", x, p, training, generator);
}
Tensor dropout2d(const Tensor& x, double p, bool training, Generator& generator) {
  return drop_channels("dropout2d", x, p, training, generator);
}
Tensor dropout3d(const Tensor& x, double p, bool training, Generator& generator) {
  if (x.dim() == 4) return drop_channels("dropout3d", x.unsqueeze(0), p, training, generator).squeeze(0);
  return drop_channels("dropout3d", x, p, training, generator);
}
Tensor alpha_dropout(const Tensor& x, double p, bool training, Generator& generator) {
  if (!drops("alpha_dropout", x, p, training)) return x;
  return p == 1 ? x * 0 : alpha_drop(x, uniform(x, x.shape(), generator), p);
}
Tensor feature_alpha_dropout(const Tensor& x, double p, bool training, Generator& generator) {
  if (!drops("feature_alpha_dropout", x, p, training)) return x;
  return p == 1 ? x * 0 : alpha_drop(x, uniform(x, channels_of("feature_alpha_dropout", x), generator), p);
}

}  // namespace cr
