#include "nn/transformer.hpp"

namespace cr::nn {

TransformerEncoderLayer::TransformerEncoderLayer(int64_t d_model, int64_t nhead, Generator& generator,
                                                 const TransformerEncoderLayerOptions& o)
    : self_attn(d_model, nhead, generator, {.dropout = o.dropout, .bias = o.bias, .batch_first = o.batch_first}),
      linear1(d_model, o.dim_feedforward, generator, o.bias),
      linear2(o.dim_feedforward, d_model, generator, o.bias),
      norm1(d_model, {.eps = o.layer_norm_eps, .bias = o.bias}),
      norm2(d_model, {.eps = o.layer_norm_eps, .bias = o.bias}),
      dropout(o.dropout, generator),
      dropout1(o.dropout, generator),
      dropout2(o.dropout, generator),
      activation(o.activation),
      norm_first(o.norm_first) {}

Tensor TransformerEncoderLayer::attend(const Tensor& x, const EncoderMask& masks) const {
  return dropout1(self_attn(x, x, x,
                            {.key_padding_mask = masks.src_key_padding_mask,
                             .attn_mask = masks.mask,
                             .need_weights = false,
                             .is_causal = masks.is_causal})
                      .output);
}

Tensor TransformerEncoderLayer::feed_forward(const Tensor& x) const {
  const Tensor h = linear1(x);  // (…, dim_feedforward)
  return dropout2(linear2(dropout(activation == Activation::relu ? relu(h) : gelu(h))));
}

Tensor TransformerEncoderLayer::operator()(const Tensor& src, const EncoderMask& masks) const {
  if (norm_first) {
    const Tensor x = src + attend(norm1(src), masks);
    return x + feed_forward(norm2(x));
  }
  const Tensor x = norm1(src + attend(src, masks));
  return norm2(x + feed_forward(x));
}

TransformerEncoder::TransformerEncoder(int64_t num_layers, int64_t d_model, int64_t nhead, Generator& generator,
                                       const TransformerEncoderLayerOptions& options, bool final_norm) {
  if (num_layers < 1)
    throw ShapeError("TransformerEncoder: num_layers must be at least 1, got " + std::to_string(num_layers));
  for (int64_t i = 0; i < num_layers; ++i) layers.emplace_back(d_model, nhead, generator, options);
  if (final_norm) norm = LayerNorm(d_model, {.eps = options.layer_norm_eps, .bias = options.bias});
}

Tensor TransformerEncoder::operator()(const Tensor& src, const EncoderMask& masks) const {
  Tensor x = src;
  for (const TransformerEncoderLayer& layer : layers) x = layer(x, masks);
  return norm.weight.defined() ? norm(x) : x;
}

}  // namespace cr::nn
