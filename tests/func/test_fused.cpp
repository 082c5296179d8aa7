// # fused: one node, one pass, the same numbers
#include <cmath>

#include "backend/cpu/cpu_features.hpp"
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"

using namespace cr;
using cr::test::difference;

namespace {

constexpr auto kReluMulAdd = [](auto a, auto b) { return relu(a * b + a); };

// Every word of the vocabulary. Called on tensors it gives what the fused loop must give.
constexpr auto kEverything = [](auto a, auto b, double s) {
  auto p = square(a) + 0.5;
  auto q = exp(-abs(b)) * tanh(a) - sigmoid(b * s) / p;
  auto r = log(p) + sqrt(p) * sin(a) - cos(b) + pow(p, 1.5) - pow(a, 3);
  auto t = where(a > b, q, r) + where(a <= 0.25, maximum(a, b), minimum(a * 2, b));
  return t + clamp(a, -0.5, 0.75) * neg(b) + 2 / p - (1 - relu(b)) * sign(a) + where(a == b, a, b - 1) + 3 * a / 2;
};

Tensor random(const Shape& shape, DType type = DType::float64, uint64_t seed = 1) {
  Generator g(seed);
  return randn(shape, g, type);
}

template <class F, class... A> Tensors gradients(F&& f, const Tensors& x, const A&... numbers) {
  Tensor y = f(x, numbers...);
  Generator g(9);
  return grad({y}, x, {.grad_outputs = {randn(y.shape(), g, y.dtype())}});
}

}  // namespace

TEST_CASE("fused values are those of the operations, to the last bit", "[func]") {
  for (DType type : {DType::float32, DType::float64}) {
    for (int64_t n : {0, 1, 63, 64, 65, 1000, 200'000}) {
      Tensor a = random({n}, type, 1), b = random({n}, type, 2);
      CHECK(difference(fused(kReluMulAdd, a, b), relu(a * b + a)) == "");
      CHECK(difference(fused(kEverything, a, b, 0.7), kEverything(a, b, 0.7)) == "");
    }
  }
}

TEST_CASE("fused takes any layout that operations take", "[func]") {
  Tensor a = random({6, 5}), b = random({5}, DType::float64, 2), c = random({6, 1}, DType::float64, 3);
  struct Case {
    Tensor x, y;
  };
  std::vector<Case> cases{{a, b},
                          {b, a},
                          {a, c},
                          {a.t(), c.t().slice(1, {1, 6}).t()},
                          {a.slice(1, {0, 5, 2}), a.slice(1, {2, 5})},
                          {random({6, 1}), random({1, 5})},
                          {a[{0, 0}], a[{1, 1}]},
                          {a, a[{0, 0}]},
                          {a.narrow(0, 0, 0), b},
                          {a.slice(0, {1, 2}).expand({6, 5}), a},
                          {random({2, 1, 3, 1}), random({4, 1, 70})}};
  cases[3] = {a.t(), random({6})};
  for (Case& k : cases) {
    Tensor x = k.x.detach().requires_grad_(), y = k.y.detach().requires_grad_();
    auto in_one = [](const Tensors& t) { return fused(kEverything, t[0], t[1], 0.7); };
    auto in_many = [](const Tensors& t) { return kEverything(t[0], t[1], 0.7); };
    CHECK(difference(in_one({x, y}).detach(), in_many({x, y}).detach()) == "");
    Tensors one = gradients(in_one, {x, y}), many = gradients(in_many, {x, y});
    CHECK(difference(one[0], many[0], 8, 64) == "");
    CHECK(difference(one[1], many[1], 8, 64) == "");
  }
  CHECK_THROWS_WITH(fused(kReluMulAdd, zeros({3}), zeros({4})), ContainsSubstring("fused"));
  CHECK_THROWS_AS(fused(kReluMulAdd, zeros({3}), zeros({4})), ShapeError);
}

TEST_CASE("fused derivatives of first, second and third order", "[func]") {
  Tensor a = random({3, 4}) * 0.8, b = random({4}, DType::float64, 2);
  auto smooth = [](Tensor x, Tensor y) {
    return fused([](auto p, auto q, int n) { return tanh(p * q) * exp(p / (square(q) + n)) - sigmoid(p) * sin(q); }, x,
                 y, 2);
  };
  auto composed = [](Tensor x, Tensor y) { return tanh(x * y) * exp(x / (square(y) + 2)) - sigmoid(x) * sin(y); };
  CHECK(gradcheck(smooth, {a, b}));
  CHECK(gradgradcheck(smooth, {a, b}));
  auto third = [&](const TensorFunction& f) {
    return hessian(
        [&](const Tensors& t) {
          return sum(hvp([&](const Tensors& u) { return sum(f(u)[0]); }, t, {a, b}, {.create_graph = true}).second[0]);
        },
        {a, b});
  };
  auto one = third(smooth), many = third(composed);
  CHECK(difference(one[0][1], many[0][1], 16, 500) == "");
  CHECK(gradcheck([](Tensor x, Tensor y) { return fused(kEverything, x, y, 0.7); }, {a, b}));
}

TEST_CASE("a tensor given twice to fused gets each gradient once", "[func]") {
  Tensor x = random({5}).requires_grad_();
  auto product = [](auto a, auto b) { return a * a * b; };
  for (bool create_graph : {false, true}) {
    Tensor g = grad(sum(fused(product, x, x)), x, {.create_graph = create_graph});
    CHECK(difference(g.detach(), (3 * x * x).detach(), 4) == "");
    if (create_graph) CHECK(difference(grad(sum(g), x), (6 * x).detach(), 4) == "");
  }
}

TEST_CASE("only gradients that are wanted are computed, and constants have none", "[func]") {
  Tensor x = random({5}).requires_grad_(), c = random({5}, DType::float64, 2);
  Tensor y = fused([](auto a, auto b, float s) { return a * b * s; }, x, c, 3.f);
  CHECK(std::string(y.grad_fn()) == "fused");
  CHECK(difference(grad(sum(y), x), c * 3, 1) == "");
  CHECK_FALSE(fused(kReluMulAdd, c, c).requires_grad());
  Tensor flat = fused([](auto a) { return sign(a) * 0 + 1; }, x);
  CHECK(difference(grad(sum(flat), x), zeros({5}, DType::float64)) == "");
}

TEST_CASE("what an argument does not touch stays out of its gradient", "[func]") {
  // y = b ln a at a = 0: dy/da is ∞, and dy/db is −∞, where a careless 0 · ∞ would give NaN.
  Tensor a = zeros({1}).requires_grad_(), b = ones({1}).requires_grad_();
  Tensors g = grad({fused([](auto p, auto q) { return q * log(p); }, a, b)}, {a, b});
  CHECK(g[0].item() == HUGE_VAL);
  CHECK(g[1].item() == -HUGE_VAL);
  Tensor safe = fused([](auto p) { return where(p > 0, log(p), p); }, a);
  CHECK(grad(safe, a).item() == 1);
}

TEST_CASE("kinks and special values are the operations'", "[func]") {
  double inf = HUGE_VAL, nan = NAN;
  Tensor a = test::from_numbers({0, -0.0, 1, 1, nan, inf, -inf, 0.75, -0.5}, {9}, DType::float32);
  Tensor b = test::from_numbers({0, 0, 1, 2, 1, -inf, inf, 0.75, 0.5}, {9}, DType::float32);
  auto same = [&](auto f) {
    Tensor x = a.detach().requires_grad_(), y = b.detach().requires_grad_();
    Tensor one = fused(f, x, y), many = f(x, y);
    CHECK(difference(one.detach(), many.detach()) == "");
    auto g = [&](const Tensor& z) { return grad({sum(z)}, {x, y}, {.allow_unused = true}); };
    Tensors p = g(one), q = g(many);
    for (size_t i = 0; i < 2; ++i) CHECK(difference(p[i], q[i].defined() ? q[i] : zeros({9}), 1) == "");
  };
  same([](auto p, auto) { return relu(p); });
  same([](auto p, auto) { return abs(p); });
  same([](auto p, auto) { return clamp(p, -0.5, 0.75); });
  same([](auto p, auto q) { return where(p >= q, p, q); });
  same([](auto p, auto) { return sqrt(p); });
  a[4] = 2;
  same([](auto p, auto q) { return maximum(p, q); });
  same([](auto p, auto q) { return minimum(p, q); });
}

TEST_CASE("types: float32 and float64 promote, others are refused", "[func]") {
  Tensor x = random({3}, DType::float32), y = random({3}), s = random({});
  CHECK(fused(kReluMulAdd, x, y).dtype() == DType::float64);
  CHECK(fused(kReluMulAdd, x, s).dtype() == DType::float32);
  Tensor w = x.detach().requires_grad_();
  CHECK(grad(sum(fused(kReluMulAdd, w, y)), w).dtype() == DType::float32);
  CHECK_THROWS_AS(fused(kReluMulAdd, x, tensor({1, 2, 3})), DTypeError);
  CHECK_THROWS_WITH(fused(kReluMulAdd, x, tensor({1, 2, 3})),
                    "fused: tensor 1 is int64; it takes float32 and float64, convert with to()");
  CHECK_THROWS_AS(fused(kReluMulAdd, x > 0, x), DTypeError);
}

TEST_CASE("a value that fused needs and that was overwritten is noticed", "[func]") {
  Tensor x = random({3}).requires_grad_(), h = x * 1;
  Tensor y = fused(kReluMulAdd, h, h);
  h.mul_(2);
  CHECK_THROWS_WITH(sum(y).backward(), ContainsSubstring("fused: a value of shape (3,)"));
}

TEST_CASE("fused gives the same bits for any number of threads and on any instruction set", "[func]") {
  Tensor a = random({300, 1000}, DType::float32), b = random({1000}, DType::float32, 2);
  auto run = [&] {
    Tensor x = a.detach().requires_grad_(), y = b.detach().requires_grad_();
    Tensor z = fused([](auto p, auto q) { return tanh(p * q) + sigmoid(p); }, x, y);
    Tensors g = grad({sum(z * z)}, {x, y});
    return Tensors{z.detach(), g[0], g[1]};
  };
  Threads threads(1);
  InstructionSet best;
  Tensors want = run();
  backend::set_num_threads(2);
  backend::cpu::set_isa(backend::cpu::Isa::base);
  Tensors got = run();
  for (size_t i = 0; i < want.size(); ++i) CHECK(difference(got[i], want[i]) == "");
}

#if CHAINRULE_SIMT
TEST_CASE("a device that never compiled the lambda runs its operations", "[func]") {
  Tensor a = random({5}, DType::float32).to(Device::simt).requires_grad_();
  Tensor y = fused(kReluMulAdd, a, a);
  CHECK(y.device() == Device::simt);
  CHECK(std::string(y.grad_fn()) == "relu");
  Tensor x = a.detach().to(Device::cpu).requires_grad_();
  CHECK(difference(grad(sum(y), a).to(Device::cpu), grad(sum(fused(kReluMulAdd, x, x)), x), 1) == "");
  CHECK_THROWS_AS(fused(kReluMulAdd, a, x), DeviceError);
}
#endif

TEST_CASE("dual numbers by themselves", "[func]") {
  Dual<float, 2> y = kReluMulAdd(Dual<float, 2>{3, {1, 0}}, Dual<float, 2>{2, {0, 1}});
  CHECK(y.value == 9);
  CHECK(y.slope[0] == 3);
  CHECK(y.slope[1] == 3);
}
