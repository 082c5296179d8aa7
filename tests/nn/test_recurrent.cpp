// # Recurrent layers: names, initial values, training mode
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using cr::test::difference;

namespace {

template <class Model> std::vector<std::string> names_of(const Model& model) {
  std::vector<std::string> names;
  nn::visit_tensors("", model, [&](const std::string& name, const Tensor& t) {
    if (t.defined()) names.push_back(name);
  });
  return names;
}
using Names = std::vector<std::string>;

struct Tagger {
  nn::GRU encoder;
  nn::Linear out;
  CR_FIELDS(encoder, out)
};

}  // namespace

TEST_CASE("recurrent layers have PyTorch's names in PyTorch's order", "[nn]") {
  Generator g(1);
  CHECK(names_of(nn::LSTM(3, 4, g)) == Names{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"});
  CHECK(names_of(nn::GRU(3, 4, g, {.num_layers = 2, .bias = false, .bidirectional = true})) ==
        Names{"weight_ih_l0", "weight_hh_l0", "weight_ih_l0_reverse", "weight_hh_l0_reverse", "weight_ih_l1",
              "weight_hh_l1", "weight_ih_l1_reverse", "weight_hh_l1_reverse"});
  CHECK(names_of(nn::LSTM(3, 4, g, {.bias = false, .proj_size = 2})) ==
        Names{"weight_ih_l0", "weight_hh_l0", "weight_hr_l0"});
  CHECK(names_of(nn::RNNCell(3, 4, g)) == Names{"weight_ih", "weight_hh", "bias_ih", "bias_hh"});
  CHECK(names_of(Tagger{nn::GRU(3, 4, g), nn::Linear(4, 2, g)}).front() == "encoder.weight_ih_l0");

  nn::LSTM deep(3, 4, g, {.num_layers = 2, .bidirectional = true});
  CHECK(parameters(deep).size() == 16);
  CHECK(state_dict(deep).at("weight_ih_l1_reverse").shape() == Shape{16, 8});
  CHECK(nn::LSTM(3, 4, g, {.num_layers = 2, .proj_size = 2}).runs[1].weight_ih.shape() == Shape{16, 2});
}

TEST_CASE("recurrent layers begin between ±1/√hidden", "[nn]") {
  Generator g(2);
  nn::LSTM lstm(30, 64, g);
  for (const Tensor& p : parameters(lstm)) {
    CHECK(amax(abs(p)).item() <= 0.125);
    CHECK(amax(abs(p)).item() > 0.12);
    CHECK(std::abs(mean(p).item()) < 0.02);  // four standard deviations of the smallest
  }
}

TEST_CASE("recurrent layers go on where they ended", "[nn]") {
  Generator g(3);
  nn::LSTM lstm(3, 4, g, {.num_layers = 2, .batch_first = true});
  Tensor x = randn({2, 6, 3}, g);
  auto [whole, last] = lstm(x);
  auto [first, middle] = lstm(x.narrow(1, 0, 2));
  auto [second, end] = lstm(x.narrow(1, 2, 4), middle);
  CHECK(difference(cat({first, second}, 1), whole, 4, 2) == "");
  CHECK(difference(end.c, last.c, 4, 2) == "");
  CHECK(last.h.shape() == Shape{2, 2, 4});

  nn::LSTM loaded(3, 4, g, {.num_layers = 2, .batch_first = true}), copy = clone(lstm);
  load_state_dict(loaded, state_dict(lstm));
  CHECK(difference(loaded(x).output, whole) == "");
  CHECK(difference(copy(x).output, whole) == "");
  CHECK_FALSE(copy.runs[0].weight_ih.impl() == lstm.runs[0].weight_ih.impl());
  CHECK_THROWS_AS(load_state_dict(loaded, state_dict(nn::LSTM(3, 4, g))), Error);
}

TEST_CASE("dropout falls between layers, in training only", "[nn]") {
  Generator g(4);
  nn::GRU gru(3, 8, g, {.num_layers = 2, .dropout = 0.5}), one(3, 8, g, {.dropout = 0.5});
  Tensor x = randn({4, 2, 3}, g);
  CHECK_FALSE(difference(gru(x).first, gru(x).first).empty());
  CHECK(difference(one(x).first, one(x).first) == "");  // one layer is the last one
  nn::GRU copy = gru;
  CHECK(difference(gru(x).first, copy(x).first) == "");
  eval(gru);
  CHECK_FALSE(gru.training);
  CHECK(difference(gru(x).first, gru(x).first) == "");
}

TEST_CASE("a recurrent network learns to add", "[nn]") {
  // The target of each step is the sum of the inputs so far, modulo 2.
  Generator g(5);
  nn::LSTM lstm(1, 16, g);
  nn::Linear out(16, 1, g);
  std::vector<Tensor> all = parameters(lstm);
  for (const Tensor& p : parameters(out)) all.push_back(p);
  optim::Adam adam(all, {.lr = 0.02});
  Tensor bits = randint(0, 2, {8, 64, 1}, g), x = bits.to(DType::float32);
  Tensor parity = remainder(cumsum(bits, 0), 2).to(DType::float32);
  double loss = 0;
  for (int step = 0; step < 300; ++step) {
    adam.zero_grad();
    Tensor l = binary_cross_entropy_with_logits(out(lstm(x).output), parity);
    l.backward();
    adam.step();
    loss = l.item();
  }
  CHECK(loss < 0.05);  // chance is 0.69
}

TEST_CASE("recurrent layers refuse what makes no sense", "[nn]") {
  Generator g(6);
  CHECK_THROWS_WITH(nn::LSTM(0, 4, g), ContainsSubstring("LSTM: the number of inputs must be at least 1, got 0"));
  CHECK_THROWS_AS(nn::GRU(3, 0, g), ShapeError);
  CHECK_THROWS_AS(nn::GRUCell(3, -1, g), ShapeError);
  CHECK_THROWS_AS(nn::LSTMCell(3, int64_t{1} << 62, g), ShapeError);
  CHECK_THROWS_AS(nn::LSTM(3, 4, g, {.num_layers = 0}), ShapeError);
  CHECK_THROWS_AS(nn::LSTM(3, 4, g, {.dropout = 1.5}), Error);
  CHECK_THROWS_AS(nn::LSTM(3, 4, g, {.proj_size = 4}), ShapeError);
  CHECK_THROWS_WITH(nn::GRU(3, 4, g, {.proj_size = 2}), ContainsSubstring("only an LSTM"));
  CHECK_THROWS_WITH(nn::RNN(3, 4, g, {.nonlinearity = nn::Nonlinearity::selu}), ContainsSubstring("tanh or relu"));
  CHECK_THROWS_AS(nn::RNN(3, 4, g)(ones({5, 2, 4})), ShapeError);
}
