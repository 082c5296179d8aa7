#include "data/stories.hpp"

#include <cmath>
#include <cstring>

#include "data/source.hpp"
#include "io/atomic_file.hpp"

namespace cr::data {
namespace {

[[noreturn]] void damaged(const std::string& name, const std::string& what) { throw IoError(name + ": " + what); }

LlamaConfig read_config(io::Bytes file, const std::string& name) {
  if (file.size() < 28) damaged(name, "it ends within its first seven numbers");
  int64_t n[7];
  for (size_t i = 0; i < 7; ++i) n[i] = io::load_little<int32_t>(file.data() + 4 * i);
  // A negative vocabulary says that the output layer has weights of its own.
  const LlamaConfig c{n[0], n[1], n[2], n[3], n[4], n[5] < 0 ? -n[5] : n[5], n[6], n[5] > 0};
  for (int64_t size : {c.dim, c.hidden_dim, c.layers, c.heads, c.kv_heads, c.vocab_size, c.seq_len})
    if (size < 1 || size > int64_t{1} << 24)
      damaged(name, "a size of " + std::to_string(size) + " in its first seven numbers");
  if (c.dim % (2 * c.heads) != 0 || c.heads % c.kv_heads != 0)
    damaged(name, "a width of " + std::to_string(c.dim) + " cannot be shared out among " + std::to_string(c.heads) +
                      " heads, or these among " + std::to_string(c.kv_heads));
  return c;
}

// The numbers that are left of a file, handed out tensor by tensor.
class Weights {
 public:
  Weights(io::Bytes data, const std::string& name) : data_(data), name_(name) {}

  Tensor take(const Shape& shape) {
    const auto bytes = io::bytes_for(shape, 4);
    if (!bytes || *bytes > data_.size()) damaged(name_, "it is shorter than its first seven numbers say");
    Tensor x = empty(shape);
    float* out = x.mutable_data<float>();
    for (int64_t i = 0; i < x.numel(); ++i) {
      out[i] = io::load_little<float>(data_.data() + 4 * i);
      if (!std::isfinite(out[i])) damaged(name_, "a weight is not finite");
    }
    data_ = data_.subspan(static_cast<size_t>(*bytes));
    return x;
  }

  // `count` tensors of the same shape, one for each layer.
  void take_layers(std::map<std::string, Tensor>& to, int64_t count, const std::string& part, const Shape& shape) {
    for (int64_t i = 0; i < count; ++i) to["layers." + std::to_string(i) + "." + part + ".weight"] = take(shape);
  }

  void expect_end() const {
    if (!data_.empty()) damaged(name_, std::to_string(data_.size()) + " bytes more than its first seven numbers say");
  }

 private:
  io::Bytes data_;
  const std::string& name_;
};

}  // namespace

LlamaCheckpoint parse_llama2c(io::Bytes file, const std::string& name) {
  const LlamaConfig c = read_config(file, name);
  const int64_t head = c.dim / c.heads, kv_dim = head * c.kv_heads;
  Weights weights(file.subspan(28), name);
  std::map<std::string, Tensor> t;
  t["tok_embeddings.weight"] = weights.take({c.vocab_size, c.dim});
  weights.take_layers(t, c.layers, "attention_norm", {c.dim});
  weights.take_layers(t, c.layers, "attention.wq", {c.dim, c.dim});
  weights.take_layers(t, c.layers, "attention.wk", {kv_dim, c.dim});
  weights.take_layers(t, c.layers, "attention.wv", {kv_dim, c.dim});
  weights.take_layers(t, c.layers, "attention.wo", {c.dim, c.dim});
  weights.take_layers(t, c.layers, "ffn_norm", {c.dim});
  weights.take_layers(t, c.layers, "feed_forward.w1", {c.hidden_dim, c.dim});
  weights.take_layers(t, c.layers, "feed_forward.w2", {c.dim, c.hidden_dim});
  weights.take_layers(t, c.layers, "feed_forward.w3", {c.hidden_dim, c.dim});
  t["norm.weight"] = weights.take({c.dim});
  // Cosines and sines of the rotary embedding, which follow from the sizes.
  weights.take({2, c.seq_len, head / 2});
  if (!c.shared_classifier) t["output.weight"] = weights.take({c.vocab_size, c.dim});
  weights.expect_end();
  return {c, std::move(t)};
}

// The longest piece's length, and then for each piece its score, its length and its bytes.
LlamaTokenizer parse_llama2c_tokenizer(io::Bytes file, int64_t vocab_size, const std::string& name) {
  const auto expect = [&](size_t bytes) {
    if (file.size() < bytes) damaged(name, "it ends early");
  };
  expect(4);
  LlamaTokenizer result;
  result.max_length = io::load_little<int32_t>(file.data());
  if (result.max_length < 1) damaged(name, "a longest piece of " + std::to_string(result.max_length) + " bytes");
  file = file.subspan(4);
  std::vector<float> scores;
  while (!file.empty()) {
    expect(8);
    const auto score = io::load_little<float>(file.data());
    const auto length = io::load_little<int32_t>(file.data() + 4);
    if (!std::isfinite(score)) damaged(name, "a score is not finite");
    if (length < 0 || length > result.max_length) damaged(name, "a piece of " + std::to_string(length) + " bytes");
    file = file.subspan(8);
    expect(static_cast<size_t>(length));
    scores.push_back(score);
    result.pieces.emplace_back(reinterpret_cast<const char*>(file.data()), static_cast<size_t>(length));
    file = file.subspan(static_cast<size_t>(length));
  }
  if (static_cast<int64_t>(scores.size()) != vocab_size)
    damaged(name, std::to_string(scores.size()) + " pieces, not " + std::to_string(vocab_size));
  result.scores = empty({vocab_size});
  std::memcpy(result.scores.mutable_data<float>(), scores.data(), scores.size() * sizeof(float));
  return result;
}

Stories stories260k(const std::string& folder) {
  const Source source(folder, "stories260K");
  const std::string model_path = source.get("stories260K.bin"), tokenizer_path = source.get("tok512.bin");
  const std::string model = io::read_file(model_path), tokenizer = io::read_file(tokenizer_path);
  Stories result;
  result.checkpoint = parse_llama2c(io::bytes_of(model), model_path);
  result.tokenizer =
      parse_llama2c_tokenizer(io::bytes_of(tokenizer), result.checkpoint.config.vocab_size, tokenizer_path);
  if (const std::string path = source.find("expected_greedy_200steps.txt"); !path.empty())
    result.expected = read_utf8(path);
  return result;
}

}  // namespace cr::data
