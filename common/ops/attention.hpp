// # Attention
//
// Each query asks all keys how well they fit, and takes the mean of their values, weighted by the answers (Vaswani et al. 2017).
#pragma once

#include <optional>

#include "tensor/tensor.hpp"

namespace cr {

// softmax(Q Kᵀ · scale + mask) V: queries (…, L, E), keys (…, S, E), values (…, S, F) → (…, L, F). The dimensions before
// the last two broadcast. The mask broadcasts to (…, L, S): where a bool mask is false, or in the causal case the key comes
// after the query, no attention is paid; a floating-point mask is added. A query that may look nowhere gets zeros. The scale
// is 1/√E unless given. With `enable_gqa` groups of neighbouring heads (dimension -3) share one head of keys and values.
//
// Memory grows with L + S, not with L · S, both ways, as long as no gradient of the mask or of a gradient is wanted: the
// scores are computed block by block and never kept. Of queries (B, L, h, E) seen as (B, h, L, E) by transpose(1, 2), the
// result lies in memory as they do, so that `.transpose(1, 2).reshape({B, L, h * F})` copies nothing.
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

}  // namespace cr
