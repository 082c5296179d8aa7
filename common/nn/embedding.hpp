#pragma once

#include "nn/fields.hpp"
#include "nn/init.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

// # Embedding
//
// A table with one row of numbers for each word, say. Looking a word up is picking its row; the gradient goes to the rows
// that were picked. Rows begin standard normal.
struct Embedding {
  Tensor weight;  // (num, dim)

  Embedding() = default;
  // Throws ShapeError for sizes below 1.
  Embedding(int64_t num, int64_t dim, Generator& generator);

  // (…) int64 → (…, dim). Throws IndexError for an index outside 0 … num - 1.
  Tensor operator()(const Tensor& index) const;

  CR_FIELDS(weight)
};

}  // namespace cr::nn
