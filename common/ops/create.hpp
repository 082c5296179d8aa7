// # Making tensors
//
// All are float32 on the CPU unless told otherwise. `ops/random.hpp` makes random ones.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "ops/random.hpp"
#include "tensor/tensor.hpp"

namespace cr {

// 0, 1 or `value` everywhere. ShapeError for a negative size, OutOfMemory for too much, Error for a value that int64 does
// not hold.
Tensor zeros(const Shape& shape, DType dtype = DType::float32, Device device = Device::cpu);
Tensor ones(const Shape& shape, DType dtype = DType::float32, Device device = Device::cpu);
Tensor full(const Shape& shape, Scalar value, DType dtype = DType::float32, Device device = Device::cpu);

// Like x in shape, type and device, or of another type or shape.
Tensor zeros_like(const Tensor& x, std::optional<DType> dtype = {});
Tensor ones_like(const Tensor& x, std::optional<DType> dtype = {});
Tensor full_like(const Tensor& x, Scalar value, std::optional<DType> dtype = {});
Tensor empty_like(const Tensor& x, std::optional<DType> dtype = {});
Tensor new_zeros(const Tensor& x, const Shape& shape, std::optional<DType> dtype = {});
Tensor new_ones(const Tensor& x, const Shape& shape, std::optional<DType> dtype = {});
Tensor new_full(const Tensor& x, const Shape& shape, Scalar value, std::optional<DType> dtype = {});
Tensor new_empty(const Tensor& x, const Shape& shape, std::optional<DType> dtype = {});

// A 0-d tensor.
Tensor scalar_tensor(Scalar value, DType dtype = DType::float32);

// start, start + step, … below end. int64 if all three are whole, else float32, unless a type is given. Throws Error if
// step is 0 or points away from end, or a number is not finite.
Tensor arange(Scalar end);
Tensor arange(Scalar start, Scalar end, Scalar step = 1, std::optional<DType> dtype = {});

// `steps` numbers from start to end, both included, evenly spaced; and base to the power of these. (steps,) Throws
// ShapeError if steps is negative, Error for limits that int64 is to hold and does not.
Tensor linspace(double start, double end, int64_t steps, DType dtype = DType::float32);
Tensor logspace(double start, double end, int64_t steps, double base = 10, DType dtype = DType::float32);

// The identity matrix, (n, n) or its first columns (n, m).
Tensor eye(int64_t n, DType dtype = DType::float32);
Tensor eye(int64_t n, int64_t m, DType dtype = DType::float32);

// Rows and columns, (2, count), of the places in a rows x columns matrix that `tril` or `triu` would leave.
Tensor tril_indices(int64_t rows, int64_t columns, int64_t offset = 0);
Tensor triu_indices(int64_t rows, int64_t columns, int64_t offset = 0);

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
