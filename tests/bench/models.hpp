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

// ## Convolutional networks
//
// x (b, 1, 28, 28) → logits (b, 10): after LeCun et al. (1998), with today's bends and pools.
struct LeNet {
  nn::Conv2d conv1{1, 6, 5, {.padding = 2}}, conv2{6, 16, 5};
  nn::Linear hidden1{400, 120}, hidden2{120, 84}, out{84, 10};
  Tensor operator()(Tensor x) const {
    x = max_pool2d(relu(conv1(x)), 2);             // (b, 6, 14, 14)
    x = max_pool2d(relu(conv2(x)), 2).flatten(1);  // (b, 400)
    return out(relu(hidden2(relu(hidden1(x)))));
  }
  CR_FIELDS(conv1, conv2, hidden1, hidden2, out)
};

// What is added to x, so that a block begins as nearly nothing (He et al. 2016). x (b, channels, h, w)
struct Residual {
  nn::Conv2d conv1;
  nn::BatchNorm2d bn1;
  nn::Conv2d conv2;
  nn::BatchNorm2d bn2;
  explicit Residual(int64_t channels)
      : conv1(channels, channels, 3, {.padding = 1, .bias = false}),
        bn1(channels),
        conv2(channels, channels, 3, {.padding = 1, .bias = false}),
        bn2(channels) {}
  Tensor operator()(const Tensor& x) const { return relu(x + bn2(conv2(relu(bn1(conv1(x)))))); }
  CR_FIELDS(conv1, bn1, conv2, bn2)
};

// x (b, 3, 32, 32) → logits (b, 10)
struct ResNet {
  nn::Conv2d stem{3, 16, 3, {.padding = 1}};
  std::vector<Residual> stage1 = {Residual(16), Residual(16), Residual(16)};
  nn::Conv2d down{16, 32, 3, {.stride = 2, .padding = 1}};
  std::vector<Residual> stage2 = {Residual(32), Residual(32)};
  nn::Linear out{32, 10};
  Tensor operator()(Tensor x) const {
    x = stem(x);
    for (const Residual& block : stage1) x = block(x);  // (b, 16, 32, 32)
    x = down(x);
    for (const Residual& block : stage2) x = block(x);  // (b, 32, 16, 16)
    return out(x.mean({2, 3}));
  }
  CR_FIELDS(stem, stage1, down, stage2, out)
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
// x (b, t, 128) → logits (b, 10)
struct Encoder {
  nn::TransformerEncoder encoder;
  nn::Linear out{128, 10};
  explicit Encoder(Generator& seeds)
      : encoder(2, 128, 4, seeds, {.dim_feedforward = 512, .dropout = 0, .batch_first = true}) {}
  Tensor operator()(const Tensor& x) const { return out(encoder(x).mean({1})); }
  CR_FIELDS(encoder, out)
};

// A layer as in GPT-2: norms stand before each part, and the sum runs through untouched (Radford et al. 2019). Each place
// looks at itself and those before it, with four heads: (b, t, 128) → (b, t, 128).
struct GptBlock {
  nn::LayerNorm ln1{128};
  nn::Linear qkv{128, 3 * 128}, proj{128, 128};
  nn::LayerNorm ln2{128};
  nn::Linear up{128, 512}, down{512, 128};
  Tensor operator()(Tensor x) const {
    x = x + proj(self_attention(qkv(ln1(x)), 4, {.is_causal = true}));
    return x + down(gelu(up(ln2(x)), "tanh"));
  }
  CR_FIELDS(ln1, qkv, proj, ln2, up, down)
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

// Two networks, one that makes pictures of noise and one that tells them from real ones (Radford et al. 2016).
// noise (b, 64) → pictures (b, 1, 28, 28)
struct Forger {
  nn::Linear widen{64, 6272};
  nn::ConvTranspose2d up1{128, 64, 4, {.stride = 2, .padding = 1}};
  nn::BatchNorm2d bn{64};
  nn::ConvTranspose2d up2{64, 1, 4, {.stride = 2, .padding = 1}};
  Tensor operator()(const Tensor& noise) const {
    Tensor x = widen(noise).view({-1, 128, 7, 7});
    return tanh(up2(relu(bn(up1(x)))));
  }
  CR_FIELDS(widen, up1, bn, up2)
};

// pictures (b, 1, 28, 28) → logits (b, 1): are they real?
struct Expert {
  nn::Conv2d down1{1, 64, 4, {.stride = 2, .padding = 1}}, down2{64, 128, 4, {.stride = 2, .padding = 1}};
  nn::BatchNorm2d bn{128};
  nn::Linear out{6272, 1};
  Tensor operator()(Tensor x) const {
    x = leaky_relu(down1(x), 0.2);
    return out(leaky_relu(bn(down2(x)), 0.2).flatten(1));
  }
  CR_FIELDS(down1, down2, bn, out)
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
