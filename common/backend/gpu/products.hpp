// # A product for the other primitives
//
// Recurrent layers multiply at every step, with pointers in hand rather than tensors.
#pragma once

#include "backend/gpu/gpu.cuh"
#include "backend/gpu/places.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

// C = relu?([C +] A B [+ bias]): A is (m, k), B is (k, n), C is (m, n). Steps count elements. There may be a `batch` of such
// products, in which C, A and B have places each; by default it is one.
template <class T> struct Product {
  int64_t m, n, k;
  const T *a, *b, *bias;
  T* c;
  int64_t a_row, a_column, b_row, b_column, c_row, c_column = 1;
  int64_t bias_row = 0, bias_column = 1;
  bool accumulate, relu;
  Places<3> batch{.numel = 1, .dims = 1, .size = {1}, .stride = {}};
};

// T is float, double or uint64_t, which stands for int64 (its sums wrap around). `device` is where all of it lies.
template <class T> void multiply(const Product<T>& product, Device device);

}  // namespace cr::backend::CR_GPU
