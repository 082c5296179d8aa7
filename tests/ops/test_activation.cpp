// # Activations: accuracy, dice and errors
#include <cmath>
#include <functional>

#include "backend/parallel.hpp"
#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"
#include "machine.hpp"

using namespace cr;
using namespace cr::test;

// How far float32 is from float64, relative to the value, over a range of x.
static double error_of(Tensor (*f)(const Tensor&), double from, double to) {
  Tensor x = linspace(from, to, 100001);
  Tensor exact = f(x.to(DType::float64)), off = abs(f(x).to(DType::float64) - exact) / (abs(exact) + 1e-37);
  return amax(off).item();
}

TEST_CASE("activations keep their digits in the tails", "[ops]") {
  constexpr double kUlp = 0x1p-23;
  auto tanh_gelu = [](const Tensor& x) { return gelu(x, "tanh"); };
  auto plain_gelu = [](const Tensor& x) { return gelu(x); };
  auto plain_elu = [](const Tensor& x) { return elu(x); };
  auto plain_softplus = [](const Tensor& x) { return softplus(x); };
  CHECK(error_of(plain_gelu, -3, 10) < 8 * kUlp);
  CHECK(error_of(plain_gelu, -12, -3) < 80 * kUlp);  // the exponent x² / 2 is rounded to half of its own last place
  CHECK(error_of(tanh_gelu, -3, 10) < 16 * kUlp);
  CHECK(error_of(plain_elu, -30, 10) < 2 * kUlp);
  CHECK(error_of(plain_elu, -1e-3, 1e-3) < 2 * kUlp);
  CHECK(error_of(silu, -80, 80) < 4 * kUlp);
  CHECK(error_of(mish, -30, 30) < 6 * kUlp);
  CHECK(error_of(plain_softplus, -80, 80) < 4 * kUlp);
  CHECK(error_of(logsigmoid, -80, 80) < 4 * kUlp);
}

// The slopes have factors that overflow beside others that are 0.
TEST_CASE("slopes of gates are 0 and 1 far out", "[ops]") {
  auto tanh_gelu = [](const Tensor& x) { return gelu(x, "tanh"); };
  for (DType type : {DType::float32, DType::float64}) {
    const double most = type == DType::float32 ? 3e38 : 1e308;
    Tensor x = tensor({-most, -1e18, -1e3, 1e3, 1e18, most}, type).requires_grad_();
    Tensor want = tensor({0, 0, 0, 1, 1, 1}, type);
    for (const std::function<Tensor(const Tensor&)>& f : {std::function<Tensor(const Tensor&)>(tanh_gelu), {mish}}) {
      CHECK(difference(grad(sum(f(x)), x), want) == "");
      Tensor slope = grad(sum(f(x)), x, {.create_graph = true});
      CHECK(difference(slope.detach(), want) == "");
      CHECK(difference(grad(sum(slope), x), zeros({6}, type)) == "");
    }
  }
}

TEST_CASE("softplus with a high threshold does not overflow", "[ops]") {
  CHECK(softplus(tensor({1000.0}), 1, 1e30).item() == 1000);
  CHECK(logsigmoid(tensor({-1000.0})).item() == -1000);
}

TEST_CASE("dropout drops a share p, scales the rest, and its gradient has the same holes", "[ops]") {
  for (DType type : {DType::float32, DType::float64}) {
    Generator g(3);
    Tensor x = (rand({200, 1000}, g, type) + 1).requires_grad_();
    double p = 0.3;
    Tensor y = dropout(x, p, true, g);
    double dropped = (y == 0).to(DType::float64).mean().item();
    CHECK(std::abs(dropped - p) < 5 * std::sqrt(p * (1 - p) / 200000));
    Tensor factor = y.detach() / x.detach(), kept = (y != 0).to(type);
    CHECK(difference(factor, kept / (1 - p), 2) == "");
    Tensor dx = grad(sum(y), x);
    CHECK(difference(dx.detach(), kept / (1 - p), 1) == "");
  }
}

TEST_CASE("dropout depends on the generator, not on threads", "[bits]") {
  auto draw = [](int threads) {
    Threads own(threads);
    Generator g(11);
    return dropout(ones({300000}), 0.5, true, g);
  };
  CHECK(difference(draw(2), draw(1)) == "");
  Generator g(11);
  CHECK(difference(dropout(ones({300000}), 0.5, true, g), draw(1)) == "");
  CHECK(difference(dropout(ones({300000}), 0.5, true, g), draw(1)) != "");
}

TEST_CASE("dropout of everything, of nothing and when not training is exact", "[ops]") {
  Generator g(0);
  Tensor x = randn({3, 4}, g), empty = zeros({0, 3});
  CHECK(difference(dropout(x, 0, true, g), x) == "");
  CHECK(difference(dropout(x, 0.9, false, g), x) == "");
  CHECK(amax(abs(dropout(x, 1, true, g))).item() == 0);
  CHECK(dropout(empty, 0.5, true, g).shape() == empty.shape());
}

TEST_CASE("channel dropout drops whole channels", "[ops]") {
  Generator g(5);
  Tensor x = ones({50, 40, 3, 2}), y = dropout2d(x, 0.25, true, g);
  Tensor channels = sum(y, {2, 3}) * 0.75;  // (50, 40): 6 or 0
  CHECK(sum((abs(channels - 6) < 1e-5).to(DType::int64) + (channels == 0).to(DType::int64)).item<int64_t>() == 2000);
  CHECK(std::abs((channels == 0).to(DType::float32).mean().item() - 0.25) < 0.05);
  CHECK(dropout1d(ones({4, 5}), 0.5, true, g).shape() == Shape{4, 5});
  CHECK(dropout3d(ones({2, 4, 1, 2, 3}), 0.5, true, g).shape() == Shape{2, 4, 1, 2, 3});
}

TEST_CASE("alpha dropout keeps mean 0 and variance 1", "[ops]") {
  Generator g(7);
  Tensor x = randn({400000}, g);
  for (Tensor y : {alpha_dropout(x, 0.2, true, g), feature_alpha_dropout(x.reshape({400, 1000}), 0.2, true, g)}) {
    double mean = y.mean().item(), variance = square(y - mean).mean().item();
    CHECK(std::abs(mean) < 0.01);
    CHECK(std::abs(variance - 1) < 0.02);
  }
}

TEST_CASE("rrelu draws a slope for each negative element", "[ops]") {
  Generator g(9);
  Tensor x = randn({100000}, g).requires_grad_();
  Tensor y = rrelu(x, 0.1, 0.5, true, g), slope = grad(sum(y), x);
  CHECK(difference(y.detach(), x.detach() * slope) == "");
  Tensor down = (x.detach() <= 0).to(DType::float32), drawn = slope * down + 0.3 * (1 - down);
  CHECK(amin(drawn).item() >= 0.1f);
  CHECK(amax(drawn).item() <= 0.5f);
  CHECK(std::abs(drawn.mean().item() - 0.3) < 0.002);
  CHECK(amin(slope + down).item() >= 1);
}

TEST_CASE("gumbel_softmax draws with the probabilities of softmax", "[ops]") {
  Generator g(13);
  Tensor logits = log(tensor({0.1, 0.2, 0.7})).expand({50000, 3}).clone().requires_grad_();
  Tensor hard = gumbel_softmax(logits, g, 0.5, true), share = hard.detach().mean({0});
  CHECK(difference(sum(hard.detach(), {1}), ones({50000}), 2) == "");
  std::vector<double> got = numbers_of(share), want{0.1, 0.2, 0.7};
  for (size_t i = 0; i < 3; ++i) CHECK(std::abs(got[i] - want[i]) < 0.01);
  Tensor dx = grad(sum(hard * tensor({1.0, 2.0, 3.0})), logits);
  CHECK(amax(abs(dx)).item() > 0.1);
  Tensor deep = gumbel_softmax(zeros({2, 3, 4}), g, 1, true, 0);
  CHECK(deep.shape() == Shape{2, 3, 4});
  CHECK(equal(deep.detach().sum({0}), ones({3, 4})));
  Tensor soft = gumbel_softmax(logits.transpose(0, 1), g, 2, false, 0);
  CHECK(difference(sum(soft.detach(), {0}), ones({50000}), 4) == "");
}

TEST_CASE("activations refuse what they cannot take", "[ops]") {
  Generator g(0);
  Tensor x = ones({3, 4});
  CHECK_THROWS_WITH(gelu(arange(3)), ContainsSubstring("gelu: does not take int64"));
  CHECK_THROWS_WITH(gelu(x, "exact"), ContainsSubstring("\"exact\""));
  CHECK_THROWS_WITH(glu(ones({3})), ContainsSubstring("glu: dimension 0 of (3,) has no two halves"));
  CHECK_THROWS_WITH(prelu(x, ones({3})), ContainsSubstring("prelu: weight (3,) for input (3, 4)"));
  CHECK_THROWS_WITH(prelu(x, ones({4}, DType::float64)), ContainsSubstring("float64"));
  CHECK_THROWS_WITH(hardtanh(x, 1, -1), ContainsSubstring("hardtanh"));
  CHECK_THROWS_WITH(softshrink(x, -0.5), ContainsSubstring("softshrink"));
  CHECK_THROWS_WITH(celu(x, 0), ContainsSubstring("celu"));
  CHECK_THROWS_WITH(rrelu(x, 0.5, 0.25, true, g), ContainsSubstring("rrelu"));
  CHECK_THROWS_WITH(maxout(x, 3), ContainsSubstring("maxout: dimension 1 of (3, 4) does not fall into groups of 3"));
  CHECK_THROWS_WITH(softmin(x, 2), ContainsSubstring("2"));
  CHECK_THROWS_WITH(dropout(x, 1.5, true, g), ContainsSubstring("dropout: p = 1.5"));
  CHECK_THROWS_WITH(dropout(x, std::nan(""), false, g), ContainsSubstring("dropout: p"));
  CHECK_THROWS_AS(dropout(arange(3), 0.5, true, g), DTypeError);
  CHECK_THROWS_WITH(dropout1d(ones({4}), 0.5, true, g), ContainsSubstring("dropout1d"));
  CHECK_THROWS_WITH(dropout2d(ones({4}), 0.5, true, g), ContainsSubstring("(n, channels"));
  CHECK_THROWS_AS(gumbel_softmax(arange(3), g), DTypeError);
}

TEST_CASE("slopes in one pass are the composed ones", "[ops]") {
  using Function = std::function<Tensor(const Tensor&)>;
  auto binary = [](const Tensor& z) {
    return binary_cross_entropy_with_logits(z, sigmoid(z.detach() * 3), Reduction::none);
  };
  Generator g(9);
  for (DType type : {DType::float32, DType::float64}) {
    Tensor x = (randn({1001}, g, type) * 3).requires_grad_(), dy = randn({1001}, g, type);
    for (const Function& f : {Function([](const Tensor& t) { return tanh(t); }),
                              Function([](const Tensor& t) { return sigmoid(t); }), Function(binary)}) {
      auto slope = [&](bool composed) {
        return grad(std::vector<Tensor>{f(x)}, {x}, {.grad_outputs = {dy}, .create_graph = composed})[0].detach();
      };
      CHECK(difference(slope(false), slope(true), 2, 1) == "");
    }
  }
}
