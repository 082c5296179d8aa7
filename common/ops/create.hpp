// # Making tensors
//
// All are float32 on the CPU unless told otherwise. Random ones take their numbers from a `Generator`, which they move
// on: the same seed gives the same tensors, for any number of threads.
#pragma once

#include <initializer_list>
#include <vector>

#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr {

Tensor zeros(const Shape& shape, DType dtype = DType::float32, Device device = Device::cpu);
Tensor ones(const Shape& shape, DType dtype = DType::float32, Device device = Device::cpu);
Tensor full(const Shape& shape, Scalar value, DType dtype = DType::float32, Device device = Device::cpu);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);

// start, start + step, … below end. int64. Throws Error if step is 0 or points away from end.
Tensor arange(int64_t end);
Tensor arange(int64_t start, int64_t end, int64_t step = 1);

// `steps` numbers from start to end, both included, evenly spaced. (steps,)
Tensor linspace(double start, double end, int64_t steps, DType dtype = DType::float32);

// The identity matrix. (n, n)
Tensor eye(int64_t n, DType dtype = DType::float32);

// Uniform over [0, 1); standard normal; integers lo … hi - 1 (int64); the numbers 0 … n - 1 in random order (int64).
Tensor rand(const Shape& shape, Generator& generator, DType dtype = DType::float32);
Tensor randn(const Shape& shape, Generator& generator, DType dtype = DType::float32);
Tensor randint(int64_t lo, int64_t hi, const Shape& shape, Generator& generator);
Tensor randperm(int64_t n, Generator& generator);

// From numbers written down: `tensor({{1, 2}, {3, 4}})` is an int64 matrix, `tensor({1.0, 2.5})` a float32 vector. Throws
// ShapeError if rows have different lengths.
struct Nested {
  template <class N>
    requires std::is_arithmetic_v<N> Nested(N n) : number(n) {}
    Nested(std::initializer_list<Nested> list) : items(list), is_list(true) {}
    Scalar number{0};
    std::vector<Nested> items;
    bool is_list = false;
};
Tensor tensor(const Nested& values);
Tensor tensor(const Nested& values, DType dtype);

// A copy of the numbers in `values`, row by row. Throws ShapeError if the count does not match.
template <Element T> Tensor from_span(std::span<const T> values, const Shape& shape) {
  if (numel(shape) != static_cast<int64_t>(values.size())) {
    throw ShapeError("from_span: " + std::to_string(values.size()) + " numbers for shape " + to_string(shape));
  }
  Tensor x = empty(shape, dtype_of<T>);
  std::copy(values.begin(), values.end(), x.mutable_data<T>());
  return x;
}
template <class T> Tensor from_vector(const std::vector<T>& values) {
  return from_span(std::span<const T>(values), {static_cast<int64_t>(values.size())});
}

}  // namespace cr
