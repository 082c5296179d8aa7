// What a careful reader tried in order to break the library. Each case once gave a wrong number or a crash.
#include <thread>

#include "catch.hpp"
#include "chainrule.hpp"
#include "contains.hpp"

using namespace cr;

static void same(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  CHECK(amax(abs(a - b)).item() == 0);
}

TEST_CASE("a write through a view made under NoGrad reaches the gradient", "[edges]") {
  Tensor x = tensor({1.0, 1.0}).requires_grad_();
  Tensor y = x * 2, v;
  {
    NoGrad no_grad;
    v = y[0];
  }
  v.mul_(5);
  y.sum().backward();
  same(x.grad(), tensor({10.0, 2.0}));
}

TEST_CASE("leaves do not share a gradient", "[edges]") {
  Tensor x = ones({3}).requires_grad_(), y = ones({3}).requires_grad_();
  square(x + y).sum().backward({}, false, true);
  {
    NoGrad no_grad;
    x.grad().mul_(10);
  }
  same(x.grad(), full({3}, 40));
  same(y.grad(), full({3}, 4));
  x.set_grad({});  // recorded gradients lead back to their leaves
  y.set_grad({});
}

TEST_CASE("gradients of another type, device or layout are refused or copied", "[edges]") {
  Tensor x = ones({3}).requires_grad_();
  CHECK_THROWS_AS(x.set_grad(ones({3}, DType::float64)), DTypeError);
  CHECK_THROWS_AS(x.set_grad(ones({3}, DType::boolean)), DTypeError);
  x.set_grad(ones({1}).expand({3}));
  (x * 2).sum().backward();
  same(x.grad(), full({3}, 3));

  Tensor h = ones({3}).requires_grad_();
  h.register_hook([](const Tensor& g) { return g.to(DType::float64); });
  CHECK_THROWS_AS((h * 2).sum().backward(), DTypeError);
}

TEST_CASE("a hook may register hooks", "[edges]") {
  Tensor x = ones({2}).requires_grad_();
  int calls = 0;
  x.register_hook([&](const Tensor& g) {
    for (int i = 0; i < 50; ++i) {
      x.register_hook([&](const Tensor&) {
        ++calls;
        return Tensor();
      });
    }
    return g * 2;
  });
  (x * 3).sum().backward();
  same(x.grad(), full({2}, 6));
  CHECK(calls == 0);
}

TEST_CASE("an undefined tensor is an error, not a crash", "[edges]") {
  Tensor nothing, x = ones({2}).requires_grad_();
  CHECK_THROWS_AS(x + nothing, Error);
  CHECK_THROWS_AS(x.grad() * 0.1, Error);
  CHECK_THROWS_AS(nothing.requires_grad(), Error);
  CHECK_THROWS_AS(nothing.clone(), Error);
  CHECK_THROWS_AS(ones({2}).sub_(nothing), Error);
  CHECK_THROWS_AS(nn::Linear{}(x), Error);
  CHECK_THROWS_AS(data::Dataset{}.size(), Error);
  CHECK_THROWS_AS(Tensor(1.0).size(0), IndexError);
}

TEST_CASE("integers stay exact beyond 2^53", "[edges]") {
  const int64_t big = (int64_t{1} << 53) + 1;
  Tensor x = arange(big, big + 3);
  CHECK(x[0].item<int64_t>() == big);
  CHECK(x[2].item<int64_t>() == big + 2);
  CHECK(arange(INT64_MIN, INT64_MAX, INT64_MAX).numel() == 3);
  CHECK(to_string(tensor(INT64_MAX)) == "tensor(9223372036854775807)");
  CHECK(linspace(0.1, 0.7, 8, DType::float64)[7].item() == 0.7);
  CHECK(tensor({0.5, 0.0}, DType::boolean)[0].item<bool>());
}

TEST_CASE("scalars have one index", "[edges]") {
  CHECK_THROWS_AS(gather(Tensor(3.0), 0, tensor(7)), IndexError);
  CHECK(gather(Tensor(3.0), 0, tensor(0)).item() == 3);
  CHECK_THROWS_AS(argmax(Tensor(3.0), 2), IndexError);
  CHECK_THROWS_AS(softmax(Tensor(3.0), 2), IndexError);
}

TEST_CASE("borrowed memory without an owner's function is not freed", "[edges]") {
  std::vector<float> numbers(1000, 1.f);
  Storage::wrap(numbers.data(), 4000, Device::cpu, nullptr, nullptr);
  Tensor a = full({1000}, 2), b = full({1000}, 3);
  same(a, full({1000}, 2));
  CHECK(numbers[999] == 1.f);
}

struct Tied {
  Tensor a = ones({1}).requires_grad_(), b = a;
  CR_FIELDS(a, b)
};

TEST_CASE("tied weights are one parameter", "[edges]") {
  Tied model;
  CHECK(parameters(model).size() == 1);
  optim::SGD sgd(parameters(model), {.lr = 1});
  (model.a + 2 * model.b).sum().backward();
  sgd.step();
  CHECK(model.a.item() == -2);
  Tied copy = clone(model);
  CHECK(copy.a.impl() == copy.b.impl());
  CHECK(copy.a.impl() != model.a.impl());
  CHECK_THROWS_AS(optim::SGD({model.a, model.b}, {}), AutogradError);
}

TEST_CASE("an optimiser takes no state that does not fit", "[edges]") {
  Tensor p = ones({1000}).requires_grad_();
  optim::SGD sgd({p}, {.momentum = 0.9});
  auto changed = [](std::map<std::string, Tensor> state, const std::string& name, const Tensor& t) {
    state[name] = t;
    return state;
  };
  CHECK_THROWS_AS(sgd.load_state_dict({{"steps", tensor({1})}}), Error);  // without options
  CHECK_THROWS_AS(sgd.load_state_dict(changed(sgd.state_dict(), "momentum.0", ones({1000}, DType::boolean))),
                  DTypeError);
  optim::Adam adam({p});
  CHECK_THROWS_WITH(adam.load_state_dict(changed(adam.state_dict(), "exp_avg.0", ones({1000}))),
                    ContainsSubstring("incomplete"));
  CHECK_THROWS_WITH(adam.load_state_dict(changed(adam.state_dict(), "steps", tensor({-1}))),
                    ContainsSubstring("incomplete"));
  p.sum().backward();
  adam.step();
  CHECK(p[0].item() < 1);
}

TEST_CASE("a node may have more than 65535 inputs", "[edges]") {
  Tensor x = ones({1}).requires_grad_();
  {
    Tensor joined = cat(std::vector<Tensor>(70000, x));
    joined.sum().backward();
    CHECK(x.grad().item() == 70000);
  }
  Node* leaf = node_of(x);
  CHECK(leaf->use_count() == 1);
}

TEST_CASE("a small probability of error still costs something", "[edges]") {
  double loss = binary_cross_entropy_with_logits(tensor({20.0}), tensor({1.0})).item();
  CHECK(loss == Approx(2.061153622e-9).epsilon(1e-5));
}

#if CHAINRULE_THREADS
TEST_CASE("several threads may read one view and differentiate through one fresh leaf", "[edges]") {
  for (int round = 0; round < 200; ++round) {
    Tensor x = ones({2, 3}).requires_grad_(), view = x.t();
    {
      NoGrad no_grad;
      x.fill_(2);
    }
    auto work = [&] { (view * 3).sum().backward({}, true); };
    std::thread other(work);
    work();
    other.join();
    same(x.grad(), full({2, 3}, 6));
  }
}
#endif
