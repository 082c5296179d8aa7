#include "nn/embedding.hpp"

namespace cr::nn {

Embedding::Embedding(int64_t num, int64_t dim, Generator& generator, const EmbeddingOptions& o) : options(o) {
  if (num < 1 || dim < 1) {
    throw ShapeError("Embedding: sizes must be at least 1, got num = " + std::to_string(num) +
                     ", dim = " + std::to_string(dim));
  }
  weight = normal({num, dim}, 0, 1, generator);
  if (options.padding_idx) weight[*options.padding_idx].zero_();
  weight.requires_grad_();
}

}  // namespace cr::nn
