// # What golden values cannot show of attention
#include <cmath>
#include <limits>

#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"
#include "tensor/allocator.hpp"

using namespace cr;
using namespace cr::test;

namespace {

Tensor leaf(const Shape& shape, Generator& g, DType type) { return randn(shape, g, type).requires_grad_(); }

// Value and gradients, from blocks and from the formula; where they differ, in words.
std::string compare_with_formula(const std::vector<Tensor>& qkv, const AttentionOptions& options) {
  const Tensor &q = qkv[0], &k = qkv[1], &v = qkv[2];
  Tensor blocks = scaled_dot_product_attention(q, k, v, options), formula = matmul(attention_weights(q, k, options), v);
  Tensor dy = cos(arange(blocks.numel()).to(q.dtype())).reshape(blocks.shape());
  std::vector<Tensor> got = grad({blocks}, qkv, {.grad_outputs = {dy}});
  std::vector<Tensor> want = grad({formula}, qkv, {.grad_outputs = {dy}});
  got.push_back(blocks.detach()), want.push_back(formula.detach());
  std::string differences;
  for (size_t i = 0; i < got.size(); ++i) {
    std::string d = difference(got[i], want[i], 64, 16);
    if (!d.empty()) differences += "\n" + std::string(i < 3 ? "gradient " + std::to_string(i) : "value") + ": " + d;
  }
  return differences;
}

}  // namespace

// One block, several, a rest of one; widths that fill no vector, one, several panels; few heads, whose keys are cut into
// several tiles, and many.
TEST_CASE("attention in blocks is the formula's", "[ops][attention]") {
  Generator g(1);
  for (DType type : {DType::float32, DType::float64}) {
    for (Shape s : {Shape{1, 1, 1, 1, 1}, Shape{2, 7, 7, 5, 3}, Shape{1, 65, 129, 33, 31}, Shape{17, 66, 64, 32, 32},
                    Shape{1, 300, 515, 16, 64}, Shape{3, 200, 40, 70, 1}, Shape{2, 2, 200, 48, 16}}) {
      std::vector<Tensor> qkv{leaf({s[0], s[1], s[3]}, g, type), leaf({s[0], s[2], s[3]}, g, type),
                              leaf({s[0], s[2], s[4]}, g, type)};
      INFO(name(type) << " " << to_string(s));
      CHECK(compare_with_formula(qkv, {}) == "");
      CHECK(compare_with_formula(qkv, {.is_causal = true}) == "");
      CHECK(compare_with_formula(qkv, {.attn_mask = randn({s[1], s[2]}, g, type), .scale = -0.7}) == "");
      CHECK(compare_with_formula(qkv, {.attn_mask = randn({s[0], s[1], s[2]}, g) > 0}) == "");
      CHECK(compare_with_formula(qkv, {.attn_mask = randn({s[0], 1, s[2]}, g) > 1}) == "");
    }
  }
}

// What was summed before a larger score came must shrink; where scores only fall, nothing may. Both ways, by e¹⁰⁰ and more.
TEST_CASE("attention keeps its digits however scores climb", "[ops][attention]") {
  Generator g(2);
  for (double slope : {1.0, -1.0, 0.05}) {
    Tensor steps = linspace(-150, 150, 300, DType::float64).unsqueeze(1) * slope;  // (300, 1)
    std::vector<Tensor> qkv{ones({1, 3, 1}, DType::float64).requires_grad_(),
                            steps.unsqueeze(0).clone().requires_grad_(), leaf({1, 300, 4}, g, DType::float64)};
    CHECK(compare_with_formula(qkv, {.scale = 1}) == "");
  }
}

// Beside a score of −10¹⁵, the logarithm of a sum is lost in rounding: the two must not meet in one number.
TEST_CASE("attention to keys that all are masked by the same huge number is even", "[ops][attention]") {
  Generator g(5);
  for (DType type : {DType::float32, DType::float64}) {
    for (double least : {-1e4, -1e15, -1e20, -3.4028234663852886e38}) {
      std::vector<Tensor> qkv{leaf({2, 70, 8}, g, type), leaf({2, 130, 8}, g, type), leaf({2, 130, 4}, g, type)};
      Tensor mask = zeros({70, 130}, type);
      mask.narrow(0, 3, 2).fill_(least);                    // all of two rows
      mask.narrow(0, 5, 1).narrow(1, 0, 100).fill_(least);  // and the beginning of one
      INFO(name(type) << " " << least);
      CHECK(compare_with_formula(qkv, {.attn_mask = mask}) == "");
    }
  }

  // PyTorch's numbers.
  Tensor q = ones({2, 1}).requires_grad_(), k = tensor({{1.0}, {2.0}, {4.0}}).requires_grad_();
  Tensor v = tensor({{1.0}, {2.0}, {6.0}}).requires_grad_(), mask = zeros({2, 3});
  mask.narrow(0, 1, 1).fill_(-3.4028234663852886e38);
  sum(scaled_dot_product_attention(q, k, v, {.attn_mask = mask})).backward();
  CHECK(difference(q.grad(), tensor({{1.307375192642212}, {2.6666665077209473}}), 8) == "");
  CHECK(difference(k.grad(), tensor({{-0.8487033843994141}, {-0.7139651775360107}, {1.562668800354004}}), 8) == "");
  CHECK(difference(v.grad(), tensor({{0.3753434121608734}, {0.44752854108810425}, {1.1771280765533447}}), 8) == "");
}

// Each query shares out one whole, so with dO = 1 the gradients of the values add up to the number of queries.
TEST_CASE("attention's weights on the way back add up to 1 however large the scores", "[ops][attention]") {
  Generator g(8);
  for (double scale : {1.0, 1e4, 1e8, 1e16}) {
    for (bool causal : {false, true}) {
      for (int64_t l : {65, 70, 131, 300}) {
        std::vector<Tensor> x{leaf({l, 33}, g, DType::float32), leaf({l, 33}, g, DType::float32), ones({l, 1})};
        x[2].requires_grad_();
        Tensor y = scaled_dot_product_attention(x[0], x[1], x[2], {.is_causal = causal, .scale = scale});
        INFO(scale << " " << l << (causal ? " causal" : ""));
        CHECK(difference(sum(grad(sum(y), x[2])), full({}, l), 64) == "");
      }
    }
  }
}

TEST_CASE("attention without features is the mean of the values", "[ops][attention]") {
  Generator g(6);
  std::vector<Tensor> qkv{leaf({2, 3, 0}, g, DType::float32), leaf({2, 5, 0}, g, DType::float32),
                          leaf({2, 5, 4}, g, DType::float32)};
  CHECK(compare_with_formula(qkv, {}) == "");
  Tensor y = scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  CHECK(difference(y.detach(), mean(qkv[2].detach(), {1}, true).expand({2, 3, 4}), 4, 4) == "");
}

// The mask may have a batch that the queries lack, as long as keys or values have it.
TEST_CASE("attention's mask broadcasts to the batch of all three", "[ops][attention]") {
  Generator g(7);
  Tensor q = randn({1, 4, 3, 8}, g), k = randn({2, 2, 5, 8}, g), v = randn({2, 2, 5, 8}, g);
  Tensor mask = randn({2, 4, 3, 5}, g);
  auto repeated = [](const Tensor& x) { return x.unsqueeze(2).expand({2, 2, 2, 5, 8}).reshape({2, 4, 5, 8}); };
  CHECK(difference(scaled_dot_product_attention(q, k, v, {.attn_mask = mask, .enable_gqa = true}),
                   scaled_dot_product_attention(q, repeated(k), repeated(v), {.attn_mask = mask})) == "");
  CHECK_THROWS_WITH(
      scaled_dot_product_attention(q, k, v, {.attn_mask = ones({3, 4, 3, 5}), .enable_gqa = true}),
      "scaled_dot_product_attention: attn_mask (3, 4, 3, 5) does not broadcast to the scores, (2, 4, 3, 5)");
}

TEST_CASE("attention that may look nowhere is zero", "[ops][attention]") {
  Tensor q = ones({2, 4}).requires_grad_(), v = ones({3, 4});
  Tensor y = scaled_dot_product_attention(q, v, v, {.attn_mask = zeros({2, 3}, DType::boolean)});
  CHECK(y.sum().item() == 0);
  y.sum().backward();
  CHECK(q.grad().sum().item() == 0);

  // Later blocks may still be seen, and the last queries of a long causal row of none.
  Tensor k = ones({100, 4}), far = zeros({2, 100});
  far.narrow(1, 0, 99).fill_(-std::numeric_limits<double>::infinity());
  CHECK(difference(scaled_dot_product_attention(q, k, k, {.attn_mask = far}), ones({2, 4})) == "");
  CHECK(scaled_dot_product_attention(q, zeros({0, 4}), zeros({0, 4})).sum().item() == 0);
}

// A key that nobody may look at yet is not read, whatever it holds; what is looked at spreads as in the formula.
TEST_CASE("NaN and infinity spread to who looks at them", "[ops][attention]") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (double bad : {nan, inf, -inf}) {
    Tensor q = ones({70, 2}), k = ones({70, 2}), v = ones({70, 2});
    k[{66, 0}] = bad;
    Tensor y = scaled_dot_product_attention(q, k, v, {.is_causal = true});
    CHECK(difference(y.narrow(0, 0, 66), ones({66, 2}), 4) == "");
    CHECK(std::isnan(y[{69, 1}].item()) == (bad != -inf));
    CHECK(std::isnan(scaled_dot_product_attention(q, k, v)[{0, 0}].item()) == (bad != -inf));
  }
}

// 0 · ∞ is NaN: a query that must not see the value has NaN, if it is near, or what it should.
TEST_CASE("an infinite value spreads to its neighbours at most", "[ops][attention]") {
  const double inf = std::numeric_limits<double>::infinity();
  Tensor x = ones({600, 2}), v = ones({600, 2});
  v[{590, 0}] = inf;
  Tensor y = scaled_dot_product_attention(x, x, v, {.is_causal = true});
  for (int64_t i = 0; i < 590; ++i) CHECK((std::isnan(y[{i, 0}].item()) || std::fabs(y[{i, 0}].item() - 1) < 1e-5));
  CHECK(difference(y.narrow(0, 0, 526), ones({526, 2}), 4) == "");
  CHECK(difference(y.narrow(1, 1, 1), ones({600, 1}), 4) == "");
  CHECK(y[{590, 0}].item() == inf);
}

// 64 MB of scores for each head, if they were kept; q, k, v, o and their gradients are half a megabyte each.
TEST_CASE("attention's memory grows with the length", "[ops][attention]") {
  if (!allocator::caches()) SKIP("this build's allocator keeps no account");
  const int64_t n = kSanitized ? 1024 : 4096, heads = 2, whole = heads * n * 32 * 4;
  Generator g(3);
  std::vector<Tensor> qkv;
  for (int i = 0; i < 3; ++i) qkv.push_back(leaf({heads, n, 32}, g, DType::float32));
  for (bool masked : {false, true}) {
    Tensor mask = masked ? (randn({n}, g) < 2).expand({heads, n, n}) : Tensor();
    allocator::release_cached();
    const int64_t before = allocator::stats().reserved_bytes;
    sum(scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], {.attn_mask = mask, .is_causal = !masked})).backward();
    // The result, what sum() makes of it, its gradient, the three gradients, and, with two heads, dq in seven more parts.
    CHECK(allocator::stats().reserved_bytes - before < 16 * whole);
    CHECK(16 * whole < heads * n * n * 4);
    for (const Tensor& x : qkv) x.set_grad({});
  }
}

// Heads cut from one projection are not copied, and neither are they when they are put side by side again.
TEST_CASE("attention lies in memory as its queries do", "[ops][attention]") {
  Generator g(4);
  Tensor x = randn({2, 5, 3 * 12}, g);
  auto heads = [&](int64_t part, int64_t count) {
    return x.narrow(2, 12 * part, 3 * count).view({2, 5, count, 3}).transpose(1, 2);
  };
  CHECK(scaled_dot_product_attention(heads(0, 4), heads(1, 4), heads(2, 4)).transpose(1, 2).is_contiguous());
  Tensor shared = scaled_dot_product_attention(heads(0, 4), heads(1, 2), heads(2, 2), {.enable_gqa = true});
  CHECK(shared.shape() == Shape{2, 4, 5, 3});
  CHECK(shared.transpose(1, 2).is_contiguous());
  CHECK(scaled_dot_product_attention(randn({2, 4, 5, 3}, g), heads(1, 4), heads(2, 4)).is_contiguous());
  CHECK(difference(self_attention(x, 4, {.is_causal = true}),
                   scaled_dot_product_attention(heads(0, 4), heads(1, 4), heads(2, 4), {.is_causal = true})
                       .transpose(1, 2)
                       .reshape({2, 5, 12})) == "");
}

TEST_CASE("attention says what does not fit", "[ops][attention]") {
  Tensor q = ones({2, 4}), v = ones({3, 4}), i = zeros({2, 2}, DType::int64);
  CHECK_THROWS_AS(scaled_dot_product_attention(i, i, i), DTypeError);
  CHECK_THROWS_AS(scaled_dot_product_attention(q, v, v.to(DType::float64)), DTypeError);
  Tensor stored = q.to(DType::bfloat16);
  CHECK_THROWS_WITH(scaled_dot_product_attention(stored, stored, stored),
                    "scaled_dot_product_attention: bfloat16 is for storage; convert with to(DType::float32)");
  CHECK_THROWS_AS(scaled_dot_product_attention(q, v.to(Device::simt), v), DeviceError);
  CHECK_THROWS_AS(scaled_dot_product_attention(q, v, v, {.attn_mask = zeros({2, 3}, DType::int64)}), DTypeError);
  CHECK_THROWS_WITH(scaled_dot_product_attention(q, v, v, {.attn_mask = ones({5, 2, 3})}),
                    "scaled_dot_product_attention: attn_mask (5, 2, 3) does not broadcast to the scores, (2, 3)");
  CHECK_THROWS_WITH(scaled_dot_product_attention(q, v, v, {.attn_mask = ones({2, 3}), .is_causal = true}),
                    "scaled_dot_product_attention: give either a mask or is_causal, not both");
  CHECK_THROWS_WITH(
      scaled_dot_product_attention(q, v, ones({2, 4})),
      "scaled_dot_product_attention: query (2, 4), key (3, 4), value (2, 4) are not (…, L, E), (…, S, E), "
      "(…, S, F)");
  CHECK_THROWS_WITH(
      scaled_dot_product_attention(ones({5, 2, 4}), ones({2, 3, 4}), ones({2, 3, 4}), {.enable_gqa = true}),
      "scaled_dot_product_attention: query (5, 2, 4) cannot share the heads of key (2, 3, 4): the number of "
      "heads, dimension -3, must be a multiple");
  CHECK_THROWS_WITH(self_attention(ones({2, 10}), 2), "self_attention: (2, 10) is not (…, T, 3 h d) with h = 2 heads");
  CHECK_THROWS_AS(self_attention(ones({2, 12}), 0), ShapeError);

  MultiHeadOptions o{.num_heads = 2, .in_proj_weight = ones({12, 4}), .out_proj_weight = ones({4, 4})};
  Tensor x = ones({1, 3, 4});
  CHECK_THROWS_WITH(
      multi_head_attention(x, ones({2, 3, 4}), x, o),
      "multi_head_attention: query (1, 3, 4), key (2, 3, 4), value (1, 3, 4) are not (N, L, E), (N, S, K), "
      "(N, S, V)");
  CHECK_THROWS_WITH(multi_head_attention(x, ones({1, 3, 5}), x, o),
                    "multi_head_attention: key (1, 3, 5) must be (1, 3, 4)");
  CHECK_THROWS_WITH(multi_head_attention(x, x, ones({1, 3, 5}), o),
                    "multi_head_attention: value (1, 3, 5) must be (1, 3, 4)");
  auto with = [&](auto change) {
    MultiHeadOptions changed = o;
    change(changed);
    return multi_head_attention(x, x, x, changed);
  };
  CHECK_THROWS_WITH(with([](MultiHeadOptions& c) {
                      c.out_proj_weight = ones({4, 5});
                    }),
                    "multi_head_attention: out_proj_weight (4, 5) must be (4, 4)");
  CHECK_THROWS_WITH(with([](MultiHeadOptions& c) { c.out_proj_bias = ones({5}); }),
                    "multi_head_attention: out_proj_bias (5,) must be (4,)");
  CHECK_THROWS_WITH(with([](MultiHeadOptions& c) {
                      c.in_proj_weight = {}, c.q_proj_weight = c.v_proj_weight = ones({4, 4});
                      c.k_proj_weight = ones({4, 5});
                    }),
                    "multi_head_attention: k_proj_weight (4, 5) must be (4, 4)");
  o.key_padding_mask = zeros({1, 4}, DType::boolean);
  CHECK_THROWS_WITH(multi_head_attention(x, x, x, o), "multi_head_attention: key_padding_mask (1, 4) must be (1, 3)");
  o.key_padding_mask = {}, o.num_heads = 3;
  CHECK_THROWS_WITH(multi_head_attention(x, x, x, o), "multi_head_attention: 4 features do not divide into 3 heads");
  o.num_heads = 2, o.dropout_p = 0.5;
  CHECK_THROWS_WITH(multi_head_attention(x, x, x, o), "multi_head_attention: dropout needs a generator");
}
