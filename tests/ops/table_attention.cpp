#include "op_table.hpp"

namespace cr::test {
namespace {

Tensor attention(Tensor q, Tensor k, Tensor v, Tensor mask, double dropout_p, bool is_causal,
                 std::optional<double> scale, bool enable_gqa) {
  if (dropout_p != 0) throw Unsupported("scaled_dot_product_attention: no dropout here");
  AttentionOptions options{.attn_mask = mask, .is_causal = is_causal, .scale = scale, .enable_gqa = enable_gqa};
  return scaled_dot_product_attention(q, k, v, options);
}

}  // namespace

Table attention_ops() {
  return {
      {"scaled_dot_product_attention",
       "query key value attn_mask=null dropout_p=0.0 is_causal=false scale=null enable_gqa=false", attention},
  };
}

}  // namespace cr::test
