// # Which element type an operation computes in
//
// What the files of `ops/` share about promotion (`tensor/dtype.hpp` has the rules).
#pragma once

#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "tensor/tensor.hpp"

namespace cr {

// A function of real numbers takes integers and bools as float32.
inline Tensor real(const Tensor& x) { return is_floating(x.dtype()) ? x : x.to(DType::float32); }

// 0-d tensors give way to larger ones, else the later type in the table wins.
inline DType common_type(const Tensor& x, const Tensor& y) {
  if ((x.dim() == 0) == (y.dim() == 0)) return promote(x.dtype(), y.dtype());
  return x.dim() ? promote_weak(x.dtype(), y.dtype()) : promote_weak(y.dtype(), x.dtype());
}

inline bool same_type(const Tensor& x, const Tensor& y) { return x.dtype() == y.dtype(); }

// f of both as their common type.
template <class F> Tensor promoted(F f, const Tensor& x, const Tensor& y) {
  DType type = common_type(x, y);
  return f(to_dtype(x, type), to_dtype(y, type));
}

// x as the type in which it meets the number s; the number as a 0-d tensor of that type.
inline bool takes(const Tensor& x, Scalar s) { return category(s.kind) <= category(x.dtype()); }
inline Tensor adapted(const Tensor& x, Scalar s) { return to_dtype(x, promote_weak(x.dtype(), s.kind)); }
inline Tensor as_tensor(Scalar s, const Tensor& x) {
  return backend::full({}, s, promote_weak(x.dtype(), s.kind), x.device());
}

// A number that becomes an int64 must fit.
inline void check_holds(const char* op, DType type, Scalar s) {
  if (type == DType::int64 && is_floating(s.kind) && !(s.value >= -0x1p63 && s.value < 0x1p63))
    throw Error(std::string(op) + ": int64 does not hold " + std::to_string(s.value));
}

// A factor of integers must be one.
inline void check_alpha(const char* op, DType type, double alpha) {
  if (!is_floating(type) && !(alpha == std::floor(alpha) && std::abs(alpha) < 0x1p63)) {
    throw DTypeError(std::string(op) + ": alpha = " + std::to_string(alpha) + " is no integer, but the tensors are " +
                     name(type));
  }
}

// Is a bool tensor true anywhere?
inline bool anywhere(const Tensor& x) {
  Dims all;
  for (int d = 0; d < x.dim(); ++d) all.push_back(d);
  Tensor ones = backend::copy(x, DType::int64, x.device());
  return backend::reduce(ones, functor::Sum{}, all, false).item<int64_t>() != 0;
}

// Records y, a function of these inputs that is level wherever it has a derivative: rounding, sign, comparisons in disguise.
template <class... T> Tensor level(const char* op, Tensor y, const T&... x) {
  return record(op, std::move(y), inputs(x...), saved(), [](Backward& b) {
    auto zeros = [&](int i) {
      return b.needs(i) ? backend::full(b.shape(i), 0, b.dtype(i), b.dy().device()) : Tensor();
    };
    return sizeof...(T) == 1 ? Grads{zeros(0)} : Grads{zeros(0), zeros(1)};
  });
}

}  // namespace cr
