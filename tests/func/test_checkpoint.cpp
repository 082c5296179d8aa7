// # checkpoint: the same gradients with less memory
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "tensor/allocator.hpp"

using namespace cr;
using cr::test::difference;

namespace {

struct Layer {
  Tensor weight, bias;
  Layer(int64_t n, Generator& g)
      : weight((randn({n, n}, g) * 0.3).requires_grad_()), bias((randn({n}, g) * 0.1).requires_grad_()) {}
  Tensor operator()(const Tensor& x) const { return tanh(linear(x, weight, bias)) * x; }
};

Tensor dropout_by(const Tensor& x, Generator& g) { return x * (rand(x.shape(), g) > 0.5).to(x.dtype()) * 2; }

// Bytes in use now: what the allocator holds once nothing is cached.
int64_t bytes_in_use() {
  allocator::release_cached();
  return allocator::stats().reserved_bytes;
}

}  // namespace

TEST_CASE("checkpointing changes no bit of value or gradient", "[func]") {
  Generator g(1);
  Layer a(8, g), b(8, g);
  Tensor x = randn({4, 8}, g).requires_grad_();
  auto part = [&](Tensor t) { return b(a(t)); };
  auto gradients = [&](const Tensor& y) { return grad({sum(square(y))}, {x, a.weight, a.bias, b.weight, b.bias}); };
  Tensor plain = part(x), again = checkpoint(part, x);
  CHECK(difference(again.detach(), plain.detach()) == "");
  auto want = gradients(plain), got = gradients(again);
  for (size_t i = 0; i < want.size(); ++i) CHECK(difference(got[i], want[i]) == "");

  sum(square(checkpoint(part, x))).backward();  // into the leaves, captured ones included
  CHECK(difference(a.weight.grad(), want[1]) == "");
  CHECK(difference(x.grad(), want[0]) == "");
}

TEST_CASE("checkpoints in a chain, nested, and of several inputs and outputs", "[func]") {
  Generator g(2);
  Layer a(6, g), b(6, g), c(6, g);
  Tensor x = randn({3, 6}, g).requires_grad_(), s = randn({6}, g).requires_grad_();
  Tensors wanted{x, s, a.weight, b.weight, c.weight};
  auto split = [&](Tensor t, Tensor u) { return Tensors{a(t) * u, t + u}; };
  auto plain = [&] {
    auto y = split(x, s);
    return sum(c(b(y[0])) * y[1]);
  };
  int calls = 0;
  auto inner = [&](Tensor t) { return ++calls, b(t); };
  auto nested = [&] {
    auto y = checkpoint(split, x, s);
    Tensor z = checkpoint([&](Tensor t) { return c(checkpoint(inner, t)); }, y[0]);
    return sum(z * y[1]);
  };
  auto want = grad({plain()}, wanted);
  auto got = grad({nested()}, wanted);
  for (size_t i = 0; i < want.size(); ++i) CHECK(difference(got[i], want[i]) == "");
  CHECK(calls == 3);  // forward; with the outer part again; and once more for its own values
  auto by_vector = checkpoint([&](const Tensors& t) { return split(t[0], t[1]); }, Tensors{x, s});
  CHECK(by_vector.size() == 2);
}

TEST_CASE("higher derivatives pass through a checkpoint", "[func]") {
  Generator g(3);
  Tensor w = randn({4, 4}, g, DType::float64).requires_grad_(), x = randn({2, 4}, g, DType::float64);
  auto plain = [&](Tensor t) { return sigmoid(matmul(tanh(matmul(t, w)), w)); };
  auto saved = [&](Tensor t) { return checkpoint(plain, t); };
  CHECK(gradcheck(saved, {x}));
  CHECK(gradgradcheck(saved, {x}));
  auto penalty = [&](const TensorFunction& f) {
    Tensor t = x.detach().requires_grad_();
    Tensor first = grad(sum(f({t})[0]), t, {.create_graph = true});
    return grad({sum(square(first))}, {w, t}, {.create_graph = true});
  };
  auto want = penalty(plain), got = penalty(saved);
  CHECK(difference(got[0].detach(), want[0].detach()) == "");
  CHECK(difference(got[1].detach(), want[1].detach()) == "");
  CHECK(difference(grad(sum(square(got[0])), w), grad(sum(square(want[0])), w)) == "");
  CHECK(difference(hessian([&](Tensor t) { return sum(saved(t)); }, x),
                   hessian([&](Tensor t) { return sum(plain(t)); }, x)) == "");
}

TEST_CASE("a part may differentiate inside itself", "[func]") {
  Generator g(4);
  Tensor w = randn({3}, g).requires_grad_(), x = randn({3}, g).requires_grad_();
  auto slope = [&](Tensor t) { return grad(sum(exp(t * w)), t, {.create_graph = true}); };  // w e^(t w)
  Tensors want = grad({sum(slope(x))}, {x, w}), got = grad({sum(checkpoint(slope, x))}, {x, w});
  CHECK(difference(got[0], want[0]) == "");
  CHECK(difference(got[1], want[1]) == "");
}

TEST_CASE("random numbers are the same the second time, and generators stay where they are", "[func]") {
  for (bool nested : {false, true}) {
    Generator one(7), two(7);
    Generator g(5);
    Layer a(16, g);
    Tensor x = randn({4, 16}, g).requires_grad_();
    auto noisy = [&](Generator& r) {
      return [&](Tensor t) {
        Tensor u = dropout_by(a(t), r) * r.uniform();
        auto deeper = [own = r.split(1)](Tensor v) {  // by value: it is called again when this scope is long gone
          Generator g = own;
          return dropout_by(tanh(v), g);
        };
        u = nested ? checkpoint(deeper, u) : deeper(u);
        return exp(dropout_by(u, r)) * r.normal();
      };
    };
    Tensor plain = noisy(one)(x), again = checkpoint(noisy(two), x);
    CHECK(difference(again.detach(), plain.detach()) == "");
    float next = one.uniform();
    Tensors want = grad({sum(plain)}, {x, a.weight}), got = grad({sum(again)}, {x, a.weight});
    CHECK(difference(got[0], want[0]) == "");
    CHECK(difference(got[1], want[1]) == "");
    CHECK(two.uniform() == next);  // backward has not moved it
  }
}

TEST_CASE("a checkpoint keeps inputs only, and gives back what it computed again", "[func]") {
  if (!allocator::caches()) SKIP("this build's allocator does not count");
  const int64_t n = 256, layers = 12, activation = n * n * 4;
  Generator g(6);
  Tensor w = (randn({n, n}, g) * 0.05).requires_grad_(), x = randn({n, n}, g).requires_grad_();
  auto layer = [&](Tensor t) { return tanh(matmul(t, w)); };
  auto part = [&](Tensor t) {
    for (int i = 0; i < 4; ++i) t = layer(t);
    return t;
  };
  auto forward = [&](bool save) {
    Tensor t = x;
    for (int64_t i = 0; i < layers / 4; ++i) t = save ? checkpoint(part, t) : part(t);
    return t;
  };
  int64_t before = bytes_in_use();
  Tensor y = forward(false);
  int64_t plain = bytes_in_use() - before;
  y = {};
  y = forward(true);
  int64_t checkpointed = bytes_in_use() - before;
  CHECK(plain >= layers * activation);
  CHECK(checkpointed < (layers / 4 + 1) * activation);  // three parts' inputs, less x itself, and y

  // Within a run that keeps the graph, recomputed values are dropped at its end.
  auto once = grad({y}, {x}, {.grad_outputs = {y.detach()}, .retain_graph = true});
  once = {};
  CHECK(bytes_in_use() - before < (layers / 4 + 1) * activation);

  // Without, each part's go as soon as the part is done: a hook in the middle sees the later part's gone.
  int64_t seen = 0;
  Tensor h = checkpoint(part, checkpoint(part, x));
  Tensor z = checkpoint(part, h);
  h.register_hook([&](const Tensor&) {
    seen = bytes_in_use() - before;
    return Tensor();
  });
  y = {};
  grad({sum(z)}, {x});
  CHECK(seen < 8 * activation);
}

TEST_CASE("a checkpoint notices when it cannot compute the same again", "[func]") {
  Tensor x = ones({3}).requires_grad_(), w = ones({3}).requires_grad_();
  auto f = [&](Tensor t) { return exp(t * w); };
  auto run = [&](auto change, auto make) {
    Tensor h = x * 2, y = make(h);
    change(h);
    sum(y).backward();
  };
  auto plain = [&](Tensor h) { return checkpoint(f, h); };
  CHECK_THROWS_WITH(run([](Tensor h) { h.mul_(2); }, plain),
                    ContainsSubstring("checkpoint: argument 0 of shape (3,) has been changed in place by mul_"));
  CHECK_THROWS_WITH(run(
                        [&](Tensor) {
                          NoGrad off;
                          w.mul_(2);
                        },
                        plain),
                    ContainsSubstring("overwritten by mul_"));
  int times = 0;
  auto moody = [&](Tensor h) { return checkpoint([&](Tensor t) { return ++times % 2 ? exp(exp(t)) : exp(t); }, h); };
  CHECK_THROWS_WITH(run([](Tensor) {}, moody), ContainsSubstring("it must do the same both times"));
  auto grows = [&](Tensor h) { return checkpoint([&](Tensor t) { return ++times % 2 ? exp(t) : exp(exp(t)); }, h); };
  times = 0;
  CHECK_THROWS_AS(run([](Tensor) {}, grows), AutogradError);
  int draws = 0;
  Generator g(1);
  auto draws_more = [&](Tensor h) {
    return checkpoint([&](Tensor t) { return exp(t) * (draws++ ? g.uniform() : 1.f); }, h);
  };
  CHECK_THROWS_WITH(run([](Tensor) {}, draws_more), ContainsSubstring("random numbers"));
  CHECK_THROWS_AS(checkpoint([](Tensor t) { return t * ones({5}); }, x), ShapeError);  // f's own errors pass through
  {
    NoGrad off;
    CHECK_FALSE(checkpoint(f, x).requires_grad());
  }
  CHECK_FALSE(checkpoint([](Tensor t) { return t * 2; }, ones({3})).requires_grad());
}

TEST_CASE("two threads may go back through one checkpoint", "[func]") {
  Generator g(8);
  Tensor x = randn({64, 64}, g).requires_grad_();
  Tensor h = checkpoint([](Tensor t) { return tanh(exp(t * 0.1) * t); }, x);
  Tensor want = grad(h, x, {.grad_outputs = {ones_like(h)}, .retain_graph = true});
  Tensor got[2];
  backend::parallel_for(
      2, [&](int64_t i) { got[i] = grad(h, x, {.grad_outputs = {ones_like(h)}, .retain_graph = true}); });
  CHECK(difference(got[0], want) == "");
  CHECK(difference(got[1], want) == "");
}
