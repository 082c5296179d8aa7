// # Tensors as Armadillo's matrices
//
// For whoever wants a routine of Armadillo's in between. Include this header yourself, and link to Armadillo
// (`Armadillo::Armadillo` in CMake): nothing else in the library's headers needs it.
//
// Tensors lie in memory row by row, Armadillo's matrices column by column. Both functions here take memory as it lies, so
// a tensor and its matrix are **transposes** of each other: `as_arma<T>(t)(j, i)` is `t[i][j]`, and `from_arma(m)[i][j]`
// is `m(j, i)`. Where that matters, `as_arma<T>(t).t()` and `from_arma(m).t()` turn it back; `from_arma(as_arma<T>(t))`
// is t.
#pragma once

#include <armadillo>

#include "tensor/tensor.hpp"

namespace cr {

// A matrix on t's own numbers: (m, n) becomes n × m, a vector (n,) becomes n × 1. No copy is made, as long as it is
// initialised with the call's result (`arma::mat a = as_arma<double>(t);`); it must not outlive t, and is no part of the
// graph. Counts as a write to t; `as_arma<const T>` gives a constant matrix and does not. Throws ShapeError for another
// number of dimensions or a tensor that is not contiguous, DTypeError unless t holds floating-point numbers of type T.
template <class T>
std::conditional_t<std::is_const_v<T>, const arma::Mat<std::remove_const_t<T>>, arma::Mat<T>> as_arma(const Tensor& t) {
  using Number = std::remove_const_t<T>;
  static_assert(std::is_same_v<Number, float> || std::is_same_v<Number, double>, "float or double");
  if (t.dim() != 1 && t.dim() != 2)
    throw ShapeError("as_arma: needs a vector or a matrix, got shape " + to_string(t.shape()));
  if (!t.is_contiguous()) {
    throw ShapeError("as_arma: the tensor of shape " + to_string(t.shape()) +
                     " is a view that is not contiguous; take contiguous() first, which copies it");
  }
  Number* numbers = std::is_const_v<T> ? const_cast<Number*>(t.data<Number>()) : t.mutable_data<Number>();
  auto rows = static_cast<arma::uword>(t.dim() == 2 ? t.size(0) : 1), columns = static_cast<arma::uword>(t.size(-1));
  return arma::Mat<Number>(numbers, columns, rows, /*copy_aux_mem=*/false, /*strict=*/true);
}

// A copy of an n × m matrix as a tensor (m, n).
template <class T> Tensor from_arma(const arma::Mat<T>& m) {
  Tensor t = empty({static_cast<int64_t>(m.n_cols), static_cast<int64_t>(m.n_rows)}, dtype_of<T>);
  std::copy(m.begin(), m.end(), t.mutable_data<T>());
  return t;
}

}  // namespace cr
