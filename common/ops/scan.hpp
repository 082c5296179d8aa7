// # Running totals
//
// Along dimension d, result i is made of elements 0 … i; the shape stays. Sums and products of int64 and bool are int64;
// `dtype` converts the elements first. Those of float32 run in float64. IndexError for a dimension that does not exist.
#pragma once

#include "ops/reduce.hpp"

namespace cr {

Tensor cumsum(const Tensor& x, int64_t d, OptionalDType dtype = {});   // Σ x up to each place along d
Tensor cumprod(const Tensor& x, int64_t d, OptionalDType dtype = {});  // Π x
Tensor logcumsumexp(const Tensor& x, int64_t d);                       // log Σ eˣ, of a floating-point tensor

// y[i] = factor[i] y[i − 1] + x[i], with y[−1] = 0; the first factor meets nothing. Shapes and types are equal. With
// `reverse` it runs from the far end: y[i] = factor[i] y[i + 1] + x[i]. Its derivative is of the same kind, and cumprod's is
// made of it.
Tensor linear_scan(const Tensor& factor, const Tensor& x, int64_t d, bool reverse = false);

// Differences of neighbours along d, n times over: x[i + 1] − x[i]; of bools: do they differ? `prepend` and `append`, if
// defined, are joined to x first. Throws ShapeError for a 0-d x, Error for n < 0.
Tensor diff(const Tensor& x, int64_t n = 1, int64_t d = -1, const Tensor& prepend = {}, const Tensor& append = {});

// ∫ y by the trapezoidal rule along d, at places x (y's shape, or a line of y's size along d) or at distance dx; and its
// running values. (…, n, …) → (…), (…, n − 1, …). Throws ShapeError where x does not fit.
Tensor trapezoid(const Tensor& y, const Tensor& x, int64_t d = -1);
Tensor trapezoid(const Tensor& y, double dx = 1, int64_t d = -1);
Tensor cumulative_trapezoid(const Tensor& y, const Tensor& x, int64_t d = -1);
Tensor cumulative_trapezoid(const Tensor& y, double dx = 1, int64_t d = -1);

}  // namespace cr
