#include "workloads.hpp"

#include <cmath>
#include <memory>

#include "models.hpp"

namespace cr::bench {

Tensor Numbers::uniform(double lo, double hi, const Shape& shape) {
  Generator generator(asked_++);
  return nn::uniform(shape, lo, hi, generator).to(dtype_).to(device);
}

Tensor Numbers::labels(int64_t classes, const Shape& shape) {
  return (uniform(0, 1, shape).to(DType::float32) * classes).to(DType::int64);
}

Tensor Numbers::weight(const Tensor& t) {
  if (t.dim() <= 1 && all(t == 1).item() != 0) return as_wanted(t).requires_grad_();
  double bound = t.dim() > 1 ? 1 / std::sqrt(static_cast<double>(t.numel() / t.size(0))) : 0.05;
  return uniform(-bound, bound, t.shape()).requires_grad_();
}

Tensor Numbers::as_wanted(const Tensor& t) const {
  return t.dtype() == DType::int64 ? t.detach().clone().to(device) : t.detach().clone().to(dtype_).to(device);
}

// ## Training steps: forward, loss, backward, update
namespace {

template <class Optimizer, class Options, class Loss>
Step training(const std::vector<Tensor>& parameters, const Options& options, Loss loss) {
  auto optimizer = std::make_shared<Optimizer>(parameters, options);
  return [optimizer, loss] {
    optimizer->zero_grad();
    Tensor value = loss();
    value.backward();
    optimizer->step();
    return value.detach();
  };
}
template <class Loss> Step with_sgd(const std::vector<Tensor>& parameters, optim::SgdOptions options, Loss loss) {
  return training<optim::SGD>(parameters, options, loss);
}
template <class Loss> Step with_adam(const std::vector<Tensor>& parameters, Loss loss) {
  return training<optim::Adam>(parameters, optim::AdamOptions{}, loss);
}

Step mlp(DType dtype, int64_t batch) {
  Numbers n(dtype);
  Mlp model = n.initialise(Mlp());
  Tensor x = n.uniform(0, 1, {batch, 784});
  Tensor y = n.labels(10, {batch});
  return with_sgd(parameters(model), {.lr = 0.1}, [=] { return cross_entropy(model(x), y); });
}

Step lenet(DType dtype) {
  Numbers n(dtype);
  LeNet model = n.initialise(LeNet());
  Tensor x = n.uniform(0, 1, {64, 1, 28, 28});
  Tensor y = n.labels(10, {64});
  return with_adam(parameters(model), [=] { return cross_entropy(model(x), y); });
}

Step resnet(DType dtype) {
  Numbers n(dtype);
  ResNet model = n.initialise(ResNet());
  Tensor x = n.uniform(-1, 1, {32, 3, 32, 32});
  Tensor y = n.labels(10, {32});
  return with_sgd(parameters(model), {.lr = 0.002, .momentum = 0.9}, [=] { return cross_entropy(model(x), y); });
}

template <class Recurrent> Step tagger(DType dtype) {
  Numbers n(dtype);
  Generator seeds;
  auto model = n.initialise(Tagger<Recurrent>(seeds));
  Tensor x = n.uniform(-1, 1, {50, 32, 64});
  Tensor y = n.labels(64, {50, 32}).flatten();
  return with_adam(parameters(model), [=] { return cross_entropy(model(x).flatten(0, 1), y); });
}

Step seq2seq(DType dtype) {
  Numbers n(dtype);
  Generator seeds;
  Seq2Seq model = n.initialise(Seq2Seq(seeds));
  Tensor source = n.labels(2000, {32, 20});
  Tensor target = n.labels(2000, {32, 21});
  Tensor written = target.narrow(1, 0, 20), wanted = target.narrow(1, 1, 20).flatten();
  return with_adam(parameters(model), [=] { return cross_entropy(model(source, written).flatten(0, 1), wanted); });
}

Step attention(DType dtype, int64_t time, int64_t batch) {
  Numbers n(dtype);
  Shape shape{batch, 4, time, 32};
  Tensor q = n.uniform(-2, 2, shape).requires_grad_();
  Tensor k = n.uniform(-2, 2, shape).requires_grad_();
  Tensor v = n.uniform(-2, 2, shape).requires_grad_();
  Tensor weights = n.uniform(-1, 1, shape);
  return with_sgd({q, k, v}, {.lr = 0.01},
                  [=] { return sum(scaled_dot_product_attention(q, k, v, {.is_causal = true}) * weights); });
}

Step encoder(DType dtype) {
  Numbers n(dtype);
  Generator seeds;
  Encoder model = n.initialise(Encoder(seeds));
  Tensor x = n.uniform(-1, 1, {16, 64, 128});
  Tensor y = n.labels(10, {16});
  return with_adam(parameters(model), [=] { return cross_entropy(model(x), y); });
}

Step gpt(DType dtype) {
  Numbers n(dtype);
  Generator seeds;
  Gpt model = n.initialise(Gpt(seeds));
  Tensor text = n.labels(65, {16, 129});
  Tensor x = text.narrow(1, 0, 128).contiguous(), y = text.narrow(1, 1, 128).flatten();
  return training<optim::AdamW>(parameters(model), optim::AdamWOptions{},
                                [=] { return cross_entropy(model(x).flatten(0, 1), y); });
}

Step vae(DType dtype) {
  Numbers n(dtype);
  Vae model = n.initialise(Vae());
  Tensor x = n.uniform(0, 1, {128, 784});
  Tensor noise = n.uniform(-1.7, 1.7, {128, 20});
  return with_adam(parameters(model), [=] { return model.loss(x, noise); });
}

// One step for each of the two networks. The expert's loss counts what it says of real pictures and of forged ones; the
// forger wants its pictures to be taken for real.
Step gan(DType dtype) {
  Numbers n(dtype);
  Forger forger = n.initialise(Forger());
  Expert expert = n.initialise(Expert());
  Tensor pictures = n.uniform(-1, 1, {32, 1, 28, 28});
  Tensor noise = n.uniform(-1.7, 1.7, {32, 64});
  Tensor yes = ones({32, 1}, dtype, Numbers::device), no = zeros({32, 1}, dtype, Numbers::device);
  const optim::AdamOptions options{.lr = 5e-5, .beta1 = 0.5};
  auto forger_optimizer = std::make_shared<optim::Adam>(parameters(forger), options);
  auto expert_optimizer = std::make_shared<optim::Adam>(parameters(expert), options);
  return [=] {
    Tensor forged = forger(noise);
    expert_optimizer->zero_grad();
    Tensor expert_loss = binary_cross_entropy_with_logits(expert(pictures), yes) +
                         binary_cross_entropy_with_logits(expert(forged.detach()), no);
    expert_loss.backward();
    expert_optimizer->step();
    forger_optimizer->zero_grad();
    Tensor forger_loss = binary_cross_entropy_with_logits(expert(forged), yes);
    forger_loss.backward();
    forger_optimizer->step();
    return (expert_loss + forger_loss).detach();
  };
}

Step skip_gram(DType dtype) {
  Numbers n(dtype);
  Generator seeds;
  SkipGram model = n.initialise(SkipGram(seeds));
  Tensor middle = n.labels(10000, {512});
  Tensor around = n.labels(10000, {512, 6});  // one that was there, five that were not
  Tensor wanted = zeros({512, 6}, dtype, Numbers::device);
  wanted.select(1, 0).fill_(1);
  return with_sgd(parameters(model), {.lr = 10},
                  [=] { return binary_cross_entropy_with_logits(model(middle, around), wanted); });
}

}  // namespace

std::vector<Workload> workloads() {
  std::vector<Workload> list;
  auto add = [&](const char* name, const char* what, std::function<Step(DType)> make) {
    list.push_back({name, "training", what, std::move(make)});
  };
  add("mlp_b64", "Linear 784-256-10, ReLU, cross-entropy, SGD, batch 64", [](DType t) { return mlp(t, 64); });
  add("mlp_b1", "the same with batch 1", [](DType t) { return mlp(t, 1); });
  add("lenet_b64", "LeNet on 28 x 28, cross-entropy, Adam, batch 64", lenet);
  add("resnet_b32", "five residual blocks of 16 and 32 channels on 32 x 32, SGD with momentum, batch 32", resnet);
  add("lstm_t50_b32", "LSTM 64-128 over 50 steps, Linear 128-64 at each, Adam, batch 32", tagger<nn::LSTM>);
  add("gru_t50_b32", "the same with a GRU", tagger<nn::GRU>);
  add("seq2seq_b32", "LSTM encoder and decoder of 20 steps, attention, 2000 words, width 128, Adam, batch 32", seq2seq);
  add("attention_t64", "causal attention, 4 heads of 32, 64 places, batch 16, SGD on queries, keys and values",
      [](DType t) { return attention(t, 64, 16); });
  add("attention_t512", "the same with 512 places, batch 4", [](DType t) { return attention(t, 512, 4); });
  add("encoder_b16", "2 post-norm layers of width 128, 4 heads, feed-forward 512, 64 places, Adam, batch 16", encoder);
  add("gpt_b16_t128", "4 pre-norm layers of width 128, 4 heads, 65 tokens, 128 places, AdamW, batch 16", gpt);
  add("vae_b128", "784-400-20-400-784, binary cross-entropy + KL, Adam, batch 128", vae);
  add("gan_b32", "DCGAN on 28 x 28: a step of both networks, Adam, batch 32", gan);
  add("sgns_b512", "skip-gram: 512 pairs, 5 negatives each, two 10 000 x 100 embeddings, SGD", skip_gram);
  return list;
}

}  // namespace cr::bench
