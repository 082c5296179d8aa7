// # Embedding
//
// A table of vectors, one for each word, and reading from it by number. Forward that is `index_select`; what differs is
// the gradient, which is zero for every row not read. For a large vocabulary a step then spends its time on zeros, so
// the gradient can be kept as the rows alone.
#pragma once

#include <optional>
#include <string>

#include "autograd/node.hpp"
#include "tensor/tensor.hpp"

namespace cr {

struct EmbeddingOptions {
  std::optional<int64_t> padding_idx = {};  // this row gets no gradient; negative counts from the end
  std::optional<double> max_norm = {};      // rows that are read and longer are first shortened, in place
  double norm_type = 2;
  bool scale_grad_by_freq = false;  // divide a row's gradient by how often it was read
  bool sparse = false;              // keep the gradient of a leaf as rows: `sparse_grad`
};

// input (…) int64, weight (rows, …) → weight[input]: (…, …). IndexError for a number that is no row, DTypeError unless
// the input is int64.
Tensor embedding(const Tensor& input, const Tensor& weight, const EmbeddingOptions& options = {});

// After `backward()`, the gradient of a leaf that only `sparse` embeddings have read: indices ascending, each once, and
// a row of values for each. Nothing if there is none or part of it is dense. Then, and for whoever does not ask,
// `grad()` has the same gradient in full. An update that touches no other row:
//
//     NoGrad update;
//     if (auto rows = sparse_grad(weight)) weight.index_put_({rows->indices}, rows->values * -lr, true);
std::optional<RowSparse> sparse_grad(const Tensor& leaf);

// The same as it came, one piece for each embedding that was computed: a row may come several times. Null where
// `sparse_grad` gives nothing.
const std::vector<RowSparse>* row_pieces(const Tensor& leaf);

// The sum, mean or maximum of embeddings in bags. input (bags, n), or a vector in which bag i begins at offsets[i] (and
// with `include_last_offset` ends at offsets[i + 1], so that words behind the last are in none) → (bags, size). Words that are `padding_idx` do not count; an
// empty bag is zero. `per_sample_weights`, of input's shape, multiplies embeddings before they are summed.
struct EmbeddingBagOptions {
  std::string mode = "mean";  // "sum", "mean", "max"
  Tensor per_sample_weights = {};
  bool include_last_offset = false;
  EmbeddingOptions embedding = {};
};
Tensor embedding_bag(const Tensor& input, const Tensor& weight, const Tensor& offsets = {},
                     const EmbeddingBagOptions& options = {});

}  // namespace cr
