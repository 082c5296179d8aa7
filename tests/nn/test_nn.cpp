// # Models
#include <cmath>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using cr::test::numbers_of;

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
