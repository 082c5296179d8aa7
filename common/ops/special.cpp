#include "ops/special.hpp"

#include <cmath>

#include "ops/elementwise.hpp"
#include "ops/types.hpp"

namespace cr {

// Each function is its functor (`backend/functor_special.hpp`) and its rule. The rule is written in x or in y, whichever
// is less work; only that one is kept.
namespace {

template <class F> Tensor keeping_x(const Tensor& given, Rule rule) {
  Tensor x = real(given);
  return record(F::kName, backend::map(x, F{}), inputs(x), saved(x), rule);
}
template <class F> Tensor keeping_y(const Tensor& given, Rule rule) {
  Tensor x = real(given), y = backend::map(x, F{});
  return record(F::kName, y, inputs(x), saved(y), rule);
}
// Of two inputs; the rule may ask for both.
template <class F> Tensor keeping_both(const Tensor& x, const Tensor& y, Rule rule) {
  DType type = promote(common_type(x, y), DType::float32);
  Tensor a = to_dtype(x, type), b = to_dtype(y, type);
  return record(F::kName, backend::map(a, b, F{}), inputs(a, b), saved(a, b), rule);
}

}  // namespace

// ## Exponentials and logarithms
//
// y = eˣ,  dy/dx = y
Tensor exp(const Tensor& x) {
  return keeping_y<functor::Exp>(x, [](Backward& b) { return Grads{b.dy() * b[0]}; });
}

// y = 2ˣ,  dy/dx = y ln 2
Tensor exp2(const Tensor& x) {
  return keeping_y<functor::Exp2>(x, [](Backward& b) { return Grads{b.dy() * b[0] * M_LN2}; });
}

// y = eˣ − 1,  dy/dx = y + 1
Tensor expm1(const Tensor& x) {
  return keeping_y<functor::Expm1>(x, [](Backward& b) { return Grads{b.dy() * (b[0] + 1)}; });
}

// y = ln x,  dy/dx = 1 / x
Tensor log(const Tensor& x) {
  return keeping_x<functor::Log>(x, [](Backward& b) { return Grads{b.dy() / b[0]}; });
}

// y = ln(1 + x),  dy/dx = 1 / (1 + x)
Tensor log1p(const Tensor& x) {
  return keeping_x<functor::Log1p>(x, [](Backward& b) { return Grads{b.dy() / (b[0] + 1)}; });
}

// y = log₂ x,  dy/dx = 1 / (x ln 2)
Tensor log2(const Tensor& x) {
  return keeping_x<functor::Log2>(x, [](Backward& b) { return Grads{b.dy() / (b[0] * M_LN2)}; });
}

// y = log₁₀ x,  dy/dx = 1 / (x ln 10)
Tensor log10(const Tensor& x) {
  return keeping_x<functor::Log10>(x, [](Backward& b) { return Grads{b.dy() / (b[0] * M_LN10)}; });
}

// z = ln(eˣ + eʸ),  dz/dx = eˣ / (eˣ + eʸ), which is sigmoid(x − y)
Tensor logaddexp(const Tensor& x, const Tensor& y) {
  return keeping_both<functor::Logaddexp>(x, y, [](Backward& b) {
    Tensor d = b[0] - b[1];
    return Grads{b.dy() * sigmoid(d), b.needs(1) ? b.dy() * sigmoid(-d) : Tensor()};
  });
}

// z = log₂(2ˣ + 2ʸ),  dz/dx = 2ˣ / (2ˣ + 2ʸ)
Tensor logaddexp2(const Tensor& x, const Tensor& y) {
  return keeping_both<functor::Logaddexp2>(x, y, [](Backward& b) {
    Tensor d = (b[0] - b[1]) * M_LN2;
    return Grads{b.dy() * sigmoid(d), b.needs(1) ? b.dy() * sigmoid(-d) : Tensor()};
  });
}

// z = x ln y,  dz/dx = ln y, dz/dy = x / y. Where z is 0 for no other reason than x = 0, it stays 0.
Tensor xlogy(const Tensor& x, const Tensor& y) {
  return keeping_both<functor::Xlogy>(x, y, [](Backward& b) {
    Tensor x = b[0], y = b[1];
    return Grads{b.needs(0) ? masked_fill(xlogy(b.dy(), y), (x == 0) & (y <= 0), 0) : Tensor(),
                 b.needs(1) ? b.dy() * x / y : Tensor()};
  });
}
Tensor xlogy(const Tensor& x, Scalar y) { return xlogy(x, as_tensor(y, x)); }
Tensor xlogy(Scalar x, const Tensor& y) { return xlogy(as_tensor(x, y), y); }

// z = x ln(1 + y),  dz/dx = ln(1 + y), dz/dy = x / (1 + y)
Tensor xlog1py(const Tensor& x, const Tensor& y) {
  return keeping_both<functor::Xlog1py>(x, y, [](Backward& b) {
    Tensor x = b[0], y = b[1];
    return Grads{b.needs(0) ? masked_fill(xlog1py(b.dy(), y), (x == 0) & (y <= -1), 0) : Tensor(),
                 b.needs(1) ? b.dy() * x / (y + 1) : Tensor()};
  });
}
Tensor xlog1py(const Tensor& x, Scalar y) { return xlog1py(x, as_tensor(y, x)); }
Tensor xlog1py(Scalar x, const Tensor& y) { return xlog1py(as_tensor(x, y), y); }

// y = −x ln x,  dy/dx = −ln x − 1
Tensor entr(const Tensor& given) {
  Tensor x = real(given), still = x.detach();
  Tensor y = where(still < 0, -INFINITY, -xlogy(still, still));
  return record("entr", y, inputs(x), saved(x), [](Backward& b) { return Grads{b.dy() * (-log(b[0]) - 1)}; });
}

// y = 1 / (1 + e⁻ˣ),  dy/dx = y (1 − y)
Tensor sigmoid(const Tensor& x) {
  return keeping_y<functor::Sigmoid>(x, [](Backward& b) {
    Tensor y = b[0];
    if (!b.create_graph()) return Grads{backend::map(b.dy(), y, functor::SigmoidSlope{})};
    return Grads{b.dy() * (y * (1 - y))};
  });
}

// y = ln(x / (1 − x)),  dy/dx = 1 / (x (1 − x)) and, with eps, 0 where x was held
Tensor logit(const Tensor& given, std::optional<double> eps) {
  Tensor x = real(given), held = x.detach();
  double lo = eps.value_or(0), hi = 1 - lo;
  if (eps) held = where(held < lo, lo, where(held > hi, hi, held));
  return record("logit", log(held / (1 - held)), inputs(x), saved(x), attributes(lo, hi, int64_t{!eps}),
                [](Backward& b) {
                  Tensor x = b[0], outside = (x < b.number(0)) | (x > b.number(1));
                  return Grads{masked_fill(b.dy() / (x * (1 - x)), outside, b.integer(2) ? NAN : 0)};
                });
}

// ## Roots
//
// y = √x,  dy/dx = 1 / (2 y)
Tensor sqrt(const Tensor& x) {
  return keeping_y<functor::Sqrt>(x, [](Backward& b) { return Grads{b.dy() / (b[0] * 2)}; });
}

// y = 1 / √x,  dy/dx = −y³ / 2
Tensor rsqrt(const Tensor& x) {
  return keeping_y<functor::Rsqrt>(x, [](Backward& b) { return Grads{b.dy() * pow(b[0], 3) * -0.5}; });
}

// z = √(x² + y²),  dz/dx = x / z, dz/dy = y / z
Tensor hypot(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(hypot, x, y);
  Tensor z = backend::map(x, y, functor::Hypot{});
  return record("hypot", z, inputs(x, y), saved(x, y, z), [](Backward& b) {
    return Grads{b.needs(0) ? b.dy() * (b[0] / b[2]) : Tensor(), b.needs(1) ? b.dy() * (b[1] / b[2]) : Tensor()};
  });
}

// ## Angles
//
// y = sin x,  dy/dx = cos x
Tensor sin(const Tensor& x) {
  return keeping_x<functor::Sin>(x, [](Backward& b) { return Grads{b.dy() * cos(b[0])}; });
}

// y = cos x,  dy/dx = −sin x
Tensor cos(const Tensor& x) {
  return keeping_x<functor::Cos>(x, [](Backward& b) { return Grads{-(b.dy() * sin(b[0]))}; });
}

// y = tan x,  dy/dx = 1 + y²
Tensor tan(const Tensor& x) {
  return keeping_y<functor::Tan>(x, [](Backward& b) { return Grads{b.dy() * (square(b[0]) + 1)}; });
}

// y = arcsin x,  dy/dx = 1 / √(1 − x²)
Tensor asin(const Tensor& x) {
  return keeping_x<functor::Asin>(x, [](Backward& b) { return Grads{b.dy() * rsqrt(1 - square(b[0]))}; });
}

// y = arccos x,  dy/dx = −1 / √(1 − x²)
Tensor acos(const Tensor& x) {
  return keeping_x<functor::Acos>(x, [](Backward& b) { return Grads{-(b.dy() * rsqrt(1 - square(b[0])))}; });
}

// y = arctan x,  dy/dx = 1 / (1 + x²)
Tensor atan(const Tensor& x) {
  return keeping_x<functor::Atan>(x, [](Backward& b) { return Grads{b.dy() / (square(b[0]) + 1)}; });
}

// z = the angle of (x, y),  dz/dy = x / (x² + y²), dz/dx = −y / (x² + y²), and 0 at the origin
Tensor atan2(const Tensor& y, const Tensor& x) {
  return keeping_both<functor::Atan2>(y, x, [](Backward& b) {
    Tensor y = b[0], x = b[1], r = square(x) + square(y), g = b.dy() / masked_fill(r, r == 0, 1);
    return Grads{b.needs(0) ? g * x : Tensor(), b.needs(1) ? -(g * y) : Tensor()};
  });
}

// y = sin(πx) / πx,  dy/dx = (cos(πx) − y) / x
Tensor sinc(const Tensor& given) {
  Tensor x = real(given), z = x.detach() * M_PI;
  Tensor y = masked_fill(sin(z) / z, z == 0, 1);
  return record("sinc", y, inputs(x), saved(x, y), [](Backward& b) {
    Tensor x = b[0];
    return Grads{b.dy() * masked_fill((cos(x * M_PI) - b[1]) / x, x == 0, 0)};
  });
}

Tensor deg2rad(const Tensor& x) { return real(x) * (M_PI / 180); }
Tensor rad2deg(const Tensor& x) { return real(x) * (180 / M_PI); }

// ## Hyperbolic functions
//
// y = sinh x,  dy/dx = cosh x
Tensor sinh(const Tensor& x) {
  return keeping_x<functor::Sinh>(x, [](Backward& b) { return Grads{b.dy() * cosh(b[0])}; });
}

// y = cosh x,  dy/dx = sinh x
Tensor cosh(const Tensor& x) {
  return keeping_x<functor::Cosh>(x, [](Backward& b) { return Grads{b.dy() * sinh(b[0])}; });
}

// y = tanh(x),  dy/dx = 1 − y²
Tensor tanh(const Tensor& x) {
  return keeping_y<functor::Tanh>(x, [](Backward& b) {
    Tensor y = b[0];
    if (!b.create_graph()) return Grads{backend::map(b.dy(), y, functor::TanhSlope{})};
    return Grads{b.dy() * (1 - square(y))};
  });
}

// y = arsinh x,  dy/dx = 1 / √(x² + 1)
Tensor asinh(const Tensor& x) {
  return keeping_x<functor::Asinh>(x, [](Backward& b) { return Grads{b.dy() * rsqrt(square(b[0]) + 1)}; });
}

// y = arcosh x,  dy/dx = 1 / √(x² − 1)
Tensor acosh(const Tensor& x) {
  return keeping_x<functor::Acosh>(x, [](Backward& b) { return Grads{b.dy() * rsqrt(square(b[0]) - 1)}; });
}

// y = artanh x,  dy/dx = 1 / (1 − x²)
Tensor atanh(const Tensor& x) {
  return keeping_x<functor::Atanh>(x, [](Backward& b) { return Grads{b.dy() / (1 - square(b[0]))}; });
}

// ## Error and gamma functions
//
// y = erf x,  dy/dx = 2/√π e^(−x²)
Tensor erf(const Tensor& x) {
  return keeping_x<functor::Erf>(x, [](Backward& b) { return Grads{b.dy() * exp(-square(b[0])) * M_2_SQRTPI}; });
}

// y = 1 − erf x
Tensor erfc(const Tensor& x) {
  return keeping_x<functor::Erfc>(x, [](Backward& b) { return Grads{b.dy() * exp(-square(b[0])) * -M_2_SQRTPI}; });
}

// x = erf y,  dy/dx = √π/2 e^(y²)
Tensor erfinv(const Tensor& x) {
  return keeping_y<functor::Erfinv>(x, [](Backward& b) { return Grads{b.dy() * exp(square(b[0])) / M_2_SQRTPI}; });
}

// y = ½ erfc(−x / √2)
Tensor ndtr(const Tensor& x) { return erfc(real(x) * -M_SQRT1_2) * 0.5; }

// y = ln |Γ(x)|,  dy/dx = ψ(x)
Tensor lgamma(const Tensor& x) {
  return keeping_x<functor::Lgamma>(x, [](Backward& b) { return Grads{b.dy() * digamma(b[0])}; });
}

// y = ln Γ(x) + ln Γ(x − ½) + … (p terms) + p (p − 1) / 4 · ln π
Tensor mvlgamma(const Tensor& x, int64_t p) {
  if (p < 1 || p > 1 << 20) throw Error("mvlgamma: p must lie between 1 and 2^20, not be " + std::to_string(p));
  Tensor y = lgamma(x);
  for (int64_t j = 1; j < p; ++j) y = y + lgamma(real(x) - 0.5 * static_cast<double>(j));
  return y + static_cast<double>(p * (p - 1)) / 4 * std::log(M_PI);
}

// y = ψ(x),  dy/dx = ψ⁽¹⁾(x)
Tensor digamma(const Tensor& x) {
  return keeping_x<functor::Digamma>(x, [](Backward& b) { return Grads{b.dy() * polygamma(1, b[0])}; });
}

// y = ψ⁽ⁿ⁾(x) = (−1)ⁿ⁺¹ n! ζ(n + 1, x); its derivative is the next one
Tensor polygamma(int64_t n, const Tensor& x) {
  if (n < 0) throw Error("polygamma: n must not be negative, got " + std::to_string(n));
  if (n == 0) return digamma(x);
  double order = static_cast<double>(n), scale = (n % 2 ? 1 : -1) * std::tgamma(order + 1);
  return zeta(order + 1, x) * scale;
}

// z = Σ (q + k)⁻ˢ,  dz/dq = −s ζ(s + 1, q)
Tensor zeta(const Tensor& s, const Tensor& q) {
  return keeping_both<functor::Zeta>(s, q, [](Backward& b) {
    if (b.needs(0)) throw AutogradError("zeta: there is no derivative along its first argument");
    return Grads{Tensor(), -(b.dy() * b[0] * zeta(b[0] + 1, b[1]))};
  });
}
Tensor zeta(const Tensor& s, Scalar q) { return zeta(s, as_tensor(q, s)); }
Tensor zeta(Scalar s, const Tensor& q) { return zeta(as_tensor(s, q), q); }

}  // namespace cr
