// # Statistics
//
// How far numbers lie apart, and how long vectors are; of floating-point tensors. `dims` and `keepdim` as in `reduce.hpp`.
#pragma once

#include "ops/reduce.hpp"

namespace cr {

// Σ (x − mean)² / (n − correction), and its root. For n ≤ correction it is NaN or ∞; a deviation of 0 has gradient 0.
// (`std::` still means C++'s library. Where both namespaces are in sight, the function is called as `cr::std(x)`.)
Tensor var(const Tensor& x, Dims dims = {}, double correction = 1, bool keepdim = false);
Tensor std(const Tensor& x, Dims dims = {}, double correction = 1, bool keepdim = false);
std::pair<Tensor, Tensor> var_mean(const Tensor& x, Dims dims = {}, double correction = 1, bool keepdim = false);
std::pair<Tensor, Tensor> std_mean(const Tensor& x, Dims dims = {}, double correction = 1, bool keepdim = false);

// (variables, observations) → (variables, variables), one variable → (); a vector is one variable. `cov` takes int64 weights of the
// observations that repeat them (`fweights`), real ones that count them more (`aweights`).
Tensor cov(const Tensor& x, double correction = 1, const Tensor& fweights = {}, const Tensor& aweights = {});
Tensor corrcoef(const Tensor& x);

// (Σ |x|ᵖ)^(1/p); for p = ∞, −∞, 0: the largest |x|, the smallest, how many are not 0. At 0 the gradient is 0.
Tensor norm(const Tensor& x, double p = 2, Dims dims = {}, bool keepdim = false);
Tensor dist(const Tensor& x, const Tensor& y, double p = 2);  // norm(x − y, p)

// Slices of x along d whose norm exceeds `maxnorm`, shortened to it. ShapeError for fewer than two dimensions.
Tensor renorm(const Tensor& x, double p, int64_t d, double maxnorm);

}  // namespace cr
