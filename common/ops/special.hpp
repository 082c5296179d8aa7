// # Functions of real numbers
//
// Each works on every element by itself; int64 and bool tensors are taken as float32. Outside a function's domain the
// result is NaN, at a pole it is infinite. Functions of two tensors broadcast (ShapeError if they cannot) and promote.
#pragma once

#include <optional>

#include "tensor/tensor.hpp"

namespace cr {

// ## Exponentials and logarithms
Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);   // 2ˣ
Tensor expm1(const Tensor& x);  // eˣ - 1, exact near 0
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);  // ln(1 + x), exact near 0
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor logaddexp(const Tensor& x, const Tensor& y);   // ln(eˣ + eʸ) without overflow
Tensor logaddexp2(const Tensor& x, const Tensor& y);  // log₂(2ˣ + 2ʸ)
Tensor xlogy(const Tensor& x, const Tensor& y);       // x ln y, and 0 where x = 0
Tensor xlogy(const Tensor& x, Scalar y);
Tensor xlogy(Scalar x, const Tensor& y);
Tensor xlog1py(const Tensor& x, const Tensor& y);  // x ln(1 + y), and 0 where x = 0
Tensor xlog1py(const Tensor& x, Scalar y);
Tensor xlog1py(Scalar x, const Tensor& y);
Tensor entr(const Tensor& x);     // -x ln x; 0 at 0, -∞ below
Tensor sigmoid(const Tensor& x);  // 1 / (1 + e⁻ˣ)
// ln(x / (1 - x)), the inverse of sigmoid. With `eps`, x is first held between eps and 1 - eps.
Tensor logit(const Tensor& x, std::optional<double> eps = std::nullopt);

// ## Roots
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);                   // 1 / √x
Tensor hypot(const Tensor& x, const Tensor& y);  // √(x² + y²) without overflow; floating-point tensors only

// ## Angles, in radians
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor atan2(const Tensor& y, const Tensor& x);  // the angle of the point (x, y), from -π to π
Tensor sinc(const Tensor& x);                    // sin(πx) / πx, and 1 at 0
Tensor deg2rad(const Tensor& x);                 // x π / 180
Tensor rad2deg(const Tensor& x);                 // x 180 / π

// ## Hyperbolic functions
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);

// ## Error and gamma functions
Tensor erf(const Tensor& x);                   // 2/√π ∫₀ˣ e^(-t²) dt
Tensor erfc(const Tensor& x);                  // 1 - erf x, exact where that is tiny
Tensor erfinv(const Tensor& x);                // its inverse, from -1 … 1
Tensor ndtr(const Tensor& x);                  // how much of a standard normal distribution lies below x
Tensor lgamma(const Tensor& x);                // ln |Γ(x)|
Tensor mvlgamma(const Tensor& x, int64_t p);   // the multivariate one's logarithm; p ≥ 1, else Error
Tensor digamma(const Tensor& x);               // lgamma's derivative
Tensor polygamma(int64_t n, const Tensor& x);  // digamma's n-th derivative; n ≥ 0, else Error
// Hurwitz's Σ (q + k)⁻ˢ, k = 0, 1, …, for s > 1. It has a derivative along q only: AutogradError asked for the other.
Tensor zeta(const Tensor& s, const Tensor& q);
Tensor zeta(const Tensor& s, Scalar q);
Tensor zeta(Scalar s, const Tensor& q);

}  // namespace cr
