// # How exact are the float32 functions?
//
// Against the same function in float64, over all sizes of numbers, in units of the last place (ulps) of the exact result.
#include <bit>
#include <cmath>

#include "catch.hpp"
#include "chainrule.hpp"

using namespace cr;

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

// The largest error in ulps; below the smallest normal number an ulp stays what it is there.
double worst_ulps(Tensor (*f)(const Tensor&), double (*exact)(double), const Tensor& x, float* where = nullptr) {
  Tensor y = f(x);
  double worst = 0;
  auto in = x.span<float>(), out = y.span<float>();
  for (size_t i = 0; i < in.size(); ++i) {
    double want = exact(in[i]);
    double size = std::max(std::abs(want), 0x1p-126);
    double ulp = std::ldexp(1.0, std::ilogb(size) - 23);
    if (std::abs(want) > 0x1.fffffefp127) want = std::copysign(INFINITY, want);  // beyond the largest float
    double error = want == out[i] || (std::isnan(want) && std::isnan(out[i])) ? 0 : std::abs(out[i] - want) / ulp;
    if (!(error <= worst)) worst = error, where ? void(*where = in[i]) : void();
  }
  return worst;
}

void check(const char* name, Tensor (*f)(const Tensor&), double (*exact)(double), float lo, float hi, double bound) {
  float where = 0;
  double worst = worst_ulps(f, exact, floats(lo, hi, 3001), &where);
  INFO(name << " from " << lo << " to " << hi << ": " << worst << " ulps at " << where);
  CHECK(worst <= bound);
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("float32 functions are exact to these units in the last place", "[accuracy]") {
  check("exp", exp, std::exp, -87, 88.7f, 1.5);
  check("exp, tiny and huge results", exp, std::exp, -120, 100, 1.5);
  check("log", log, std::log, 0x1p-126f, 3.4e38f, 2);
  check("log, below the smallest normal number", log, std::log, 0x1p-149f, 0x1p-126f, 1.5);
  check("tanh", tanh, std::tanh, -20, 20, 2);
  check("sigmoid", sigmoid, logistic, -80, 80, 2.5);
  check("sqrt", sqrt, std::sqrt, 0, 3.4e38f, 0.5);
  check("sin", sin, std::sin, -1e4f, 1e4f, 1);
  check("cos", cos, std::cos, -1e4f, 1e4f, 1);
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
  for (auto f : {exp, tanh, sigmoid, sqrt, relu, abs, square}) CHECK(std::isnan(at(f, nan)));
  CHECK(std::signbit(at(tanh, -0.f)));
  CHECK(at(sign, nan) == 0);
  // An odd function stays odd, to the bit.
  Tensor x = floats(0, 20, 5003);
  CHECK(sum((tanh(-x) != -tanh(x)).to(DType::int64)).item<int64_t>() == 0);
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
