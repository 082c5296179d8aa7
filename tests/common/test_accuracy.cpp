// # How exact are the float32 functions?
//
// Against the same function in float64, over all sizes of numbers, in units of the last place (ulps) of the exact result.
#include <algorithm>
#include <bit>
#include <cmath>

#include "catch.hpp"
#include "chainrule.hpp"

using namespace cr;
using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);
using Functions = std::vector<Unary>;

namespace {

// Every `stride`-th float32 from lo to hi, as bits run.
Tensor floats(float lo, float hi, uint32_t stride) {
  std::vector<float> values;
  auto add = [&](float from, float to) {  // both of one sign, |from| < |to|
    uint32_t first = std::bit_cast<uint32_t>(from), last = std::bit_cast<uint32_t>(to);
    for (uint64_t bits = first; bits <= last; bits += stride)
      values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  };
  if (lo < 0) add(-0.f, lo);
  add(lo < 0 ? 0.f : lo, hi);
  return from_vector(values);
}

// An ulp of the float32 at x; below the smallest normal number it stays what it is there.
double ulp_of(double x) { return std::exp2(std::logb(std::max(std::abs(x), 0x1p-126)) - 23); }

// The largest error in ulps.
double worst_ulps(Unary f, double (*exact)(double), const Tensor& x, float* where = nullptr) {
  Tensor y = f(x);
  double worst = 0;
  auto in = x.span<float>(), out = y.span<float>();
  for (size_t i = 0; i < in.size(); ++i) {
    double want = exact(in[i]);
    double ulp = ulp_of(want);
    if (std::abs(want) > 0x1.fffffefp127) want = std::copysign(INFINITY, want);  // beyond the largest float
    double error = want == out[i] || (std::isnan(want) && std::isnan(out[i])) ? 0 : std::abs(out[i] - want) / ulp;
    if (!(error <= worst)) worst = error, where ? void(*where = in[i]) : void();
  }
  return worst;
}

void check(const char* name, Unary f, double (*exact)(double), float lo, float hi, double bound) {
  float where = 0;
  double worst = worst_ulps(f, exact, floats(lo, hi, 3001), &where);
  INFO(name << " from " << lo << " to " << hi << ": " << worst << " ulps at " << where);
  CHECK(worst <= bound);
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double inverse_root(double x) { return 1 / std::sqrt(x); }
// Newton's method on the C library's erf, or on its tail, whichever keeps more digits.
double inverse_erf(double x) {
  if (std::abs(x) > 1) return NAN;
  if (std::abs(x) == 1) return x * INFINITY;
  double y = 0, slope = std::sqrt(std::acos(-1.0)) / 2;
  for (int i = 0; i < 60; ++i) {
    double a = std::abs(x), error = a < 0.5 ? std::erf(y) - a : 1 - a - std::erfc(y),
           step = slope * std::exp(y * y) * error;
    y -= std::clamp(step, -0.25, 0.25);
    if (std::abs(step) < 1e-16 * y) break;
  }
  return std::copysign(y, x);
}

// The same for functions of two numbers, each x with each y.
void check(const char* name, Binary f, double (*exact)(double, double), const Tensor& x, const Tensor& y,
           double bound) {
  Tensor z = f(x.unsqueeze(1), y);
  auto a = x.span<float>(), b = y.span<float>(), out = z.span<float>();
  double worst = 0, at_x = 0, at_y = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      double want = exact(a[i], b[j]), got = out[i * b.size() + j];
      double ulp = ulp_of(want);
      if (std::abs(want) >= 0x1.ffffffp127) want = std::copysign(INFINITY, want);
      double error = want == got || (std::isnan(want) && std::isnan(got)) ? 0 : std::abs(got - want) / ulp;
      if (!(error <= worst)) worst = error, at_x = a[i], at_y = b[j];
    }
  }
  INFO(name << ": " << worst << " ulps at " << at_x << ", " << at_y);
  CHECK(worst <= bound);
}

}  // namespace

TEST_CASE("float32 functions are exact to these units in the last place", "[accuracy]") {
  check("exp", exp, std::exp, -87, 88.7f, 1.5);
  check("exp, tiny and huge results", exp, std::exp, -120, 100, 1.5);
  check("log", log, std::log, 0x1p-126f, 3.4e38f, 2);
  check("log, below the smallest normal number", log, std::log, 0x1p-149f, 0x1p-126f, 1.5);
  check("tanh", tanh, std::tanh, -20, 20, 2);
  check("sigmoid", sigmoid, logistic, -80, 80, 2.5);
  check("sqrt", sqrt, std::sqrt, 0, 3.4e38f, 0.5);
  check("erf", erf, std::erf, -5, 5, 1.7);

  // What is computed in float64 and rounded once.
  check("exp2", exp2, std::exp2, -155, 130, 0.51);
  check("expm1", expm1, std::expm1, -40, 90, 0.51);
  check("log1p", log1p, std::log1p, -0.99999994f, 3.4e38f, 0.51);
  check("log2", log2, std::log2, 0, 3.4e38f, 0.51);
  check("log10", log10, std::log10, 0, 3.4e38f, 0.51);
  check("sin", sin, std::sin, -3.4e38f, 3.4e38f, 0.51);
  check("cos", cos, std::cos, -3.4e38f, 3.4e38f, 0.51);
  check("tan", tan, std::tan, -3.4e38f, 3.4e38f, 0.51);
  check("asin", asin, std::asin, -1, 1, 0.51);
  check("acos", acos, std::acos, -1, 1, 0.51);
  check("atan", atan, std::atan, -3.4e38f, 3.4e38f, 0.51);
  check("sinh", sinh, std::sinh, -95, 95, 0.51);
  check("cosh", cosh, std::cosh, -95, 95, 0.51);
  check("asinh", asinh, std::asinh, -3.4e38f, 3.4e38f, 0.51);
  check("acosh", acosh, std::acosh, 0.5f, 3.4e38f, 0.51);
  check("atanh", atanh, std::atanh, -1, 1, 0.51);
  check("erfc", erfc, std::erfc, -5, 11, 0.52);
  check("erfinv", erfinv, inverse_erf, -1, 1, 0.55);
  check("rsqrt", rsqrt, inverse_root, 0, 3.4e38f, 1.5);
}

TEST_CASE("float32 functions of two numbers are exact to these units in the last place", "[accuracy]") {
  auto some = [](float lo, float hi, uint32_t stride) { return floats(lo, hi, stride); };
  Tensor all = some(-3.4e38f, 3.4e38f, 7654321),
         edges = tensor({0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, -2.5, 1e30, -1e30, 16777215.0, 1.0 * INFINITY,
                         -1.0 * INFINITY, 1.0 * NAN});
  Tensor x = cat({all, edges}), near_one = some(0.5f, 2, 40009);
  check("pow", pow, std::pow, x, x, 0.51);
  check("pow, near 1", pow, std::pow, near_one, x, 0.51);
  check("atan2", atan2, std::atan2, x, x, 0.51);
  check("hypot", hypot, std::hypot, x, x, 0.51);
  check("fmod", fmod, std::fmod, x, x, 0);
  check("fmod of what a whole number of times nearly goes", fmod, std::fmod, some(1e8f, 1.1e8f, 7),
        tensor({1.0f, 3.0f, 0.7f, -0.1f}), 0);
  check(
      "xlogy", xlogy, [](double a, double b) { return a == 0 && b == b ? 0 : a * std::log(b); }, x, x, 2.5);
}

TEST_CASE("functions at their edges", "[accuracy]") {
  float inf = INFINITY, nan = NAN;
  auto at = [](Tensor (*f)(const Tensor&), float x) { return f(full({1}, x)).item<float>(); };
  CHECK(at(exp, 89) == inf);
  CHECK(at(exp, 100) == inf);
  CHECK(at(exp, inf) == inf);
  CHECK(at(exp, -inf) == 0);
  CHECK(at(exp, -105) == 0);
  CHECK(at(exp, 0) == 1);
  CHECK(at(log, 1) == 0);
  CHECK(at(log, 0.f) == -inf);
  CHECK(at(log, -0.f) == -inf);
  CHECK(at(log, inf) == inf);
  for (float x : {-1.f, -1e-30f, -1e-40f, -3e38f, -inf, nan}) CHECK(std::isnan(at(log, x)));
  CHECK(at(tanh, inf) == 1);
  CHECK(at(tanh, -inf) == -1);
  CHECK(at(sigmoid, -inf) == 0);
  CHECK(at(sigmoid, inf) == 1);
  for (Unary f : Functions{exp, tanh, sigmoid, sqrt, relu, abs, square}) CHECK(std::isnan(at(f, nan)));
  for (Unary f :
       Functions{tanh, sin, tan, asin, atan, sinh, asinh, atanh, expm1, log1p, erf, erfinv, floor, ceil, trunc}) {
    CHECK(std::signbit(at(f, -0.f)));
    CHECK(!std::signbit(at(f, 0.f)));
    CHECK(std::isnan(at(f, nan)));
    CHECK(at(f, 1e-42f) >= 0);
  }
  for (Unary f : Functions{cos, acos, cosh, acosh, exp2, log2, log10, rsqrt, erfc, lgamma, digamma, sinc}) {
    CHECK(std::isnan(at(f, nan)));
  }
  for (Unary f : Functions{sin, cos, tan, asin, acos, acosh, atanh, erfinv}) CHECK(std::isnan(at(f, -inf)));
  for (Unary f : Functions{exp2, expm1, log2, log10, log1p, sinh, cosh, asinh, acosh, lgamma, digamma})
    CHECK(at(f, inf) == inf);
  CHECK(at(exp2, 128) == inf);
  CHECK(at(exp2, -126) == 0x1p-126f);
  CHECK(at(expm1, -inf) == -1);
  CHECK(at(log2, 8) == 3);
  CHECK(at(log10, 1000) == 3);
  CHECK(at(log1p, -1) == -inf);
  CHECK(at(erf, inf) == 1);
  CHECK(at(erfc, -inf) == 2);
  CHECK(at(erfc, inf) == 0);
  CHECK(at(erfinv, 1) == inf);
  CHECK(at(atanh, -1) == -inf);
  CHECK(at(rsqrt, 0) == inf);
  CHECK(at(digamma, 0.f) == -inf);
  CHECK(at(digamma, -0.f) == inf);
  CHECK(std::isnan(at(digamma, -3)));
  CHECK(at(lgamma, -3) == inf);
  CHECK(at(sign, nan) == 0);
  // An odd function stays odd, to the bit.
  Tensor x = floats(0, 20, 5003);
  for (Unary f : Functions{tanh, sin, tan, atan, sinh, asinh, erf}) CHECK(equal(f(-x), -f(x)));
}

TEST_CASE("the gamma function's family at known values", "[accuracy]") {
  double pi = std::acos(-1.0), gamma = 0.57721566490153286061;
  auto near = [](double want) { return Approx(want).epsilon(4e-15); };
  auto at = [](double x) { return full({}, x, DType::float64); };
  CHECK(digamma(at(1)).item() == near(-gamma));
  CHECK(digamma(at(0.5)).item() == near(-gamma - 2 * std::log(2)));
  CHECK(digamma(at(-0.5)).item() == Approx(2 - gamma - 2 * std::log(2)).epsilon(1e-13));
  CHECK(polygamma(1, at(1)).item() == near(pi * pi / 6));
  CHECK(polygamma(1, at(0.5)).item() == near(pi * pi / 2));
  CHECK(polygamma(1, at(-0.5)).item() == near(pi * pi / 2 + 4));
  CHECK(polygamma(2, at(0.5)).item() == near(-14 * 1.2020569031595942854));
  CHECK(polygamma(3, at(1)).item() == near(std::pow(pi, 4) / 15));
  CHECK(polygamma(1, at(-1e9 - 0.5)).item() == near(pi * pi - 1e-9));
  CHECK(zeta(2.0, at(1)).item() == near(pi * pi / 6));
  // erfinv in float64 undoes erf.
  for (double y : {1e-12, 1e-3, 0.2, 0.4769, 0.7, 1.5, 3.0, 5.0}) {
    CHECK(erfinv(erf(at(y))).item() == Approx(y).epsilon(y > 1 ? 1e-5 : 4e-15));
  }
}

// In each of 32 lanes 128 numbers meet in float32 before float64 takes over, so the error stays below 128 half units.
TEST_CASE("long float32 sums keep their digits", "[accuracy]") {
  Tensor x = full({3000000}, 0.1f);
  double exact = 3000000 * static_cast<double>(0.1f);
  CHECK(sum(x).item() == Approx(exact).epsilon(2e-6));
  CHECK(sum(x.reshape({3000, 1000}), {0})[7].item() == Approx(exact / 1000).epsilon(2e-6));
  CHECK(sum(x.reshape({3000, 1000}), {1})[7].item() == Approx(exact / 3000).epsilon(2e-6));
  CHECK(mean(x).item() == Approx(0.1f).epsilon(2e-6));
}

TEST_CASE("softmax and its logarithm do not mind a shift", "[accuracy]") {
  Tensor x = tensor({{0.0, 0.5, 3.25, -7.75}}), far = x + 1000;  // both exact
  CHECK(amax(abs(softmax(far, 1) - softmax(x, 1))).item() < 1e-7);
  CHECK(amax(abs(log_softmax(far, 1) - log_softmax(x, 1))).item() < 2e-6);
  Tensor target = tensor({2});
  CHECK(std::abs(cross_entropy(far, target).item() - cross_entropy(x, target).item()) < 1e-7);
  far.requires_grad_();
  x.requires_grad_();
  CHECK(amax(abs(grad(cross_entropy(far, target), far) - grad(cross_entropy(x, target), x))).item() < 1e-7);
}
