#pragma once

#include <optional>

#include "nn/dropout.hpp"
#include "nn/linear.hpp"

namespace cr::nn {

// # Multi-head attention
//
// `multi_head_attention` with what it learns (Vaswani et al. 2017). Names, initial values and masks are PyTorch's: a bool mask
// is true where attention is not paid. Dropout drops weights, in training.
struct MultiheadAttentionOptions {
  double dropout = 0;
  bool bias = true, add_bias_kv = false, add_zero_attn = false;
  std::optional<int64_t> kdim = {}, vdim = {};  // the sizes of keys and values, where they are not embed_dim
  bool batch_first = false;                     // (N, L, E) instead of (L, N, E)
};

struct MultiheadAttention {
  Tensor in_proj_weight;                               // (3 E, E), or, where sizes differ,
  Tensor q_proj_weight, k_proj_weight, v_proj_weight;  // (E, E), (E, K), (E, V)
  Tensor in_proj_bias;                                 // (3 E,)
  Tensor bias_k, bias_v;                               // (1, 1, E)
  Linear out_proj;
  Dropout dropout;
  int64_t num_heads = 1;
  bool add_zero_attn = false, batch_first = false;

  MultiheadAttention() = default;
  // Throws ShapeError for sizes below 1 or heads that do not divide embed_dim.
  MultiheadAttention(int64_t embed_dim, int64_t num_heads, Generator& generator,
                     const MultiheadAttentionOptions& options = {});

  // Weights and dropout need the scores of all pairs in memory: without `need_weights`, and outside training or with
  // dropout 0, memory grows with the length only.
  struct Call {
    Tensor key_padding_mask = {};  // (N, S)
    Tensor attn_mask = {};         // (L, S) or (N h, L, S)
    bool need_weights = true, average_attn_weights = true;
    bool is_causal = false;  // PyTorch needs the mask as well; here this is enough
  };
  MultiHeadResult operator()(const Tensor& query, const Tensor& key, const Tensor& value, const Call& call) const;
  MultiHeadResult operator()(const Tensor& query, const Tensor& key, const Tensor& value) const {
    return (*this)(query, key, value, Call{});
  }

  CR_FIELDS(in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, bias_k, bias_v, out_proj,
            dropout)
};

}  // namespace cr::nn
