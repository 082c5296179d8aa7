#include "ops/elementwise.hpp"

#include <cmath>
#include <limits>

#include "ops/types.hpp"

namespace cr {

// Every operation below has the same two parts: the numbers, which the backend computes, and the rule, written in
// operations of this very page, so that it can be differentiated again. A rule for a broadcast input need not sum: the
// engine brings each gradient to its input's shape.

// ## One tensor
//
// y = -x,  dy/dx = -1
Tensor neg(const Tensor& x) {
  return record("neg", backend::map(x, functor::Neg{}), inputs(x), saved(), [](Backward& b) { return Grads{-b.dy()}; });
}

Tensor positive(const Tensor& x) {
  if (x.dtype() == DType::boolean) throw DTypeError("positive: does not take bool tensors");
  return x;
}

// y = |x|,  dy/dx = sign x, and 0 at 0
Tensor abs(const Tensor& x) {
  return record("abs", backend::map(x, functor::Abs{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{b.dy() * sign(b[0])}; });
}

Tensor sign(const Tensor& x) {
  if (x.dtype() == DType::boolean) return x.clone();
  return level("sign", backend::map(x, functor::Sign{}), x);
}

// y = x²,  dy/dx = 2 x
Tensor square(const Tensor& x) {
  if (x.dtype() == DType::boolean) return x.to(DType::int64);
  return record("square", backend::map(x, functor::Square{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{b.dy() * b[0] * 2}; });
}

// y = 1 / x,  dy/dx = −y²
Tensor reciprocal(const Tensor& given) {
  Tensor x = real(given), y = backend::map(1, x, functor::Div{});
  return record("reciprocal", y, inputs(x), saved(y), [](Backward& b) { return Grads{-(b.dy() * square(b[0]))}; });
}

// The gradient passes where y > 0 and stops elsewhere; `gate` is linear in dy, so its own derivative is a gate again.
static Tensor gate(const Tensor& dy, const Tensor& y) {
  return record("gate", backend::map(dy, y, functor::Gate{}), inputs(dy), saved(constant(y)),
                [](Backward& b) { return Grads{gate(b.dy(), b[0])}; });
}

// y = max(x, 0),  dy/dx = 1 where y > 0, else 0
Tensor relu(const Tensor& x) {
  Tensor y = backend::map(x, functor::Relu{});
  return record("relu", y, inputs(x), saved(y), [](Backward& b) { return Grads{gate(b.dy(), b[0])}; });
}

// ## Whole numbers nearby
template <class F> static Tensor rounded(const Tensor& x) {
  if (x.dtype() == DType::int64) return x.clone();
  return level(F::kName, backend::map(x, F{}), x);
}
Tensor floor(const Tensor& x) { return rounded<functor::Floor>(x); }
Tensor ceil(const Tensor& x) { return rounded<functor::Ceil>(x); }
Tensor trunc(const Tensor& x) { return rounded<functor::Trunc>(x); }

// To so many digits after the point (or before it): scaled, rounded and scaled back.
Tensor round(const Tensor& x, int64_t decimals) {
  if (decimals == 0) return rounded<functor::Round>(x);
  if (!is_floating(x.dtype())) throw DTypeError(std::string("round: no decimals of ") + name(x.dtype()) + " tensors");
  double scale = std::pow(10.0, std::abs(static_cast<double>(decimals)));
  bool behind = decimals > 0;
  Tensor y = behind ? backend::map(x, scale, functor::Mul{}) : backend::map(x, scale, functor::Div{});
  y = backend::map(y, functor::Round{});
  return level("round", behind ? backend::map(y, scale, functor::Div{}) : backend::map(y, scale, functor::Mul{}), x);
}

Tensor frac(const Tensor& x) {
  if (!is_floating(x.dtype())) throw DTypeError(std::string("frac: does not take ") + name(x.dtype()) + " tensors");
  return x - trunc(x.detach());
}

// ## Sums and products
static void check_minus(const char* op, DType x, DType y) {
  if (x == DType::boolean || y == DType::boolean) {
    throw DTypeError(std::string(op) + ": bool tensors have no minus; ^ or logical_xor tells where two differ");
  }
}

// z = x + α y,  dz/dx = 1, dz/dy = α
static Tensor add_scaled(const Tensor& x, const Tensor& y, double alpha) {
  if (x.dtype() == DType::boolean) return add_same(x, mul(y, Scalar(alpha != 0)));
  return record("add", backend::map(x, y, alpha, functor::AddScaled{}), inputs(x, y), saved(), attributes(alpha),
                [](Backward& b) {
                  return Grads{b.dy(), b.needs(1) ? b.dy() * b.number(0) : Tensor()};
                });
}
Tensor add(const Tensor& x, const Tensor& y, double alpha) {
  if (alpha == 1) return same_type(x, y) ? add_same(x, y) : promoted(add_same, x, y);
  DType type = common_type(x, y);
  check_alpha("add", type, alpha);
  return add_scaled(to_dtype(x, type), to_dtype(y, type), alpha);
}

// z = x − y
static Tensor sub_plain(const Tensor& x, const Tensor& y) {
  check_minus("sub", x.dtype(), y.dtype());
  if (!same_type(x, y)) return promoted(sub_plain, x, y);
  return record("sub", backend::map(x, y, functor::Sub{}), inputs(x, y), saved(), [](Backward& b) {
    return Grads{b.dy(), b.needs(1) ? -b.dy() : Tensor()};
  });
}
Tensor sub(const Tensor& x, const Tensor& y, double alpha) {
  if (alpha == 1) return sub_plain(x, y);
  check_minus("sub", x.dtype(), y.dtype());
  check_alpha("sub", common_type(x, y), alpha);
  return add(x, y, -alpha);
}

Tensor rsub(const Tensor& x, const Tensor& y, double alpha) { return sub(y, x, alpha); }

// z = x y,  dz/dx = y, dz/dy = x
Tensor mul(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted<Tensor(const Tensor&, const Tensor&)>(mul, x, y);
  return record("mul", backend::map(x, y, functor::Mul{}), inputs(x, y), saved(x, y), [](Backward& b) {
    return Grads{b.needs(0) ? b.dy() * b[1] : Tensor(), b.needs(1) ? b.dy() * b[0] : Tensor()};
  });
}

Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value) { return add(x, mul(a, b), value); }

Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
  if (!is_floating(a.dtype()) && !is_floating(b.dtype())) {
    throw DTypeError(std::string("addcdiv: divides floating-point tensors, not ") + name(a.dtype()) + " by " +
                     name(b.dtype()));
  }
  return add(x, div(a, b), value);
}

// ## A tensor and a number
//
// α s as one number of the result's kind.
static Scalar scaled(const char* op, const Tensor& x, Scalar s, double alpha) {
  if (alpha == 1) return s;
  DType type = promote_weak(x.dtype(), s.kind);
  check_alpha(op, type, alpha);
  if (is_floating(type)) return Scalar(s.value * alpha);
  if (type == DType::boolean) return Scalar(s.integer != 0 && alpha != 0);
  return Scalar(functor::times(s.integer, static_cast<int64_t>(alpha)));
}

Tensor add(const Tensor& x, Scalar s, double alpha) {
  if (alpha != 1) return add(x, scaled("add", x, s, alpha));
  if (!takes(x, s)) return add(adapted(x, s), s);
  return record("add", backend::map(x, s, functor::Add{}), inputs(x), saved(),
                [](Backward& b) { return Grads{b.dy()}; });
}

Tensor sub(const Tensor& x, Scalar s, double alpha) {
  check_minus("sub", x.dtype(), s.kind);
  if (alpha != 1) return sub(x, scaled("sub", x, s, alpha));
  if (!takes(x, s)) return sub(adapted(x, s), s);
  return record("sub", backend::map(x, s, functor::Sub{}), inputs(x), saved(),
                [](Backward& b) { return Grads{b.dy()}; });
}

Tensor rsub(const Tensor& x, Scalar s, double alpha) {
  check_minus("rsub", x.dtype(), s.kind);
  if (alpha != 1) return sub(as_tensor(s, x), x, alpha);
  if (!takes(x, s)) return rsub(adapted(x, s), s);
  return record("rsub", backend::map(s, x, functor::Sub{}), inputs(x), saved(),
                [](Backward& b) { return Grads{-b.dy()}; });
}

Tensor mul(const Tensor& x, Scalar s) {
  if (!takes(x, s)) return mul(adapted(x, s), s);
  return record("mul", backend::map(x, s, functor::Mul{}), inputs(x), saved(), attributes(s.value),
                [](Backward& b) { return Grads{b.dy() * b.number(0)}; });
}

// ## Quotients
//
// z = x / y,  dz/dx = 1 / y, dz/dy = −z / y
Tensor div(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted<Tensor(const Tensor&, const Tensor&)>(div, x, y);
  if (!is_floating(x.dtype())) return div(real(x), real(y));
  Tensor z = backend::map(x, y, functor::Div{});
  return record("div", z, inputs(x, y), saved(y, z), [](Backward& b) {
    Tensor dx = b.dy() / b[0];
    return Grads{dx, b.needs(1) ? -(dx * b[1]) : Tensor()};
  });
}
Tensor div(const Tensor& x, Scalar s) {
  if (!is_floating(x.dtype())) return div(real(x), s);
  return record("div", backend::map(x, s, functor::Div{}), inputs(x), saved(), attributes(s.value),
                [](Backward& b) { return Grads{b.dy() / b.number(0)}; });
}
Tensor div(Scalar s, const Tensor& y) {
  if (!is_floating(y.dtype())) return div(s, real(y));
  Tensor z = backend::map(s, y, functor::Div{});
  return record("div", z, inputs(y), saved(y, z), [](Backward& b) { return Grads{-(b.dy() * b[1] / b[0])}; });
}

// Processors stop at an integer divided by 0, so we look first.
static void check_divisor(const char* op, const Tensor& y) {
  if (y.dtype() == DType::int64 && anywhere(y == 0)) throw Error(std::string(op) + ": an integer is divided by 0");
}

// Division with a whole quotient. The divisor's derivative is −dz · quotient, in the same rounding.
template <class F> static Tensor divide(const Tensor& x, const Tensor& y, Rule rule = nullptr) {
  DType type = common_type(x, y);
  Tensor a = to_dtype(x, type), b = to_dtype(y, type);
  check_divisor(F::kName, b);
  Tensor z = backend::map(a, b, F{});
  return rule ? record(F::kName, z, inputs(a, b), saved(a, b), rule) : level(F::kName, z, a, b);
}

Tensor div(const Tensor& x, const Tensor& y, RoundingMode mode) {
  return mode == RoundingMode::floor ? divide<functor::FloorDivide>(x, y) : divide<functor::DivTrunc>(x, y);
}
Tensor div(const Tensor& x, Scalar s, RoundingMode mode) { return div(x, as_tensor(s, x), mode); }
Tensor floor_divide(const Tensor& x, const Tensor& y) { return divide<functor::FloorDivide>(x, y); }
Tensor floor_divide(const Tensor& x, Scalar s) { return floor_divide(x, as_tensor(s, x)); }

// z = x − y ⌊x / y⌋,  dz/dx = 1, dz/dy = −⌊x / y⌋
Tensor remainder(const Tensor& x, const Tensor& y) {
  return divide<functor::Remainder>(x, y, [](Backward& b) {
    return Grads{b.dy(), b.needs(1) ? -(b.dy() * floor_divide(b[0], b[1])) : Tensor()};
  });
}
Tensor remainder(const Tensor& x, Scalar s) { return remainder(x, as_tensor(s, x)); }
Tensor remainder(Scalar s, const Tensor& y) { return remainder(as_tensor(s, y), y); }

// z = x − y trunc(x / y),  dz/dx = 1, dz/dy = −trunc(x / y)
Tensor fmod(const Tensor& x, const Tensor& y) {
  return divide<functor::Fmod>(x, y, [](Backward& b) {
    return Grads{b.dy(), b.needs(1) ? -(b.dy() * div(b[0], b[1], RoundingMode::trunc)) : Tensor()};
  });
}
Tensor fmod(const Tensor& x, Scalar s) { return fmod(x, as_tensor(s, x)); }

template <class F> static Tensor of_integers(const Tensor& x, const Tensor& y) {
  DType type = common_type(x, y);
  return backend::map(to_dtype(x, type), to_dtype(y, type), F{});
}
Tensor gcd(const Tensor& x, const Tensor& y) { return of_integers<functor::Gcd>(x, y); }
Tensor lcm(const Tensor& x, const Tensor& y) { return of_integers<functor::Lcm>(x, y); }

// ## Powers
//
// z = xʸ,  dz/dx = y xʸ⁻¹ (0 for y = 0), dz/dy = z ln x (0 for x = 0 and y ≥ 0)
Tensor pow(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted<Tensor(const Tensor&, const Tensor&)>(pow, x, y);
  Tensor z = backend::map(x, y, functor::Pow{});
  return record("pow", z, inputs(x, y), saved(x, y, z), [](Backward& b) {
    Tensor x = b[0], y = b[1];
    return Grads{b.needs(0) ? masked_fill(b.dy() * (y * pow(x, y - 1)), y == 0, 0) : Tensor(),
                 b.needs(1) ? masked_fill(b.dy() * (b[2] * log(x)), (x == 0) & (y >= 0), 0) : Tensor()};
  });
}

// The powers that everybody uses are computed by what they are, and so is their rounding.
static Tensor power_of_real(const Tensor& x, double exponent) {
  auto inverse = [](const Tensor& y) { return backend::map(1, y, functor::Div{}); };
  auto squared = [](const Tensor& y) { return backend::map(y, functor::Square{}); };
  if (exponent == 0.5) return backend::map(x, functor::Sqrt{});
  if (exponent == -0.5) return backend::map(x, functor::Rsqrt{});
  if (exponent == 1) return x.detach().clone();
  if (exponent == -1) return inverse(x);
  if (exponent == 2) return squared(x);
  if (exponent == -2) return inverse(squared(x));
  if (exponent == 3) return backend::map(squared(x), x, functor::Mul{});
  return backend::map(x, exponent, functor::Pow{});
}

// y = xᵃ,  dy/dx = a xᵃ⁻¹
Tensor pow(const Tensor& given, Scalar exponent) {
  Tensor x = adapted(given, exponent);
  if (!is_floating(x.dtype())) {
    if (exponent.integer < 0)
      throw Error("pow: an integer to the power " + std::to_string(exponent.integer) +
                  " is no integer; convert the tensor, or the exponent, to floating point");
    return backend::map(x, exponent, functor::Pow{});
  }
  return record("pow", power_of_real(x, exponent.value), inputs(x), saved(x), attributes(exponent.value),
                [](Backward& b) {
                  double a = b.number(0);
                  if (a == 0) return Grads{b.dy() * 0};
                  return Grads{b.dy() * (pow(b[0], a - 1) * a)};
                });
}

// z = aʸ,  dz/dy = z ln a (0 for a = 0 and y ≥ 0)
Tensor pow(Scalar base, const Tensor& given) {
  Tensor y = adapted(given, base), z = backend::map(base, y, functor::Pow{});
  return record("pow", z, inputs(y), saved(y, z), attributes(base.value), [](Backward& b) {
    Tensor dy = b.dy() * (b[1] * std::log(b.number(0)));
    return Grads{b.number(0) == 0 ? masked_fill(dy, b[0] >= 0, 0) : dy};
  });
}

static Tensor wide(const Tensor& x) { return to_dtype(x, DType::float64); }
Tensor float_power(const Tensor& x, const Tensor& y) { return pow(wide(x), wide(y)); }
Tensor float_power(const Tensor& x, Scalar exponent) { return pow(wide(x), exponent); }
Tensor float_power(Scalar base, const Tensor& y) { return pow(base, wide(y)); }

Tensor ldexp(const Tensor& x, const Tensor& y) { return mul(x, pow(2.0, y)); }

// ## The larger, the smaller, and signs
//
// The gradient goes to the one that was taken, halved between equals. Neither is larger than NaN: then both get all of it.
static Tensor halved_between_equals(const Tensor& dy, const Tensor& smaller, const Tensor& x, const Tensor& y) {
  return masked_fill(dy, smaller, 0) * (1 - 0.5 * (x == y).to(dy.dtype()));
}
Tensor maximum(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(maximum, x, y);
  return record("maximum", backend::map(x, y, functor::Maximum{}), inputs(x, y), saved(x, y), [](Backward& b) {
    Tensor x = b[0].detach(), y = b[1].detach();
    return Grads{halved_between_equals(b.dy(), x < y, x, y), halved_between_equals(b.dy(), y < x, x, y)};
  });
}
Tensor minimum(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(minimum, x, y);
  return record("minimum", backend::map(x, y, functor::Minimum{}), inputs(x, y), saved(x, y), [](Backward& b) {
    Tensor x = b[0].detach(), y = b[1].detach();
    return Grads{halved_between_equals(b.dy(), x > y, x, y), halved_between_equals(b.dy(), y > x, x, y)};
  });
}

// Here NaN gives way: the gradient goes to the number, and to x where both are NaN.
Tensor fmax(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(fmax, x, y);
  return record("fmax", backend::map(x, y, functor::Fmax{}), inputs(x, y), saved(x, y), [](Backward& b) {
    Tensor x = b[0].detach(), y = b[1].detach(), mine = (x >= y) | isnan(y);
    return Grads{halved_between_equals(b.dy(), ~mine, x, y), halved_between_equals(b.dy(), mine & (x != y), x, y)};
  });
}
Tensor fmin(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(fmin, x, y);
  return record("fmin", backend::map(x, y, functor::Fmin{}), inputs(x, y), saved(x, y), [](Backward& b) {
    Tensor x = b[0].detach(), y = b[1].detach(), mine = (x <= y) | isnan(y);
    return Grads{halved_between_equals(b.dy(), ~mine, x, y), halved_between_equals(b.dy(), mine & (x != y), x, y)};
  });
}

// z = |x| with y's sign: ±x, so dz/dx = z / x, and 0 at 0
Tensor copysign(const Tensor& x, const Tensor& y) {
  DType type = promote(common_type(x, y), DType::float32);
  Tensor a = to_dtype(x, type), b = to_dtype(y, type), z = backend::map(a, b, functor::Copysign{});
  return record("copysign", z, inputs(a, b), saved(a, z), [](Backward& b) {
    Tensor x = b[0].detach(), sign = masked_fill(b[1].detach() / x, x == 0, 0);
    return Grads{b.dy() * sign, b.needs(1) ? b.dy() * 0 : Tensor()};
  });
}
Tensor copysign(const Tensor& x, Scalar s) { return copysign(x, as_tensor(s, x)); }

Tensor heaviside(const Tensor& x, const Tensor& values) {
  if (!same_type(x, values)) {
    throw DTypeError(std::string("heaviside: takes tensors of one type, not ") + name(x.dtype()) + " and " +
                     name(values.dtype()));
  }
  return where(x == 0, values.detach(), (x > 0).to(x.dtype()));
}

// y = x held between min and max,  dy/dx = 1 inside, 0 at the bounds and outside
Tensor clamp(const Tensor& given, std::optional<Scalar> min, std::optional<Scalar> max) {
  if (!min && !max) throw Error("clamp: neither min nor max is given");
  Tensor x = given;
  for (auto& s : {min, max}) x = s ? adapted(x, *s) : x;
  Tensor y = !max   ? backend::map(x, *min, functor::Maximum{})
             : !min ? backend::map(x, *max, functor::Minimum{})
                    : backend::map(x, *min, *max, functor::Clamp{});
  double nowhere = std::numeric_limits<double>::quiet_NaN();
  return record("clamp", y, inputs(x), saved(x), attributes(min ? min->value : nowhere, max ? max->value : nowhere),
                [](Backward& b) {
                  Tensor x = b[0], dy = b.dy();
                  double min = b.number(0), max = b.number(1);
                  if (min == min) dy = masked_fill(dy, ~(x > min), 0);
                  if (max == max) dy = masked_fill(dy, ~(x < max), 0);
                  return Grads{dy};
                });
}
Tensor clamp_min(const Tensor& x, Scalar min) { return clamp(x, min); }
Tensor clamp_max(const Tensor& x, Scalar max) { return clamp(x, std::nullopt, max); }

// Bounds that are tensors get the gradient where they are the result, and half of it where x is just as large. Where
// min > max, max is the result; where they are equal, x counts as inside.
Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max) {
  if (!min.defined() && !max.defined()) throw Error("clamp: neither min nor max is given");
  if (!max.defined()) return maximum(x, min);
  if (!min.defined()) return minimum(x, max);
  Tensor wide = min.dim() > max.dim() ? min : max, all = x.dim() > wide.dim() ? x : wide;
  DType type = promote(promote(common_type(x, all), common_type(min, all)), common_type(max, all));
  Tensor a = to_dtype(x, type), lo = to_dtype(min, type), hi = to_dtype(max, type);
  return record("clamp", backend::map(a, lo, hi, functor::Clamp{}), inputs(a, lo, hi), saved(a, lo, hi),
                [](Backward& b) {
                  Tensor x = b[0].detach(), lo = b[1].detach(), hi = b[2].detach(), apart = lo < hi;
                  Tensor below = x<lo, above = x> hi, at_lo = (x == lo) & apart, at_hi = (x == hi) & apart;
                  auto share = [&](const Tensor& all, const Tensor& half) {
                    return b.dy() * (all.to(x.dtype()) + 0.5 * half.to(x.dtype()));
                  };
                  Tensor tie = at_lo | at_hi;
                  return Grads{share(~(below | above | tie), tie), share(below & (lo <= hi), at_lo),
                               share(above | (hi < lo), at_hi)};
                });
}
Tensor clamp_min(const Tensor& x, const Tensor& min) { return maximum(x, min); }
Tensor clamp_max(const Tensor& x, const Tensor& max) { return minimum(x, max); }

// ## Choosing and mixing
//
// z = x where the condition holds, else y.
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) {
    DType type = common_type(x, y);
    return where(condition, to_dtype(x, type), to_dtype(y, type));
  }
  Tensor c = (condition.dtype() == DType::boolean ? condition : condition != 0).to(x.dtype());
  return record("where", backend::map(c, x, y, functor::Where{}), inputs(x, y), saved(constant(c)), [](Backward& b) {
    Tensor zero = backend::full({}, 0, b.dy().dtype(), b.dy().device());
    return Grads{b.needs(0) ? where(b[0], b.dy(), zero) : Tensor(), b.needs(1) ? where(b[0], zero, b.dy()) : Tensor()};
  });
}
Tensor where(const Tensor& condition, const Tensor& x, Scalar y) { return where(condition, x, as_tensor(y, x)); }
Tensor where(const Tensor& condition, Scalar x, const Tensor& y) { return where(condition, as_tensor(x, y), y); }
Tensor where(const Tensor& condition, Scalar x, Scalar y) {
  DType type = promote(x.kind, y.kind);
  return where(condition, backend::full({}, x, type, condition.device()),
               backend::full({}, y, type, condition.device()));
}

static void check_mask(const Tensor& mask) {
  if (mask.dtype() != DType::boolean)
    throw DTypeError(std::string("masked_fill: the mask is ") + name(mask.dtype()) + ", not bool");
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value) {
  check_mask(mask);
  check_holds("masked_fill", x.dtype(), value);
  return where(mask, backend::full({}, value, x.dtype(), x.device()), x);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  check_mask(mask);
  if (value.dim() != 0) throw ShapeError("masked_fill: the value has shape " + to_string(value.shape()) + ", not ()");
  return where(mask, to_dtype(value, x.dtype()), x);
}

// z = x + w (y − x),  dz/dx = 1 − w, dz/dy = w, dz/dw = y − x
Tensor lerp(const Tensor& x, const Tensor& end, const Tensor& weight) {
  DType type = promote(common_type(x, end), common_type(x, weight));
  Tensor a = to_dtype(x, type), b = to_dtype(end, type), w = to_dtype(weight, type);
  return record("lerp", backend::map(a, b, w, functor::Lerp{}), inputs(a, b, w), saved(a, b, w), [](Backward& b) {
    return Grads{b.needs(0) ? b.dy() * (1 - b[2]) : Tensor(), b.needs(1) ? b.dy() * b[2] : Tensor(),
                 b.needs(2) ? b.dy() * (b[1] - b[0]) : Tensor()};
  });
}
Tensor lerp(const Tensor& x, const Tensor& end, double weight) {
  DType type = common_type(x, end);
  Tensor a = to_dtype(x, type), b = to_dtype(end, type);
  return record("lerp", backend::map(a, b, weight, functor::Lerp{}), inputs(a, b), saved(), attributes(weight),
                [](Backward& b) {
                  return Grads{b.dy() * (1 - b.number(0)), b.dy() * b.number(0)};
                });
}

Tensor nan_to_num(const Tensor& x, double nan, std::optional<double> posinf, std::optional<double> neginf) {
  if (is_storage(x.dtype())) return nan_to_num(x.to(DType::float32), nan, posinf, neginf);
  if (!is_floating(x.dtype())) return x.clone();
  double most = x.dtype() == DType::float32 ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  Tensor y = masked_fill(x, isnan(x), nan);
  y = masked_fill(y, x == INFINITY, posinf.value_or(most));
  return masked_fill(y, x == -INFINITY, neginf.value_or(-most));
}

}  // namespace cr
