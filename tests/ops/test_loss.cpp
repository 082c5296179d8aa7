// # Losses: options, stability and errors
#include <cmath>

#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("losses are called with a reduction, with options or plainly", "[ops]") {
  Tensor logits = tensor({{1.0, 2.0, 0.5}, {0.0, -1.0, 3.0}}), labels = tensor({1, 2}), w = tensor({1.0, 2.0, 4.0});
  double plain = cross_entropy(logits, labels).item(), total = cross_entropy(logits, labels, Reduction::sum).item();
  CHECK(total == Approx(2 * plain));
  CHECK(cross_entropy(logits, labels, {.reduction = Reduction::sum}).item() == Approx(total));
  Tensor each = cross_entropy(logits, labels, Reduction::none);
  double weighted = (2 * each[0].item() + 4 * each[1].item()) / 6;
  CHECK(cross_entropy(logits, labels, {.weight = w}).item() == Approx(weighted));
  CHECK(cross_entropy(logits, labels, {.ignore_index = 1}).item() == Approx(each[1].item()));
  CHECK(cross_entropy(logits, one_hot(labels, 3).to(DType::float32)).item() == Approx(plain));
  CHECK(nll_loss(log_softmax(logits, 1), labels).item() == Approx(plain));
  CHECK(smooth_l1_loss(logits, logits + 3, {.beta = 2}).item() == Approx(2));
  CHECK(kl_div(log_softmax(logits, 1), softmax(logits, 1), {.batchmean = true}).item() == Approx(0).margin(1e-6));
  CHECK(mse_loss(logits, logits + 2, {.reduction = Reduction::sum}).item() == 24);
}

TEST_CASE("no loss overflows where its value is finite", "[ops]") {
  Tensor far = tensor({1000.0, -1000.0}).requires_grad_(), y = tensor({-1.0, 1.0});
  Tensor loss = soft_margin_loss(far, y, Reduction::none);
  CHECK(numbers_of(loss.detach()) == std::vector<double>{1000, 1000});
  CHECK(numbers_of(grad(sum(loss), far)) == std::vector<double>{1, -1});
  Tensor certain = tensor({0.0, 1.0}).requires_grad_(), wrong = tensor({1.0, 0.0});
  loss = binary_cross_entropy(certain, wrong, {.reduction = Reduction::none});
  CHECK(numbers_of(loss.detach()) == std::vector<double>{100, 100});
  CHECK(std::isfinite(amax(abs(grad(sum(loss), certain))).item()));
  Tensor w = tensor({5.0, 5.0});
  loss = binary_cross_entropy_with_logits(far, tensor({0.0, 1.0}), {.reduction = Reduction::none, .pos_weight = w});
  CHECK(numbers_of(loss.detach()) == std::vector<double>{1000, 5000});
  // A difference of nothing has a distance of 0 and a gradient of 0, not 0 / 0.
  Tensor a = ones({2, 3}).requires_grad_();
  Tensor triplet = triplet_margin_loss(a, a.detach(), zeros({2, 3}), {.margin = 5, .eps = 0});
  CHECK(std::isfinite(sum(grad(triplet, a)).item()));
}

TEST_CASE("labels that do not count leave no trace, even of infinities", "[ops]") {
  Tensor x = tensor({{0.0, 1.0}, {2.0, 1.0}}).requires_grad_(), labels = tensor({1, -100});
  Tensor dx = grad(cross_entropy(x, labels), x);
  CHECK(amax(abs(dx[1])).item() == 0);
  Tensor logs = tensor({{-1.0, -2.0}, {-INFINITY, 0.0}}).requires_grad_();
  Tensor loss = nll_loss(logs, labels);
  CHECK(loss.item() == 2);
  CHECK(numbers_of(grad(loss, logs)) == std::vector<double>{0, -1, 0, 0});
  CHECK(std::isnan(cross_entropy(x, tensor({-100, -100})).item()));
  CHECK(cross_entropy(x, tensor({-100, -100}), Reduction::sum).item() == 0);
}

TEST_CASE("a distance of one's own", "[ops]") {
  Tensor a = tensor({{0.0, 0.0}}), p = tensor({{3.0, 4.0}}), n = tensor({{1.0, 0.0}});
  auto manhattan = [](const Tensor& x, const Tensor& y) { return sum(abs(x - y), {-1}); };
  CHECK(triplet_margin_with_distance_loss(a, p, n, {.distance = manhattan}).item() == 7);
  CHECK(triplet_margin_loss(a, p, n).item() == Approx(5));
}

TEST_CASE("losses refuse what they cannot take", "[ops]") {
  Tensor x = ones({3, 4}), labels = tensor({0, 1, 2});
  CHECK_THROWS_WITH(nll_loss(x, tensor({0, 7, 1})), ContainsSubstring("nll_loss: label 7, but there are 4 classes"));
  CHECK_THROWS_AS(nll_loss(x, tensor({0, -1, 1})), IndexError);
  CHECK_THROWS_WITH(cross_entropy(x, tensor({0, 7, 1})), ContainsSubstring("cross_entropy: label 7 in row 1"));
  CHECK_THROWS_AS(cross_entropy(x, tensor({0, 7, 1}), {.label_smoothing = 0.1}), IndexError);
  CHECK_THROWS_WITH(cross_entropy(x, labels, {.weight = ones({3})}), ContainsSubstring("weight (3,) for 4 classes"));
  CHECK_THROWS_WITH(cross_entropy(x, labels, {.label_smoothing = 1.5}), ContainsSubstring("label_smoothing"));
  CHECK_THROWS_AS(cross_entropy(x, zeros({3, 4}).to(DType::int64)), DTypeError);
  CHECK_THROWS_AS(cross_entropy(Tensor(1.0), tensor({0})), ShapeError);
  CHECK_THROWS_AS(cross_entropy(ones({2, 4, 3}), zeros({2, 4}).to(DType::int64)), ShapeError);
  CHECK_THROWS_WITH(multi_margin_loss(x, tensor({0, 4, 1})), ContainsSubstring("multi_margin_loss: label 4"));
  CHECK_THROWS_WITH(multi_margin_loss(x, labels, {.p = 3}), ContainsSubstring("p = 3"));
  CHECK_THROWS_WITH(multilabel_margin_loss(ones({2}), tensor({2, -1})), ContainsSubstring("label 2"));
  CHECK_THROWS_WITH(multilabel_margin_loss(ones({2}), tensor({-2, -1})), ContainsSubstring("label -2"));
  CHECK_THROWS_AS(multilabel_margin_loss(ones({2}), tensor({1, 0, -1})), ShapeError);
  CHECK_THROWS_WITH(mse_loss(x, ones({3})), ContainsSubstring("(3, 4)"));
  CHECK_THROWS_WITH(mse_loss(x, x, {.weight = ones({4})}), ContainsSubstring("weight (4,)"));
  CHECK_THROWS_AS(mse_loss(arange(3), arange(3)), DTypeError);
  CHECK_THROWS_WITH(huber_loss(x, x, {.delta = 0}), ContainsSubstring("huber_loss: delta"));
  CHECK_THROWS_WITH(smooth_l1_loss(x, x, {.beta = -1}), ContainsSubstring("smooth_l1_loss: beta"));
  CHECK_THROWS_WITH(gaussian_nll_loss(x, x, -x), ContainsSubstring("negative"));
  CHECK_THROWS_WITH(gaussian_nll_loss(x, x, ones({4})), ContainsSubstring("var (4,) for input (3, 4)"));
  CHECK_THROWS_WITH(binary_cross_entropy(2 * x, x), ContainsSubstring("between 0 and 1, but 2"));
  CHECK_THROWS_AS(binary_cross_entropy(x, ones({4})), ShapeError);
  CHECK_THROWS_AS(binary_cross_entropy(x, x, {.weight = ones({2, 3, 4})}), ShapeError);
  CHECK_THROWS_AS(binary_cross_entropy_with_logits(x, x, {.pos_weight = ones({3})}), ShapeError);
  CHECK_THROWS_AS(margin_ranking_loss(x, x, ones({4})), ShapeError);
  CHECK_THROWS_WITH(cosine_embedding_loss(x, ones({4}), ones({3})), ContainsSubstring("cosine_embedding_loss"));
  CHECK_THROWS_WITH(triplet_margin_loss(x, x, ones({4})), ContainsSubstring("triplet_margin_loss: anchor"));
  CHECK_THROWS_WITH(triplet_margin_loss(x, x, x, {.margin = 0}), ContainsSubstring("margin"));
  CHECK_THROWS_WITH(cross_entropy(x, ones({3, 4}), {.weight = ones({2})}), ContainsSubstring("weight (2,) for 4"));
  CHECK_THROWS_AS(kl_div(x, arange(3)), DTypeError);
}

TEST_CASE("infinite logits", "[ops]") {
  double inf = HUGE_VAL;
  CHECK(binary_cross_entropy_with_logits(Tensor(inf), Tensor(0.0)).item() == inf);
  CHECK(binary_cross_entropy_with_logits(Tensor(-inf), Tensor(0.0)).item() == 0);
  Tensor x = tensor({{1.0, inf, 2.0}}).requires_grad_(), loss = cross_entropy(x, tensor({0}));
  CHECK(std::isnan(loss.item()));
  for (bool create_graph : {false, true}) {
    Tensor dx = grad(loss, x, {.retain_graph = true, .create_graph = create_graph}).detach();
    CHECK(isnan(dx).to(DType::int64).sum().item() == 3);
  }
}
