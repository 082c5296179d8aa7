// # Optimisers, schedules and clipping against PyTorch's
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_features.hpp"
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"

using namespace cr;
using cr::test::difference;
using cr::test::numbers_of;
using nlohmann::json;

namespace {

const json& golden() {
  static const json j = json::parse(std::ifstream(test::test_file("golden/semantics.json")));
  return j;
}

using Parameters = std::vector<Tensor>;
using Optimizer = std::unique_ptr<optim::Optimizer>;
template <class O, class... Args> Optimizer make(Args... args) { return std::make_unique<O>(args...); }

// make_golden.py has the same names. `p` and `late` are a group each where it says so.
Optimizer make_optimizer(const std::string& name, const Tensor& p, const Tensor& late) {
  Parameters all{p, late};
  using optim::SGD, optim::Adam, optim::AdamW, optim::Adagrad, optim::RMSprop;
  using S = optim::SgdOptions;
  using A = optim::AdamOptions;
  using W = optim::AdamWOptions;
  using G = optim::AdagradOptions;
  using R = optim::RmspropOptions;
  if (name == "sgd") return make<SGD>(all, S{.lr = 0.05});
  if (name == "sgd_momentum") return make<SGD>(all, S{.lr = 0.05, .momentum = 0.9});
  if (name == "sgd_dampening")
    return make<SGD>(all, S{.lr = 0.05, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.1});
  if (name == "sgd_nesterov")
    return make<SGD>(all, S{.lr = 0.05, .momentum = 0.8, .weight_decay = 0.01, .nesterov = true});
  if (name == "sgd_maximize")
    return make<SGD>(all, S{.lr = 0.01, .momentum = 0.5, .weight_decay = 3, .maximize = true});
  if (name == "sgd_groups")
    return Optimizer(
        new SGD({{{p}, {.lr = 0.05, .momentum = 0.9}}, {{late}, {.lr = 0.01, .momentum = 0.9, .weight_decay = 0.5}}}));
  if (name == "adam") return make<Adam>(all, A{.lr = 0.05});
  if (name == "adam_all")
    return make<Adam>(all, A{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1});
  if (name == "adam_amsgrad") return make<Adam>(all, A{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.9, .amsgrad = true});
  if (name == "adam_maximize") return make<Adam>(all, A{.lr = 0.01, .weight_decay = 0.1, .maximize = true});
  if (name == "adamw") return make<AdamW>(all, W{.lr = 0.05});
  if (name == "adamw_all")
    return make<AdamW>(all,
                       W{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.2, .amsgrad = true});
  if (name == "adamw_groups")
    return Optimizer(new AdamW({{{p}, {.lr = 0.05, .weight_decay = 0.1}}, {{late}, {.lr = 0.02, .weight_decay = 0}}}));
  if (name == "adagrad") return make<Adagrad>(all, G{.lr = 0.2});
  if (name == "adagrad_all")
    return make<Adagrad>(
        all, G{.lr = 0.5, .lr_decay = 0.05, .weight_decay = 0.1, .initial_accumulator_value = 0.3, .eps = 1e-3});
  if (name == "adagrad_maximize") return make<Adagrad>(all, G{.lr = 0.1, .weight_decay = 0.1, .maximize = true});
  if (name == "rmsprop") return make<RMSprop>(all, R{.lr = 0.02});
  if (name == "rmsprop_centered") return make<RMSprop>(all, R{.lr = 0.02, .alpha = 0.9, .eps = 1e-3, .centered = true});
  if (name == "rmsprop_momentum") return make<RMSprop>(all, R{.lr = 0.01, .weight_decay = 0.1, .momentum = 0.7});
  if (name == "rmsprop_all")
    return make<RMSprop>(all,
                         R{.lr = 0.002, .alpha = 0.9, .eps = 0.1, .momentum = 0.5, .centered = true, .maximize = true});
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
  CHECK(golden()["optim"].size() == 40);
  for (auto& [key, rows] : golden()["optim"].items()) {
    DType type = key.ends_with("float64") ? DType::float64 : DType::float32;
    Problem problem(type);
    auto optimizer = make_optimizer(key.substr(0, key.find('/')), problem.p, problem.late);
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
    // Centered RMSprop takes the difference of two numbers that are nearly equal.
    bool cancels = key.starts_with("rmsprop_centered") || key.starts_with("rmsprop_all");
    CHECK(worst <= (type == DType::float64 ? 1e-12 : cancels ? 2e-5 : 2e-6));
    CHECK(row == rows.size());
  }
}

TEST_CASE("training resumed from state_dict ends with the same bits", "[optim]") {
  for (std::string name : {"sgd_nesterov", "sgd_groups", "adam_all", "adam_amsgrad", "adamw_groups", "adagrad_all",
                           "rmsprop_all", "rmsprop"}) {
    INFO(name);
    Problem unbroken(DType::float32), first(DType::float32), second(DType::float32);
    auto whole = make_optimizer(name, unbroken.p, unbroken.late);
    for (int i = 1; i <= 20; ++i) unbroken.step(*whole, i);

    auto before = make_optimizer(name, first.p, first.late);
    for (int i = 1; i <= 2; ++i) first.step(*before, i);  // `late` has no state yet
    {
      NoGrad off;
      second.p.copy_(first.p);
      second.late.copy_(first.late);
    }
    auto after = make_optimizer(name, second.p, second.late);
    after->load_state_dict(before->state_dict());
    first.step(*before, 3);  // must not touch what was loaded
    for (int i = 3; i <= 20; ++i) second.step(*after, i);
    CHECK(test::difference(second.p, unbroken.p) == "");
    CHECK(test::difference(second.late, unbroken.late) == "");

    auto other = make_optimizer(name.starts_with("sgd") ? "adam" : "sgd_momentum", second.p, second.late);
    CHECK_THROWS_AS(other->load_state_dict(whole->state_dict()), Error);
    auto state = whole->state_dict();
    for (auto& [key, t] : state) {
      if (key != "steps") t = ones({7});
    }
    CHECK_THROWS_AS(after->load_state_dict(state), Error);
  }
}

TEST_CASE("row-sparse gradients end with the bits of dense ones", "[optim]") {
  for (std::string name : {"sgd", "sgd_momentum", "adagrad", "adagrad_all", "adam"}) {
    auto train = [&](bool sparse) {
      Generator g(6);
      Tensor table = randn({7, 3}, g).requires_grad_();
      Optimizer optimizer;
      if (name == "sgd") optimizer = std::make_unique<optim::SGD>(std::vector{table}, optim::SgdOptions{.lr = 0.1});
      if (name == "sgd_momentum")
        optimizer = std::make_unique<optim::SGD>(std::vector{table}, optim::SgdOptions{.lr = 0.1, .momentum = 0.9});
      if (name == "adagrad")
        optimizer = std::make_unique<optim::Adagrad>(
            std::vector{table}, optim::AdagradOptions{.lr = 0.1, .lr_decay = 0.1, .initial_accumulator_value = 0.5});
      if (name == "adagrad_all")
        optimizer =
            std::make_unique<optim::Adagrad>(std::vector{table}, optim::AdagradOptions{.lr = 0.1, .weight_decay = 0.1});
      if (name == "adam") optimizer = std::make_unique<optim::Adam>(std::vector{table}, optim::AdamOptions{.lr = 0.1});
      for (int i = 0; i < 6; ++i) {
        optimizer->zero_grad();
        Tensor rows = embedding(randint(0, 7, {4}, g), table, {.sparse = sparse});
        sum(square(rows)).backward();
        CHECK(sparse_grad(table).has_value() == sparse);
        optimizer->step();
        // Whoever updates by rows has not asked for the gradient in full.
        CHECK(sparse_grad(table).has_value() == (sparse && (name == "sgd" || name == "adagrad")));
      }
      std::map<std::string, Tensor> state = optimizer->state_dict();
      state.emplace("table", table.detach());
      return state;
    };
    auto dense = train(false), by_rows = train(true);
    INFO(name);
    CHECK(dense.size() == by_rows.size());
    for (auto& [key, value] : dense) CHECK(difference(by_rows.at(key), value) == "");
  }
}

TEST_CASE("a step gives the same bits on any instruction set and number of threads", "[optim]") {
  using backend::cpu::Isa;
  Threads threads;
  InstructionSet best;
  auto run = [](const std::string& name, Isa isa, int n) {
    backend::cpu::set_isa(isa);
    backend::set_num_threads(n);
    Generator g(1);
    Tensor p = randn({70001}, g).requires_grad_(), late = randn({3}, g).requires_grad_();
    Optimizer o = make_optimizer(name, p, late);
    for (int i = 0; i < 3; ++i) {
      p.set_grad(randn({70001}, g));
      o->step();
    }
    return p.detach();
  };
  for (std::string name : {"sgd_nesterov", "adam_amsgrad", "adamw", "adagrad_all", "rmsprop", "rmsprop_momentum",
                           "rmsprop_centered", "rmsprop_all"}) {
    Tensor one = run(name, Isa::base, 1);
    for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512}) {
      INFO(name << " with " << isa_name(isa));
      if (isa <= best.before) CHECK(difference(run(name, isa, 2), one) == "");
    }
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

TEST_CASE("options make sense, wherever they come from", "[optim]") {
  Tensor p = ones({2}).requires_grad_();
  optim::Adam adam({p}, {.lr = 0.1});
  auto state = adam.state_dict();
  state["group.0.lr"] = Tensor(-5.0);
  CHECK_THROWS_AS(adam.load_state_dict(state), Error);
  CHECK(adam.options.lr == 0.1);
  state = adam.state_dict();
  state["steps"] = state["steps"].to(DType::float32);
  CHECK_THROWS_WITH(adam.load_state_dict(state), ContainsSubstring("another optimiser"));
  CHECK_THROWS_AS(adam.lr(7), IndexError);
  CHECK_THROWS_AS(optim::LambdaLR(adam, nullptr), Error);
  CHECK_THROWS_AS(optim::OneCycleLR(adam, 0.1, 10, -3), Error);
  CHECK_THROWS_AS(optim::OneCycleLR(adam, 0.1, 10, 0.3, 0), Error);
  optim::OneCycleLR short_rise(adam, 0.1, 10, 0.1);  // the first step is the top already
  CHECK(adam.lr() == Approx(0.1));
}

TEST_CASE("groups have options of their own, which a state brings along", "[optim]") {
  Tensor p = ones({2}).requires_grad_(), q = ones({3}).requires_grad_();
  optim::SGD sgd({{{p}, {.lr = 0.5}}, {{q}, {.lr = 0.25, .momentum = 0.5}}});
  CHECK(sgd.num_groups() == 2);
  CHECK(sgd.parameters().size() == 2);
  CHECK(&sgd.options == &sgd.groups[0]);
  (sum(p) + sum(q)).backward();
  sgd.step();
  CHECK(numbers_of(p) == std::vector<double>{0.5, 0.5});
  CHECK(numbers_of(q) == std::vector<double>{0.75, 0.75, 0.75});
  sgd.options.lr = 0;
  sgd.lr(1) = 1;
  sgd.step();
  CHECK(numbers_of(p) == std::vector<double>{0.5, 0.5});
  CHECK(numbers_of(q) == std::vector<double>{-0.75, -0.75, -0.75});

  optim::SGD other({{{p}, {.lr = 7}}, {{q}, {.lr = 7}}});
  other.load_state_dict(sgd.state_dict());
  CHECK(other.groups[0].lr == 0);
  CHECK(other.groups[1].momentum == 0.5);

  // A state that does not fit changes nothing, the options neither.
  optim::SGD one({p, q}, {.lr = 7});
  CHECK_THROWS_AS(one.load_state_dict(sgd.state_dict()), Error);
  auto state = sgd.state_dict();
  state["momentum.1"] = ones({7});
  optim::SGD third({{{p}, {.lr = 7}}, {{q}, {.lr = 7}}});
  CHECK_THROWS_AS(third.load_state_dict(state), ShapeError);
  CHECK(third.groups[0].lr == 7);
  state = sgd.state_dict();
  state.erase("group.1.lr");
  CHECK_THROWS_AS(third.load_state_dict(state), Error);

  CHECK_THROWS_AS(optim::SGD({{{p}, {}}, {{p}, {}}}), AutogradError);
  CHECK_THROWS_AS(optim::AdamW({p}, {.weight_decay = -1}), Error);
  CHECK_THROWS_AS(optim::Adagrad({p}, {.lr_decay = -1}), Error);
  CHECK_THROWS_AS(optim::RMSprop({p}, {.alpha = -1}), Error);
}

// ## Schedules
namespace {

std::unique_ptr<optim::Schedule> make_schedule(const std::string& name, optim::Optimizer& o) {
  auto own = [](auto schedule) { return std::make_unique<optim::Schedule>(schedule); };
  if (name == "step") return own(optim::StepLR(o, 7, 0.3));
  if (name == "multi_step") return own(optim::MultiStepLR(o, {3, 11, 12}, 0.5));
  if (name == "exponential") return own(optim::ExponentialLR(o, 0.9));
  if (name == "linear") return own(optim::LinearLR(o, 0.2, 0.9, 8));
  if (name == "cosine") return own(optim::CosineAnnealingLR(o, 12, 0.005));
  if (name == "lambda") return own(optim::LambdaLR(o, [](int64_t t) { return 1 / (1 + static_cast<double>(t)); }));
  if (name == "warmup_cosine") return own(optim::WarmupCosine(o, 5, 25));
  if (name == "one_cycle") return own(optim::OneCycleLR(o, 0.5, 31, 0.4, 20, 100));
  throw Error("no schedule is called " + name);
}

}  // namespace

TEST_CASE("schedules have PyTorch's rates, and resume", "[optim]") {
  Tensor p = ones({1}).requires_grad_(), q = ones({1}).requires_grad_();
  CHECK(golden()["schedules"].size() == 8);
  for (auto& [name, rows] : golden()["schedules"].items()) {
    optim::SGD sgd({{{p}, {.lr = 0.1}}, {{q}, {.lr = 0.02}}}), resumed({{{p}, {.lr = 0.1}}, {{q}, {.lr = 0.02}}});
    auto schedule = make_schedule(name, sgd);
    double worst = 0;
    std::map<std::string, Tensor> state;
    for (size_t t = 0; t < rows.size(); ++t) {
      if (t > 0) schedule->step();
      if (t == 9) state = schedule->state_dict();
      for (size_t g = 0; g < 2; ++g) worst = std::max(worst, std::abs(sgd.lr(g) / rows[t][g].get<double>() - 1));
    }
    INFO(name << ": largest relative difference " << worst);
    CHECK(worst < 1e-13);
    auto second = make_schedule(name, resumed);
    second->load_state_dict(state);
    CHECK(second->steps() == 9);
    while (second->steps() < schedule->steps()) second->step();
    CHECK(second->last_lr() == schedule->last_lr());
    state.erase("base_lr");
    CHECK_THROWS_AS(second->load_state_dict(state), Error);
  }
  optim::SGD sgd({p}, {.lr = 1});
  CHECK_THROWS_AS(optim::StepLR(sgd, 0), Error);
  CHECK_THROWS_WITH(optim::WarmupCosine(sgd, 10, 10), ContainsSubstring("10"));
  optim::WarmupCosine warm(sgd, 0, 4, 0.2);
  CHECK(sgd.lr() == 1);
  for (int i = 0; i < 9; ++i) warm.step();
  CHECK(sgd.lr() == 0.2);  // beyond the end
}

// ## Clipping
TEST_CASE("clipping leaves PyTorch's gradients", "[optim]") {
  for (auto& [name, want] : golden()["clipping"].items()) {
    Tensor p = zeros({2}, DType::float64).requires_grad_(), q = zeros({1}, DType::float64).requires_grad_(),
           without = zeros({1}).requires_grad_();
    p.set_grad(tensor({3.0, -4.0}, DType::float64));
    q.set_grad(tensor({12.0}, DType::float64));
    double norm = 0;
    if (name == "value") optim::clip_grad_value_({p, without, q}, 3.5);
    else norm = optim::clip_grad_norm_({p, without, q}, 2.5, name == "inf" ? HUGE_VAL : std::stod(name));
    std::vector<double> got{norm}, rest = numbers_of(q.grad());
    for (double v : numbers_of(p.grad())) got.push_back(v);
    got.push_back(rest[0]);
    INFO(name);
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(want[i].get<double>()).epsilon(1e-14));
  }
  Tensor p = zeros({2}).requires_grad_();
  p.set_grad(tensor({0.5, 0.25}));
  optim::clip_grad_norm_({p}, 10);
  CHECK(numbers_of(p.grad()) == std::vector<double>{0.5, 0.25});  // small ones stay as they are
  p.set_grad(tensor({1.0, HUGE_VAL}));
  CHECK_THROWS_WITH(optim::clip_grad_norm_({p}, 1, 2, true), ContainsSubstring("inf"));
  CHECK_THROWS_AS(optim::clip_grad_norm_({p}, 1, 0), Error);
}
