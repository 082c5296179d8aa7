#include "op_table.hpp"

namespace cr::test {
namespace {

Tensor attention(Tensor q, Tensor k, Tensor v, Tensor mask, double dropout_p, bool is_causal,
                 std::optional<double> scale, bool enable_gqa) {
  if (dropout_p != 0) throw Unsupported("scaled_dot_product_attention: no dropout here");
  AttentionOptions options{.attn_mask = mask, .is_causal = is_causal, .scale = scale, .enable_gqa = enable_gqa};
  return scaled_dot_product_attention(q, k, v, options);
}

// In PyTorch is_causal only says what the mask is.
Outputs call_multi_head(Tensor query, Tensor key, Tensor value, int64_t width, int64_t num_heads, Tensor in_proj_weight,
                        Tensor in_proj_bias, Tensor bias_k, Tensor bias_v, bool add_zero_attn, double dropout_p,
                        Tensor out_proj_weight, Tensor out_proj_bias, bool training, Tensor key_padding_mask,
                        bool need_weights, Tensor attn_mask, bool use_separate_proj_weight, Tensor q_proj_weight,
                        Tensor k_proj_weight, Tensor v_proj_weight, Tensor static_k, Tensor static_v,
                        bool average_attn_weights, bool is_causal) {
  if (dropout_p != 0 && training) throw Unsupported("multi_head_attention_forward: its dropout draws other numbers");
  if (static_k.defined() || static_v.defined()) throw Unsupported("multi_head_attention_forward: no static keys here");
  if (query.size(-1) != width) throw ShapeError("multi_head_attention_forward: embed_dim_to_check is not query's");
  if (is_causal && !attn_mask.defined()) throw Error("multi_head_attention_forward: is_causal wants a mask too");
  // (L, N, E) there, (N, L, E) here; one tensor given three times stays one.
  auto turned = [](const Tensor& x) { return x.dim() == 3 ? x.transpose(0, 1) : x; };
  Tensor q = turned(query), k = key.impl() == query.impl() ? q : turned(key);
  Tensor v = value.impl() == query.impl() ? q : value.impl() == key.impl() ? k : turned(value);
  MultiHeadResult y = multi_head_attention(q, k, v,
                                           {.num_heads = num_heads,
                                            .in_proj_weight = use_separate_proj_weight ? Tensor() : in_proj_weight,
                                            .q_proj_weight = q_proj_weight,
                                            .k_proj_weight = k_proj_weight,
                                            .v_proj_weight = v_proj_weight,
                                            .in_proj_bias = in_proj_bias,
                                            .bias_k = bias_k,
                                            .bias_v = bias_v,
                                            .add_zero_attn = add_zero_attn,
                                            .out_proj_weight = out_proj_weight,
                                            .out_proj_bias = out_proj_bias,
                                            .key_padding_mask = key_padding_mask,
                                            .attn_mask = attn_mask,
                                            .need_weights = need_weights,
                                            .average_attn_weights = average_attn_weights});
  return need_weights ? Outputs{turned(y.output), y.weights} : Outputs{turned(y.output)};
}

Tensor call_self_attention(Tensor x, int64_t num_heads, Tensor mask, bool is_causal) {
  return self_attention(x, num_heads, {.attn_mask = mask, .is_causal = is_causal});
}

}  // namespace

Table attention_ops() {
  return {
      {"scaled_dot_product_attention",
       "query key value attn_mask=null dropout_p=0.0 is_causal=false scale=null enable_gqa=false", attention},
      {"attention_weights", "query key attn_mask=null is_causal=false",
       [](Tensor q, Tensor k, Tensor mask, bool is_causal) {
         return attention_weights(q, k, {.attn_mask = mask, .is_causal = is_causal});
       }},
      {"self_attention", "input num_heads attn_mask=null is_causal=false", call_self_attention},
      {"multi_head_attention_forward",
       "query key value embed_dim_to_check num_heads in_proj_weight in_proj_bias bias_k bias_v add_zero_attn dropout_p "
       "out_proj_weight out_proj_bias training=true key_padding_mask=null need_weights=true attn_mask=null "
       "use_separate_proj_weight=false q_proj_weight=null k_proj_weight=null v_proj_weight=null static_k=null "
       "static_v=null average_attn_weights=true is_causal=false",
       call_multi_head},
  };
}

}  // namespace cr::test
