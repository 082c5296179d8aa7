#pragma once

#include "nn/fields.hpp"
#include "nn/init.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

// # Embedding
//
// A table with one row of numbers for each word, say. Looking a word up is picking its row; the gradient goes to the rows
// that were picked. Rows begin standard normal, but the one of `padding_idx`, which is zero and stays so.
struct Embedding {
  Tensor weight;  // (num, dim)
  EmbeddingOptions options;

  Embedding() = default;
  // Throws ShapeError for sizes below 1, IndexError for a padding_idx that is no row.
  Embedding(int64_t num, int64_t dim, Generator& generator, const EmbeddingOptions& options = {});

  // (…) int64 → (…, dim). Throws IndexError for an index outside 0 … num - 1.
  Tensor operator()(const Tensor& index) const { return embedding(index, weight, options); }

  CR_FIELDS(weight)
};

}  // namespace cr::nn
