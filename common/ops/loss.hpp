// # Losses
//
// How wrong is a prediction? Each loss is a number per example (or element), then averaged, summed or left as it is. The
// names, arguments and defaults are PyTorch's; what is optional stands in a struct:
//
//     cross_entropy(logits, labels, {.ignore_index = -1, .label_smoothing = 0.1})
//
// The mean of no losses at all is NaN, their sum 0. All throw ShapeError for shapes that do not fit together and
// DTypeError for types they do not take.
#pragma once

#include <functional>

#include "tensor/tensor.hpp"

namespace cr {

enum class Reduction { mean, sum, none };

// ## Numbers: regression
//
// Element by element; input and target broadcast as long as the result is as large as one of them. A weight has input's
// shape; the weighted mean divides by its sum.
struct WeightedLoss {
  Tensor weight = {};
  Reduction reduction = Reduction::mean;
};
Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::mean);  // (input − target)²
Tensor mse_loss(const Tensor& input, const Tensor& target, const WeightedLoss& options);
Tensor l1_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::mean);  // |input − target|
Tensor l1_loss(const Tensor& input, const Tensor& target, const WeightedLoss& options);

// d² / 2 for a difference |d| ≤ δ, and beyond it a straight line, δ (|d| − δ/2), on which outliers pull no harder. The
// smooth one is that divided by β. Here the weighted mean divides by the number of elements.
struct HuberLoss {
  double delta = 1;
  Tensor weight = {};
  Reduction reduction = Reduction::mean;
};
struct SmoothL1Loss {
  double beta = 1;
  Reduction reduction = Reduction::mean;
};
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLoss& options = {});
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1Loss& options = {});

// −log of the probability of `target` under a normal distribution with mean `input` and variance `var`, which is of
// input's shape, lacks its last dimension, or has size 1 in one. Variances below `eps` count as eps, negative ones are an
// Error. `full` adds the constant ½ log 2π.
struct GaussianNllLoss {
  bool full = false;
  double eps = 1e-6;
  Reduction reduction = Reduction::mean;
};
Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var,
                         const GaussianNllLoss& options = {});

// The same for counts: a Poisson distribution whose rate is e^input, or input itself. `full` adds Stirling's
// approximation of log target! where target > 1.
struct PoissonNllLoss {
  bool log_input = true, full = false;
  double eps = 1e-8;
  Reduction reduction = Reduction::mean;
};
Tensor poisson_nll_loss(const Tensor& input, const Tensor& target, const PoissonNllLoss& options = {});

// ## One class of several
//
// Inputs are (n, classes), (n, classes, d₁, …) or, for one example, (classes,). Labels are int64, (n,), (n, d₁, …) or ().
// Labels equal to `ignore_index` do not count; others outside 0 … classes − 1 are an IndexError. `weight` (classes,)
// counts each example as much as its class's weight; the mean divides by the sum of those.
struct NllLoss {
  Tensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& target, const NllLoss& options = {});  // −input[target]

// −log softmax(logits)[target]. Takes logits, not probabilities: with the logarithm inside, nothing overflows. A target of
// the logits' shape holds a probability for each class instead of a label; then the loss is −Σ target · log softmax(logits).
// Label smoothing ε takes 1 − ε of the target and shares ε out equally among the classes.
struct CrossEntropyLoss {
  Tensor weight = {};
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  Reduction reduction = Reduction::mean;
};
Tensor cross_entropy(const Tensor& logits, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyLoss& options);

// How far `input`, log-probabilities, is from the distribution `target`: target (log target − input), element by element.
// `log_target`: target is given as logarithms. `batchmean` divides the sum by the size of dimension 0: the divergence
// itself, where the mean over elements is not.
struct KlDivLoss {
  bool log_target = false, batchmean = false;
  Reduction reduction = Reduction::mean;
};
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivLoss& options = {});

// Σ over the other classes j of max(0, margin − input[target] + input[j])ᵖ / classes; p is 1 or 2.
struct MultiMarginLoss {
  int64_t p = 1;
  double margin = 1;
  Tensor weight = {};
  Reduction reduction = Reduction::mean;
};
Tensor multi_margin_loss(const Tensor& input, const Tensor& target, const MultiMarginLoss& options = {});

// ## Yes or no, once or for several classes
//
// −y log p − (1 − y) log(1 − p), element by element, for targets y in [0, 1] of one shape with the input: probabilities p,
// or logits z with p = σ(z). Logarithms of probabilities are held above −100. `weight` broadcasts and does not change what
// the mean divides by. `pos_weight` multiplies the first term only: for rare positives.
struct BinaryCrossEntropyLoss {
  Tensor weight = {};
  Reduction reduction = Reduction::mean;
  Tensor pos_weight = {};
};
Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const WeightedLoss& options = {});
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        Reduction reduction = Reduction::mean);
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const BinaryCrossEntropyLoss& options);

// Its mean over the last dimension, the classes: (n, classes) or (classes,).
Tensor multilabel_soft_margin_loss(const Tensor& input, const Tensor& target, const WeightedLoss& options = {});

// Labels of one example in a row (n, classes) or (classes,), int64, ended by −1: the sum over its labels y and the classes
// j that are none of max(0, 1 − input[y] + input[j]) / classes.
Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::mean);

// log(1 + e^(−y x)) for targets y = ±1.
Tensor soft_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::mean);

// ## Distances
//
// x where y = 1, max(0, margin − x) where y = −1: x is a distance.
struct MarginLoss {
  double margin = 0;
  Reduction reduction = Reduction::mean;
};
Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target, const MarginLoss& options = {.margin = 1});

// max(0, margin − y (x₁ − x₂)): y = 1 wants x₁ above x₂, y = −1 below.
Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                           const MarginLoss& options = {});

// 1 − cos(x₁, x₂) where y = 1, max(0, cos − margin) where y = −1; (n, features) with (n,), or (features,) with ().
Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                             const MarginLoss& options = {});

// max(0, margin + d(anchor, positive) − d(anchor, negative)), with the distance ‖x − y + eps‖ₚ along the last dimension or
// one of your own. `swap` takes d(positive, negative) for the second where it is smaller. Error unless margin > 0.
struct TripletMarginLoss {
  double margin = 1, p = 2, eps = 1e-6;
  bool swap = false;
  Reduction reduction = Reduction::mean;
};
struct TripletDistanceLoss {
  std::function<Tensor(const Tensor&, const Tensor&)> distance = {};
  double margin = 1;
  bool swap = false;
  Reduction reduction = Reduction::mean;
};
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginLoss& options = {});
Tensor triplet_margin_with_distance_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                                         const TripletDistanceLoss& options = {});

}  // namespace cr
