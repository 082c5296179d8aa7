#include "ops/loss.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/activation.hpp"
#include "ops/create.hpp"
#include "ops/distance.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/product.hpp"
#include "ops/reduce.hpp"

namespace cr {
namespace {

Tensor reduced(const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean: return mean(losses);
    case Reduction::sum: return sum(losses);
    default: return losses;
  }
}

// The weighted mean Σ losses / Σ weights, for losses that contain their weights already.
Tensor reduced(const Tensor& losses, const Tensor& weights, Reduction reduction) {
  return reduction == Reduction::mean ? sum(losses) / sum(weights) : reduced(losses, reduction);
}

Tensor like(const Tensor& x, double value) { return backend::full({}, value, x.dtype(), x.device()); }

void check_same_shape(const char* op, const Tensor& input, const Tensor& target, const char* what = "target") {
  if (!(input.shape() == target.shape())) {
    throw ShapeError(std::string(op) + ": input " + to_string(input.shape()) + " and " + what + " " +
                     to_string(target.shape()) + " differ");
  }
}
// input − target. Predictions of shape (n, 1) for targets of shape (n,) would all be compared with all, n² times, and the
// training that follows would fail quietly; so a result larger than both is refused.
Tensor difference(const char* op, const Tensor& input, const Tensor& target) {
  Shape shape = broadcast_shapes(input.shape(), target.shape(), op);
  if (!(shape == input.shape()) && !(shape == target.shape())) {
    throw ShapeError(std::string(op) + ": input " + to_string(input.shape()) + " and target " +
                     to_string(target.shape()) + " would be compared as " + to_string(shape) + "; reshape one of them");
  }
  return input - target;
}
void check_floating(const char* op, const char* what, const Tensor& x) {
  if (!is_floating(x.dtype()))
    throw DTypeError(std::string(op) + ": " + what + " must be floating-point, got " + name(x.dtype()));
}
void check_positive(const char* op, const char* what, double value) {
  if (!(value > 0)) throw Error(std::string(op) + ": " + what + " = " + std::to_string(value) + " is not positive");
}

}  // namespace

// ## Regression
static Tensor weighted(const char* op, const Tensor& losses, const Tensor& input, const WeightedLoss& options) {
  if (!options.weight.defined()) return reduced(losses, options.reduction);
  check_same_shape(op, input, options.weight, "weight");
  return reduced(losses * options.weight, options.weight, options.reduction);
}

Tensor mse_loss(const Tensor& input, const Tensor& target, const WeightedLoss& options) {
  return weighted("mse_loss", square(difference("mse_loss", input, target)), input, options);
}
Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  return mse_loss(input, target, WeightedLoss{.reduction = reduction});
}

Tensor l1_loss(const Tensor& input, const Tensor& target, const WeightedLoss& options) {
  return weighted("l1_loss", abs(difference("l1_loss", input, target)), input, options);
}
Tensor l1_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  return l1_loss(input, target, WeightedLoss{.reduction = reduction});
}

// L = d² / 2 or δ (|d| − δ/2),  dL/dd = d held between −δ and δ
static Tensor huber(const Tensor& d, double delta) {
  return record("huber_loss", backend::map(d, delta, functor::Huber{}), inputs(d), saved(d), attributes(delta),
                [](Backward& b) { return Grads{b.dy() * clamp(b[0], -b.number(0), b.number(0))}; });
}

Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLoss& options) {
  check_positive("huber_loss", "delta", options.delta);
  Tensor losses = huber(difference("huber_loss", input, target), options.delta);
  if (!options.weight.defined()) return reduced(losses, options.reduction);
  check_same_shape("huber_loss", input, options.weight, "weight");
  return reduced(losses * options.weight, options.reduction);
}

Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1Loss& options) {
  if (options.beta == 0) return l1_loss(input, target, options.reduction);
  check_positive("smooth_l1_loss", "beta", options.beta);
  return reduced(huber(difference("smooth_l1_loss", input, target), options.beta) / options.beta, options.reduction);
}

// max(var, eps), through which the gradient passes as if nothing had happened: a variance that is stuck at its bound still
// feels where it should go.
static Tensor held_above(const Tensor& var, double eps) {
  return record("gaussian_nll_loss", backend::map(var, eps, functor::Maximum{}), inputs(var), saved(),
                [](Backward& b) { return Grads{b.dy()}; });
}

// L = ½ (log σ² + (x − μ)² / σ²)
Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var, const GaussianNllLoss& options) {
  Shape shorter = input.shape();
  if (!shorter.empty()) shorter.erase(shorter.size() - 1);
  int differing = var.dim() == input.dim() ? 0 : 2;
  for (int d = 0; d < input.dim() && var.dim() == input.dim(); ++d) {
    if (var.shape()[d] != input.shape()[d]) differing += var.shape()[d] == 1 ? 1 : 2;
  }
  bool per_row = differing && var.shape() == shorter;
  if (!per_row && differing > 1) {
    throw ShapeError("gaussian_nll_loss: var " + to_string(var.shape()) + " for input " + to_string(input.shape()) +
                     ": needs that shape, without the last dimension, or with size 1 in one");
  }
  check_floating("gaussian_nll_loss", "var", var);
  if (var.numel() > 0 && amin(var.detach()).item() < 0) throw Error("gaussian_nll_loss: var holds a negative number");
  Tensor v = held_above(per_row ? var.unsqueeze(-1) : var, options.eps);
  Tensor losses = (log(v) + square(input - target) / v) * 0.5;
  if (options.full) losses = losses + 0.5 * std::log(2 * std::numbers::pi);
  return reduced(losses, options.reduction);
}

// L = λ − k log λ [+ log k!],  with log k! ≈ k log k − k + ½ log 2πk for k > 1
Tensor poisson_nll_loss(const Tensor& input, const Tensor& target, const PoissonNllLoss& options) {
  Tensor losses = options.log_input ? exp(input) - target * input : input - target * log(input + options.eps);
  if (options.full) {
    Tensor large = target > 1, k = where(large, target, like(target, 1));
    losses = losses + where(large, k * log(k) - k + log(k * (2 * std::numbers::pi)) * 0.5, like(losses, 0));
  }
  return reduced(losses, options.reduction);
}

// ## Labels
//
// What a loss needs to know of class labels. Where a label does not count, `index` is 0 and `weight` too.
namespace {

struct Labels {
  Tensor index;    // int64, without those to ignore
  Tensor ignored;  // bool; undefined if every label counts
  Tensor weight;   // of each label; undefined if all weigh 1
};

void check_class_weight(const char* op, const Tensor& weight, int64_t classes) {
  if (!weight.defined() || weight.shape() == Shape{classes}) return;
  throw ShapeError(std::string(op) + ": weight " + to_string(weight.shape()) + " for " + std::to_string(classes) +
                   " classes: needs (" + std::to_string(classes) + ",)");
}

Labels read_labels(const char* op, const Tensor& target, const Tensor& weight, int64_t classes, int64_t ignore_index,
                   DType type) {
  if (target.dtype() != DType::int64)
    throw DTypeError(std::string(op) + ": labels must be int64, got " + name(target.dtype()));
  check_class_weight(op, weight, classes);
  Labels labels{target, target == ignore_index, {}};
  if (sum(labels.ignored).item<int64_t>() == 0) labels.ignored = Tensor();
  if (labels.ignored.defined())
    labels.index = where(labels.ignored, backend::full({}, 0, DType::int64, target.device()), target);
  if (weight.defined()) {
    labels.weight = index_select(weight.detach(), 0, labels.index.reshape({-1})).reshape(target.shape());
  } else if (labels.ignored.defined()) {
    labels.weight = backend::full(target.shape(), 1, type, target.device());
  }
  if (labels.ignored.defined()) labels.weight = where(labels.ignored, like(labels.weight, 0), labels.weight);
  return labels;
}

// For losses that pick the label's element themselves. The kernel of `cross_entropy` checks its own.
void check_range(const char* op, const Tensor& index, int64_t classes) {
  if (index.numel() == 0) return;
  int64_t lo = amin(index).item<int64_t>(), hi = amax(index).item<int64_t>();
  if (lo < 0 || hi >= classes) {
    throw IndexError(std::string(op) + ": label " + std::to_string(lo < 0 ? lo : hi) + ", but there are " +
                     std::to_string(classes) + " classes");
  }
}

// The dimension of x that holds the classes, or an error unless the target lacks just that one.
int class_dim(const char* op, const char* what, const Tensor& x, const Tensor& target) {
  int d = x.dim() == 1 ? 0 : 1;
  Shape rest = x.shape();
  if (x.dim() > 0) rest.erase(d);
  bool single = x.dim() == 1 && target.shape() == Shape{1};
  if (x.dim() == 0 || !(target.shape() == rest || single)) {
    throw ShapeError(std::string(op) + ": " + what + " " + to_string(x.shape()) + " and target " +
                     to_string(target.shape()) + ": needs (n, classes, …) and (n, …), or (classes,) and ()");
  }
  backend::check_device(op, x, target);
  return d;
}

// Losses of single labels, and what is to become of them. Where a label does not count, the loss is 0, even if it was ∞.
Tensor counted(Tensor losses, const Labels& labels, Reduction reduction) {
  if (labels.ignored.defined()) losses = where(labels.ignored, like(losses, 0), losses);
  return labels.weight.defined() ? reduced(losses, labels.weight, reduction) : reduced(losses, reduction);
}

}  // namespace

// L = −w[y] x[y]
Tensor nll_loss(const Tensor& x, const Tensor& target, const NllLoss& options) {
  int d = class_dim("nll_loss", "log-probabilities", x, target);
  check_floating("nll_loss", "log-probabilities", x);
  Labels labels = read_labels("nll_loss", target, options.weight, x.shape()[d], options.ignore_index, x.dtype());
  check_range("nll_loss", labels.index, x.shape()[d]);
  Shape one = x.shape();
  one[d] = 1;
  Tensor losses = -gather(x, d, labels.index.reshape(one)).reshape(target.shape());
  return counted(labels.weight.defined() ? losses * labels.weight : losses, labels, options.reduction);
}

// ## Cross-entropy
//
// L = log Σ eˣ − x[target],  dL/dx = softmax(x) − one_hot(target)
//
// One pass computes the loss of a row, and one its gradient; that serves the first derivative. When the gradient is to be
// differentiated again, the same formula is spelled out in operations that can be.
static Tensor cross_entropy_rows(const Tensor& x, const Tensor& target) {
  Tensor loss = empty({x.shape()[0]}, x.dtype(), x.device()),
         logsumexp = empty(loss.shape(), DType::float64, x.device());
  backend::on(x.device()).cross_entropy(loss, logsumexp, x, target);
  return record("cross_entropy", loss, inputs(x), saved(x, constant(target), constant(logsumexp)), [](Backward& b) {
    Tensor x = b[0], target = b[1];
    if (b.create_graph()) {
      Tensor off = softmax(x, 1) - one_hot(target, x.shape()[1], x.dtype());
      return Grads{off * b.dy().unsqueeze(1)};
    }
    Tensor dx = empty(x.shape(), x.dtype(), x.device());
    backend::on(x.device()).cross_entropy_backward(dx, x, target, b[2], b.dy().contiguous());
    return Grads{dx};
  });
}

// A probability for each class: L = −Σ w t log softmax(x).
static Tensor cross_entropy_of_probabilities(const Tensor& x, Tensor target, const CrossEntropyLoss& options) {
  int d = x.dim() == 1 ? 0 : 1;
  double classes = static_cast<double>(x.shape()[d]), smooth = options.label_smoothing;
  if (smooth > 0) target = target * (1 - smooth) + smooth / classes;
  Tensor terms = log_softmax(x, d) * target;
  if (options.weight.defined()) {
    Shape along(x.dim() - d, 1);
    along[0] = x.shape()[d];
    terms = terms * options.weight.reshape(along);
  }
  return reduced(-sum(terms, {d}), options.reduction);
}

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyLoss& options) {
  double smooth = options.label_smoothing;
  bool probabilities = logits.dim() > 0 && logits.shape() == target.shape();
  int d = probabilities ? logits.dim() > 1 : class_dim("cross_entropy", "logits", logits, target);
  int64_t classes = logits.shape()[d];
  check_floating("cross_entropy", "logits", logits);
  if (!(smooth >= 0 && smooth <= 1))
    throw Error("cross_entropy: label_smoothing = " + std::to_string(smooth) + " is not between 0 and 1");
  if (classes == 0 && logits.shape()[0] > 0)
    throw ShapeError("cross_entropy: logits " + to_string(logits.shape()) + " have no classes");
  if (probabilities) {
    check_floating("cross_entropy", "a target of the logits' shape holds probabilities, which", target);
    check_class_weight("cross_entropy", options.weight, classes);
    return cross_entropy_of_probabilities(logits, target, options);
  }
  Labels labels = read_labels("cross_entropy", target, options.weight, classes, options.ignore_index, logits.dtype());

  // One row of logits for each label: the classes go last.
  Tensor x = logits.dim() == 2 ? logits : logits.unsqueeze(-1).transpose(d, -1).reshape({target.numel(), classes});
  Tensor losses = cross_entropy_rows(x.contiguous(), labels.index.contiguous().reshape({-1}));
  if (options.weight.defined()) losses = losses * labels.weight.reshape({-1});
  if (smooth > 0) {
    Tensor logs = log_softmax(x, 1);
    if (options.weight.defined()) logs = logs * options.weight;
    losses = losses * (1 - smooth) - sum(logs, {1}) * (smooth / static_cast<double>(classes));
  }
  return counted(losses.reshape(target.shape()), labels, options.reduction);
}
Tensor cross_entropy(const Tensor& logits, const Tensor& target, Reduction reduction) {
  return cross_entropy(logits, target, CrossEntropyLoss{.reduction = reduction});
}

// L = t (log t − x), which is 0 for t = 0, or eᵗ (t − x) for log-probabilities t
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivLoss& options) {
  check_floating("kl_div", "input", input);
  check_floating("kl_div", "target", target);
  Tensor losses;
  if (options.log_target) {
    losses = exp(target) * (target - input);
  } else {
    Tensor t = where(target == 0, like(target, 1), target);
    losses = target * log(t) - target * input;
  }
  if (!options.batchmean) return reduced(losses, options.reduction);
  return input.dim() > 0 ? sum(losses) / static_cast<double>(input.shape()[0]) : sum(losses);
}

// L = Σⱼ≠ᵧ w[y] max(0, m − x[y] + x[j])ᵖ / classes
Tensor multi_margin_loss(const Tensor& input, const Tensor& target, const MultiMarginLoss& options) {
  Tensor x = input.dim() < 2 ? input.reshape({1, -1}) : input;
  if (x.dim() != 2 || target.dim() > 1 || target.numel() != x.shape()[0]) {
    throw ShapeError("multi_margin_loss: input " + to_string(input.shape()) + " and target " +
                     to_string(target.shape()) + ": needs (n, classes) and (n,), or (classes,) and ()");
  }
  if (options.p != 1 && options.p != 2)
    throw Error("multi_margin_loss: p = " + std::to_string(options.p) + " is neither 1 nor 2");
  check_floating("multi_margin_loss", "input", x);
  int64_t classes = x.shape()[1];
  Labels labels = read_labels("multi_margin_loss", target.reshape({-1}), options.weight, classes, INT64_MIN, x.dtype());
  check_range("multi_margin_loss", labels.index, classes);
  Tensor z = relu(options.margin - gather(x, 1, labels.index.unsqueeze(1)) + x);  // (n, classes)
  if (options.p == 2) z = square(z);
  Tensor losses = sum(z * (1 - one_hot(labels.index, classes, x.dtype())), {1}) / static_cast<double>(classes);
  if (labels.weight.defined()) losses = losses * labels.weight;
  return reduced(losses.reshape(target.shape()), options.reduction);
}

// ## Yes or no
//
// L = −y log p − (1 − y) log(1 − p),  dL/dp = (p − y) / (p (1 − p)), dL/dy = log(1 − p) − log p. The logarithms stop at
// −100 and the denominator at 10⁻¹², so that a certain and wrong p has a loss and a gradient that are large, not infinite.
namespace {

Tensor held_log(const Tensor& p) { return maximum(log(p), like(p, -100)); }

Tensor binary_cross_entropy_terms(const Tensor& p, const Tensor& y) {
  Tensor loss;
  {
    NoGrad plain;
    Tensor log_not = maximum(backend::map(-p, functor::Log1p{}), like(p, -100));
    loss = (y - 1) * log_not - y * held_log(p);
  }
  return record("binary_cross_entropy", loss, inputs(p, y), saved(p, y), [](Backward& b) {
    Tensor p = b[0], y = b[1];
    return Grads{b.needs(0) ? b.dy() * (p - y) / maximum((1 - p) * p, like(p, 1e-12)) : Tensor(),
                 b.needs(1) ? b.dy() * (held_log(1 - p) - held_log(p)) : Tensor()};
  });
}

void check_probabilities(const char* what, const Tensor& x) {
  if (x.numel() == 0) return;
  double lo = amin(x.detach()).item(), hi = amax(x.detach()).item();
  if (lo >= 0 && hi <= 1) return;
  throw Error(std::string("binary_cross_entropy: ") + what + " must lie between 0 and 1, but " +
              std::to_string(lo >= 0 ? hi : lo) + " does not; for logits there is binary_cross_entropy_with_logits");
}

// Is `weight` of a shape that broadcasting makes the input's?
void check_weight(const char* op, const char* what, const Tensor& weight, const Tensor& input) {
  if (!weight.defined() || broadcast_shapes(weight.shape(), input.shape(), op) == input.shape()) return;
  throw ShapeError(std::string(op) + ": " + what + " " + to_string(weight.shape()) + " is larger than input " +
                   to_string(input.shape()));
}

}  // namespace

Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const WeightedLoss& options) {
  check_same_shape("binary_cross_entropy", input, target);
  check_floating("binary_cross_entropy", "input", input);
  check_weight("binary_cross_entropy", "weight", options.weight, input);
  check_probabilities("input", input);
  check_probabilities("target", target);
  Tensor losses = binary_cross_entropy_terms(input, target.to(input.dtype()));
  if (options.weight.defined()) losses = losses * options.weight.detach();
  return reduced(losses, options.reduction);
}

// L = max(z, 0) − z y + log(1 + e^−|z|),  dL/dz = σ(z) − y, dL/dy = −z
static Tensor binary_cross_entropy_of_logits(const Tensor& z, const Tensor& y) {
  Tensor loss = backend::map(z, y, functor::BinaryLogits{});
  return record("binary_cross_entropy_with_logits", loss, inputs(z, y), saved(z, y), [](Backward& b) {
    Tensor dz, dy;
    if (b.needs(0)) {
      dz = b.create_graph() ? b.dy() * (sigmoid(b[0]) - b[1])
                            : backend::map(b.dy(), b[0], b[1], functor::BinaryLogitsSlope{});
    }
    if (b.needs(1)) dy = -(b.dy() * b[0]);
    return Grads{dz, dy};
  });
}

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const BinaryCrossEntropyLoss& options) {
  constexpr const char* kName = "binary_cross_entropy_with_logits";
  check_same_shape(kName, logits, target);
  check_floating(kName, "logits", logits);
  check_weight(kName, "weight", options.weight, logits);
  check_weight(kName, "pos_weight", options.pos_weight, logits);
  Tensor y = target.to(logits.dtype()), losses;
  if (!options.pos_weight.defined()) {
    losses = binary_cross_entropy_of_logits(logits, y);
  } else {  // (1 − y) z − (1 + (w − 1) y) log σ(z)
    losses = (1 - y) * logits - ((options.pos_weight.detach() - 1) * y + 1) * logsigmoid(logits);
  }
  if (options.weight.defined()) losses = losses * options.weight.detach();
  return reduced(losses, options.reduction);
}
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction) {
  return binary_cross_entropy_with_logits(logits, target, BinaryCrossEntropyLoss{.reduction = reduction});
}

Tensor multilabel_soft_margin_loss(const Tensor& input, const Tensor& target, const WeightedLoss& options) {
  if (input.dim() == 0) throw ShapeError("multilabel_soft_margin_loss: needs (n, classes) or (classes,), got ()");
  check_floating("multilabel_soft_margin_loss", "input", input);
  Tensor losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input));
  if (options.weight.defined()) losses = losses * options.weight;
  return reduced(sum(losses, {-1}) / static_cast<double>(input.size(-1)), options.reduction);
}

// A label counts if no −1 stands at or before its place. With that known for all places at once, the loss is a sum over
// pairs (label, other class).
Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  constexpr const char* kName = "multilabel_margin_loss";
  check_same_shape(kName, input, target);
  check_floating(kName, "input", input);
  if (input.dim() > 2)
    throw ShapeError(std::string(kName) + ": needs (n, classes) or (classes,), got " + to_string(input.shape()));
  if (target.dtype() != DType::int64)
    throw DTypeError(std::string(kName) + ": labels must be int64, got " + name(target.dtype()));
  Tensor x = input.dim() < 2 ? input.reshape({1, -1}) : input, labels = target.reshape(x.shape());  // (n, classes)
  int64_t classes = x.shape()[1];
  Tensor ended = (labels == -1).to(x.dtype()), zero = backend::full({}, 0, DType::int64, x.device());
  check_range(kName, where(labels == -1, zero, labels), classes);
  Tensor places = arange(classes).to(x.device());
  Tensor counts = (matmul(ended, (places.unsqueeze(1) <= places).to(x.dtype())) == 0).to(x.dtype());
  Tensor index = where(counts != 0, labels, zero);
  Tensor is_label = scatter_add(zeros_like(counts), 1, index, counts) > 0;
  Tensor other = 1 - is_label.to(x.dtype());
  Tensor z = relu(1 - gather(x, 1, index).unsqueeze(2) + x.unsqueeze(1));  // (n, label, class)
  Tensor losses = sum(z * (counts.unsqueeze(2) * other.unsqueeze(1)), {1, 2}) / static_cast<double>(classes);
  return reduced(input.dim() < 2 ? losses.squeeze(0) : losses, reduction);
}

// L = log(1 + e^−yx) = −log σ(yx)
Tensor soft_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  check_floating("soft_margin_loss", "input", input);
  return reduced(-logsigmoid(input * target), reduction);
}

// ## Distances
Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target, const MarginLoss& options) {
  Tensor far = relu(options.margin - input), zero = like(far, 0);
  return reduced(where(target != 1, far, zero) + where(target != -1, input, zero), options.reduction);
}

Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                           const MarginLoss& options) {
  if (input1.dim() != input2.dim() || input1.dim() != target.dim()) {
    throw ShapeError("margin_ranking_loss: inputs " + to_string(input1.shape()) + " and " + to_string(input2.shape()) +
                     " and target " + to_string(target.shape()) + " need the same number of dimensions");
  }
  return reduced(relu(options.margin - target * (input1 - input2)), options.reduction);
}

// cos = x₁ · x₂ / √(|x₁|² |x₂|²), both squares 10⁻¹² larger than they are
Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                             const MarginLoss& options) {
  if (target.dim() > 1 || input1.dim() != target.dim() + 1 || input2.dim() != target.dim() + 1) {
    throw ShapeError("cosine_embedding_loss: inputs " + to_string(input1.shape()) + " and " +
                     to_string(input2.shape()) + " with target " + to_string(target.shape()) +
                     ": needs (n, features) with (n,), or (features,) with ()");
  }
  constexpr double kEps = 1e-12;
  Tensor squares = (sum(input1 * input1, {-1}) + kEps) * (sum(input2 * input2, {-1}) + kEps);
  Tensor cosine = sum(input1 * input2, {-1}) / sqrt(squares), zero = like(cosine, 0);
  Tensor losses = where(target == 1, 1 - cosine, zero) + where(target == -1, relu(cosine - options.margin), zero);
  return reduced(losses, options.reduction);
}

// `apart(x, y)` is the distance.
template <class F, class Options>
static Tensor triplet(const char* op, const Tensor& anchor, const Tensor& positive, const Tensor& negative, F&& apart,
                      const Options& options) {
  if (anchor.dim() != positive.dim() || anchor.dim() != negative.dim()) {
    throw ShapeError(std::string(op) + ": anchor " + to_string(anchor.shape()) + ", positive " +
                     to_string(positive.shape()) + " and negative " + to_string(negative.shape()) +
                     " need the same number of dimensions");
  }
  check_positive(op, "margin", options.margin);
  Tensor near = apart(anchor, positive), far = apart(anchor, negative);
  if (options.swap) far = minimum(far, apart(positive, negative));
  return reduced(relu(options.margin + near - far), options.reduction);
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginLoss& options) {
  auto apart = [&](const Tensor& x, const Tensor& y) { return pairwise_distance(x, y, options.p, options.eps); };
  return triplet("triplet_margin_loss", anchor, positive, negative, apart, options);
}

Tensor triplet_margin_with_distance_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                                         const TripletDistanceLoss& options) {
  auto apart = [&](const Tensor& x, const Tensor& y) {
    return options.distance ? options.distance(x, y) : pairwise_distance(x, y);
  };
  return triplet("triplet_margin_with_distance_loss", anchor, positive, negative, apart, options);
}

}  // namespace cr
