// # Views
//
// None of these moves a number: they return another window onto the same storage, and backward they undo the window.
// They are members of `Tensor` (`tensor/tensor.hpp`).
#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/elementwise.hpp"

namespace cr {
namespace {

// Strides with which `shape` walks x's elements in order without a copy, or nothing if that needs one. Dimensions of x
// that lie without gaps form chunks; each new dimension must fall within a chunk.
std::optional<Strides> view_strides(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous()) return contiguous_strides(shape);
  Strides strides(shape.size(), 1);
  int d = shape.size() - 1;
  int64_t chunk = 1, chunk_stride = x.strides().back();
  for (int s = x.dim() - 1; s >= 0; --s) {
    chunk *= x.shape()[s];
    bool chunk_ends = s == 0 || (x.shape()[s - 1] != 1 && x.strides()[s - 1] != chunk * chunk_stride);
    if (!chunk_ends) continue;
    int64_t filled = 1;
    for (; d >= 0 && (filled < chunk || shape[d] == 1); --d) {
      strides[d] = filled * chunk_stride;
      filled *= shape[d];
    }
    if (filled != chunk) return std::nullopt;
    if (s > 0) {
      chunk_stride = x.strides()[s - 1];
      chunk = 1;
    }
  }
  return d < 0 ? std::optional(strides) : std::nullopt;
}

// Replaces a size of -1 by whatever is left.
Shape complete(const Tensor& x, Shape shape, const char* op) {
  int unknown = -1;
  int64_t known = 1;
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == -1 && unknown < 0) unknown = d;
    else known *= shape[d];
  }
  if (unknown >= 0 && known > 0 && x.numel() % known == 0) shape[unknown] = x.numel() / known;
  if ((unknown >= 0 && shape[unknown] == -1) || numel(shape) != x.numel()) {
    throw ShapeError(std::string(op) + ": " + std::to_string(x.numel()) + " elements of shape " + to_string(x.shape()) +
                     " do not fit shape " + to_string(shape));
  }
  return shape;
}

Grads reshape_rule(Backward& b) { return {b.dy().reshape(b.shape())}; }

}  // namespace

Tensor Tensor::view(Shape wanted) const {
  Shape shape = complete(*this, wanted, "view");
  auto strides = view_strides(*this, shape);
  if (!strides) {
    throw ShapeError("view: shape " + to_string(shape) + " cannot look at a strided tensor of shape " +
                     to_string(this->shape()) + " without a copy; use reshape()");
  }
  return record_view("view", window(*this, shape, *strides, impl_->offset), *this, {}, reshape_rule);
}

Tensor Tensor::reshape(Shape wanted) const {
  Shape shape = complete(*this, wanted, "reshape");
  return view_strides(*this, shape) ? view(shape) : clone().view(shape);
}

Tensor Tensor::flatten(int64_t start_dim, int64_t end_dim) const {
  if (dim() == 0) return reshape({1});
  int first = wrap_dim(start_dim, dim(), "flatten"), last = wrap_dim(end_dim, dim(), "flatten");
  if (first > last)
    throw IndexError("flatten: dimension " + std::to_string(first) + " comes after " + std::to_string(last));
  Shape shape = this->shape();
  for (int d = first; d < last; ++d) {
    shape[first] *= shape[first + 1];
    shape.erase(first + 1);
  }
  return reshape(shape);
}

// y[…, j, …, i, …] = x[…, i, …, j, …]
Tensor Tensor::transpose(int64_t a, int64_t b) const {
  int i = wrap_dim(a, dim(), "transpose"), j = wrap_dim(b, dim(), "transpose");
  Shape shape = this->shape();
  Strides strides = this->strides();
  if (dim() > 0) {
    std::swap(shape[i], shape[j]);
    std::swap(strides[i], strides[j]);
  }
  return record_view("transpose", window(*this, shape, strides, impl_->offset), *this,
                     attributes(int64_t{i}, int64_t{j}),
                     [](Backward& b) { return Grads{b.dy().transpose(b.integer(0), b.integer(1))}; });
}

Tensor Tensor::t() const {
  if (dim() > 2) throw ShapeError("t: needs a matrix, got shape " + to_string(shape()) + "; use transpose(a, b)");
  return dim() < 2 ? *this : transpose(0, 1);
}

Tensor Tensor::permute(Dims order) const {
  Dims inverse(dim(), -1);
  Shape shape;
  Strides strides;
  if (order.size() != dim()) {
    throw ShapeError("permute: " + std::to_string(order.size()) + " dimensions named for a tensor with " +
                     std::to_string(dim()));
  }
  for (int d = 0; d < order.size(); ++d) {
    int from = wrap_dim(order[d], dim(), "permute");
    if (inverse[from] >= 0) throw IndexError("permute: dimension " + std::to_string(from) + " is named twice");
    inverse[from] = d;
    shape.push_back(this->shape()[from]);
    strides.push_back(this->strides()[from]);
  }
  return record_view("permute", window(*this, shape, strides, impl_->offset), *this, attributes(inverse),
                     [](Backward& b) { return Grads{b.dy().permute(b.dims(0))}; });
}

Tensor Tensor::squeeze() const {
  Shape shape;
  for (int64_t size : this->shape()) {
    if (size != 1) shape.push_back(size);
  }
  return view(shape);
}

Tensor Tensor::squeeze(int64_t d) const {
  int i = wrap_dim(d, dim(), "squeeze");
  if (dim() == 0 || shape()[i] != 1) return *this;
  Shape shape = this->shape();
  Strides strides = this->strides();
  shape.erase(i);
  strides.erase(i);
  return record_view("squeeze", window(*this, shape, strides, impl_->offset), *this, {}, reshape_rule);
}

Tensor Tensor::unsqueeze(int64_t d) const {
  int i = wrap_dim(d, dim() + 1, "unsqueeze");
  Shape shape = this->shape();
  Strides strides = this->strides();
  int64_t stride = i < dim() ? shape[i] * strides[i] : 1;
  shape.insert(i, 1);
  strides.insert(i, stride);
  return record_view("unsqueeze", window(*this, shape, strides, impl_->offset), *this, {}, reshape_rule);
}

Tensor Tensor::expand(Shape wanted) const {
  for (int d = 1; d <= std::min(dim(), wanted.size()); ++d) {
    if (wanted[wanted.size() - d] == -1) wanted[wanted.size() - d] = shape()[dim() - d];
  }
  bool fits = dim() <= wanted.size();
  for (int d = 1; d <= dim() && fits; ++d) {
    fits = shape()[dim() - d] == 1 || shape()[dim() - d] == wanted[wanted.size() - d];
  }
  if (!fits) throw ShapeError("expand: shape " + to_string(shape()) + " does not expand to " + to_string(wanted));
  return expand_to(*this, wanted);
}

// ## Parts
//
// Backward, a part's gradient is put back into zeros, which is what `as_strided_adjoint` does for any window. The window
// is described within a contiguous tensor of x's shape, whatever x's own layout is.
static Tensor part(const char* op, const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset,
                   const Dims& steps, const Dims& starts) {
  Strides dense = contiguous_strides(x.shape()), dense_strides;
  int64_t dense_offset = 0;
  for (int d = 0; d < x.dim(); ++d) {
    dense_offset += starts[d] * dense[d];
    if (steps[d] != 0) dense_strides.push_back(dense[d] * steps[d]);
  }
  return record_view(
      op, window(x, shape, strides, offset), x, attributes(shape, dense_strides, dense_offset),
      [](Backward& b) { return Grads{as_strided_adjoint(b.dy(), b.shape(), b.dims(0), b.dims(1), b.integer(2))}; });
}

Tensor Tensor::select(int64_t d, int64_t at) const {
  if (dim() == 0) throw IndexError("select: a scalar has no dimension to select from");
  int i = wrap_dim(d, dim(), "select");
  int64_t size = shape()[i], index = at < 0 ? at + size : at;
  if (index < 0 || index >= size) {
    throw IndexError("index " + std::to_string(at) + " is out of range for dimension " + std::to_string(i) +
                     " of shape " + to_string(shape()));
  }
  Shape shape = this->shape();
  Strides strides = this->strides();
  Dims steps(dim(), 1), starts(dim(), 0);
  steps[i] = 0;
  starts[i] = index;
  shape.erase(i);
  strides.erase(i);
  return part("select", *this, shape, strides, impl_->offset + index * this->strides()[i], steps, starts);
}

Tensor Tensor::slice(int64_t d, Slice s) const {
  if (dim() == 0) throw IndexError("slice: a scalar has no dimension to slice");
  int i = wrap_dim(d, dim(), "slice");
  if (s.step <= 0) throw IndexError("slice: step " + std::to_string(s.step) + " is not positive");
  int64_t size = shape()[i];
  s.step = std::min(s.step, std::max<int64_t>(size, 1));  // beyond the end is beyond the end
  int64_t start = std::clamp<int64_t>(s.start < 0 ? s.start + size : s.start, 0, size);
  int64_t stop = std::clamp<int64_t>(s.stop < 0 ? s.stop + size : s.stop, start, size);
  Shape shape = this->shape();
  Strides strides = this->strides();
  Dims steps(dim(), 1), starts(dim(), 0);
  steps[i] = s.step;
  starts[i] = start;
  shape[i] = (stop - start + s.step - 1) / s.step;
  strides[i] *= s.step;
  return part("slice", *this, shape, strides, impl_->offset + start * this->strides()[i], steps, starts);
}

Tensor Tensor::narrow(int64_t d, int64_t start, int64_t length) const {
  int i = wrap_dim(d, dim(), "narrow");
  int64_t size = dim() ? shape()[i] : 0, first = start < 0 ? start + size : start;
  if (first < 0 || length < 0 || length > size - first) {
    throw IndexError("narrow: " + std::to_string(length) + " elements from " + std::to_string(start) +
                     " do not lie within dimension " + std::to_string(i) + " of shape " + to_string(shape()));
  }
  return slice(i, {first, first + length});
}

Tensor Tensor::operator[](Index i) const { return i.is_slice ? slice(0, i.slice) : select(0, i.at); }

Tensor Tensor::operator[](std::initializer_list<Index> indices) const {
  Tensor x = *this;
  int64_t d = 0;
  for (const Index& i : indices) {
    if (d >= x.dim()) {
      throw IndexError(std::to_string(indices.size()) + " indices for a tensor of shape " + to_string(shape()));
    }
    x = i.is_slice ? x.slice(d++, i.slice) : x.select(d, i.at);
  }
  return x;
}

// ## Copies
Tensor Tensor::clone() const {
  return record("clone", backend::copy(*this, dtype(), device()), inputs(*this), saved(),
                [](Backward& b) { return Grads{b.dy()}; });
}
Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }
Tensor Tensor::to(DType dtype) const { return to_dtype(*this, dtype); }
Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  return record("to", backend::copy(*this, dtype(), device), inputs(*this), saved(),
                attributes(static_cast<int64_t>(this->device())),
                [](Backward& b) { return Grads{b.dy().to(static_cast<Device>(b.integer(0)))}; });
}

}  // namespace cr
