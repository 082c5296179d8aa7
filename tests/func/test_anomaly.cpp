// # Anomaly mode and hooks that go away
#include <cmath>

#include "backend/backend.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;

TEST_CASE("the operation whose rule makes the first bad gradient is named", "[func]") {
  Tensor x = test::from_numbers({1, 0, 4}, {3}, DType::float32).requires_grad_();
  auto loss = [&] { return sum(sqrt(x * x * 1)); };
  loss().backward();  // silently: 1 / (2 √0) = ∞, and ∞ · 0 = NaN
  CHECK(std::isnan(x.grad()[1].item()));
  {
    DetectAnomaly watch;
    CHECK_THROWS_AS(loss().backward(), AutogradError);
    CHECK_THROWS_WITH(loss().backward(), "sqrt (3,): its rule gives input 0 (mul (3,)) a gradient with inf at (1,)");
  }
  {
    DetectAnomaly watch({.infinite = false});
    CHECK_THROWS_WITH(loss().backward(), "mul (3,): its rule gives input 0 (leaf (3,)) a gradient with NaN at (1,)");
  }
  CHECK_NOTHROW(loss().backward());  // the guard is gone
  DetectAnomaly watch;
  CHECK_NOTHROW(sum(x * x).backward());
  CHECK_THROWS_WITH(grad({x * 2}, {x}, {.grad_outputs = {full({3}, NAN)}}),
                    ContainsSubstring("mul (3,): the gradient that arrived has NaN at (0,)"));
}

TEST_CASE("forward, the operation that makes a bad number of good ones is named", "[func]") {
  Tensor x = test::from_numbers({1, 0, 4, -1}, {2, 2}, DType::float32);
  CHECK_NOTHROW(log(x));
  DetectAnomaly watch({.forward = true});
  CHECK_THROWS_WITH(log(x),
                    "log (2, 2): the result has -inf at (0, 1), from a constant (2, 2), all of them good numbers");
  Tensor leaf = x.detach().requires_grad_();
  CHECK_THROWS_WITH(sqrt(leaf), ContainsSubstring("sqrt (2, 2): the result has NaN at (1, 1), from leaf (2, 2)"));
  Tensor bad = full({2}, INFINITY);
  CHECK_NOTHROW(bad + 1);  // it came that way
  DetectAnomaly lenient({.forward = true, .infinite = false});
  CHECK_NOTHROW(log(abs(x)));
  CHECK_THROWS_AS(log(x), AutogradError);
}

TEST_CASE("a custom rule with a bug is found in a larger graph", "[func]") {
  Tensor x = ones({2, 3}, DType::float64).requires_grad_();
  auto broken = [](const Tensor& t) {
    return record("broken", backend::map(t, functor::Exp{}), inputs(t), saved(t),
                  [](Backward& b) { return Grads{b.dy() / (b[0] - 1)}; });
  };
  DetectAnomaly watch;
  CHECK_THROWS_WITH(sum(tanh(broken(x) * 0.1)).backward(),
                    "broken (2, 3): its rule gives input 0 (leaf (2, 3)) a gradient with inf at (0, 0)");
}

TEST_CASE("a hook's handle removes it", "[func]") {
  Tensor x = ones({2}).requires_grad_();
  int first = 0, second = 0;
  HookHandle handle = x.register_hook([&](const Tensor&) { return ++first, Tensor(); });
  x.register_hook([&](const Tensor&) { return ++second, Tensor(); });
  sum(x).backward();
  handle.remove();
  handle.remove();
  sum(x).backward();
  CHECK(first == 1);
  CHECK(second == 2);

  HookHandle once = x.register_hook([&](const Tensor&) { return once.remove(), ++first, Tensor(); });  // removes itself
  sum(x).backward();
  sum(x).backward();
  CHECK(first == 2);
  CHECK(second == 4);

  HookHandle orphan = [] {
    Tensor gone = ones({1}).requires_grad_();
    return gone.register_hook([](const Tensor&) { return Tensor(); });
  }();
  CHECK_NOTHROW(orphan.remove());
}
