// # A language model to look into
//
// stories260K (Karpathy, 2023): a model of the Llama-2 architecture with 260 000 parameters, trained on children's
// stories; its tokenizer; and what it writes when it always takes the likeliest next token. The file is llama2.c's first
// format: seven int32, then all numbers as float32, little-endian, without names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "io/bytes.hpp"
#include "tensor/tensor.hpp"

namespace cr::data {

struct LlamaConfig {
  int64_t dim;         // width of the residual stream
  int64_t hidden_dim;  // of the feed-forward layers
  int64_t layers;
  int64_t heads;     // of the queries
  int64_t kv_heads;  // of the keys and values: heads / kv_heads queries share one
  int64_t vocab_size;
  int64_t seq_len;         // the longest text
  bool shared_classifier;  // the embedding serves as output layer too
};

// Names are Llama's: "tok_embeddings.weight", "layers.0.attention.wq.weight", "norm.weight", and "output.weight" unless
// it is shared; matrices are (out, in), float32.
struct LlamaCheckpoint {
  LlamaConfig config;
  std::map<std::string, Tensor> tensors;
};

// Throws IoError, one line, for a file that is not exactly as long as its first seven numbers make it, for numbers that
// cannot be (a width that the heads do not divide, say), and for a weight that is not finite.
LlamaCheckpoint parse_llama2c(io::Bytes file, const std::string& name = "llama2.c checkpoint");

// A token is a piece of text; pieces with a higher score are merged first. `max_length` is the longest's, in bytes.
struct LlamaTokenizer {
  std::vector<std::string> pieces;  // by id
  Tensor scores;                    // (n,) float32
  int64_t max_length;
};

// Throws IoError, one line, for a file that ends within a piece, a piece longer than the file says, a score that is not
// finite, or another number of pieces than `vocab_size`.
LlamaTokenizer parse_llama2c_tokenizer(io::Bytes file, int64_t vocab_size, const std::string& name = "tokenizer");

// Reads stories260K.bin, tok512.bin and, if it is there, expected_greedy_200steps.txt of `folder`/stories260K, or `folder`,
// or where CHAINRULE_DATA says. Throws IoError, one line, if a file is missing or damaged.
struct Stories {
  LlamaCheckpoint checkpoint;
  LlamaTokenizer tokenizer;
  std::string expected;
};
Stories stories260k(const std::string& folder = "");

}  // namespace cr::data
