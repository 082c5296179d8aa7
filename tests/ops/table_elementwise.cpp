#include "op_table.hpp"

namespace cr::test {
namespace {

// A binary operation on two tensors, or on a tensor and a number.
auto with(Binary f, Tensor (*g)(const Tensor&, Scalar)) {
  return [f, g](Tensor x, Operand y) { return y.is_tensor() ? f(x, y.tensor()) : g(x, y.scalar()); };
}
// Or on a number and a tensor.
auto with(Binary f, Tensor (*g)(const Tensor&, Scalar), Tensor (*h)(Scalar, const Tensor&)) {
  return [f, g, h](Operand x, Operand y) {
    if (!x.is_tensor()) return h(x.scalar(), y.tensor());
    return y.is_tensor() ? f(x.tensor(), y.tensor()) : g(x.tensor(), y.scalar());
  };
}
// With a factor for the second.
using Scaled = Tensor (*)(const Tensor&, const Tensor&, double);
using ScaledNumber = Tensor (*)(const Tensor&, Scalar, double);
auto with(Scaled f, ScaledNumber g) {
  return [f, g](Tensor x, Operand y, double alpha) {
    return y.is_tensor() ? f(x, y.tensor(), alpha) : g(x, y.scalar(), alpha);
  };
}
// The other one first: y ∘ x.
auto swapped(Binary f, Tensor (*h)(Scalar, const Tensor&)) {
  return [f, h](Tensor x, Operand y) { return y.is_tensor() ? f(y.tensor(), x) : h(y.scalar(), x); };
}

Tensor divide(Tensor x, Operand y, std::optional<std::string> mode) {
  if (!mode) return y.is_tensor() ? div(x, y.tensor()) : div(x, y.scalar());
  if (*mode != "floor" && *mode != "trunc") throw Unsupported("div: rounding_mode " + *mode);
  RoundingMode how = *mode == "floor" ? RoundingMode::floor : RoundingMode::trunc;
  return y.is_tensor() ? div(x, y.tensor(), how) : div(x, y.scalar(), how);
}

Tensor clamp_between(Tensor x, std::optional<Operand> min, std::optional<Operand> max) {
  bool tensors = (min && min->is_tensor()) || (max && max->is_tensor());
  if (tensors) return clamp(x, min ? min->tensor() : Tensor(), max ? max->tensor() : Tensor());
  std::optional<Scalar> lo, hi;
  if (min) lo = min->scalar();
  if (max) hi = max->scalar();
  return clamp(x, lo, hi);
}

Tensor choose(Tensor condition, Operand x, Operand y) {
  if (x.is_tensor()) {
    return y.is_tensor() ? where(condition, x.tensor(), y.tensor()) : where(condition, x.tensor(), y.scalar());
  }
  return y.is_tensor() ? where(condition, x.scalar(), y.tensor()) : where(condition, x.scalar(), y.scalar());
}

// In place, on a copy: the argument itself may be a leaf.
using InPlace = const Tensor& (Tensor::*)(const Tensor&) const;
using InPlaceScalar = const Tensor& (Tensor::*)(Scalar) const;
auto in_place(InPlace f, InPlaceScalar g) {
  return [f, g](Tensor x, Operand y) {
    Tensor copy = x.clone();
    return y.is_tensor() ? (copy.*f)(y.tensor()) : (copy.*g)(y.scalar());
  };
}

}  // namespace

Table elementwise_ops() {
  auto sums = with(Scaled(add), ScaledNumber(add)), differences = with(Scaled(sub), ScaledNumber(sub));
  auto products = with(mul, mul), comparisons = with(eq, eq);
  auto powers = with(pow, pow, pow);
  return {
      // arithmetic
      {"neg", "input", unary(neg)},
      {"negative", "input", unary(neg)},
      {"positive", "input", unary(positive)},
      {"abs", "input", unary(abs)},
      {"absolute", "input", unary(abs)},
      {"sign", "input", unary(sign)},
      {"sgn", "input", unary(sign)},
      {"square", "input", unary(square)},
      {"reciprocal", "input", unary(reciprocal)},
      {"relu", "input inplace=false", [](Tensor x, bool) { return relu(x); }},
      {"add", "input other alpha=1", sums},
      {"__radd__", "input other alpha=1", sums},
      {"sub", "input other alpha=1", differences},
      {"subtract", "input other alpha=1", differences},
      {"rsub", "input other alpha=1", with(Scaled(rsub), ScaledNumber(rsub))},
      {"__rsub__", "input other alpha=1", with(Scaled(rsub), ScaledNumber(rsub))},
      {"mul", "input other", products},
      {"multiply", "input other", products},
      {"__rmul__", "input other", products},
      {"div", "input other rounding_mode=null", divide},
      {"divide", "input other rounding_mode=null", divide},
      {"true_divide", "input other", with(div, div)},
      {"__rdiv__", "input other", swapped(div, div)},
      {"Tensor.__rtruediv__", "input other", swapped(div, div)},
      {"floor_divide", "input other", with(floor_divide, floor_divide)},
      {"remainder", "input other", with(remainder, remainder, remainder)},
      {"__rmod__", "input other", swapped(remainder, remainder)},
      {"fmod", "input other", with(fmod, fmod)},
      {"gcd", "input other", binary(gcd)},
      {"lcm", "input other", binary(lcm)},
      {"addcmul", "input tensor1 tensor2 value=1", addcmul},
      {"addcdiv", "input tensor1 tensor2 value=1", addcdiv},
      {"pow", "input exponent", powers},
      {"__rpow__", "input other", swapped(pow, pow)},
      {"float_power", "input exponent", with(float_power, float_power, float_power)},
      {"ldexp", "input other", binary(ldexp)},
      {"hypot", "input other", binary(hypot)},
      {"copysign", "input other", with(copysign, copysign)},
      {"heaviside", "input values", binary(heaviside)},
      {"maximum", "input other", binary(maximum)},
      {"minimum", "input other", binary(minimum)},
      {"fmax", "input other", binary(fmax)},
      {"fmin", "input other", binary(fmin)},
      {"clamp", "input min=null max=null", clamp_between},
      {"clip", "input min=null max=null", clamp_between},
      {"clamp_min", "input min", [](Tensor x, Operand min) { return clamp_between(x, min, {}); }},
      {"clamp_max", "input max", [](Tensor x, Operand max) { return clamp_between(x, {}, max); }},
      {"where", "condition input other", choose},
      {"masked_fill", "input mask value",
       [](Tensor x, Tensor mask, Operand v) {
         return v.is_tensor() ? masked_fill(x, mask, v.tensor()) : masked_fill(x, mask, v.scalar());
       }},
      {"lerp", "input end weight",
       [](Tensor x, Tensor end, Operand w) {
         return w.is_tensor() ? lerp(x, end, w.tensor()) : lerp(x, end, w.scalar().value);
       }},
      {"nan_to_num", "input nan=null posinf=null neginf=null",
       [](Tensor x, std::optional<double> nan, std::optional<double> posinf, std::optional<double> neginf) {
         return nan_to_num(x, nan.value_or(0), posinf, neginf);
       }},

      // whole numbers nearby
      {"floor", "input", unary(floor)},
      {"ceil", "input", unary(ceil)},
      {"trunc", "input", unary(trunc)},
      {"fix", "input", unary(trunc)},
      {"round", "input decimals=0", round},
      {"frac", "input", unary(frac)},

      // functions of real numbers
      {"exp", "input", unary(exp)},
      {"exp2", "input", unary(exp2)},
      {"expm1", "input", unary(expm1)},
      {"log", "input", unary(log)},
      {"log1p", "input", unary(log1p)},
      {"log2", "input", unary(log2)},
      {"log10", "input", unary(log10)},
      {"logaddexp", "input other", binary(logaddexp)},
      {"logaddexp2", "input other", binary(logaddexp2)},
      {"xlogy", "input other", with(xlogy, xlogy, xlogy)},
      {"xlog1py", "input other", with(xlog1py, xlog1py, xlog1py)},
      {"entr", "input", unary(entr)},
      {"sigmoid", "input", unary(sigmoid)},
      {"expit", "input", unary(sigmoid)},
      {"logit", "input eps=null", logit},
      {"sqrt", "input", unary(sqrt)},
      {"rsqrt", "input", unary(rsqrt)},
      {"sin", "input", unary(sin)},
      {"cos", "input", unary(cos)},
      {"tan", "input", unary(tan)},
      {"asin", "input", unary(asin)},
      {"acos", "input", unary(acos)},
      {"atan", "input", unary(atan)},
      {"arcsin", "input", unary(asin)},
      {"arccos", "input", unary(acos)},
      {"arctan", "input", unary(atan)},
      {"atan2", "input other", binary(atan2)},
      {"arctan2", "input other", binary(atan2)},
      {"sinc", "input", unary(sinc)},
      {"deg2rad", "input", unary(deg2rad)},
      {"rad2deg", "input", unary(rad2deg)},
      {"sinh", "input", unary(sinh)},
      {"cosh", "input", unary(cosh)},
      {"tanh", "input", unary(tanh)},
      {"asinh", "input", unary(asinh)},
      {"acosh", "input", unary(acosh)},
      {"atanh", "input", unary(atanh)},
      {"arcsinh", "input", unary(asinh)},
      {"arccosh", "input", unary(acosh)},
      {"arctanh", "input", unary(atanh)},
      {"erf", "input", unary(erf)},
      {"erfc", "input", unary(erfc)},
      {"erfinv", "input", unary(erfinv)},
      {"ndtr", "input", unary(ndtr)},
      {"lgamma", "input", unary(lgamma)},
      {"gammaln", "input", unary(lgamma)},
      {"mvlgamma", "input p", mvlgamma},
      {"digamma", "input", unary(digamma)},
      {"psi", "input", unary(digamma)},
      // Both orders are PyTorch's: torch.polygamma(n, x) and x.polygamma(n).
      {"polygamma", "n input",
       [](Operand a, Operand b) {
         return a.is_tensor() ? polygamma(b.scalar().as<int64_t>(), a.tensor())
                              : polygamma(a.scalar().as<int64_t>(), b.tensor());
       }},
      {"zeta", "input other", with(zeta, zeta, zeta)},

      // comparison and logic
      {"eq", "input other", comparisons},
      {"ne", "input other", with(ne, ne)},
      {"lt", "input other", with(lt, lt)},
      {"le", "input other", with(le, le)},
      {"gt", "input other", with(gt, gt)},
      {"ge", "input other", with(ge, ge)},
      {"not_equal", "input other", with(ne, ne)},
      {"less", "input other", with(lt, lt)},
      {"less_equal", "input other", with(le, le)},
      {"greater", "input other", with(gt, gt)},
      {"greater_equal", "input other", with(ge, ge)},
      {"isclose", "input other rtol=1e-5 atol=1e-8 equal_nan=false", isclose},
      {"allclose", "input other rtol=1e-5 atol=1e-8 equal_nan=false",
       [](Tensor x, Tensor y, double rtol, double atol, bool equal_nan) {
         return Tensor(allclose(x, y, rtol, atol, equal_nan)).to(x.device());
       }},
      {"equal", "input other", [](Tensor x, Tensor y) { return Tensor(equal(x, y)).to(x.device()); }},
      {"isnan", "input", unary(isnan)},
      {"isinf", "input", unary(isinf)},
      {"isfinite", "input", unary(isfinite)},
      {"isposinf", "input", unary(isposinf)},
      {"isneginf", "input", unary(isneginf)},
      {"signbit", "input", unary(signbit)},
      {"logical_not", "input", unary(logical_not)},
      {"logical_and", "input other", binary(logical_and)},
      {"logical_or", "input other", binary(logical_or)},
      {"logical_xor", "input other", binary(logical_xor)},
      {"bitwise_not", "input", unary(bitwise_not)},
      {"bitwise_and", "input other",
       with(bitwise_and, bitwise_and, [](Scalar s, const Tensor& x) { return bitwise_and(x, s); })},
      {"bitwise_or", "input other",
       with(bitwise_or, bitwise_or, [](Scalar s, const Tensor& x) { return bitwise_or(x, s); })},
      {"bitwise_xor", "input other",
       with(bitwise_xor, bitwise_xor, [](Scalar s, const Tensor& x) { return bitwise_xor(x, s); })},
      {"__rand__", "input other", with(bitwise_and, bitwise_and)},
      {"__ror__", "input other", with(bitwise_or, bitwise_or)},
      {"__rxor__", "input other", with(bitwise_xor, bitwise_xor)},
      {"bitwise_left_shift", "input other", with(bitwise_left_shift, bitwise_left_shift)},
      {"bitwise_right_shift", "input other", with(bitwise_right_shift, bitwise_right_shift)},

      // in place
      {"add_", "input other alpha=1",
       [](Tensor x, Operand y, double alpha) {
         return y.is_tensor() ? x.clone().add_(y.tensor(), alpha) : x.clone().add_(y.scalar());
       }},
      {"sub_", "input other alpha=1",
       [](Tensor x, Operand y, double alpha) {
         return y.is_tensor() ? x.clone().sub_(y.tensor(), alpha) : x.clone().sub_(y.scalar());
       }},
      {"mul_", "input other", in_place(&Tensor::mul_, &Tensor::mul_)},
      {"div_", "input other", in_place(&Tensor::div_, &Tensor::div_)},
      {"copy_", "input src", [](Tensor x, Tensor y) { return x.clone().copy_(y); }},
      {"fill_", "input value", [](Tensor x, Scalar s) { return x.clone().fill_(s); }},
      {"neg_", "input", [](Tensor x) { return x.clone().neg_(); }},
      {"exp_", "input", [](Tensor x) { return x.clone().exp_(); }},
      {"sqrt_", "input", [](Tensor x) { return x.clone().sqrt_(); }},
      {"relu_", "input", [](Tensor x) { return x.clone().relu_(); }},
      {"clamp_", "input min max",
       [](Tensor x, Operand min, Operand max) { return x.clone().clamp_(min.scalar(), max.scalar()); }},
      {"masked_fill_", "input mask value",
       [](Tensor x, Tensor mask, Scalar value) { return x.clone().masked_fill_(mask, value); }},
      {"zero_", "input", [](Tensor x) { return x.clone().zero_(); }},
  };
}

}  // namespace cr::test
