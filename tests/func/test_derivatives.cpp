// # jvp, vjp, hvp, jacobian, hessian: against formulas known in closed form
#include <cmath>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using cr::test::difference;

namespace {

Tensor f64(std::vector<double> values, Shape shape) { return test::from_numbers(values, shape, DType::float64); }
Tensor vec(std::vector<double> values) { return f64(values, {static_cast<int64_t>(values.size())}); }

// Equal up to rounding: 1e-13 of the largest number.
std::string near(const Tensor& got, const Tensor& want) { return difference(got, want, 16, 500); }

Tensor rosenbrock(const Tensor& x) {
  Tensor a = x.narrow(0, 0, x.size(0) - 1), b = x.narrow(0, 1, x.size(0) - 1);
  return sum(100 * square(b - square(a)) + square(1 - a));
}

}  // namespace

TEST_CASE("jvp and vjp of an elementwise function multiply by its derivative", "[func]") {
  Tensor x = vec({0.5, -1, 2}), v = vec({3, 1, -2});
  auto [y, dy] = jvp([](Tensor t) { return sin(t) * t; }, x, v);
  CHECK(near(y, sin(x) * x) == "");
  CHECK(near(dy, (cos(x) * x + sin(x)) * v) == "");
  CHECK_FALSE(y.requires_grad());
  CHECK_FALSE(dy.requires_grad());
  auto [z, g] = vjp([](Tensor t) { return sin(t) * t; }, x, v);
  CHECK(near(g, (cos(x) * x + sin(x)) * v) == "");
  CHECK_FALSE(x.requires_grad());
}

TEST_CASE("jvp and vjp of a linear map are the map and its transpose", "[func]") {
  Generator g(1);
  Tensor a = randn({4, 3}, g, DType::float64), x = randn({3}, g, DType::float64), v = randn({3}, g, DType::float64),
         u = randn({4}, g, DType::float64);
  auto f = [&](Tensor t) { return matmul(a, t); };
  CHECK(near(jvp(f, x, v).second, matmul(a, v)) == "");
  CHECK(near(vjp(f, x, u).second, matmul(u, a)) == "");
  CHECK(near(jacobian(f, x), a) == "");
}

TEST_CASE("jvp of several inputs and outputs adds what each input contributes", "[func]") {
  Tensor x = vec({1, 2}), y = vec({3, 4}), u = vec({0.1, 0.2}), w = vec({-1, 5});
  auto f = [](Tensor a, Tensor b) { return Tensors{a * b, sum(square(a)), b * 0 + 1}; };
  auto [out, d] = jvp(f, {x, y}, {u, w});
  REQUIRE(out.size() == 3);
  CHECK(near(out[0], x * y) == "");
  CHECK(near(d[0], u * y + x * w) == "");
  CHECK(near(d[1], sum(x * u * 2)) == "");
  CHECK(near(d[2], zeros({2}, DType::float64)) == "");
  auto [out2, g] = vjp(f, {x, y}, {w, Tensor(1.0).to(DType::float64), u});
  CHECK(near(g[0], w * y + 2 * x) == "");
  CHECK(near(g[1], w * x) == "");
}

TEST_CASE("an input that plays no part has derivative zero", "[func]") {
  Tensor x = vec({1, 2}), y = vec({3, 4});
  auto first = [](Tensor a, Tensor) { return square(a); };
  CHECK(near(vjp(first, {x, y}, {ones_like(x)}).second[1], zeros({2}, DType::float64)) == "");
  CHECK(near(jvp(first, {x, y}, {zeros_like(x), ones_like(y)}).second[0], zeros({2}, DType::float64)) == "");
  CHECK(near(jacobian(first, {x, y})[0][1], zeros({2, 2}, DType::float64)) == "");
  auto constant = [](Tensor) { return ones({3}, DType::float64); };
  CHECK(near(jacobian(constant, x), zeros({3, 2}, DType::float64)) == "");
  CHECK(near(jvp(constant, x, y).second, zeros({3}, DType::float64)) == "");
  CHECK(near(jvp([](Tensor t) { return sign(t); }, x, y).second, zeros({2}, DType::float64)) == "");
}

TEST_CASE("a tensor given twice, or captured as well, counts once for each place", "[func]") {
  Tensor x = vec({2, 3}).requires_grad_();
  auto product = [](Tensor a, Tensor b) { return sum(a * b); };
  for (bool create_graph : {false, true}) {
    Tensors g = vjp(product, {x, x}, {}, {.create_graph = create_graph}).second;
    CHECK(near(g[0], x.detach()) == "");
    CHECK(near(g[1], x.detach()) == "");
    CHECK(near(vjp([&](Tensor t) { return sum(t * x); }, x, {}, {.create_graph = create_graph}).second, x.detach()) ==
          "");
  }
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("results can be differentiated with create_graph", "[func]") {
  Tensor x = vec({0.3, 0.7}).requires_grad_(), v = vec({1, -2}).requires_grad_();
  auto cube = [](Tensor t) { return t * t * t; };
  auto [y, dy] = jvp(cube, x, v, {.create_graph = true});  // 3 x² v
  Tensors g = grad({sum(dy)}, {x, v}, {.create_graph = true});
  CHECK(near(g[0].detach(), (6 * x * v).detach()) == "");
  CHECK(near(g[1].detach(), (3 * x * x).detach()) == "");
  CHECK(near(grad(sum(g[0]), x), (6 * v).detach()) == "");

  // Gradients of what f captures flow too: d/dw of the Jacobian of w x.
  Tensor w = vec({5, 6}).requires_grad_(), p = vec({1, 2});
  Tensor j = jacobian([&](Tensor t) { return w * t; }, p, {.create_graph = true});
  CHECK(near(grad(sum(j * j), w), (2 * w).detach()) == "");
}

TEST_CASE("the Hessian of a quadratic form is A + Aᵀ", "[func]") {
  Generator g(2);
  Tensor a = randn({4, 4}, g, DType::float64), x = randn({4}, g, DType::float64), v = randn({4}, g, DType::float64);
  auto q = [&](Tensor t) { return dot(t, matmul(a, t)); };
  Tensor h = a + a.t();
  CHECK(near(hessian(q, x), h) == "");
  CHECK(near(hvp(q, x, v).second, matmul(h, v)) == "");
  CHECK(near(vhp(q, x, v).second, matmul(v, h)) == "");
  CHECK(near(hvp(q, x, v).first, dot(x, matmul(a, x))) == "");
  CHECK(near(hessian([](Tensor t) { return sum(t); }, x), zeros({4, 4}, DType::float64)) == "");
}

TEST_CASE("Rosenbrock's gradient, Hessian and Newton step", "[func]") {
  Tensor x = vec({-1.2, 1});
  CHECK(near(vjp(rosenbrock, x).second, vec({-215.6, -88})) == "");
  CHECK(near(hessian(rosenbrock, x), f64({1330, 480, 480, 200}, {2, 2})) == "");
  CHECK(near(hessian(rosenbrock, vec({1, 1})), f64({802, -400, -400, 200}, {2, 2})) == "");
  CHECK(near(vjp(rosenbrock, vec({1, 1, 1, 1})).second, zeros({4}, DType::float64)) == "");
}

TEST_CASE("the Jacobian's shape is the output's and then the input's", "[func]") {
  Generator g(3);
  Tensor x = randn({2, 3}, g, DType::float64);
  auto f = [](Tensor t) { return exp(t).t(); };
  Tensor j = jacobian(f, x);
  REQUIRE(j.shape() == Shape{3, 2, 2, 3});
  Tensor y = exp(x);
  for (int64_t a = 0; a < 3; ++a) {
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t c = 0; c < 2; ++c) {
        for (int64_t d = 0; d < 3; ++d) {
          double want = a == d && b == c ? y[{b, a}].item() : 0;
          CHECK(j[{a, b, c, d}].item() == want);
        }
      }
    }
  }
  CHECK(jacobian([](Tensor t) { return sum(t); }, x).shape() == Shape{2, 3});
  CHECK(hessian([](Tensor t) { return sum(t * t); }, x).shape() == Shape{2, 3, 2, 3});
  CHECK(jacobian(f, zeros({0, 3})).shape() == Shape{3, 0, 0, 3});
  CHECK(jacobian(f, x.t()).shape() == Shape{2, 3, 3, 2});  // a strided input
  CHECK(jacobian([](Tensor t) { return t * t; }, Tensor(3.0)).item() == 6);
}

TEST_CASE("Hessian blocks of several inputs", "[func]") {
  Tensor x = vec({1, 2}), y = vec({3, 4});
  auto h = hessian([](Tensor a, Tensor b) { return sum(a * a * b); }, {x, y});
  CHECK(near(h[0][0], f64({6, 0, 0, 8}, {2, 2})) == "");
  CHECK(near(h[0][1], f64({2, 0, 0, 4}, {2, 2})) == "");
  CHECK(near(h[1][0], f64({2, 0, 0, 4}, {2, 2})) == "");
  CHECK(near(h[1][1], zeros({2, 2}, DType::float64)) == "");
  auto [value, product] = hvp([](Tensor a, Tensor b) { return sum(a * a * b); }, {x, y}, {y, x});
  CHECK(near(product[0], vec({6 * 3 + 2 * 1, 8 * 4 + 4 * 2})) == "");
  CHECK(near(product[1], vec({2 * 3, 4 * 4})) == "");
}

TEST_CASE("jvp works through a network and agrees with its Jacobian, third derivatives included", "[func]") {
  Generator g(4);
  Tensor w = randn({5, 3}, g, DType::float64), x = randn({2, 3}, g, DType::float64),
         v = randn({2, 3}, g, DType::float64);
  auto net = [&](Tensor t) { return log_softmax(tanh(linear(t, w)), 1); };
  Tensor j = jacobian(net, x).reshape({10, 6});
  CHECK(near(jvp(net, x, v).second.reshape({10}), matmul(j, v.reshape({6}))) == "");

  auto directional = [&](Tensor t) { return jvp(net, t, v, {.create_graph = true}).second; };
  auto along = [&](double h) { return net(x + v * h); };
  double h = 1e-4;
  Tensor second = (along(h) - 2 * along(0) + along(-h)) / (h * h);
  CHECK(amax(abs(jvp(directional, x, v).second - second)).item() < 1e-5);
}

TEST_CASE("derivatives under NoGrad are computed all the same", "[func]") {
  NoGrad off;
  CHECK(jacobian([](Tensor t) { return t * t; }, Tensor(3.0)).item() == 6);
  CHECK(hvp([](Tensor t) { return t * t * t; }, Tensor(2.0), Tensor(1.0)).second.item() == 12);
}

TEST_CASE("what derivatives refuse, and in which words", "[func]") {
  Tensor x = vec({1, 2}), i = tensor({1, 2});
  auto same = [](Tensor t) { return t; };
  CHECK_THROWS_AS(jvp(same, i, i), DTypeError);
  CHECK_THROWS_WITH(jvp(same, i, i), "jvp: input 0 is int64, which has no derivative");
  CHECK_THROWS_AS(hessian(same, i), DTypeError);
  CHECK_THROWS_WITH(jacobian([](Tensor t) { return t > 0; }, x), "jacobian: output 0 is bool, which has no derivative");
  CHECK_THROWS_WITH(jvp(same, x, vec({1})), "jvp: v has shape (1,) for input 0 of shape (2,)");
  CHECK_THROWS_WITH(jvp(same, {x, x}, {x}), ContainsSubstring("v has 1 tensors for 2 inputs"));
  CHECK_THROWS_WITH(vjp(same, x, vec({1})), "vjp: v has shape (1,) for output 0 of shape (2,)");
  CHECK_THROWS_WITH(vjp(same, x), "vjp: f must return a single number, not shape (2,)");
  CHECK_THROWS_WITH(hessian(same, x), "hessian: f must return a single number, not shape (2,)");
  CHECK_THROWS_AS(hvp(same, x, x), ShapeError);
  CHECK_THROWS_WITH(jacobian(same, {x, x}), "a function of 1 tensors was given 2");
  CHECK_THROWS_WITH(jvp([](Tensor t) { return Tensors{t, t}; }, x, x), ContainsSubstring("f returns 2 tensors"));
}
