// # The models that are timed
//
// Written as a reader of this book would write them. `torch_workloads.py` has the same in PyTorch; each model's parts
// stand in PyTorch's order, in which both sides draw the first weights.
#pragma once

#include "chainrule.hpp"

namespace cr::bench {

// x (b, 784) → logits (b, 10)
struct Mlp {
  nn::Linear hidden{784, 256}, out{256, 10};
  Tensor operator()(const Tensor& x) const { return out(relu(hidden(x))); }
  CR_FIELDS(hidden, out)
};

// ## Sequences
//
// x (t, b, 64) → logits (t, b, 64)
template <class Recurrent> struct Tagger {
  Recurrent recurrent;
  nn::Linear out{128, 64};
  explicit Tagger(Generator& seeds) : recurrent(64, 128, seeds) {}
  Tensor operator()(const Tensor& x) const {
    auto [hidden, state] = recurrent(x);
    return out(hidden);
  }
  CR_FIELDS(recurrent, out)
};

// One LSTM reads a sentence, another writes one and looks back at the words of the first with each word (Luong et al.
// 2015): source (b, s), what is written so far (b, t) → logits (b, t, 2000).
struct Seq2Seq {
  nn::Embedding source, target;
  nn::LSTM encoder, decoder;
  nn::Linear combine{256, 128}, out{128, 2000};
  explicit Seq2Seq(Generator& seeds)
      : source(2000, 128, seeds),
        target(2000, 128, seeds),
        encoder(128, 128, seeds, {.batch_first = true}),
        decoder(128, 128, seeds, {.batch_first = true}) {}
  Tensor operator()(const Tensor& read, const Tensor& written) const {
    auto [memory, state] = encoder(source(read));                                          // (b, s, 128)
    Tensor hidden = decoder(target(written), state).output;                                // (b, t, 128)
    Tensor context = matmul(softmax(matmul(hidden, memory.transpose(1, 2)), -1), memory);  // (b, t, 128)
    return out(tanh(combine(cat({hidden, context}, -1))));
  }
  CR_FIELDS(source, target, encoder, decoder, combine, out)
};

// ## Transformers
//
// Each place looks at all, or at all before it, with four heads: (b, t, 128) → (b, t, 128).
struct SelfAttention {
  bool causal;
  nn::Linear in{128, 3 * 128}, out{128, 128};
  Tensor operator()(const Tensor& x) const {
    int64_t b = x.size(0), t = x.size(1);
    auto qkv = unbind(in(x).view({b, t, 3, 4, 32}).permute({2, 0, 3, 1, 4}));                // 3 × (b, 4, t, 32)
    Tensor y = scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], {.is_causal = causal});  // (b, 4, t, 32)
    return out(y.transpose(1, 2).reshape({b, t, 128}));
  }
  CR_FIELDS(in, out)
};

// A layer as it was first drawn: norms stand after the sums (Vaswani et al. 2017).
struct EncoderLayer {
  SelfAttention attention{.causal = false};
  nn::Linear up{128, 512}, down{512, 128};
  nn::LayerNorm norm1{128}, norm2{128};
  Tensor operator()(Tensor x) const {
    x = norm1(x + attention(x));
    return norm2(x + down(relu(up(x))));
  }
  CR_FIELDS(attention, up, down, norm1, norm2)
};

// x (b, t, 128) → logits (b, 10)
struct Encoder {
  std::vector<EncoderLayer> layers{2};
  nn::Linear out{128, 10};
  Tensor operator()(Tensor x) const {
    for (const EncoderLayer& layer : layers) x = layer(x);
    return out(x.mean({1}));
  }
  CR_FIELDS(layers, out)
};

// A layer as in GPT-2: norms stand before each part, and the sum runs through untouched (Radford et al. 2019).
struct GptBlock {
  nn::LayerNorm ln1{128};
  SelfAttention attention{.causal = true};
  nn::LayerNorm ln2{128};
  nn::Linear up{128, 512}, down{512, 128};
  Tensor operator()(Tensor x) const {
    x = x + attention(ln1(x));
    return x + down(gelu(up(ln2(x)), "tanh"));
  }
  CR_FIELDS(ln1, attention, ln2, up, down)
};

// tokens (b, t) → logits (b, t, 65)
struct Gpt {
  nn::Embedding token, position;
  std::vector<GptBlock> blocks{4};
  nn::LayerNorm ln{128};
  nn::Linear head{128, 65, false};
  explicit Gpt(Generator& seeds) : token(65, 128, seeds), position(128, 128, seeds) {}
  Tensor operator()(const Tensor& tokens) const {
    Tensor x = token(tokens) + position.weight.narrow(0, 0, tokens.size(1));
    for (const GptBlock& block : blocks) x = block(x);
    return head(ln(x));
  }
  CR_FIELDS(token, position, blocks, ln, head)
};

// ## Makers of pictures
//
// A picture, the mean and log-variance of its code, and the logits of the picture that a draw from them gives (Kingma and
// Welling 2014).
struct Vae {
  nn::Linear hidden{784, 400}, mean{400, 20}, log_variance{400, 20}, widen{20, 400}, out{400, 784};

  // x (b, 784), noise (b, 20) → the loss of a batch: how far from x, and how far the codes from standard normal ones
  Tensor loss(const Tensor& x, const Tensor& noise) const {
    Tensor h = relu(hidden(x)), m = mean(h), s = log_variance(h);
    Tensor z = fused([](auto m, auto s, auto noise) { return m + noise * exp(0.5 * s); }, m, s, noise);
    Tensor kl = -0.5 * sum(fused([](auto m, auto s) { return 1 + s - square(m) - exp(s); }, m, s));
    return binary_cross_entropy_with_logits(out(relu(widen(z))), x, Reduction::sum) + kl;
  }
  CR_FIELDS(hidden, mean, log_variance, widen, out)
};

// ## Words
//
// Which words stand near which (Mikolov et al. 2013): center (b,), context (b, n) → logits (b, n).
struct SkipGram {
  nn::Embedding center, context;
  explicit SkipGram(Generator& seeds)
      : center(10000, 100, seeds, {.sparse = true}), context(10000, 100, seeds, {.sparse = true}) {}
  Tensor operator()(const Tensor& middle, const Tensor& around) const {
    return matmul(context(around), center(middle).unsqueeze(2)).squeeze(2);  // (b, n, 100) · (b, 100, 1)
  }
  CR_FIELDS(center, context)
};

}  // namespace cr::bench
