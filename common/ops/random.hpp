// # Random tensors
//
// All take their numbers from a `Generator`, which they move on: the same seed gives the same tensors, for any number
// of threads and on every machine. None of them has a gradient.
#pragma once

#include <optional>

#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr {

// Uniform over [0, 1); normal, standard or not; exponential, of mean 1 / rate. Throw Error for a negative
// standard deviation or rate.
Tensor rand(const Shape& shape, Generator& generator, DType dtype = DType::float32);
Tensor randn(const Shape& shape, Generator& generator, DType dtype = DType::float32);
Tensor normal(double mean, double std, const Shape& shape, Generator& generator, DType dtype = DType::float32);
Tensor exponential(double rate, const Shape& shape, Generator& generator, DType dtype = DType::float32);

// With a mean and a standard deviation for each element; they broadcast.
Tensor normal(const Tensor& mean, const Tensor& std, Generator& generator);
Tensor normal(const Tensor& mean, double std, Generator& generator);
Tensor normal(double mean, const Tensor& std, Generator& generator);

// Integers lo … hi - 1 (int64); the numbers 0 … n - 1 in random order (int64).
Tensor randint(int64_t lo, int64_t hi, const Shape& shape, Generator& generator);
Tensor randperm(int64_t n, Generator& generator);

// In the shape of x, and of its type unless another is given.
Tensor rand_like(const Tensor& x, Generator& generator, std::optional<DType> dtype = {});
Tensor randn_like(const Tensor& x, Generator& generator, std::optional<DType> dtype = {});
Tensor randint_like(const Tensor& x, int64_t lo, int64_t hi, Generator& generator, std::optional<DType> dtype = {});

// 1 with the probability that p says for each element, else 0, in p's type; or with one probability, in x's shape and
// type. Throws Error for what is no probability.
Tensor bernoulli(const Tensor& p, Generator& generator);
Tensor bernoulli(const Tensor& x, double p, Generator& generator);

// n numbers of categories, drawn with the probabilities that a row's weights have to each other: (n,) from
// (categories,), (rows, n) from (rows, categories), int64. Without `replacement` no category comes twice. Throws Error
// for weights that are negative or not finite or all zero, or fewer than n that are not zero.
Tensor multinomial(const Tensor& weights, int64_t n, bool replacement, Generator& generator);

}  // namespace cr
