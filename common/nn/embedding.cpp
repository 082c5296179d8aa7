#include "nn/embedding.hpp"

namespace cr::nn {

Embedding::Embedding(int64_t num, int64_t dim, Generator& generator) {
  if (num < 1 || dim < 1) {
    throw ShapeError("Embedding: sizes must be at least 1, got num = " + std::to_string(num) +
                     ", dim = " + std::to_string(dim));
  }
  weight = normal({num, dim}, 0, 1, generator).requires_grad_();
}

Tensor Embedding::operator()(const Tensor& index) const {
  Shape shape = index.shape();
  shape.push_back(weight.size(1));
  return index_select(weight, 0, index.reshape({index.numel()})).reshape(shape);
}

}  // namespace cr::nn
