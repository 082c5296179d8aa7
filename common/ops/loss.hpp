// # Losses
//
// How wrong is a prediction? Each loss is a number per example (or element), then averaged, summed or left as it is.
#pragma once

#include "tensor/tensor.hpp"

namespace cr {

enum class Reduction { mean, sum, none };

// (input − target)², element by element; the shapes must be equal.
Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::mean);

// −log softmax(logits)[target]: logits (n, classes), target (n,) int64 labels. Takes logits, not probabilities: with the
// logarithm inside, nothing overflows. IndexError for a label outside 0 … classes − 1.
Tensor cross_entropy(const Tensor& logits, const Tensor& target, Reduction reduction = Reduction::mean);

// −y log σ(z) − (1 − y) log(1 − σ(z)), element by element, for logits z and targets y in [0, 1] of one shape.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        Reduction reduction = Reduction::mean);

}  // namespace cr
