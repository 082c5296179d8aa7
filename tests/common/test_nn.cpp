// # Models and optimisers
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "chainrule.hpp"
#include "contains.hpp"
#include "compare.hpp"

using namespace cr;
using cr::test::numbers_of;
using nlohmann::json;

namespace {

struct Block {
  nn::Linear first, second;
  double slope = 0.5;  // a field without tensors
  Tensor operator()(const Tensor& x) const { return second(tanh(first(x)) * slope); }
  CR_FIELDS(first, second, slope)
};

struct Model {
  std::vector<Block> blocks;
  nn::Linear out;
  Tensor running_mean;  // a buffer: no gradient
  Tensor operator()(Tensor x) const {
    for (const Block& block : blocks) x = block(x);
    return out(x - running_mean);
  }
  CR_FIELDS(blocks, out, running_mean)
};

Model make_model(uint64_t seed) {
  Generator g(seed);
  Model m;
  for (int i = 0; i < 2; ++i) m.blocks.push_back({nn::Linear(3, 4, g), nn::Linear(4, 3, g)});
  m.out = nn::Linear(3, 2, g, false);
  m.running_mean = full({3}, 0.25);
  return m;
}

std::vector<std::string> names_of(const StateDict& state) {
  std::vector<std::string> names;
  for (auto& [name, t] : state) names.push_back(name);
  return names;
}

Tensor probe() { return linspace(-1, 1, 6).reshape({2, 3}); }

}  // namespace

TEST_CASE("fields have PyTorch's names", "[nn]") {
  Model m = make_model(1);
  CHECK(names_of(state_dict(m)) ==
        std::vector<std::string>{"blocks.0.first.bias", "blocks.0.first.weight", "blocks.0.second.bias",
                                 "blocks.0.second.weight", "blocks.1.first.bias", "blocks.1.first.weight",
                                 "blocks.1.second.bias", "blocks.1.second.weight", "out.weight", "running_mean"});
  CHECK(parameters(m).size() == 9);
  CHECK(parameters(m)[0].impl() == m.blocks[0].first.weight.impl());  // in the order of the fields
  CHECK(parameters(m)[8].impl() == m.out.weight.impl());
}

TEST_CASE("state_dict goes round", "[nn]") {
  Model a = make_model(1), b = make_model(2);
  CHECK_FALSE(test::difference(a(probe()), b(probe())).empty());
  load_state_dict(b, state_dict(a));
  CHECK(test::difference(a(probe()), b(probe())) == "");
  CHECK_FALSE(a.out.weight.impl()->storage == b.out.weight.impl()->storage);
  CHECK(b.out.weight.requires_grad());
  CHECK(b.out.weight.is_leaf());
}

TEST_CASE("a state that does not fit leaves the model as it was", "[nn]") {
  Model a = make_model(1);
  Tensor before = a(probe()).detach();
  StateDict missing = state_dict(make_model(2)), extra = missing, wrong = missing;
  missing.erase("out.weight");
  extra["more"] = ones({1});
  wrong["running_mean"] = ones({4});
  CHECK_THROWS_WITH(load_state_dict(a, missing), ContainsSubstring("out.weight"));
  CHECK_THROWS_WITH(load_state_dict(a, extra), ContainsSubstring("more"));
  CHECK_THROWS_AS(load_state_dict(a, wrong), ShapeError);
  CHECK_THROWS_WITH(load_state_dict(a, wrong),
                    ContainsSubstring("running_mean") && ContainsSubstring("(4,)") && ContainsSubstring("(3,)"));
  CHECK(test::difference(a(probe()), before) == "");
}

TEST_CASE("a clone has numbers and gradients of its own, a copy shares them", "[nn]") {
  Model a = make_model(1), copied = a, cloned = clone(a);
  CHECK(test::difference(cloned(probe()), a(probe())) == "");
  CHECK(parameters(cloned).size() == 9);
  CHECK_FALSE(cloned.running_mean.requires_grad());
  sum(cloned(probe())).backward();
  CHECK_FALSE(a.out.weight.grad().defined());
  {
    NoGrad off;
    cloned.out.weight.zero_();
    CHECK(sum(square(a.out.weight)).item() > 0);
    a.out.weight.zero_();
  }
  CHECK(sum(square(copied.out.weight)).item() == 0);
}

TEST_CASE("map_parameters needs one gradient for each parameter", "[nn]") {
  Model m = make_model(1);
  CHECK_THROWS_AS(map_parameters(m, {ones({1})}, [](Tensor p, Tensor) { return p; }), ShapeError);
}

// The loss after one step of gradient descent, as a function of where it began: its gradient holds second derivatives.
TEST_CASE("gradients flow through an inner training step (MAML)", "[nn]") {
  auto make = [] {
    Model m = make_model(3);
    return map_parameters(m, std::vector<Tensor>(9, Tensor(0.0)), [](const Tensor& p, const Tensor&) {
      return p.detach().to(DType::float64).requires_grad_();
    });
  };
  Model model = make();
  model.running_mean = model.running_mean.to(DType::float64);
  Tensor x = probe().to(DType::float64), y = ones({2, 2}, DType::float64);
  auto outer = [&](const Model& m, bool create_graph) {
    Tensor inner = mse_loss(m(x), y);
    std::vector<Tensor> grads = grad(inner, parameters(m), {.create_graph = create_graph});
    Model adapted = map_parameters(m, grads, [](const Tensor& p, const Tensor& g) { return p - g * 0.3; });
    return mse_loss(adapted(x * 2), y * 0.5);
  };
  std::vector<Tensor> p = parameters(model);
  std::vector<Tensor> exact = grad(outer(model, true), p), first_order = grad(outer(model, false), p);
  double worst = 0, missed = 0;
  for (size_t k = 0; k < p.size(); ++k) {
    for (int64_t i = 0; i < p[k].numel(); ++i) {
      double* number = p[k].mutable_data<double>() + i;
      double x0 = *number, h = 1e-5;
      *number = x0 + h;
      double up = outer(model, false).item();
      *number = x0 - h;
      double down = outer(model, false).item();
      *number = x0;
      double slope = (up - down) / (2 * h);
      worst = std::max(worst, std::abs(exact[k].contiguous().data<double>()[i] - slope));
      missed = std::max(missed, std::abs(first_order[k].contiguous().data<double>()[i] - slope));
    }
  }
  CHECK(worst < 1e-9);
  CHECK(missed > 1e-3);  // what would be left out without the graph of the inner gradient
}

TEST_CASE("Linear begins as PyTorch's does", "[nn]") {
  Generator g(5);
  nn::Linear layer(100, 300, g);
  CHECK(layer.weight.shape() == Shape{300, 100});
  CHECK(layer.bias.shape() == Shape{300});
  CHECK(amax(abs(layer.weight)).item() <= 0.1);
  CHECK(amax(abs(layer.weight)).item() > 0.0999);
  CHECK(mean(square(layer.weight)).item() == Approx(0.01 / 3).epsilon(0.03));
  CHECK(amax(abs(layer.bias)).item() <= 0.1);
  CHECK(layer(ones({2, 5, 100})).shape() == Shape{2, 5, 300});
  CHECK_FALSE(nn::Linear(2, 3, false).bias.defined());
  CHECK(test::difference(nn::Linear(4, 3).weight, nn::Linear(4, 3).weight) == "");
  CHECK_THROWS_AS(nn::Linear(0, 3), ShapeError);
  Tensor he = nn::kaiming_normal({200, 50}, g), xavier = nn::xavier_uniform({200, 50}, g);
  CHECK(mean(square(he)).item() == Approx(2.0 / 50).epsilon(0.05));
  CHECK(mean(square(xavier)).item() == Approx(2.0 / 250).epsilon(0.05));
  CHECK_THROWS_AS(nn::xavier_uniform({3}, g), ShapeError);
}

// ## Optimisers
namespace {

std::unique_ptr<optim::Optimizer> make_optimizer(const std::string& name, const std::vector<Tensor>& p) {
  if (name == "sgd") return std::make_unique<optim::SGD>(p, optim::SgdOptions{.lr = 0.05});
  if (name == "sgd_momentum") return std::make_unique<optim::SGD>(p, optim::SgdOptions{.lr = 0.05, .momentum = 0.9});
  if (name == "sgd_dampening")
    return std::make_unique<optim::SGD>(
        p, optim::SgdOptions{.lr = 0.05, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.1});
  if (name == "sgd_nesterov")
    return std::make_unique<optim::SGD>(
        p, optim::SgdOptions{.lr = 0.05, .momentum = 0.8, .weight_decay = 0.01, .nesterov = true});
  if (name == "adam") return std::make_unique<optim::Adam>(p, optim::AdamOptions{.lr = 0.05});
  if (name == "adam_all")
    return std::make_unique<optim::Adam>(
        p, optim::AdamOptions{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1});
  throw Error("no optimiser is called " + name);
}

// The problem of make_golden.py: `late` gets its first gradient in step 4.
struct Problem {
  Tensor p, late, a, c;
  explicit Problem(DType t)
      : p(tensor({{1.0, -2.0, 0.5}, {3.0, 0.0, -0.25}}, t).requires_grad_()),
        late(tensor({1.0, -1.0}, t).requires_grad_()),
        a(tensor({{0.5, 1.0, 2.0}, {0.25, 1.5, 3.0}}, t)),
        c(tensor({{0.0, 1.0, -1.0}, {2.0, -2.0, 0.5}}, t)) {}
  void step(optim::Optimizer& optimizer, int number) {
    optimizer.zero_grad();
    Tensor loss = sum(a * square(p - c) / 2) + sum(sin(p));
    if (number >= 4) loss = loss + sum(late * late);
    loss.backward();
    optimizer.step();
  }
};

}  // namespace

TEST_CASE("optimisers go PyTorch's way for a hundred steps", "[optim]") {
  const json golden = json::parse(std::ifstream(test::test_file("golden/semantics.json")))["optim"];
  CHECK(golden.size() == 12);
  for (auto& [key, rows] : golden.items()) {
    DType type = key.ends_with("float64") ? DType::float64 : DType::float32;
    Problem problem(type);
    auto optimizer = make_optimizer(key.substr(0, key.find('/')), {problem.p, problem.late});
    double worst = 0;
    size_t row = 0;
    for (int i = 1; i <= 100; ++i) {
      problem.step(*optimizer, i);
      if (i != 1 && i % 10 != 0) continue;
      std::vector<double> got = numbers_of(problem.p), late = numbers_of(problem.late), want = rows[row++];
      got.insert(got.end(), late.begin(), late.end());
      for (size_t k = 0; k < want.size(); ++k)
        worst = std::max(worst, std::abs(got[k] - want[k]) / std::max(1.0, std::abs(want[k])));
    }
    INFO(key << ": largest difference " << worst);
    CHECK(worst <= (type == DType::float64 ? 1e-12 : 2e-6));
    CHECK(row == rows.size());
  }
}

TEST_CASE("training resumed from state_dict ends with the same bits", "[optim]") {
  for (std::string name : {"sgd_nesterov", "adam_all"}) {
    INFO(name);
    Problem unbroken(DType::float32), first(DType::float32), second(DType::float32);
    auto whole = make_optimizer(name, {unbroken.p, unbroken.late});
    for (int i = 1; i <= 20; ++i) unbroken.step(*whole, i);

    auto before = make_optimizer(name, {first.p, first.late});
    for (int i = 1; i <= 2; ++i) first.step(*before, i);  // `late` has no state yet
    {
      NoGrad off;
      second.p.copy_(first.p);
      second.late.copy_(first.late);
    }
    auto after = make_optimizer(name, {second.p, second.late});
    after->load_state_dict(before->state_dict());
    first.step(*before, 3);  // must not touch what was loaded
    for (int i = 3; i <= 20; ++i) second.step(*after, i);
    CHECK(test::difference(second.p, unbroken.p) == "");
    CHECK(test::difference(second.late, unbroken.late) == "");

    auto other = make_optimizer(name == "adam_all" ? "sgd_momentum" : "adam", {second.p, second.late});
    CHECK_THROWS_AS(other->load_state_dict(whole->state_dict()), Error);
    auto state = whole->state_dict();
    for (auto& [key, t] : state) {
      if (key != "steps") t = ones({7});
    }
    CHECK_THROWS_AS(after->load_state_dict(state), Error);
  }
}

TEST_CASE("optimisers refuse what they cannot do", "[optim]") {
  Tensor p = ones({2}).requires_grad_();
  CHECK_THROWS_AS(optim::SGD({p}, {.lr = -1}), Error);
  CHECK_THROWS_AS(optim::SGD({p}, {.lr = 0.1, .nesterov = true}), Error);
  CHECK_THROWS_AS(optim::Adam({p}, {.beta1 = 1}), Error);
  CHECK_THROWS_AS(optim::SGD({ones({2})}, {}), AutogradError);
  CHECK_THROWS_AS(optim::SGD({p * 2}, {}), AutogradError);
  optim::SGD sgd({p}, {.lr = 0.5});
  sgd.step();  // no gradient: nothing happens
  CHECK(numbers_of(p) == std::vector<double>{1, 1});
  sum(p).backward();
  sgd.step();
  CHECK(numbers_of(p) == std::vector<double>{0.5, 0.5});
  sgd.zero_grad();
  CHECK_FALSE(p.grad().defined());
  // A step is a write: a graph that saved the old value must notice.
  Tensor loss = sum(p * p);
  p.set_grad(ones({2}));
  sgd.step();
  CHECK_THROWS_AS(loss.backward(), AutogradError);
}
