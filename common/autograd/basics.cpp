#include "autograd/basics.hpp"

#include "backend/backend.hpp"

namespace cr {

Tensor add_same(const Tensor& x, const Tensor& y) {
  return record("add", backend::map(x, y, functor::Add{}), inputs(x, y), saved(), [](Backward& b) {
    return Grads{b.dy(), b.dy()};
  });
}

// Summing and repeating are each other's adjoint.
Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  int extra = x.dim() - shape.size();
  Dims dims;
  for (int d = 0; d < x.dim(); ++d) {
    int64_t kept = d < extra ? 1 : shape[d - extra];
    if (kept != 1 && kept != x.shape()[d]) {
      throw ShapeError("a gradient of shape " + to_string(x.shape()) + " does not fit a tensor of shape " +
                       to_string(shape));
    }
    if (d < extra || (kept == 1 && x.shape()[d] != 1)) dims.push_back(d);
  }
  if (extra < 0) {
    throw ShapeError("a gradient of shape " + to_string(x.shape()) + " does not fit a tensor of shape " +
                     to_string(shape));
  }
  Tensor sum = backend::reduce(x, functor::Sum{}, dims, true);
  return record("sum_to", window(sum, shape, contiguous_strides(shape), 0), inputs(x), saved(),
                [](Backward& b) { return Grads{expand_to(b.dy(), b.shape())}; });
}

Tensor expand_to(const Tensor& x, const Shape& shape) {
  Strides strides(shape.size(), 0);
  for (int d = 1; d <= x.dim(); ++d) {
    if (x.shape()[x.dim() - d] != 1) strides[shape.size() - d] = x.strides()[x.dim() - d];
  }
  return record_view("expand", window(x, shape, strides, x.impl()->offset), x, {},
                     [](Backward& b) { return Grads{sum_to(b.dy(), b.shape())}; });
}

Tensor to_dtype(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record("to", backend::copy(x, dtype, x.device()), inputs(x), saved(),
                [](Backward& b) { return Grads{to_dtype(b.dy(), b.dtype())}; });
}

Tensor as_strided(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset) {
  Tensor base = backend::copy(x, x.dtype(), x.device());
  Tensor y = window(base, shape, strides, offset);
  return record("as_strided", y, inputs(x), saved(), attributes(x.shape(), shape, strides, offset), [](Backward& b) {
    return Grads{as_strided_adjoint(b.dy(), b.dims(0), b.dims(1), b.dims(2), b.integer(3))};
  });
}

Tensor as_strided_adjoint(const Tensor& dy, const Shape& base_shape, const Shape& shape, const Strides& strides,
                          int64_t offset) {
  Tensor dx = backend::full(base_shape, 0, dy.dtype(), dy.device());
  if (may_overlap(shape, strides)) backend::on(dy.device()).add_overlapping(window(dx, shape, strides, offset), dy);
  else backend::on(dy.device()).copy(window(dx, shape, strides, offset), dy);
  return record("as_strided_adjoint", dx, inputs(dy), saved(), attributes(shape, strides, offset),
                [](Backward& b) { return Grads{as_strided(b.dy(), b.dims(0), b.dims(1), b.integer(2))}; });
}

Tensor zero_window(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset) {
  Tensor y = backend::copy(x, x.dtype(), x.device());
  backend::on(x.device()).fill(window(y, shape, strides, offset), 0);
  return record("zero_window", y, inputs(x), saved(), attributes(shape, strides, offset),
                [](Backward& b) { return Grads{zero_window(b.dy(), b.dims(0), b.dims(1), b.integer(2))}; });
}

}  // namespace cr
