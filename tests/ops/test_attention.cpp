// # What golden values cannot show of attention
#include "backend/parallel.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "compare.hpp"

using namespace cr;
using namespace cr::test;

TEST_CASE("attention that may look nowhere is zero", "[ops][attention]") {
  Tensor q = ones({2, 4}).requires_grad_(), v = ones({3, 4});
  Tensor y = scaled_dot_product_attention(q, v, v, {.attn_mask = zeros({2, 3}, DType::boolean)});
  CHECK(y.sum().item() == 0);
  y.sum().backward();
  CHECK(q.grad().sum().item() == 0);
  CHECK_THROWS_AS(scaled_dot_product_attention(q, v, v, {.attn_mask = zeros({2, 3}, DType::int64)}), DTypeError);
  CHECK_THROWS_AS(scaled_dot_product_attention(q, v, v, {.attn_mask = ones({5, 2, 3})}), ShapeError);
  CHECK_THROWS_WITH(scaled_dot_product_attention(q, v, v, {.attn_mask = ones({2, 3}), .is_causal = true}),
                    "scaled_dot_product_attention: give either a mask or is_causal, not both");
}
