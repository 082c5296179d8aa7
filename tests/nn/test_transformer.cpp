// # Layers of attention: names, formulas, masks
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"

using namespace cr;
using cr::test::difference;

namespace {

std::vector<std::string> names_of(const StateDict& state) {
  std::vector<std::string> names;
  for (auto& [name, t] : state) names.push_back(name);
  return names;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("attention layers have PyTorch's parameters", "[nn]") {
  Generator g(1);
  CHECK(names_of(state_dict(nn::MultiheadAttention(4, 2, g))) ==
        Names{"in_proj_bias", "in_proj_weight", "out_proj.bias", "out_proj.weight"});
  CHECK(names_of(state_dict(nn::MultiheadAttention(4, 2, g, {.bias = false, .add_bias_kv = true, .kdim = 3}))) ==
        Names{"bias_k", "bias_v", "k_proj_weight", "out_proj.weight", "q_proj_weight", "v_proj_weight"});
  nn::TransformerEncoder encoder(2, 4, 2, g, {.dim_feedforward = 8}, true);
  Names names = names_of(state_dict(encoder));
  CHECK(names.size() == 2 * 12 + 2);
  CHECK(names[0] == "layers.0.linear1.bias");
  CHECK(names[11] == "layers.0.self_attn.out_proj.weight");
  CHECK(names.back() == "norm.weight");
  CHECK(parameters(encoder).size() == 26);
  CHECK_THROWS_AS(nn::MultiheadAttention(5, 2, g), ShapeError);
  CHECK_THROWS_AS(nn::TransformerEncoder(0, 4, 2, g), ShapeError);
}

TEST_CASE("heads with and without their weights agree", "[nn]") {
  Generator g(2);
  nn::MultiheadAttention attention(8, 2, g, {.batch_first = true});
  Tensor x = randn({3, 5, 8}, g), y = randn({3, 7, 8}, g), padded = zeros({3, 7}, DType::boolean);
  padded[{1, Slice{4}}] = true;
  for (bool oneself : {true, false}) {
    const Tensor& to = oneself ? x : y;
    MultiHeadResult full = attention(x, to, to), fused = attention(x, to, to, {.need_weights = false});
    CHECK(full.weights.shape() == Shape{3, 5, to.size(1)});
    CHECK_FALSE(fused.weights.defined());
    CHECK(difference(fused.output, full.output, 64, 16) == "");
    CHECK(difference(sum(full.weights, {-1}), ones({3, 5}), 8) == "");
  }
  MultiHeadResult some = attention(x, y, y, {.key_padding_mask = padded});
  CHECK(sum(some.weights[1].slice(1, {4})).item() == 0);
  CHECK(difference(attention(x, y, y, {.key_padding_mask = padded, .need_weights = false}).output, some.output, 64,
                   16) == "");

  // In the causal case the first place sees itself only; length first is the same turned round.
  MultiHeadResult causal = attention(x, x, x, {.is_causal = true});
  CHECK(causal.weights[{0, 0, 0}].item() == 1);
  CHECK(difference(attention(x, x, x, {.need_weights = false, .is_causal = true}).output, causal.output, 64, 16) == "");
  nn::MultiheadAttention turned = attention;
  turned.batch_first = false;
  Tensor xt = x.transpose(0, 1);
  CHECK(difference(turned(xt, xt, xt).output.transpose(0, 1), attention(x, x, x).output) == "");
}

TEST_CASE("dropped weights are gone, and only in training", "[nn]") {
  Generator g(3);
  nn::MultiheadAttention attention(4, 1, g, {.dropout = 0.5, .batch_first = true});
  Tensor x = randn({1, 40, 4}, g);
  Tensor weights = attention(x, x, x).weights;
  double gone = mean(eq(weights, 0).to(DType::float32)).item();
  CHECK(gone == Approx(0.5).margin(0.05));
  eval(attention);
  CHECK(sum(eq(attention(x, x, x).weights, 0).to(DType::int64)).item() == 0);
}

TEST_CASE("an encoder layer is its formula", "[nn]") {
  Generator g(4);
  Tensor x = randn({2, 5, 8}, g);
  for (bool first : {false, true}) {
    nn::TransformerEncoderLayer layer(
        8, 2, g, {.dim_feedforward = 16, .activation = nn::Activation::gelu, .batch_first = true, .norm_first = first});
    eval(layer);
    auto attend = [&](const Tensor& t) { return layer.self_attn(t, t, t).output; };
    auto network = [&](const Tensor& t) { return layer.linear2(gelu(layer.linear1(t))); };
    Tensor middle = first ? x + attend(layer.norm1(x)) : layer.norm1(x + attend(x));
    Tensor want = first ? middle + network(layer.norm2(middle)) : layer.norm2(middle + network(middle));
    CHECK(difference(layer(x), want, 64, 16) == "");
    // What comes later does not change what a causal layer says of the beginning.
    Tensor causal = layer(x, {.is_causal = true}), begin = layer(x.narrow(1, 0, 3), {.is_causal = true});
    CHECK(difference(causal.narrow(1, 0, 3), begin, 64, 16) == "");
  }
}

// Which of 4 symbols stands most often? Attention to all places can count.
TEST_CASE("an encoder learns to count", "[nn]") {
  Generator g(5);
  nn::TransformerEncoder encoder(1, 16, 2, g,
                                 {.dim_feedforward = 32, .dropout = 0, .batch_first = true, .norm_first = true});
  nn::Linear out(16, 4, g);
  std::vector<Tensor> all = parameters(encoder);
  for (const Tensor& p : parameters(out)) all.push_back(p);
  optim::Adam adam(all, {.lr = 0.01});
  double first = 0, last = 0;
  for (int step = 0; step < 150; ++step) {
    Tensor symbols = one_hot(randint(0, 4, {32, 9}, g), 4).to(DType::float32);  // (N, T, 4)
    Tensor counts = sum(symbols, {1}), x = pad(symbols, {0, 12});
    Tensor loss = cross_entropy(out(mean(encoder(x), {1})), counts.argmax(1));
    adam.zero_grad();
    loss.backward();
    adam.step();
    if (step == 0) first = loss.item();
    last = loss.item();
  }
  CHECK(first > 1.2);
  CHECK(last < 0.6);
}
