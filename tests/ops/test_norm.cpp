// # Normalisation: what golden values cannot show
#include "catch.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("the fused gradient is the composed one", "[norm]") {
  Generator g(3);
  for (DType type : {DType::float32, DType::float64}) {
    for (int64_t n : {1, 7, 64, 5000}) {
      Tensor x = (randn({9, n}, g, type) + 0.5).requires_grad_(), w = randn({n}, g, type).requires_grad_(),
             b = randn({n}, g, type).requires_grad_(), dy = randn({9, n}, g, type);
      auto grads = [&](bool rms, bool create_graph) {
        Tensor y = rms ? rms_norm(x, {n}, w, 1e-3) : layer_norm(x, {n}, w, b, 1e-3);
        std::vector<Tensor> in{x, w};
        if (!rms) in.push_back(b);
        return grad(std::vector<Tensor>{y}, in, {.grad_outputs = {dy}, .create_graph = create_graph});
      };
      for (bool rms : {false, true}) {
        std::vector<Tensor> fused = grads(rms, false), composed = grads(rms, true);
        for (size_t k = 0; k < fused.size(); ++k) {
          INFO(name(type) << ", rows of " << n << (rms ? ", rms_norm" : ", layer_norm") << ", input " << k);
          CHECK(difference(fused[k], composed[k].detach(), 8, 4) == "");
        }
      }
    }
  }
}

TEST_CASE("batch norm's fused gradient is the composed one", "[norm]") {
  Generator g(5);
  for (DType type : {DType::float32, DType::float64}) {
    for (Shape shape : {Shape{300, 70}, Shape{3, 2, 4500}, Shape{5, 3, 2, 2}}) {
      Tensor x = (randn(shape, g, type) + 0.5).requires_grad_(), w = randn({shape[1]}, g, type).requires_grad_(),
             b = randn({shape[1]}, g, type).requires_grad_(), dy = randn(shape, g, type);
      auto grads = [&](bool create_graph) {
        return grad(std::vector<Tensor>{batch_norm(x, {}, {}, w, b, true)}, {x, w, b},
                    {.grad_outputs = {dy}, .create_graph = create_graph});
      };
      std::vector<Tensor> fused = grads(false), composed = grads(true);
      for (size_t k = 0; k < 3; ++k) {
        INFO(name(type) << ", " << to_string(shape) << ", input " << k);
        CHECK(difference(fused[k], composed[k].detach(), 8, 8) == "");
      }
    }
  }
}

TEST_CASE("rows far from 0 keep their digits", "[norm]") {
  Generator g(4);
  Tensor noise = randn({4, 1000}, g);
  Tensor x = noise + 10000;  // each number holds three decimals
  CHECK(difference(layer_norm(x, {1000}), layer_norm(x.to(DType::float64), {1000}).to(DType::float32), 4, 1) == "");
}

TEST_CASE("running statistics move as PyTorch's", "[norm]") {
  // F.batch_norm(x, m, v, training=True, momentum=0.25) for m = 0, v = 1
  Tensor x = tensor({{1.0, 10.0}, {2.0, 14.0}, {6.0, 12.0}}), m = zeros({2}), v = ones({2});
  batch_norm(x, m, v, {}, {}, true, 0.25);
  CHECK(numbers_of(m) == std::vector<double>{0.75, 3});
  CHECK(difference(v, tensor({0.75 + 0.25 * 7, 0.75 + 0.25 * 4}), 2) == "");
  batch_norm(x, m, v, {}, {}, false);
  CHECK(numbers_of(m) == std::vector<double>{0.75, 3});

  // Instances: the mean over samples of each one's mean and variance.
  Tensor y = tensor({{{1.0, 3.0}, {5.0, 5.0}}, {{3.0, 7.0}, {1.0, 2.0}}});  // (2, 2, 2)
  m = zeros({2}), v = zeros({2});
  instance_norm(y, m, v, {}, {}, true, 1.0);
  CHECK(numbers_of(m) == std::vector<double>{3.5, 3.25});
  CHECK(difference(v, tensor({5.0, 0.25}), 2) == "");

  // They are buffers: no graph grows on them.
  Tensor w = ones({2}).requires_grad_();
  batch_norm(x * w, m, v, {}, {}, true);
  CHECK_FALSE(m.requires_grad());
}

TEST_CASE("normalisation refuses what does not fit", "[norm]") {
  Tensor x = ones({2, 6, 4});
  CHECK_THROWS_WITH(layer_norm(x, {3, 4}),
                    ContainsSubstring("layer_norm") && ContainsSubstring("(2, 6, 4)") && ContainsSubstring("(3, 4)"));
  CHECK_THROWS_AS(layer_norm(x, {}), ShapeError);
  CHECK_THROWS_AS(layer_norm(x, {1, 2, 6, 4}), ShapeError);
  CHECK_THROWS_WITH(layer_norm(x, {4}, ones({6})), ContainsSubstring("weight (6,)") && ContainsSubstring("(4,)"));
  CHECK_THROWS_AS(layer_norm(x, {4}, ones({4}, DType::float64)), DTypeError);
  CHECK_THROWS_AS(layer_norm(x.to(DType::int64), {4}), DTypeError);
  CHECK_THROWS_AS(rms_norm(x, {6}), ShapeError);
  CHECK_THROWS_WITH(group_norm(x, 4), ContainsSubstring("6 channels") && ContainsSubstring("4"));
  CHECK_THROWS_AS(group_norm(x, 0), ShapeError);
  CHECK_THROWS_AS(group_norm(ones({6}), 2), ShapeError);
  CHECK_THROWS_WITH(batch_norm(x, ones({4}), ones({4})), ContainsSubstring("running_mean (4,)"));
  CHECK_THROWS_AS(batch_norm(x, {}, {}), Error);
  CHECK_THROWS_WITH(batch_norm(ones({1, 6}), {}, {}, {}, {}, true), ContainsSubstring("(1, 6)"));
  CHECK_THROWS_AS(instance_norm(ones({2, 6, 1})), ShapeError);
  CHECK_THROWS_AS(instance_norm(x, {}, {}, {}, {}, false), Error);
  CHECK_THROWS_AS(local_response_norm(ones({2, 6}), 3), ShapeError);
  CHECK_THROWS_AS(local_response_norm(x, 0), ShapeError);
  CHECK_THROWS_AS(normalize(x, 2, {3}), IndexError);
}
