// # Arithmetic, comparison and special functions: what golden values cannot show
#include <cmath>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;

namespace {

Tensor ints(std::vector<int64_t> values) { return from_vector(values); }
std::vector<double> numbers(const Tensor& x) { return test::numbers_of(x); }
using Numbers = std::vector<double>;

}  // namespace

TEST_CASE("shapes that do not broadcast are named", "[elementwise]") {
  Tensor x = zeros({2, 3}), y = zeros({4});
  CHECK_THROWS_AS(add(x, y), ShapeError);
  CHECK_THROWS_WITH(fmod(x, y), ContainsSubstring("fmod") && ContainsSubstring("(2, 3)") && ContainsSubstring("(4,)"));
  CHECK_THROWS_WITH(atan2(x, y), ContainsSubstring("atan2") && ContainsSubstring("(2, 3)"));
  CHECK_THROWS_WITH(logical_and(x, y), ContainsSubstring("logical_and") && ContainsSubstring("(4,)"));
  CHECK_THROWS_WITH(where(x > 0, x, y), ContainsSubstring("where"));
  CHECK_THROWS_WITH(clamp(x, y, y), ContainsSubstring("clamp"));
  CHECK_THROWS_WITH(lerp(x, x, y), ContainsSubstring("lerp"));
  CHECK_THROWS_WITH(masked_fill(x, x > 0, y), ContainsSubstring("masked_fill") && ContainsSubstring("(4,)"));
}

TEST_CASE("types that an operation does not take are named", "[elementwise]") {
  Tensor b = zeros({2}, DType::boolean), i = ints({1, 2}), x = zeros({2});
  CHECK_THROWS_WITH(-b, ContainsSubstring("neg") && ContainsSubstring("bool"));
  CHECK_THROWS_WITH(b - b, ContainsSubstring("sub") && ContainsSubstring("^"));
  CHECK_THROWS_WITH(b - 1, ContainsSubstring("sub"));
  CHECK_THROWS_WITH(1 - b, ContainsSubstring("rsub"));
  CHECK_THROWS_WITH(abs(b), ContainsSubstring("abs") && ContainsSubstring("bool"));
  CHECK_THROWS_WITH(positive(b), ContainsSubstring("positive"));
  CHECK_THROWS_WITH(floor(b), ContainsSubstring("floor") && ContainsSubstring("bool"));
  CHECK_THROWS_WITH(frac(i), ContainsSubstring("frac") && ContainsSubstring("int64"));
  CHECK_THROWS_WITH(round(i, 1), ContainsSubstring("round") && ContainsSubstring("int64"));
  CHECK_THROWS_WITH(hypot(i, i), ContainsSubstring("hypot") && ContainsSubstring("int64"));
  CHECK_THROWS_WITH(remainder(b, b), ContainsSubstring("remainder") && ContainsSubstring("bool"));
  CHECK_THROWS_WITH(pow(b, b), ContainsSubstring("pow") && ContainsSubstring("bool"));
  CHECK_THROWS_WITH(gcd(x, x), ContainsSubstring("gcd") && ContainsSubstring("float32"));
  CHECK_THROWS_WITH(x & x, ContainsSubstring("bitwise_and") && ContainsSubstring("float32"));
  CHECK_THROWS_WITH(~x, ContainsSubstring("bitwise") && ContainsSubstring("float32"));
  CHECK_THROWS_WITH(bitwise_left_shift(b, b), ContainsSubstring("shift") && ContainsSubstring("bool"));
  CHECK_THROWS_WITH(addcdiv(i, i, i), ContainsSubstring("addcdiv") && ContainsSubstring("int64"));
  CHECK_THROWS_WITH(add(i, i, 1.5), ContainsSubstring("alpha = 1.5"));
  CHECK_THROWS_WITH(isclose(x, i), ContainsSubstring("float32") && ContainsSubstring("int64"));
  CHECK_THROWS_WITH(heaviside(x, i), ContainsSubstring("heaviside"));
  CHECK_THROWS_WITH(masked_fill(x, i, 1), ContainsSubstring("masked_fill") && ContainsSubstring("int64"));
}

TEST_CASE("numbers that an operation does not take are named", "[elementwise]") {
  Tensor i = ints({1, -2, 0});
  CHECK_THROWS_WITH(floor_divide(i, 0), ContainsSubstring("floor_divide") && ContainsSubstring("divided by 0"));
  CHECK_THROWS_WITH(i % i, ContainsSubstring("remainder"));
  CHECK_THROWS_WITH(fmod(i, i), ContainsSubstring("fmod"));
  CHECK_THROWS_WITH(div(i, i, RoundingMode::trunc), ContainsSubstring("divided by 0"));
  CHECK_THROWS_WITH(pow(i, -1), ContainsSubstring("pow") && ContainsSubstring("-1"));
  CHECK_THROWS_WITH(polygamma(-1, zeros({1})), ContainsSubstring("polygamma"));
  CHECK_THROWS_WITH(mvlgamma(ones({1}), 0), ContainsSubstring("mvlgamma"));
  CHECK_THROWS_WITH(clamp(i, std::nullopt), ContainsSubstring("clamp"));
  CHECK_THROWS_WITH(isclose(i, i, -1), ContainsSubstring("rtol"));
  Tensor s = full({1}, 2.f).requires_grad_();
  CHECK_THROWS_AS(grad(zeta(s, 1.5), s), AutogradError);
}

TEST_CASE("integers wrap around, and nothing stops the processor", "[elementwise]") {
  Tensor least = ints({INT64_MIN}), one = ints({1});
  CHECK((least - one).item<int64_t>() == INT64_MAX);
  CHECK((ints({INT64_MAX}) + 1).item<int64_t>() == INT64_MIN);
  CHECK((-least).item<int64_t>() == INT64_MIN);
  CHECK(abs(least).item<int64_t>() == INT64_MIN);
  CHECK(floor_divide(least, -1).item<int64_t>() == INT64_MIN);
  CHECK(div(least, -1, RoundingMode::trunc).item<int64_t>() == INT64_MIN);
  CHECK((least % ints({-1})).item<int64_t>() == 0);
  CHECK(fmod(least, -1).item<int64_t>() == 0);
  CHECK(pow(ints({3}), 200).item<int64_t>() == [] {
    uint64_t p = 1;
    for (int k = 0; k < 200; ++k) p *= 3;
    return static_cast<int64_t>(p);
  }());
  CHECK(gcd(least, ints({6})).item<int64_t>() == 2);
  CHECK(lcm(ints({0}), ints({0})).item<int64_t>() == 0);
  CHECK(numbers(bitwise_left_shift(ints({1, 1, -1}), ints({64, -1, 3}))) == Numbers{0, 0, -8});
  CHECK(numbers(bitwise_right_shift(ints({5, -5, -5}), ints({64, 64, 1}))) == Numbers{0, -1, -3});
}

// Whole-number division and its remainder belong together, for every sign.
TEST_CASE("quotient and remainder make the number again", "[elementwise]") {
  Tensor x = ints({-7, -6, -1, 0, 1, 5, 6, 7}).unsqueeze(1), y = ints({-3, -1, 1, 2, 3, 4});
  CHECK(equal(floor_divide(x, y) * y + x % y, x.expand({8, 6})));
  CHECK(equal(div(x, y, RoundingMode::trunc) * y + fmod(x, y), x.expand({8, 6})));
  Tensor a = x.to(DType::float32) * 0.75, b = y.to(DType::float32) * 0.5;  // exact
  CHECK(equal(floor_divide(a, b) * b + a % b, a.expand({8, 6})));
  CHECK(equal(div(a, b, RoundingMode::trunc) * b + fmod(a, b), a.expand({8, 6})));
  // A quotient too large for the fast path, an infinite divisor, and 0: as the C library has them.
  Tensor far = tensor({3e38, 1e10, 5.0, 1.0}), by = tensor({0.7, 1e-30, 1.0 * INFINITY, 0.0});
  Tensor r = fmod(far, by);
  for (int k = 0; k < 3; ++k) {
    CHECK(r[k].item<float>() == std::fmod(far[k].item<float>(), by[k].item<float>()));
  }
  CHECK(std::isnan(r[3].item()));
}

TEST_CASE("bool tensors: or, and, masks", "[elementwise]") {
  Tensor a = tensor({1, 1, 0, 0}) != 0, b = tensor({1, 0, 1, 0}) != 0;
  CHECK(equal(a + b, a | b));
  CHECK(equal(a * b, a & b));
  CHECK(equal(a != b, a ^ b));
  CHECK(equal(~a, logical_not(a)));
  CHECK(add(a, b).dtype() == DType::boolean);
  CHECK(numbers(add(a, b, 2)) == Numbers{1, 1, 1, 0});
  CHECK(square(a).dtype() == DType::int64);
}

TEST_CASE("a clamp needs no order of its bounds and keeps whole numbers whole", "[elementwise]") {
  Tensor i = ints({-5, 0, 5});
  CHECK(clamp(i, -1, 1).dtype() == DType::int64);
  CHECK(clamp(i, -0.5, 1).dtype() == DType::float32);
  CHECK(numbers(clamp(i, 3, 1)) == Numbers{1, 1, 1});
  CHECK(numbers(clamp(i, std::nullopt, 1)) == Numbers{-5, 0, 1});
  CHECK(numbers(clamp(i, Tensor(), ints({-6, 0, 6}))) == Numbers{-6, 0, 5});
}

TEST_CASE("powers that everybody uses", "[elementwise]") {
  Tensor x = tensor({-1.0 * INFINITY, -0.0, 4.0});
  CHECK(std::isnan(pow(x, 0.5)[0].item()));  // a square root, as in PyTorch; C's pow says ∞
  CHECK(std::signbit(pow(x, 0.5)[1].item()));
  CHECK(pow(x, tensor({0.5}))[0].item() == INFINITY);
  CHECK(numbers(pow(x, 0)) == Numbers{1, 1, 1});
  CHECK(pow(x, 2)[2].item() == 16);
  CHECK(pow(tensor({3}), 0.5).dtype() == DType::float32);
  CHECK(pow(2, ints({10})).item<int64_t>() == 1024);
  CHECK(float_power(ints({3}), 2).dtype() == DType::float64);
}

TEST_CASE("logarithms of sums do not overflow, and infinities stay what they are", "[elementwise]") {
  double inf = INFINITY;
  Tensor x = tensor({1000.0, -1000.0, inf, -inf, inf, -1.0}), y = tensor({1000.0, -1001.0, inf, -inf, -inf, -1.0});
  Tensor z = logaddexp(x, y), z2 = logaddexp2(x, y);
  CHECK(z[0].item() == Approx(1000 + std::log(2)));
  CHECK(z[1].item() == Approx(-1000 + std::log1p(std::exp(-1))));
  CHECK(z2[5].item() == 0);
  for (const Tensor& t : {z, z2}) {
    CHECK(t[2].item() == inf);
    CHECK(t[3].item() == -inf);
    CHECK(t[4].item() == inf);
  }
}

TEST_CASE("comparisons of results: equal, allclose", "[elementwise]") {
  Tensor x = tensor({1.0, NAN});
  CHECK(!equal(x, x));
  CHECK(!allclose(x, x));
  CHECK(allclose(x, x, 0, 0, true));
  CHECK(equal(zeros({0, 3}), zeros({0, 3})));
  CHECK(!equal(zeros({0, 3}), zeros({3, 0})));
  CHECK(allclose(tensor({1.0 * INFINITY}), tensor({1.0 * INFINITY})));
  CHECK(!allclose(tensor({1.0 * INFINITY}), tensor({0.0}), 1e30));
}

TEST_CASE("in place, a result must fit", "[elementwise]") {
  Tensor i = ints({4, 9}), x = ones({2});
  CHECK_THROWS_WITH(i.sqrt_(), ContainsSubstring("sqrt_") && ContainsSubstring("float32"));
  CHECK_THROWS_WITH(i.clamp_(0.5), ContainsSubstring("clamp_"));
  CHECK_THROWS_WITH(x.masked_fill_(zeros({3, 2}, DType::boolean), 1), ContainsSubstring("masked_fill_"));
  CHECK(numbers(i.clamp_(5)) == Numbers{5, 9});
  CHECK_THROWS_AS(ones({2}).requires_grad_().exp_(), AutogradError);
}

TEST_CASE("16-bit numbers can be asked what they are", "[elementwise]") {
  for (DType type : {DType::float16, DType::bfloat16}) {
    Tensor x = tensor({1.0, NAN, INFINITY, -INFINITY}).to(type);
    CHECK(numbers(isnan(x)) == Numbers{0, 1, 0, 0});
    CHECK(numbers(isinf(x)) == Numbers{0, 0, 1, 1});
    CHECK(numbers(isposinf(x)) == Numbers{0, 0, 1, 0});
    CHECK(numbers(isneginf(x)) == Numbers{0, 0, 0, 1});
    CHECK(numbers(isfinite(x)) == Numbers{1, 0, 0, 0});
    CHECK(numbers(signbit(x)) == Numbers{0, 0, 0, 1});
    CHECK(numbers(nan_to_num(x, 2, 3, 4)) == Numbers{1, 2, 3, 4});
  }
}

TEST_CASE("alpha keeps its fraction where the result has one", "[elementwise]") {
  CHECK(numbers(add(tensor({1.0, 2.0}), 3, 0.5)) == Numbers{2.5, 3.5});
  CHECK(numbers(sub(tensor({1.0}), int64_t{3}, 2.5)) == Numbers{-6.5});
  CHECK(numbers(add(tensor({1.0}), true, 0.5)) == Numbers{1.5});
  CHECK(numbers(add(ints({4}), true, 3)) == Numbers{7});
  CHECK_THROWS_WITH(sub(ints({1}), ints({1}), 0.5), ContainsSubstring("sub: alpha"));
  CHECK_THROWS_AS(add(ints({1}), 1, INFINITY), DTypeError);
  CHECK_THROWS_AS(mvlgamma(ones({1}) * 9, int64_t{1} << 40), Error);
}

// Results are new tensors, also where nothing was to be done.
TEST_CASE("what leaves the numbers as they are still returns a new tensor", "[elementwise]") {
  Tensor i = ints({1, 2});
  for (const Tensor& y : {floor(i), round(i), trunc(i), nan_to_num(i)}) {
    CHECK(equal(y, i));
    CHECK(y.data<int64_t>() != i.data<int64_t>());
  }
}
