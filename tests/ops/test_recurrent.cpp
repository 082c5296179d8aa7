// # Recurrent layers: what golden values cannot show
#include <cmath>

#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"
#include "tensor/allocator.hpp"

using namespace cr;
using namespace cr::test;

namespace {

enum Kind { lstm_kind, gru_kind, tanh_kind, relu_kind };
constexpr Kind kKinds[] = {lstm_kind, gru_kind, tanh_kind, relu_kind};
constexpr const char* kNames[] = {"lstm", "gru", "rnn_tanh", "rnn_relu"};
constexpr int64_t kGates[] = {4, 3, 1, 1};

// Weights, input and states of one layer, all of them leaves.
struct Layer {
  Kind kind;
  Tensor x, h, c;
  std::vector<Tensor> params;

  Layer(Kind k, int64_t steps, int64_t batch, int64_t in, int64_t n, DType type, uint64_t seed, int64_t directions = 1)
      : kind(k) {
    Generator g(seed);
    auto leaf = [&](const Shape& shape, double scale) { return (randn(shape, g, type) * scale).requires_grad_(); };
    const double scale = 1 / std::sqrt(static_cast<double>(n));
    x = leaf({steps, batch, in}, 1);
    h = leaf({directions, batch, n}, 1), c = leaf({directions, batch, n}, 1);
    for (int64_t d = 0; d < directions; ++d) {
      params.push_back(leaf({kGates[k] * n, in}, scale));
      params.push_back(leaf({kGates[k] * n, n}, scale));
      params.push_back(leaf({kGates[k] * n}, scale));
      params.push_back(leaf({kGates[k] * n}, scale));
    }
  }

  std::vector<Tensor> run(const RecurrentOptions& options = {}) const {
    if (kind == lstm_kind) {
      auto [output, state] = lstm(x, {h, c}, params, options);
      return {output, state.h, state.c};
    }
    auto f = kind == gru_kind ? gru : kind == tanh_kind ? rnn_tanh : rnn_relu;
    auto [output, state] = f(x, h, params, options);
    return {output, state};
  }

  std::vector<Tensor> leaves() const {
    std::vector<Tensor> all = params;
    all.push_back(x), all.push_back(h);
    if (kind == lstm_kind) all.push_back(c);
    return all;
  }
};

LstmState one_step(const Layer& l, const Tensor& x, const LstmState& s) {
  const auto& p = l.params;
  if (l.kind == lstm_kind) return lstm_cell(x, s, p[0], p[1], p[2], p[3]);
  auto f = l.kind == gru_kind ? gru_cell : l.kind == tanh_kind ? rnn_tanh_cell : rnn_relu_cell;
  return {f(x, s.h, p[0], p[1], p[2], p[3]), s.c};
}

Tensor numbers_like(const Tensor& x, uint64_t seed) {
  Generator g(seed);
  return randn(x.shape(), g, x.dtype());
}

}  // namespace

TEST_CASE("the fused gradient is the composed one, on both sides of every tile", "[recurrent]") {
  for (Kind kind : kKinds) {
    for (DType type : {DType::float32, DType::float64}) {
      for (int64_t batch : {1, 4, 5, 16, 17, 33}) {
        const int64_t n = batch % 2 ? 17 : 7, steps = batch == 5 ? 1 : 3;
        Layer layer(kind, steps, batch, 5, n, type, 3, 2);
        auto grads = [&](bool create_graph) {
          std::vector<Tensor> ys = layer.run({.bidirectional = true}), dys;
          for (const Tensor& y : ys) dys.push_back(numbers_like(y, dys.size()));
          return grad(ys, layer.leaves(), {.grad_outputs = dys, .create_graph = create_graph});
        };
        std::vector<Tensor> fused = grads(false), composed = grads(true);
        for (size_t k = 0; k < fused.size(); ++k) {
          INFO(kNames[kind] << ", " << name(type) << ", batch " << batch << ", input " << k);
          CHECK(difference(fused[k], composed[k].detach(), 16, 8) == "");
        }
      }
    }
  }
}

TEST_CASE("a sequence is a loop of cells", "[recurrent]") {
  for (Kind kind : kKinds) {
    Layer l(kind, 4, 3, 5, 6, DType::float64, 4);
    LstmState s{l.h[0], l.c[0]};
    std::vector<Tensor> states;
    for (int t = 0; t < 4; ++t) {
      s = one_step(l, l.x[t], s);
      states.push_back(s.h);
    }
    std::vector<Tensor> ys = l.run();
    INFO(kNames[kind]);
    CHECK(difference(ys[0], stack(states), 4, 2) == "");
    CHECK(difference(ys[1], s.h.unsqueeze(0), 4, 2) == "");
    if (kind == lstm_kind) CHECK(difference(ys[2], s.c.unsqueeze(0), 4, 2) == "");

    // One example alone is a batch of one.
    LstmState alone = one_step(l, l.x[{0, 1}], {l.h[{0, 1}], l.c[{0, 1}]});
    CHECK(alone.h.shape() == Shape{6});
    CHECK(difference(alone.h, states[0][1], 4, 2) == "");
  }
}

TEST_CASE("batch_first swaps two dimensions, the second direction turns time round", "[recurrent]") {
  for (Kind kind : kKinds) {
    Layer l(kind, 5, 3, 4, 6, DType::float64, 5, 2);
    std::vector<Tensor> both = l.run({.bidirectional = true});
    INFO(kNames[kind]);
    Layer swapped = l;
    swapped.x = l.x.transpose(0, 1);
    CHECK(difference(swapped.run({.bidirectional = true, .batch_first = true})[0], both[0].transpose(0, 1)) == "");

    Layer back = l;
    back.params = {l.params.begin() + 4, l.params.end()};
    back.x = flip(l.x, {0}), back.h = l.h.narrow(0, 1, 1), back.c = l.c.narrow(0, 1, 1);
    std::vector<Tensor> one = back.run();
    CHECK(difference(flip(one[0], {0}), both[0].narrow(2, 6, 6)) == "");
    for (size_t k = 1; k < one.size(); ++k) CHECK(difference(one[k], both[k].narrow(0, 1, 1)) == "");
  }
}

TEST_CASE("sequences of different lengths, as the header says", "[recurrent]") {
  Layer l(gru_kind, 5, 2, 3, 4, DType::float64, 6);
  Tensor lengths = tensor({3, 5});
  Layer first = l;
  first.x = l.x.narrow(0, 0, 3).narrow(1, 0, 1), first.h = l.h.narrow(1, 0, 1);
  std::vector<Tensor> alone = first.run(), padded = l.run();
  CHECK(difference(padded[0].narrow(0, 0, 3).narrow(1, 0, 1), alone[0], 4, 2) == "");
  LstmState s{l.h[0], {}};
  for (int t = 0; t < 5; ++t) s.h = where((lengths > t).unsqueeze(1), one_step(l, l.x[t], s).h, s.h);
  CHECK(difference(s.h[0], alone[1][{0, 0}], 4, 2) == "");
  CHECK(difference(s.h[1], padded[1][{0, 1}], 4, 2) == "");
}

TEST_CASE("float32's squashing functions are good to a few units in the last place", "[recurrent]") {
  Tensor x = cat({linspace(-30, 30, 20001), linspace(-0.01, 0.01, 2001), tensor({-86.9, -50.0, 50.0, 90.0, 1e-30})});
  const int64_t n = x.numel();
  // Without weights a plain RNN's state is tanh x. A GRU whose bias opens nothing is z h₀ with z = σ(x).
  auto zeros_of = [](const Shape& s) { return zeros(s); };
  Tensor rows = x.unsqueeze(1), one = ones({1, 1}), none = zeros_of({1, 1});
  Tensor got = rnn_tanh_cell(rows, zeros_of({n, 1}), one, none);
  CHECK(difference(got, tanh(rows.to(DType::float64)).to(DType::float32), 3) == "");
  Tensor w = tensor({{0.0}, {1.0}, {0.0}}, DType::float32);
  got = gru_cell(rows, ones({n, 1}), w, zeros_of({3, 1}));
  CHECK(difference(got, sigmoid(rows.to(DType::float64)).to(DType::float32), 3) == "");
  CHECK(gru_cell(tensor({{-1e30}}), ones({1, 1}), w, zeros_of({3, 1})).item() == 0);
}

TEST_CASE("only what is wanted gets a gradient, and each the same as with all", "[recurrent]") {
  for (Kind kind : kKinds) {
    Layer l(kind, 3, 5, 4, 6, DType::float32, 7);
    std::vector<Tensor> leaves = l.leaves(), ys = l.run();
    std::vector<Tensor> all = grad({sum(square(ys[0]))}, leaves, {.retain_graph = true, .allow_unused = true});
    for (size_t k = 0; k < leaves.size(); ++k) {
      INFO(kNames[kind] << " input " << k);
      CHECK(difference(grad(sum(square(ys[0])), leaves[k], {.retain_graph = true}), all[k]) == "");
    }
    // The last states alone, without the output.
    CHECK(difference(grad(sum(ys[1]), l.x, {.retain_graph = true}), grad(sum(ys[0][2]), l.x, {.retain_graph = true}), 4,
                     4) == "");
  }
}

TEST_CASE("a state that depends on the weights counts once", "[recurrent]") {
  Layer l(lstm_kind, 2, 3, 4, 6, DType::float64, 8);
  auto gradient = [&](bool create_graph) {
    Tensor h = matmul(l.x[0], l.params[0].narrow(0, 0, 6).t()).unsqueeze(0);  // made of w_ih
    auto [y, state] = lstm(l.x, {h, h * 2}, l.params);
    return grad(sum(square(y)), l.params[0], {.create_graph = create_graph});
  };
  CHECK(difference(gradient(true).detach(), gradient(false), 16, 8) == "");
}

TEST_CASE("writing to results", "[recurrent]") {
  Layer l(lstm_kind, 3, 2, 4, 5, DType::float32, 9);
  std::vector<Tensor> ys = l.run();
  Tensor before = ys[0].detach().clone(), want = grad(sum(ys[0]), l.x, {.retain_graph = true});
  {
    NoGrad off;
    ys[1].zero_(), ys[2].zero_();  // the last state is a tensor of its own
  }
  CHECK(difference(ys[0], before) == "");
  CHECK(difference(grad(sum(ys[0]), l.x, {.retain_graph = true}), want) == "");
  {
    NoGrad off;
    ys[0].zero_();
  }
  CHECK_THROWS_AS(grad(sum(ys[0]), l.x), AutogradError);
}

TEST_CASE("what a cell returns may be changed in place", "[recurrent]") {
  for (Kind kind : kKinds) {
    Layer l(kind, 1, 2, 4, 5, DType::float64, 13);
    auto gradients = [&](bool in_place) {
      LstmState s = one_step(l, l.x[0], {l.h[0], l.c[0]});
      Tensor y = in_place ? s.h.mul_(3) : s.h * 3;
      if (kind == lstm_kind) y = y + (in_place ? s.c.mul_(y) : s.c * y);
      return grad(std::vector<Tensor>{sum(square(y))}, l.leaves());
    };
    std::vector<Tensor> want = gradients(false), got = gradients(true);
    INFO(kNames[kind]);
    for (size_t k = 0; k < want.size(); ++k) CHECK(difference(got[k], want[k]) == "");
  }
}

TEST_CASE("a checkpointed layer has the same gradients", "[recurrent]") {
  Layer l(lstm_kind, 3, 5, 4, 6, DType::float32, 10);
  auto f = [&](const Tensor& x) { return lstm(x, {}, l.params).output; };
  Tensor want = grad(sum(square(f(l.x))), l.params[1]);
  CHECK(difference(grad(sum(square(checkpoint(f, l.x))), l.params[1]), want) == "");
}

TEST_CASE("a training step asks the system for no memory", "[recurrent]") {
  if (!allocator::caches()) SKIP("this build caches nothing, so that a use after free is found");
  Threads one(1);  // blocks are cached by the thread that frees them, and with two it is luck which one that is
  for (Kind kind : kKinds) {
    Layer l(kind, 6, 20, 30, 40, DType::float32, 11);
    int64_t before = 0;
    for (int step = 0; step < 6; ++step) {
      if (step == 3) before = allocator::stats().system_allocations;
      grad(std::vector<Tensor>{sum(l.run()[0])}, l.leaves(), {.allow_unused = true});
    }
    INFO(kNames[kind]);
    CHECK(allocator::stats().system_allocations == before);
  }
}

TEST_CASE("recurrent layers refuse what does not fit", "[recurrent]") {
  Layer l(lstm_kind, 3, 2, 4, 5, DType::float32, 12), g(gru_kind, 3, 2, 4, 5, DType::float32, 12);
  auto with = [](std::vector<Tensor> params, size_t i, Tensor t) {
    params[i] = std::move(t);
    return params;
  };
  CHECK_THROWS_WITH(lstm(ones({3, 2, 7}), {}, l.params),
                    ContainsSubstring("lstm: layer 0: w_ih is (20, 4), not (20, 7)"));
  CHECK_THROWS_WITH(lstm(l.x, {}, with(l.params, 1, ones({21, 5}))), ContainsSubstring("(4 n, n), got (21, 5)"));
  CHECK_THROWS_WITH(gru(g.x, {}, with(g.params, 1, ones({15, 6}))), ContainsSubstring("w_hh is (15, 6), not (15, 5)"));
  CHECK_THROWS_WITH(lstm(l.x, {}, with(l.params, 3, ones({5}))), ContainsSubstring("b_hh is (5,), not (20,)"));
  CHECK_THROWS_WITH(lstm(l.x, {ones({2, 5}), {}}, l.params), ContainsSubstring("state is (2, 5), not (1, 2, 5)"));
  CHECK_THROWS_WITH(lstm(l.x, {{}, ones({1, 3, 5})}, l.params), ContainsSubstring("cell is (1, 3, 5)"));
  CHECK_THROWS_WITH(lstm(l.x, {}, l.params, {.num_layers = 2}),
                    ContainsSubstring("2 layers take 4 tensors each, got 4"));
  CHECK_THROWS_AS(lstm(l.x, {}, l.params, {.num_layers = 0}), ShapeError);
  CHECK_THROWS_AS(lstm(l.x, {}, {}, {.num_layers = 0}), ShapeError);
  CHECK_THROWS_AS(lstm(l.x, {}, with(l.params, 0, {})), ShapeError);
  CHECK_THROWS_AS(gru(ones({0, 2, 4}), {}, g.params), ShapeError);
  CHECK_THROWS_AS(gru(ones({4}), {}, g.params), ShapeError);
  CHECK_THROWS_AS(gru(ones({3, 2, 4}, DType::int64), {}, g.params), DTypeError);
  CHECK_THROWS_AS(gru(ones({3, 2, 4}, DType::bfloat16), {}, g.params), DTypeError);
  CHECK_THROWS_AS(gru(ones({3, 2, 4}, DType::float64), {}, g.params), DTypeError);
  CHECK_THROWS_AS(gru(g.x, ones({1, 2, 5}, DType::float64), g.params), DTypeError);
  std::vector<Tensor> two = g.params;
  two.insert(two.end(), {ones({15, 5}), ones({15, 5}), ones({15}), ones({15})});
  CHECK_NOTHROW(gru(g.x, {}, two, {.num_layers = 2, .dropout = 0.5}));
  CHECK_THROWS_WITH(gru(g.x, {}, two, {.num_layers = 2, .dropout = 0.5, .train = true}),
                    ContainsSubstring("generator"));
  two[4] = ones({15, 4});
  CHECK_THROWS_WITH(gru(g.x, {}, two, {.num_layers = 2}), ContainsSubstring("layer 1: w_ih is (15, 4), not (15, 5)"));
  const auto& p = l.params;
  CHECK_THROWS_WITH(lstm_cell(ones({2, 3}), {}, p[0], p[1]),
                    ContainsSubstring("lstm_cell: w_ih is (20, 4), not (20, 3)"));
  CHECK_THROWS_AS(lstm_cell(ones({2, 4}), {ones({3, 5}), {}}, p[0], p[1]), ShapeError);
  CHECK_THROWS_AS(lstm_cell(ones({1, 2, 4}), {}, p[0], p[1]), ShapeError);
  CHECK_THROWS_AS(lstm_cell(ones({}), {}, p[0], p[1]), ShapeError);
}
