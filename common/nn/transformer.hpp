#pragma once

#include "nn/attention.hpp"
#include "nn/norm.hpp"

namespace cr::nn {

// # Transformer encoder
//
// A layer is attention of a sequence to itself and a small network for each of its places, each added to what it was given,
// with layer norm after the sum (**post-norm**, Vaswani et al. 2017) or, `norm_first`, before what is added (**pre-norm**,
// Xiong et al. 2020, which trains without warm-up). Names and initial values are PyTorch's.
enum class Activation { relu, gelu };

struct TransformerEncoderLayerOptions {
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  Activation activation = Activation::relu;
  double layer_norm_eps = 1e-5;
  bool batch_first = false;  // (N, L, E) instead of (L, N, E)
  bool norm_first = false, bias = true;
};

// What a call may say besides the input: who may not look where, as for MultiheadAttention.
struct EncoderMask {
  Tensor mask = {};                  // (L, L) or (N h, L, L)
  Tensor src_key_padding_mask = {};  // (N, L)
  bool is_causal = false;
};

struct TransformerEncoderLayer {
  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout dropout, dropout1, dropout2;  // within the small network; on what attention adds; on what the network adds
  Activation activation = Activation::relu;
  bool norm_first = false;

  TransformerEncoderLayer() = default;
  TransformerEncoderLayer(int64_t d_model, int64_t nhead, Generator& generator,
                          const TransformerEncoderLayerOptions& options = {});

  // (N, L, E) or (L, N, E), or (L, E) → the same. Throws ShapeError for another E.
  Tensor operator()(const Tensor& src, const EncoderMask& masks = {}) const;
  CR_FIELDS(self_attn, linear1, linear2, norm1, norm2, dropout, dropout1, dropout2)

 private:
  Tensor attend(const Tensor& x, const EncoderMask& masks) const;
  Tensor feed_forward(const Tensor& x) const;
};

// Several of them, each with initial values of its own (PyTorch copies one layer's), and, `final_norm`, a layer norm at the end,
// without which a pre-norm encoder's result is a sum that grows with every layer.
struct TransformerEncoder {
  std::vector<TransformerEncoderLayer> layers;
  LayerNorm norm;

  TransformerEncoder() = default;
  TransformerEncoder(int64_t num_layers, int64_t d_model, int64_t nhead, Generator& generator,
                     const TransformerEncoderLayerOptions& options = {}, bool final_norm = false);
  Tensor operator()(const Tensor& src, const EncoderMask& masks = {}) const;
  CR_FIELDS(layers, norm)
};

}  // namespace cr::nn
