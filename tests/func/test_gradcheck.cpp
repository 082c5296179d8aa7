// # gradcheck: right rules pass, wrong ones are caught and named
#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;

namespace {

Tensor random(const Shape& shape, uint64_t seed = 1) {
  Generator g(seed);
  return randn(shape, g, DType::float64);
}

// Cubes, with whatever rule the test wants.
Tensor cube_with(const Tensor& x, Rule rule) {
  return record("cube", backend::map(backend::map(x, functor::Square{}), x, functor::Mul{}), inputs(x), saved(x), rule);
}

std::string message(const TensorFunction& f, const Tensors& x, bool second = false) {
  try {
    second ? gradgradcheck(f, x) : gradcheck(f, x);
  } catch (const AutogradError& e) {
    return e.what();
  }
  return "passed";
}

}  // namespace

TEST_CASE("right derivatives pass, of first and second order, in any layout", "[func]") {
  Tensor a = random({3, 4}), b = random({4}, 2);
  for (const Tensor& x :
       {a, a.t(), a.slice(1, {0, 4, 2}), a.slice(0, {0, 1}).expand({3, 4}), a.narrow(0, 0, 0), a[{0, 0}]}) {
    CHECK(gradcheck([](Tensor t) { return tanh(t) * t; }, {x}));
    CHECK(gradgradcheck([](Tensor t) { return tanh(t) * t; }, {x}));
  }
  auto several = [](Tensor x, Tensor y) { return Tensors{x * y, sum(exp(y)), x > 0}; };
  CHECK(gradcheck(several, {a, b}));
  CHECK(gradgradcheck(several, {a, b}));
  CHECK(gradcheck([](const Tensors& x) { return x[0] * x[1] * x[2]; }, {b, b, b}));  // one tensor three times
  Tensor label = tensor({1, 0, 3});
  CHECK(gradcheck([](Tensor x, Tensor l) { return cross_entropy(x, l); }, {a, label}));
  CHECK(gradgradcheck([](Tensor x, Tensor l) { return cross_entropy(x, l); }, {a, label}));
}

TEST_CASE("a wrong rule is caught, with output, input, element and both numbers", "[func]") {
  Tensor x = test::from_numbers({1, 2, 3, 4}, {2, 2}, DType::float64);
  auto twice = [](Tensor t) { return cube_with(t, [](Backward& b) { return Grads{b.dy() * square(b[0]) * 2}; }); };
  CHECK(
      message(twice, {x}) ==
      "gradcheck: d output 0[1, 1] / d input 0[1, 1] is 32 by its rule and 48 by differences (4 of 16 derivatives differ; "
      "this one most)");
  CHECK_FALSE(gradcheck(twice, {x}, {.raise_exception = false}));
  auto second_input = [&](Tensor a, Tensor t) { return Tensors{a, twice(t)}; };
  CHECK_THAT(message(second_input, {x, x}), ContainsSubstring("d output 1[1, 1] / d input 1[1, 1] is 32"));

  auto transposed = [](Tensor t) {
    return record("t", t.t().detach(), inputs(t), saved(), [](Backward& b) { return Grads{b.dy()}; });
  };
  CHECK_THAT(message(transposed, {x}), ContainsSubstring("by differences (4 of 16"));

  auto forgotten = [](Tensor t) { return cube_with(t, [](Backward&) { return Grads{Tensor()}; }); };
  CHECK_THAT(message(forgotten, {x}), ContainsSubstring("is 0 by its rule and 48 by differences"));

  auto nan = [](Tensor t) { return cube_with(t, [](Backward& b) { return Grads{b.dy() / 0 * 0}; }); };
  CHECK_THAT(message(nan, {x}), ContainsSubstring("nan by its rule"));
}

TEST_CASE("a rule right for the first derivative only is caught by gradgradcheck", "[func]") {
  Tensor x = random({3});
  auto detached = [](Tensor t) {
    return cube_with(t, [](Backward& b) { return Grads{b.dy() * square(b[0].detach()) * 3}; });
  };
  CHECK(message(detached, {x}) == "passed");
  CHECK_THAT(message(detached, {x}, true), ContainsSubstring("gradgradcheck: d output 0["));
  auto right = [](Tensor t) { return cube_with(t, [](Backward& b) { return Grads{b.dy() * square(b[0]) * 3}; }); };
  CHECK(gradgradcheck(right, {x}));

  auto two_ways = [](Tensor t) {
    return cube_with(t, [](Backward& b) { return Grads{b.dy() * square(b[0]) * (b.create_graph() ? 2 : 3)}; });
  };
  CHECK_THAT(message(two_ways, {x}), ContainsSubstring("with create_graph"));
}

TEST_CASE("what gradcheck cannot check, it says", "[func]") {
  Tensor x = random({3});
  Generator g(1);
  auto noisy = [&](Tensor t) { return t * randn({3}, g, DType::float64); };
  CHECK_THAT(message(noisy, {x}), ContainsSubstring("not the same when f is called again"));
  CHECK_THROWS_WITH(gradcheck([](Tensor t) { return t; }, {x.to(DType::float32)}),
                    "gradcheck: input 0 is float32; differences have no digits left there, use float64");
  CHECK_THROWS_AS(gradcheck([](Tensor t) { return t; }, {tensor({1, 2})}), DTypeError);
  CHECK_THROWS_AS(gradcheck([](Tensor t) { return t.to(DType::float32); }, {x}), DTypeError);
  CHECK_THAT(message([](Tensor t) { return relu(t); }, {zeros({1}, DType::float64)}),  // a kink
             ContainsSubstring("is 0 by its rule and 0.5 by differences"));
  CHECK_THROWS_WITH(gradcheck([](Tensor t) { return masked_select(t, t > 0); }, {zeros({1}, DType::float64)}),
                    "gradcheck: f returns tensors of other sizes when input 0[0] moves");
  CHECK_FALSE(x.requires_grad());
}
