#include "nn/attention.hpp"

namespace cr::nn {

MultiheadAttention::MultiheadAttention(int64_t embed_dim, int64_t heads, Generator& generator,
                                       const MultiheadAttentionOptions& options)
    : dropout(options.dropout, generator),
      num_heads(heads),
      add_zero_attn(options.add_zero_attn),
      batch_first(options.batch_first) {
  const int64_t kdim = options.kdim.value_or(embed_dim), vdim = options.vdim.value_or(embed_dim);
  if (embed_dim < 1 || heads < 1 || embed_dim % heads != 0 || kdim < 1 || vdim < 1) {
    throw ShapeError("MultiheadAttention: embed_dim = " + std::to_string(embed_dim) +
                     " must divide into num_heads = " + std::to_string(heads) + ", and kdim = " + std::to_string(kdim) +
                     ", vdim = " + std::to_string(vdim) + " be at least 1");
  }
  auto matrix = [&](int64_t rows, int64_t columns) {
    return xavier_uniform({rows, columns}, generator).requires_grad_();
  };
  if (kdim == embed_dim && vdim == embed_dim) {
    in_proj_weight = matrix(3 * embed_dim, embed_dim);
  } else {
    q_proj_weight = matrix(embed_dim, embed_dim);
    k_proj_weight = matrix(embed_dim, kdim);
    v_proj_weight = matrix(embed_dim, vdim);
  }
  out_proj = Linear(embed_dim, embed_dim, generator, options.bias);
  if (options.bias) {
    in_proj_bias = zeros({3 * embed_dim}).requires_grad_();
    out_proj.bias = zeros({embed_dim}).requires_grad_();
  }
  if (options.add_bias_kv) {
    bias_k = xavier_normal({1, 1, embed_dim}, generator).requires_grad_();
    bias_v = xavier_normal({1, 1, embed_dim}, generator).requires_grad_();
  }
}

MultiHeadResult MultiheadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                               const Call& call) const {
  // The three are turned together, so that what was one tensor stays one.
  const bool turn = !batch_first && query.dim() == 3;
  auto turned = [&](const Tensor& x) { return turn && x.dim() == 3 ? x.transpose(0, 1) : x; };
  const Tensor q = turned(query), k = key.impl() == query.impl() ? q : turned(key),
               v = value.impl() == query.impl() ? q
                   : value.impl() == key.impl() ? k
                                                : turned(value);
  MultiHeadResult y = multi_head_attention(q, k, v,
                                           {.num_heads = num_heads,
                                            .in_proj_weight = in_proj_weight,
                                            .q_proj_weight = q_proj_weight,
                                            .k_proj_weight = k_proj_weight,
                                            .v_proj_weight = v_proj_weight,
                                            .in_proj_bias = in_proj_bias,
                                            .bias_k = bias_k,
                                            .bias_v = bias_v,
                                            .add_zero_attn = add_zero_attn,
                                            .out_proj_weight = out_proj.weight,
                                            .out_proj_bias = out_proj.bias,
                                            .key_padding_mask = call.key_padding_mask,
                                            .attn_mask = call.attn_mask,
                                            .is_causal = call.is_causal,
                                            .need_weights = call.need_weights,
                                            .average_attn_weights = call.average_attn_weights,
                                            .dropout_p = dropout.training ? dropout.p : 0,
                                            .generator = &dropout.generator});
  y.output = turned(y.output);
  return y;
}

}  // namespace cr::nn
