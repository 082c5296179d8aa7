// A checkpoint in llama2.c's format: its tensors are where its sizes say, and the real one writes what it should.

#include <algorithm>
#include <cmath>

#include "catch.hpp"
#include "contains.hpp"
#include "data/stories.hpp"
#include "io/atomic_file.hpp"
#include "io/hostile.hpp"
#include "io/temporary_folder.hpp"
#include "real_data.hpp"

using namespace cr;
using namespace cr::data;

namespace {

// dim 4, hidden 3, one layer, two heads that share one key, 5 tokens, texts up to 2: the weights are 0, 1, 2, …
std::string small_file(int32_t vocab = 5, size_t extra = 0) {
  std::string file;
  for (int32_t n : {4, 3, 1, 2, 1, vocab, 2}) io::append_little(file, n);
  const size_t count = 5 * 4 + 4 + 16 + 8 + 8 + 16 + 4 + 12 + 12 + 12 + 4 + 2 * 2 * 1 + extra;
  for (size_t i = 0; i < count; ++i) io::append_little(file, static_cast<float>(i));
  return file;
}

std::string small_tokenizer() {
  std::string file;
  io::append_little(file, int32_t{2});
  for (std::string piece : {"a", "ab", ""}) {
    io::append_little(file, -1.5f);
    io::append_little(file, static_cast<int32_t>(piece.size()));
    file += piece;
  }
  return file;
}

LlamaCheckpoint parse(const std::string& file) { return parse_llama2c(io::bytes_of(file), "f"); }
LlamaTokenizer parse_tokenizer(const std::string& file, int64_t n = 3) {
  return parse_llama2c_tokenizer(io::bytes_of(file), n, "f");
}

}  // namespace

TEST_CASE("a small checkpoint, tensor by tensor", "[stories]") {
  const LlamaCheckpoint c = parse(small_file());
  CHECK(c.config.shared_classifier);
  CHECK(c.config.kv_heads == 1);
  CHECK(c.tensors.size() == 11);
  const auto expect = [&](const char* name, const Shape& shape, float first) {
    CAPTURE(name);
    const Tensor& x = c.tensors.at(name);
    CHECK(x.shape() == shape);
    CHECK(x.data<float>()[0] == first);
  };
  expect("tok_embeddings.weight", {5, 4}, 0);
  expect("layers.0.attention_norm.weight", {4}, 20);
  expect("layers.0.attention.wq.weight", {4, 4}, 24);
  expect("layers.0.attention.wk.weight", {2, 4}, 40);
  expect("layers.0.attention.wv.weight", {2, 4}, 48);
  expect("layers.0.attention.wo.weight", {4, 4}, 56);
  expect("layers.0.ffn_norm.weight", {4}, 72);
  expect("layers.0.feed_forward.w1.weight", {3, 4}, 76);
  expect("layers.0.feed_forward.w2.weight", {4, 3}, 88);
  expect("layers.0.feed_forward.w3.weight", {3, 4}, 100);
  expect("norm.weight", {4}, 112);
  // A negative vocabulary: an output layer of its own, at the end.
  const LlamaCheckpoint own = parse(small_file(-5, 20));
  CHECK_FALSE(own.config.shared_classifier);
  CHECK(own.tensors.at("output.weight").data<float>()[0] == 120);
}

TEST_CASE("checkpoints that lie", "[stories]") {
  refuse_every_cut(small_file(), [](const std::string& file) { parse(file); });
  CHECK_THROWS_WITH(parse(small_file() + "x"), "f: 1 bytes more than its first seven numbers say");
  CHECK_THROWS_WITH(parse(small_file(5, 1)), ContainsSubstring("4 bytes more"));
  const auto with = [](size_t place, int32_t value) {
    std::string file = small_file();
    io::store(reinterpret_cast<std::byte*>(file.data()) + 4 * place, value, std::endian::little);
    return file;
  };
  for (size_t place = 0; place < 7; ++place)
    for (int32_t value : {0, -1, INT32_MIN, INT32_MAX, 1 << 24, 7}) {
      CAPTURE(place, value);
      CHECK_THROWS_AS(parse(with(place, value)), IoError);
    }
  CHECK_THROWS_WITH(parse(with(3, 3)), ContainsSubstring("cannot be shared out among 3 heads"));
  CHECK_THROWS_WITH(parse(with(4, 3)), ContainsSubstring("these among 3"));
  CHECK_THROWS_WITH(parse(with(27, 0x7fc00000)), "f: a weight is not finite");
  CHECK(survive_damage(
            small_file().substr(0, 28) + small_file().substr(28), [](const std::string& file) { parse(file); }, 51) >
        0);
}

TEST_CASE("a small tokenizer, and tokenizers that lie", "[stories]") {
  const LlamaTokenizer t = parse_tokenizer(small_tokenizer());
  CHECK(t.pieces == std::vector<std::string>{"a", "ab", ""});
  CHECK(t.scores.data<float>()[2] == -1.5f);
  CHECK(t.max_length == 2);
  refuse_every_cut(small_tokenizer(), [](const std::string& file) { parse_tokenizer(file); });
  survive_damage(
      small_tokenizer(), [](const std::string& file) { parse_tokenizer(file); }, 3);
  CHECK_THROWS_WITH(parse_tokenizer(small_tokenizer(), 4), "f: 3 pieces, not 4");
  std::string file = small_tokenizer();
  io::store(reinterpret_cast<std::byte*>(file.data()) + 4, NAN, std::endian::little);
  CHECK_THROWS_WITH(parse_tokenizer(file), "f: a score is not finite");
  file = small_tokenizer();
  io::store(reinterpret_cast<std::byte*>(file.data()), int32_t{1}, std::endian::little);
  CHECK_THROWS_WITH(parse_tokenizer(file), "f: a piece of 2 bytes");
}

// ## The real one
//
// The model in plain loops and double precision, so that only the loader is on trial.
namespace {

using Row = std::vector<double>;

class Llama {
 public:
  explicit Llama(const LlamaCheckpoint& checkpoint) : c_(checkpoint.config), t_(checkpoint.tensors) {
    keys_.resize(static_cast<size_t>(c_.layers)), values_.resize(static_cast<size_t>(c_.layers));
  }

  // The likeliest token behind `token`, which stands at `position`.
  int64_t next(int64_t token, int64_t position) {
    const float* embedding = t_.at("tok_embeddings.weight").data<float>() + token * c_.dim;
    Row x(embedding, embedding + c_.dim);
    for (int64_t layer = 0; layer < c_.layers; ++layer) {
      const std::string name = "layers." + std::to_string(layer) + ".";
      add(x, attend(norm(x, name + "attention_norm"), name + "attention.", static_cast<size_t>(layer), position));
      const Row h = norm(x, name + "ffn_norm");
      Row gate = times(name + "feed_forward.w1", h);
      const Row up = times(name + "feed_forward.w3", h);
      for (size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
      add(x, times(name + "feed_forward.w2", gate));
    }
    const Row logits = times("tok_embeddings", norm(x, "norm"));
    return std::max_element(logits.begin(), logits.end()) - logits.begin();
  }

 private:
  static void add(Row& x, const Row& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }
  Row times(const std::string& name, const Row& x) const {
    const Tensor& w = t_.at(name + ".weight");
    Row y(static_cast<size_t>(w.size(0)));
    for (size_t i = 0; i < y.size(); ++i)
      for (size_t j = 0; j < x.size(); ++j) y[i] += double{w.data<float>()[i * x.size() + j]} * x[j];
    return y;
  }
  Row norm(const Row& x, const std::string& name) const {
    double square = 0;
    for (double v : x) square += v * v;
    const double scale = 1 / std::sqrt(square / double(x.size()) + 1e-5);
    Row y = x;
    for (size_t i = 0; i < x.size(); ++i) y[i] *= scale * double{t_.at(name + ".weight").data<float>()[i]};
    return y;
  }
  // Turns each pair of neighbours in each head by an angle that grows with the position.
  void rotate(Row& x, int64_t position) const {
    const auto head = static_cast<size_t>(c_.dim / c_.heads);
    for (size_t i = 0; i + 1 < x.size(); i += 2) {
      const double angle = double(position) * std::pow(10000., -double(i % head) / double(head));
      const double a = x[i], b = x[i + 1];
      x[i] = a * std::cos(angle) - b * std::sin(angle), x[i + 1] = a * std::sin(angle) + b * std::cos(angle);
    }
  }
  Row attend(const Row& x, const std::string& name, size_t layer, int64_t position) {
    Row query = times(name + "wq", x), key = times(name + "wk", x);
    rotate(query, position), rotate(key, position);
    keys_[layer].push_back(key), values_[layer].push_back(times(name + "wv", x));
    const auto head = static_cast<size_t>(c_.dim / c_.heads), shared = static_cast<size_t>(c_.heads / c_.kv_heads);
    Row mixed(query.size());
    for (size_t h = 0; h < static_cast<size_t>(c_.heads); ++h) {
      Row weight;
      double total = 0;
      for (const Row& k : keys_[layer]) {
        double score = 0;
        for (size_t i = 0; i < head; ++i) score += query[h * head + i] * k[h / shared * head + i];
        weight.push_back(std::exp(score / std::sqrt(double(head))));
        total += weight.back();
      }
      for (size_t t = 0; t < weight.size(); ++t)
        for (size_t i = 0; i < head; ++i)
          mixed[h * head + i] += weight[t] / total * values_[layer][t][h / shared * head + i];
    }
    return times(name + "wo", mixed);
  }

  LlamaConfig c_;
  const std::map<std::string, Tensor>& t_;
  std::vector<std::vector<Row>> keys_, values_;
};

}  // namespace

TEST_CASE("the real model writes the published story", "[stories]") {
  const std::string data = real_data("stories260K");
  if (data.empty()) SKIP("no stories260K in CHAINRULE_DATA");
  const Stories s = stories260k(data);
  CHECK(s.checkpoint.config.layers == 5);
  CHECK(s.tokenizer.pieces.size() == 512);
  if (s.expected.empty()) SKIP("stories260K lacks the published story");
  Llama llama(s.checkpoint);
  std::string text;
  for (int64_t token = 1, position = 0; position < 200; ++position) {  // 1 begins a text
    const int64_t next = llama.next(token, position);
    if (next == 1) break;
    std::string piece = s.tokenizer.pieces[static_cast<size_t>(next)];
    if (token == 1 && piece.starts_with(' ')) piece.erase(0, 1);
    if (piece.size() == 6 && piece.starts_with("<0x"))
      piece = static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16));
    text += piece;
    token = next;
  }
  CHECK(text == s.expected);
}
