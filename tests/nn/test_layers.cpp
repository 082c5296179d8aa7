// # Layers: names, training mode, initial values
#include <cmath>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using cr::test::difference;
using cr::test::numbers_of;

namespace {

std::vector<std::string> names_of(const StateDict& state) {
  std::vector<std::string> names;
  for (auto& [name, t] : state) names.push_back(name);
  return names;
}
using Names = std::vector<std::string>;

struct Net {
  nn::BatchNorm1d norm{3};
  nn::Dropout drop;
  std::vector<nn::BatchNorm2d> more{nn::BatchNorm2d(2), nn::BatchNorm2d(2)};
  bool verbose = true;  // another flag
  Tensor operator()(const Tensor& x) const { return drop(norm(x)); }
  CR_FIELDS(norm, drop, more, verbose)
};

}  // namespace

TEST_CASE("layers have PyTorch's parameters and buffers", "[nn]") {
  Names batch{"bias", "num_batches_tracked", "running_mean", "running_var", "weight"};
  CHECK(names_of(state_dict(nn::BatchNorm2d(4))) == batch);
  CHECK(parameters(nn::BatchNorm2d(4)).size() == 2);
  CHECK(names_of(state_dict(nn::BatchNorm1d(4, {.affine = false, .track_running_stats = false}))).empty());
  CHECK(names_of(state_dict(nn::LayerNorm({3, 4}))) == Names{"bias", "weight"});
  CHECK(nn::LayerNorm({3, 4}).weight.shape() == Shape{3, 4});
  CHECK(names_of(state_dict(nn::LayerNorm(4, {.bias = false}))) == Names{"weight"});
  CHECK(names_of(state_dict(nn::RMSNorm(4))) == Names{"weight"});
  CHECK(names_of(state_dict(nn::GroupNorm(2, 4))) == Names{"bias", "weight"});
  CHECK(names_of(state_dict(nn::InstanceNorm2d(4))).empty());
  CHECK(names_of(state_dict(nn::InstanceNorm2d(4, {.affine = true, .track_running_stats = true}))) == batch);
  CHECK(names_of(state_dict(nn::PReLU())) == Names{"weight"});
  Generator g(1);
  CHECK(names_of(state_dict(nn::Embedding(5, 2, g))) == Names{"weight"});
}

TEST_CASE("layers compute their operation", "[nn]") {
  Generator g(2);
  Tensor x = randn({4, 6, 3}, g);
  CHECK(difference(nn::LayerNorm(3)(x), layer_norm(x, {3})) == "");
  CHECK(difference(nn::RMSNorm({6, 3}, {.eps = 0.5})(x), rms_norm(x, {6, 3}, {}, 0.5)) == "");
  CHECK(difference(nn::GroupNorm(2, 6)(x), group_norm(x, 2)) == "");
  CHECK(difference(nn::InstanceNorm1d(6)(x), instance_norm(x)) == "");
  CHECK(difference(nn::PReLU()(tensor({-2.0, 0.0, 3.0})), tensor({-0.5, 0.0, 3.0})) == "");
  nn::PReLU per_channel(6);
  per_channel.weight = linspace(0, 1, 6);
  CHECK(difference(per_channel(x)[{0, 5}], x[{0, 5}]) == "");
  CHECK(difference(per_channel(x)[{1, 0}], relu(x[{1, 0}])) == "");

  nn::Embedding words(5, 2, g);
  Tensor rows = words(tensor({{4, 0, 4}, {1, 1, 1}}));  // (2, 3, 2)
  CHECK(rows.shape() == Shape{2, 3, 2});
  CHECK(difference(rows[{0, 2}], words.weight[4]) == "");
  sum(rows).backward();
  CHECK(numbers_of(words.weight.grad()) == std::vector<double>{1, 1, 3, 3, 0, 0, 0, 0, 2, 2});
  CHECK_THROWS_AS(words(tensor({5})), IndexError);
  nn::Embedding padded(5, 2, g, {.padding_idx = -1, .sparse = true});
  CHECK(numbers_of(padded.weight[4]) == std::vector<double>{0, 0});
  sum(padded(tensor({4, 1, 4}))).backward();
  CHECK(numbers_of(padded.weight.grad()) == std::vector<double>{0, 0, 1, 1, 0, 0, 0, 0, 0, 0});
  CHECK_THROWS_AS(nn::Embedding(5, 2, g, {.padding_idx = 5}), IndexError);

  CHECK_THROWS_WITH(nn::BatchNorm2d(6)(x), ContainsSubstring("BatchNorm2d") && ContainsSubstring("(4, 6, 3)"));
  CHECK_THROWS_AS(nn::InstanceNorm2d(6)(x), ShapeError);
  CHECK_THROWS_AS(nn::GroupNorm(4, 6), ShapeError);
  CHECK_THROWS_AS(nn::LayerNorm(0), ShapeError);
  CHECK_THROWS_AS(nn::Embedding(0, 1, g), ShapeError);
  CHECK_THROWS_AS(nn::Dropout(1.5, g), Error);
}

TEST_CASE("train and eval reach every part of a model", "[nn]") {
  Net net;
  eval(net);
  CHECK_FALSE((net.norm.training || net.drop.training || net.more[0].training || net.more[1].training));
  CHECK(net.verbose);
  Net copy = clone(net);
  CHECK_FALSE(copy.norm.training);
  train(net);
  CHECK((net.norm.training && net.drop.training && net.more[0].training && net.more[1].training));
  nn::Sequential stack{Net(), relu};
  eval(stack);
  CHECK_FALSE(std::get<0>(stack.layers).more[1].training);
}

TEST_CASE("batch norm learns its statistics and uses them afterwards", "[nn]") {
  Generator g(3);
  nn::BatchNorm1d norm(2), average(2, {.momentum = std::nullopt});
  Tensor all = zeros({2});
  for (int i = 0; i < 3; ++i) {
    Tensor x = randn({50, 2}, g) * 2 + 3;
    norm(x), average(x);
    all = all + mean(x, {0}) / 3;
  }
  CHECK(norm.num_batches_tracked.item<int64_t>() == 3);
  CHECK(difference(average.running_mean, all, 8) == "");
  eval(average);
  Tensor x = randn({5, 2}, g), before = average.running_mean.clone();
  CHECK(difference(average(x), batch_norm(x, average.running_mean, average.running_var)) == "");
  CHECK(difference(average.running_mean, before) == "");
  CHECK_NOTHROW(average(ones({1, 2})));
  CHECK_THROWS_AS(norm(ones({1, 2})), ShapeError);
  CHECK(norm.num_batches_tracked.item<int64_t>() == 3);  // a failed call counts nothing

  nn::BatchNorm1d loaded(2);
  load_state_dict(loaded, state_dict(norm));
  CHECK(loaded.num_batches_tracked.item<int64_t>() == 3);
}

TEST_CASE("dropout keeps the mean, and its generator the masks", "[nn]") {
  Generator g(4);
  nn::Dropout drop(0.25, g), other(0.25, g);
  Tensor x = ones({100000}), y = drop(x);
  double kept = sum((y != 0).to(DType::float32)).item() / 1e5;
  CHECK(kept == Approx(0.75).margin(0.01));  // seven standard deviations
  CHECK(amax(y).item() == Approx(4.0 / 3));
  CHECK_FALSE(difference(drop(x), y).empty());
  CHECK_FALSE(difference(other(x), y).empty());
  Generator again(4);
  CHECK(difference(nn::Dropout(0.25, again)(x), y) == "");
  eval(drop);
  CHECK(difference(drop(x), x) == "");
  CHECK(numbers_of(nn::Dropout(1, g)(ones({2}))) == std::vector<double>{0, 0});
  CHECK(numbers_of(nn::Dropout(0, g)(ones({2}))) == std::vector<double>{1, 1});
}

TEST_CASE("a Sequential is a model", "[nn]") {
  Generator g(5);
  nn::Sequential net(
      nn::Linear(3, 4, g), relu, nn::LayerNorm(4), [](const Tensor& x) { return x * 2; }, nn::Linear(4, 2, g));
  CHECK(names_of(state_dict(net)) == Names{"0.bias", "0.weight", "2.bias", "2.weight", "4.bias", "4.weight"});
  CHECK(parameters(net).size() == 6);
  Tensor x = randn({5, 3}, g);
  auto& [first, unused, norm, twice, last] = net.layers;
  CHECK(difference(net(x), last(twice(norm(relu(first(x)))))) == "");
  auto copy = clone(net);
  CHECK(difference(copy(x), net(x)) == "");
  CHECK_FALSE(std::get<0>(copy.layers).weight.impl() == first.weight.impl());
  nn::Sequential outer(net, relu);
  CHECK(names_of(state_dict(outer))[0] == "0.0.bias");
}

// ## Initial values
TEST_CASE("initial values have the size they promise", "[nn]") {
  Generator g(6);
  auto variance = [](const Tensor& x) { return mean(square(x)).item(); };
  Shape wide{200, 50}, kernel{40, 30, 3, 3};  // fan-in 50 and 270, fan-out 200 and 360
  CHECK(variance(nn::xavier_uniform(wide, g)) == Approx(2.0 / 250).epsilon(0.05));
  CHECK(variance(nn::xavier_normal(kernel, g, 3)) == Approx(9 * 2.0 / 630).epsilon(0.05));
  CHECK(variance(nn::kaiming_normal(wide, g)) == Approx(2.0 / 50).epsilon(0.05));
  CHECK(variance(nn::kaiming_uniform(kernel, g, {.mode = nn::Fan::out})) == Approx(2.0 / 360).epsilon(0.05));
  CHECK(variance(nn::kaiming_uniform(wide, g, {.a = 1})) == Approx(1.0 / 50).epsilon(0.05));
  CHECK(variance(nn::kaiming_normal(wide, g, {.nonlinearity = nn::Nonlinearity::tanh})) ==
        Approx(25.0 / 9 / 50).epsilon(0.05));
  CHECK(nn::calculate_gain(nn::Nonlinearity::relu) == std::sqrt(2.0));
  CHECK(nn::calculate_gain(nn::Nonlinearity::leaky_relu) == std::sqrt(2 / 1.0001));
  CHECK(nn::calculate_gain(nn::Nonlinearity::selu) == 0.75);
  CHECK(nn::calculate_gain(nn::Nonlinearity::sigmoid) == 1);
  CHECK_THROWS_AS(nn::kaiming_normal({3}, g), ShapeError);
  CHECK_THROWS_AS(nn::orthogonal({3}, g), ShapeError);
}

TEST_CASE("orthogonal rows, or columns", "[nn]") {
  Generator g(7);
  for (Shape shape : {Shape{30, 30}, Shape{20, 50}, Shape{50, 20}, Shape{10, 4, 5}}) {
    Tensor q = nn::orthogonal(shape, g, 2, DType::float64);
    CHECK(q.shape() == shape);
    q = q.reshape({shape[0], q.numel() / shape[0]});
    Tensor product = q.size(0) <= q.size(1) ? matmul(q, q.t()) : matmul(q.t(), q);
    INFO(to_string(shape));
    CHECK(amax(abs(product - eye(product.size(0), DType::float64) * 4)).item() < 1e-14);
  }
}

TEST_CASE("a truncated normal distribution has the moments of one", "[nn]") {
  Generator g(8);
  Tensor x = nn::trunc_normal({200000}, 1, 2, -1, 5, g, DType::float64);  // ±1 and 2 deviations around 1
  CHECK(amin(x).item() >= -1);
  CHECK(amax(x).item() <= 5);
  // mean 1 + 2 (φ(-1) − φ(2)) / (Φ(2) − Φ(-1)), with φ(1) = 0.2419707, φ(2) = 0.0539910, Φ(2) − Φ(-1) = 0.8185946
  CHECK(mean(x).item() == Approx(1 + 2 * (0.2419707 - 0.0539910) / 0.8185946).margin(0.02));
  Tensor tail = nn::trunc_normal({1000}, 0, 1, 50, 51, g);  // beyond what float64 can tell from 0
  CHECK(amin(tail).item() >= 50);
  CHECK_THROWS_AS(nn::trunc_normal({2}, 0, 1, 1, 1, g), Error);
}

TEST_CASE("pools are layers without parameters", "[nn]") {
  Tensor x = arange(32).to(DType::float32).reshape({1, 2, 4, 4});
  nn::Sequential net(nn::MaxPool2d(2), nn::Flatten());
  CHECK(numbers_of(net(x)) == std::vector<double>{5, 7, 13, 15, 21, 23, 29, 31});
  CHECK(parameters(net).empty());
  CHECK(state_dict(net).empty());
  CHECK(numbers_of(nn::AvgPool2d({4, 2}, {.stride = {4, 2}})(x)) == std::vector<double>{6.5, 8.5, 22.5, 24.5});
  CHECK(numbers_of(nn::AdaptiveAvgPool2d(1)(x)) == std::vector<double>{7.5, 23.5});
  CHECK(nn::AdaptiveMaxPool2d({-1, 1})(x).shape() == Shape{1, 2, 4, 1});
  CHECK(nn::MaxPool1d(3, {.stride = 1, .padding = 1})(x[0][0]).shape() == Shape{4, 4});
  CHECK(nn::MaxPool3d(2)(x).shape() == Shape{1, 1, 2, 2});
  CHECK(numbers_of(nn::LPPool1d(2, 4)(x[0][0][0].reshape({1, 4}))) == numbers_of(sqrt(tensor({14.0}))));
  ValuesIndices found = max_pool2d_with_indices(x, 2);
  CHECK(numbers_of(max_pool2d(nn::MaxUnpool2d(2)(found.values, found.indices), 2)) == numbers_of(found.values));
  CHECK(nn::Flatten(0)(x).shape() == Shape{32});
}

TEST_CASE("convolution layers have PyTorch's weights and compute their operation", "[nn][conv]") {
  Generator g(4);
  nn::Conv2d conv(4, 6, {3, 2}, g, {.stride = 2, .padding = {1, 0}, .groups = 2});
  CHECK(names_of(state_dict(conv)) == Names{"bias", "weight"});
  CHECK(conv.weight.shape() == Shape{6, 2, 3, 2});
  CHECK(names_of(state_dict(nn::Conv1d(4, 6, 3, {.bias = false}))) == Names{"weight"});
  CHECK(nn::Conv3d(4, 6, 3).weight.shape() == Shape{6, 4, 3, 3, 3});
  nn::ConvTranspose2d back(6, 4, {3, 2}, g, {.stride = 2, .padding = {1, 0}, .output_padding = {0, 1}, .groups = 2});
  CHECK(back.weight.shape() == Shape{6, 2, 3, 2});
  CHECK(back.bias.shape() == Shape{4});
  CHECK(nn::ConvTranspose1d(6, 4, 3).weight.shape() == Shape{6, 4, 3});
  CHECK(nn::ConvTranspose3d(6, 4, 3).weight.shape() == Shape{6, 4, 3, 3, 3});

  Tensor x = randn({2, 4, 7, 8}, g);
  Tensor y = conv2d(x, conv.weight, conv.bias, {.stride = 2, .padding = {1, 0}, .groups = 2});
  CHECK(difference(conv(x).detach(), y.detach()) == "");
  CHECK(back(y).shape() == Shape{2, 4, 7, 9});

  // Borders of other kinds are what `pad` makes; "same" lays the odd one behind.
  Tensor row = randn({2, 3, 9}, g);
  for (const char* mode : {"reflect", "replicate", "circular"}) {
    nn::Conv1d layer(3, 5, 4, g, {.padding = "same", .padding_mode = mode});
    Tensor want = conv1d(pad(row, {1, 2}, mode), layer.weight, layer.bias);
    CHECK(difference(layer(row).detach(), want.detach()) == "");
  }
  // F.conv1d(torch.arange(5.).view(1, 1, 5), torch.tensor([[[1., 10., 100., 1000.]]]), padding="same")
  nn::Conv1d same(1, 1, 4, {.padding = "same", .bias = false});
  same.weight = tensor({{{1.0, 10.0, 100.0, 1000.0}}});
  CHECK(difference(same(arange(5.0).reshape({1, 1, 5})), tensor({{{2100.0, 3210.0, 4321.0, 432.0, 43.0}}})) == "");

  CHECK_THROWS_WITH(
      nn::Conv2d(3, 4, 3, {.groups = 2}),
      "Conv2d: needs at least one channel in and out, which divide into groups, got 4 and 3 for groups = 2");
  CHECK_THROWS_WITH(nn::Conv2d(3, 4, {3, 3, 3}), "Conv2d: kernel (3, 3, 3) must be one number or 2");
  CHECK_THROWS_WITH(nn::Conv1d(3, 4, 0), "Conv1d: kernel (0,) must be at least 1");
  CHECK_THROWS_WITH(nn::Conv1d(3, 4, 1, {.padding_mode = "mirror"}),
                    "Conv1d: padding_mode is zeros, reflect, replicate or circular, got mirror");

  // What does not fit is refused whatever lies around.
  for (const char* mode : {"zeros", "circular"}) {
    auto computes = [&](const ConvPadding& padding, const PerPlace& stride, const PerPlace& dilation) {
      nn::Conv3d(1, 1, 2, {.stride = stride, .padding = padding, .dilation = dilation, .padding_mode = mode})(
          zeros({1, 1, 6, 6, 6}));
    };
    CHECK_THROWS_WITH(computes({1, 2}, 1, 1), ContainsSubstring("onv3d: padding (1, 2) must be one number or 3"));
    CHECK_THROWS_WITH(computes({1, 1, 1, 1}, 1, 1),
                      ContainsSubstring("onv3d: padding (1, 1, 1, 1) must be one number"));
    CHECK_THROWS_WITH(computes(-1, 1, 1), ContainsSubstring("onv3d: padding (-1,) must be at least 0"));
    CHECK_THROWS_WITH(computes("same", 1, {1, 2}), ContainsSubstring("onv3d: dilation (1, 2) must be one number or 3"));
    CHECK_THROWS_WITH(computes("same", {1, 2, 1}, 1), ContainsSubstring("\"same\" padding goes with stride 1 only"));
  }
}

TEST_CASE("convolution layers begin with PyTorch's spread of weights", "[nn][conv]") {
  Generator g(6);
  nn::Conv2d conv(16, 64, 3, g);
  const double bound = 1 / std::sqrt(16 * 9.0);
  CHECK(amax(abs(conv.weight)).item() <= bound);
  CHECK(amax(abs(conv.weight)).item() > 0.99 * bound);
  CHECK(std::abs(mean(square(conv.weight)).item() / (bound * bound / 3) - 1) < 0.05);
  nn::ConvTranspose2d back(64, 16, 3, g);
  CHECK(amax(abs(back.weight)).item() <= bound);
  CHECK(amax(abs(back.weight)).item() > 0.99 * bound);
  CHECK(amax(abs(back.bias)).item() <= bound);
  // Without a generator: the same each time, another for other sizes.
  CHECK(difference(nn::Conv1d(2, 3, 4).weight, nn::Conv1d(2, 3, 4).weight) == "");
  CHECK(difference(nn::Conv1d(2, 3, 4).weight, nn::Conv1d(2, 3, 5).weight.narrow(2, 0, 4)) != "");
}
