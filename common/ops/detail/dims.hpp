// # Dimensions that go
//
// What the operations share that reduce some dimensions and keep the others.
#pragma once

#include "tensor/tensor.hpp"

namespace cr::detail {

// Sorted, non-negative, no duplicates; none given means all. IndexError for one that does not exist or is named twice.
Dims wrap_dims(const Tensor& x, const Dims& dims, const char* op);

// How many elements each result is made of.
int64_t count(const Tensor& x, const Dims& dims);

// A reduced tensor with its lost dimensions back, as size 1, so that it broadcasts against the original.
Tensor restore(const Tensor& y, const Dims& dims, int64_t keepdim);

// The dimensions `dims` moved to the end and made one, and the others first: (…, count).
Tensor gathered_last(const Tensor& x, const Dims& dims);

// Throws DTypeError, naming `op`, unless x is of a floating-point type.
void require_floating(const char* op, const Tensor& x);

// Throws DTypeError, naming `op`, for 16-bit numbers, which are only stored.
void require_computing(const char* op, const Tensor& x);

// Result i is the product of all elements along d but i: what the derivative of a product is made of (`ops/scan.cpp`).
Tensor cumprod_of_others(const Tensor& x, int64_t d);

}  // namespace cr::detail
