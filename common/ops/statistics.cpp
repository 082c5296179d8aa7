#include "ops/statistics.hpp"

#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/detail/dims.hpp"
#include "ops/elementwise.hpp"
#include "ops/product.hpp"
#include "ops/types.hpp"

namespace cr {
using namespace detail;
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

// Two passes. The mean is rounded, so the deviations d do not quite add up to 0; taking away what they do add up to,
// Σ d² − (Σ d)² / n, leaves the variance right even where the mean is a million times the deviation.
Tensor variance(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
  auto n = static_cast<double>(count(x, dims));
  Tensor d = x - mean(x, dims, true);
  return (sum(square(d), dims, keepdim) - square(sum(d, dims, keepdim)) / n) / std::max(0., n - correction);
}

// v = Σ (x − m)² / (n − c),  dv/dx = 2 (x − m) / (n − c)
Tensor variance_gradient(const Tensor& dv, const Tensor& x, const Dims& dims, double correction, bool of_all) {
  double degrees = static_cast<double>(count(x, dims)) - correction;
  Tensor d = x - mean(x, dims, true);
  if (of_all && degrees <= 0)
    return dv *
           where(d.detach() == 0, full({}, kNaN, d.dtype(), d.device()), full({}, kInfinity, d.dtype(), d.device()));
  return dv * d * (2 / degrees);
}

}  // namespace

// ## Spread
//
Tensor var(const Tensor& x, Dims dims, double correction, bool keepdim) {
  require_floating("var", x);
  bool of_all = dims.empty();
  dims = wrap_dims(x, dims, "var");
  Tensor v = variance(x.detach(), dims, correction, keepdim);
  return record("var", v, inputs(x), saved(x), attributes(dims, int64_t{keepdim}, int64_t{of_all}, correction),
                [](Backward& b) {
                  Tensor dv = restore(b.dy(), b.dims(0), b.integer(1));
                  return Grads{variance_gradient(dv, b[0], b.dims(0), b.number(3), b.integer(2))};
                });
}

// s = √v,  ds/dv = 1 / (2 s), and 0 where s is
Tensor std(const Tensor& x, Dims dims, double correction, bool keepdim) {
  require_floating("std", x);
  bool of_all = dims.empty();
  dims = wrap_dims(x, dims, "std");
  Tensor s = sqrt(variance(x.detach(), dims, correction, keepdim));
  return record("std", s, inputs(x), saved(x, s), attributes(dims, int64_t{keepdim}, int64_t{of_all}, correction),
                [](Backward& b) {
                  Tensor s = b[1], still = s.detach() == 0;
                  Tensor dv = where(still, zeros_like(s), b.dy() / (where(still, ones_like(s), s) * 2));
                  return Grads{variance_gradient(restore(dv, b.dims(0), b.integer(1)), b[0], b.dims(0), b.number(3),
                                                 b.integer(2))};
                });
}

std::pair<Tensor, Tensor> var_mean(const Tensor& x, Dims dims, double correction, bool keepdim) {
  return {var(x, dims, correction, keepdim), mean(x, dims, keepdim)};
}
std::pair<Tensor, Tensor> std_mean(const Tensor& x, Dims dims, double correction, bool keepdim) {
  return {std(x, dims, correction, keepdim), mean(x, dims, keepdim)};
}

// ## Joint spread
//
// C = D W Dᵀ / f with the deviations D, the weights W of the observations, and f = Σ w − correction (for real weights a,
// Σ w − correction · Σ w a / Σ w).
Tensor cov(const Tensor& input, double correction, const Tensor& fweights, const Tensor& aweights) {
  if (input.dim() > 2) throw ShapeError("cov: needs at most two dimensions, got shape " + to_string(input.shape()));
  if (input.dtype() == DType::boolean) throw DTypeError("cov: does not take bool tensors");
  Tensor x = real(input);
  x = x.dim() < 2 ? x.reshape({1, -1}) : x;  // (variables, n)
  int64_t n = x.shape()[1];
  auto checked = [&](const char* which, const Tensor& weights, bool whole) {
    if (weights.dim() > 1 || weights.numel() != n)
      throw ShapeError(std::string("cov: ") + which + " of shape " + to_string(weights.shape()) + " for " +
                       std::to_string(n) + " observations");
    if ((weights.dtype() == DType::int64) != whole)
      throw DTypeError(std::string("cov: ") + which + " of type " + name(weights.dtype()));
    if (n > 0 && amin(weights.detach()).item() < 0) throw Error(std::string("cov: ") + which + " are negative");
    return weights.reshape({-1}).to(x.dtype());
  };
  Tensor weights;
  if (fweights.defined()) weights = checked("fweights", fweights, true);
  if (aweights.defined()) {
    Tensor a = checked("aweights", aweights, false);
    weights = weights.defined() ? weights * a : a;
  }
  Tensor total = weights.defined() ? sum(weights) : full({}, n, x.dtype(), x.device());
  Tensor centre = weights.defined() ? sum(x * weights, {1}, true) / total : mean(x, {1}, true);
  Tensor d = x - centre, factor = total - correction;
  if (aweights.defined() && correction != 0)
    factor = total - sum(weights * aweights.reshape({-1}).to(x.dtype())) / total * correction;
  factor = where(factor.detach() < 0, zeros_like(factor), factor);
  Tensor c = matmul(d, (weights.defined() ? d * weights : d).t()) / factor;
  return c.numel() == 1 ? c.reshape({}) : c;
}

// Rᵢⱼ = Cᵢⱼ / √(Cᵢᵢ Cⱼⱼ), held between −1 and 1
Tensor corrcoef(const Tensor& x) {
  Tensor c = cov(x);
  if (c.dim() == 0) return c / c;
  int64_t n = c.shape()[0];
  Tensor deviation = sqrt(as_strided(c, {n}, {n + 1}, 0));  // of the diagonal
  return clamp(c / deviation.unsqueeze(-1) / deviation.unsqueeze(0), -1, 1);
}

// ## Length
//
// y = (Σ |x|ᵖ)^(1/p),  dy/dx = sign(x) (|x| / y)ᵖ⁻¹. Where y is 0, and where |x|ᵖ⁻¹ would divide by 0, we take 0, which is
// a subgradient for p ≥ 1. For p = ±∞ it is shared by the x with |x| = y.
Tensor norm(const Tensor& x, double p, Dims dims, bool keepdim) {
  require_floating("norm", x);
  dims = wrap_dims(x, dims, "norm");
  Tensor plain = x.detach(), y;
  if (p == 0) y = sum(plain != 0, dims, keepdim).to(x.dtype());
  else if (p == 2) y = sqrt(sum(square(plain), dims, keepdim));
  else if (p == 1) y = sum(abs(plain), dims, keepdim);
  else if (std::isinf(p) && count(x, dims) == 0 && p > 0) y = sum(plain, dims, keepdim);
  else if (std::isinf(p)) y = p > 0 ? amax(abs(plain), dims, keepdim) : amin(abs(plain), dims, keepdim);
  else y = pow(sum(pow(abs(plain), p), dims, keepdim), 1 / p);
  return record("norm", y, inputs(x), saved(x, y), attributes(dims, int64_t{keepdim}, p), [](Backward& b) {
    double p = b.number(2);
    Tensor x = b[0], y = restore(b[1], b.dims(0), b.integer(1)), dy = restore(b.dy(), b.dims(0), b.integer(1));
    if (p == 0) return Grads{zeros_like(x)};
    if (p == 1) return Grads{dy * sign(x)};
    if (std::isinf(p)) {
      Tensor length = abs(x.detach()), end = y.detach();
      Tensor hit = where(end == end, length == end, x.detach() != x.detach()).to(x.dtype());
      return Grads{dy * (sign(x) * hit / sum(hit, b.dims(0), true))};
    }
    Tensor still = y.detach() == 0, scale = where(still, ones_like(y), y);
    dy = where(still, zeros_like(y), dy);
    if (p == 2) return Grads{dy * (x / scale)};
    Tensor at_zero = x.detach() == 0, length = where(at_zero, ones_like(x), abs(x));
    Tensor power = where(at_zero, zeros_like(x), pow(length, p - 1));
    return Grads{dy * pow(scale, 1 - p) * (sign(x) * power)};
  });
}

Tensor dist(const Tensor& x, const Tensor& y, double p) { return norm(x - y, p); }

Tensor renorm(const Tensor& x, double p, int64_t dim, double maxnorm) {
  if (x.dim() < 2) throw ShapeError("renorm: needs at least two dimensions, got shape " + to_string(x.shape()));
  if (!(p > 0)) throw Error("renorm: p = " + std::to_string(p) + " is not positive");
  if (!(maxnorm >= 0)) throw Error("renorm: maxnorm = " + std::to_string(maxnorm) + " is negative");
  int d = wrap_dim(dim, x.dim(), "renorm");
  Dims others;
  for (int i = 0; i < x.dim(); ++i) {
    if (i != d) others.push_back(i);
  }
  Tensor length = norm(x, p, others, true);
  return x * where(length.detach() > maxnorm, maxnorm / (length + 1e-7), ones_like(length));
}

}  // namespace cr
