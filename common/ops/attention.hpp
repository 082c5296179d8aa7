// # Attention
//
// Each query asks all keys how well they fit, and takes the mean of their values, weighted by the answers (Vaswani et al. 2017).
#pragma once

#include <optional>

#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr {

// softmax(Q Kᵀ · scale + mask) V: queries (…, L, E), keys (…, S, E), values (…, S, F) → (…, L, F). The dimensions before
// the last two broadcast. The mask broadcasts to (…, L, S): where a bool mask is false, or in the causal case the key comes
// after the query, no attention is paid; a floating-point mask is added. A query that may look nowhere gets zeros. The scale
// is 1/√E unless given, 1 for E = 0. With `enable_gqa` groups of neighbouring heads (dimension -3) share one head of keys and
// values.
//
// Memory grows with L + S, not with L · S, both ways, as long as no gradient of the mask or of a gradient is wanted: the
// scores are computed block by block and never kept. Of queries (B, L, h, E) seen as (B, h, L, E) by transpose(1, 2), the
// result lies in memory as they do, so that `.transpose(1, 2).reshape({B, L, h * F})` copies nothing.
//
// A weight of 0 still multiplies its value, and 0 · ∞ is NaN: where a value has an ∞ or NaN, the result may be NaN for
// queries that must not see it, too; in the causal case for a few of them, just before its place.
//
// Throws DTypeError unless all three are of one floating-point type and the mask bool or floating-point, ShapeError where
// shapes do not fit, Error for a mask in the causal case.
struct AttentionOptions {
  Tensor attn_mask = {};
  bool is_causal = false;
  std::optional<double> scale = {};
  bool enable_gqa = false;
};
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options = {});

// The weights alone, softmax(Q Kᵀ · scale + mask): (…, L, S). What looks at them, or drops some, needs them in memory.
Tensor attention_weights(const Tensor& query, const Tensor& key, const AttentionOptions& options = {});

// Queries, keys and values of all heads side by side, as one `linear` makes them: (…, T, 3 h d) → (…, T, h d). The same as
// cutting x in three, each (…, T, h, d) seen as (…, h, T, d), and putting the heads' results side by side again, but
// nothing is copied, and the gradient comes in one piece. Throws ShapeError where 3 h does not divide the last size.
Tensor self_attention(const Tensor& x, int64_t num_heads, const AttentionOptions& options = {});

// ## Several heads with their projections
//
// Queries (N, L, E), keys (N, S, K), values (N, S, V), or all three without N, are projected to (…, E), cut into heads, and
// what the heads found is put together and projected once more. PyTorch's names; its *masks of this function say true where
// attention is not paid*, the other way round than above. Floating-point masks are added.
struct MultiHeadOptions {
  int64_t num_heads = 1;
  Tensor in_proj_weight = {};                                         // (3 E, E), if K = V = E; or, one by one,
  Tensor q_proj_weight = {}, k_proj_weight = {}, v_proj_weight = {};  // (E, E), (E, K), (E, V)
  Tensor in_proj_bias = {};                                           // (3 E,) or none
  Tensor bias_k = {}, bias_v = {};                                    // (1, 1, E): a key and value after the others
  bool add_zero_attn = false;                                         // and one of zeros
  Tensor out_proj_weight = {}, out_proj_bias = {};                    // (E, E), (E,) or none
  Tensor key_padding_mask = {};                                       // (N, S)
  Tensor attn_mask = {};                                              // (L, S) or (N h, L, S)
  bool is_causal = false;                                             // query i looks at keys 0 … i
  bool need_weights = true, average_attn_weights = true;
  double dropout_p = 0;            // of the weights
  Generator* generator = nullptr;  // where dropout takes its mask from; none is needed for dropout_p = 0
};

// The result (N, L, E), and, where `need_weights` asks for them, the weights (N, L, S), the mean over the heads, or (N, h, L,
// S). Weights and dropout need all scores in memory; without them it grows with L + S only. Throws ShapeError, naming the
// tensor, where sizes do not fit.
struct MultiHeadResult {
  Tensor output, weights;
};
MultiHeadResult multi_head_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                     const MultiHeadOptions& options);

}  // namespace cr
