#include "op_table.hpp"

namespace cr::test {
namespace {

// A binary operation on two tensors, or on a tensor and a number.
auto with(Binary f, Tensor (*g)(const Tensor&, Scalar)) {
  return [f, g](Tensor x, Operand y) { return y.is_tensor() ? f(x, y.tensor()) : g(x, y.scalar()); };
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
  return {
      {"neg", "input", unary(neg)},
      {"abs", "input", unary(abs)},
      {"sign", "input", unary(sign)},
      {"square", "input", unary(square)},
      {"relu", "input", unary(relu)},
      {"exp", "input", unary(exp)},
      {"log", "input", unary(log)},
      {"sqrt", "input", unary(sqrt)},
      {"sin", "input", unary(sin)},
      {"cos", "input", unary(cos)},
      {"tanh", "input", unary(tanh)},
      {"sigmoid", "input", unary(sigmoid)},
      {"pow", "input exponent", [](Tensor x, double exponent) { return pow(x, exponent); }},
      {"clamp", "input min max", [](Tensor x, double min, double max) { return clamp(x, min, max); }},
      {"add", "input other alpha=1",
       [](Tensor x, Operand y, double alpha) {
         return y.is_tensor() ? add(x, y.tensor(), alpha) : add(x, y.scalar());
       }},
      {"sub", "input other alpha=1",
       [](Tensor x, Operand y, double alpha) {
         return y.is_tensor() ? sub(x, y.tensor(), alpha) : sub(x, y.scalar());
       }},
      {"rsub", "input other", [](Tensor x, double s) { return s - x; }},
      {"mul", "input other", with(mul, mul)},
      {"div", "input other", with(div, div)},
      {"Tensor.__rtruediv__", "input other", [](Tensor x, Scalar s) { return div(s, x); }},
      {"maximum", "input other", binary(maximum)},
      {"minimum", "input other", binary(minimum)},
      {"where", "condition input other", [](Tensor c, Tensor x, Tensor y) { return where(c, x, y); }},
      {"eq", "input other", with(eq, eq)},
      {"ne", "input other", with(ne, ne)},
      {"lt", "input other", with(lt, lt)},
      {"le", "input other", with(le, le)},
      {"gt", "input other", with(gt, gt)},
      {"ge", "input other", with(ge, ge)},
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
      {"zero_", "input", [](Tensor x) { return x.clone().zero_(); }},
  };
}

}  // namespace cr::test
