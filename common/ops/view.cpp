// # Views
//
// None of these moves a number: they return another window onto the same storage, and backward they undo the window.
#include "ops/view.hpp"

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

// Replaces a size of -1 by whatever is left of `count` elements.
Shape complete(int64_t count, Shape shape, const Shape& from, const char* op) {
  int unknown = -1;
  int64_t known = 1;
  bool overflow = false;
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == -1 && unknown < 0) unknown = d;
    else overflow |= __builtin_mul_overflow(known, shape[d], &known);
  }
  if (unknown >= 0 && known > 0 && !overflow && count % known == 0) shape[unknown] = count / known;
  if ((unknown >= 0 && shape[unknown] == -1) || numel(shape) != count) {
    throw ShapeError(std::string(op) + ": " + std::to_string(count) + " elements of shape " + to_string(from) +
                     " do not fit shape " + to_string(shape));
  }
  return shape;
}

// Dimensions counted from 0, each named once.
Dims wrap_dims(Dims dims, int rank, const char* op) {
  for (int64_t& d : dims) d = wrap_dim(d, rank, op);
  for (int i = 0; i < dims.size(); ++i) {
    if (std::find(dims.begin(), dims.begin() + i, dims[i]) != dims.begin() + i)
      throw IndexError(std::string(op) + ": dimension " + std::to_string(dims[i]) + " is named twice");
  }
  return dims;
}

Grads reshape_rule(Backward& b) { return {b.dy().reshape(b.shape())}; }

}  // namespace

Tensor Tensor::view(Shape wanted) const {
  Shape shape = complete(numel(), wanted, this->shape(), "view");
  auto strides = view_strides(*this, shape);
  if (!strides) {
    throw ShapeError("view: shape " + to_string(shape) + " cannot look at a strided tensor of shape " +
                     to_string(this->shape()) + " without a copy; use reshape()");
  }
  return record_view("view", window(*this, shape, *strides, impl_->offset), *this, {}, reshape_rule);
}

Tensor Tensor::reshape(Shape wanted) const {
  Shape shape = complete(numel(), wanted, this->shape(), "reshape");
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

Tensor Tensor::T() const {
  Dims reverse;
  for (int d = dim() - 1; d >= 0; --d) reverse.push_back(d);
  return permute(reverse);
}
Tensor Tensor::mT() const {
  if (dim() < 2) throw ShapeError("mT: needs two dimensions, got shape " + to_string(shape()));
  return transpose(-2, -1);
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

Tensor Tensor::squeeze(const Dims& dims) const {
  Dims sorted = wrap_dims(dims, dim(), "squeeze");
  std::sort(sorted.begin(), sorted.end());
  Tensor x = *this;
  for (int i = sorted.size() - 1; i >= 0; --i) x = x.squeeze(sorted[i]);
  return x;
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
// Backward, a part's gradient goes to its place in a gradient that is otherwise zero. That one lies in memory as x does, if
// x has no gaps; so undoing a permutation of x brings it back in one piece. `window_in(strides)` returns the part's strides
// and where it begins, within a tensor of x's shape with these strides.
template <class F> static Tensor part(const char* op, const Tensor& x, const Shape& shape, F&& window_in) {
  auto [strides, start] = window_in(x.strides());
  const Strides layout = is_dense(x.shape(), x.strides()) ? x.strides() : contiguous_strides(x.shape());
  auto [dense_strides, dense_start] = window_in(layout);
  return record_view(op, window(x, shape, strides, x.impl()->offset + start), x,
                     attributes(shape, dense_strides, int64_t{dense_start}, layout), [](Backward& b) {
                       const Part part{b.dims(0), b.dims(1), b.integer(2), b.dims(3)};
                       if (b.add_to_part(0, b.dy(), part)) return Grads{Tensor()};
                       Tensor memory =
                           as_strided_adjoint(b.dy(), {numel(b.shape())}, part.shape, part.strides, part.offset);
                       return Grads{as_strided(memory, b.shape(), part.layout, 0)};
                     });
}

// The place `at` of dimension d, counted from 0; negative ones count from the end.
static int64_t wrap_index(int64_t at, int d, const Shape& shape) {
  const int64_t size = shape[d], index = at < 0 ? at + size : at;
  if (index < 0 || index >= size) {
    throw IndexError("select: index " + std::to_string(at) + " is out of range for dimension " + std::to_string(d) +
                     " of shape " + to_string(shape));
  }
  return index;
}

Tensor Tensor::select(int64_t d, int64_t at) const {
  if (dim() == 0) throw IndexError("select: a scalar has no dimension to select from");
  const int i = wrap_dim(d, dim(), "select");
  const int64_t index = wrap_index(at, i, shape());
  Shape shape = this->shape();
  shape.erase(i);
  return part("select", *this, shape, [&](Strides strides) {
    int64_t start = index * strides[i];
    strides.erase(i);
    return std::pair(strides, start);
  });
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
  shape[i] = (stop - start + s.step - 1) / s.step;
  return part("slice", *this, shape, [&](Strides strides) {
    int64_t first = start * strides[i];
    strides[i] *= s.step;
    return std::pair(strides, first);
  });
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

// y[…, k] = x[…, k, …, k + offset, …]
Tensor Tensor::diagonal(int64_t offset, int64_t dim1, int64_t dim2) const {
  int i = wrap_dim(dim1, dim(), "diagonal"), j = wrap_dim(dim2, dim(), "diagonal");
  if (i == j || dim() < 2) {
    throw IndexError("diagonal: needs two different dimensions of a tensor of shape " + to_string(shape()) + ", got " +
                     std::to_string(dim1) + " and " + std::to_string(dim2));
  }
  int64_t rows = shape()[i], columns = shape()[j];
  offset = std::clamp(offset, -rows, columns);  // beyond the corner there is nothing
  int64_t down = std::max<int64_t>(-offset, 0), right = std::max<int64_t>(offset, 0);
  Shape shape = this->shape();
  shape.erase(std::max(i, j));
  shape.erase(std::min(i, j));
  shape.push_back(std::min(rows - down, columns - right));
  return part("diagonal", *this, shape, [&](Strides strides) {
    int64_t along = strides[i] + strides[j];
    int64_t start = shape.back() > 0 ? down * strides[i] + right * strides[j] : 0;
    strides.erase(std::max(i, j));
    strides.erase(std::min(i, j));
    strides.push_back(along);
    return std::pair(strides, start);
  });
}

// y[…, w, …, k] = x[…, w · step + k, …]. The windows overlap where step < size, so they can be read but not written.
Tensor Tensor::unfold(int64_t d, int64_t size, int64_t step) const {
  int i = wrap_dim(d, dim(), "unfold");
  int64_t length = dim() ? shape()[i] : 1;
  if (size < 0 || size > length || step <= 0) {
    throw ShapeError("unfold: windows of " + std::to_string(size) + " in steps of " + std::to_string(step) +
                     " along dimension " + std::to_string(i) + " of shape " + to_string(shape()) +
                     "; the window must fit and the step be positive");
  }
  step = std::min(step, length + 1);
  Shape shape = this->shape();
  if (dim() > 0) shape[i] = (length - size) / step + 1;
  shape.push_back(size);
  return part("unfold", *this, shape, [&](Strides strides) {
    int64_t along = dim() ? strides[i] : 1;
    if (dim() > 0 && shape[i] > 1) strides[i] *= step;
    strides.push_back(along);
    return std::pair(strides, int64_t{0});
  });
}

// Backward, dy is collected where the window touched the memory, and x's own window is read from there.
Tensor Tensor::as_strided(const Shape& shape, const Strides& strides, std::optional<int64_t> offset) const {
  const TensorImpl &own = self(), &whole = own.base ? *own.base : own;
  int64_t begin = whole.offset, end = begin, first = offset.value_or(own.offset), last = first;
  if (whole.numel > 0) end = begin + 1;
  for (int d = 0; d < whole.shape.size(); ++d) end += (whole.shape[d] - 1) * whole.strides[d];
  bool fits = shape.size() == strides.size();
  for (int d = 0; d < strides.size() && fits; ++d) {
    int64_t reach = 0;
    fits = strides[d] >= 0 && !__builtin_mul_overflow(std::max<int64_t>(shape[d] - 1, 0), strides[d], &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  bool any = cr::numel(shape) > 0;
  if (!fits || first < 0 || (any && (first < begin || last >= end))) {
    throw IndexError("as_strided: shape " + to_string(shape) + " with strides " + to_string(strides) + " from " +
                     std::to_string(first) + " leaves the " + std::to_string(end - begin) +
                     " elements of a tensor of shape " + to_string(this->shape()));
  }
  if (!any) first = begin;
  if (requires_grad() && grad_enabled() && may_overlap(this->shape(), this->strides())) {
    throw ShapeError("as_strided: several elements of this view share memory; clone() it first");
  }
  return record_view("as_strided", window(*this, shape, strides, first), *this,
                     attributes(shape, strides, int64_t{first - begin}, Shape{end - begin}, this->shape(),
                                this->strides(), int64_t{own.offset - begin}),
                     [](Backward& b) {
                       Tensor memory = as_strided_adjoint(b.dy(), b.dims(3), b.dims(0), b.dims(1), b.integer(2));
                       return Grads{cr::as_strided(memory, b.dims(4), b.dims(5), b.integer(6))};
                     });
}

// ## Between brackets
Tensor Tensor::operator[](Index i) const { return (*this)[{i}]; }

Tensor Tensor::operator[](std::initializer_list<Index> indices) const {
  Tensor x = *this;
  int64_t used = 0, d = 0;
  for (const Index& i : indices) used += i.kind == Index::Kind::at || i.kind == Index::Kind::slice;
  if (used > dim()) {
    throw IndexError(std::to_string(used) + " indices for a tensor of shape " + to_string(shape()));
  }
  int64_t whole = dim() - used;
  int ours = 0;  // the dimension of this tensor that is dimension d of what is left of it
  for (const Index& i : indices) {
    switch (i.kind) {
      case Index::Kind::at: x = x.select(d, wrap_index(i.at, ours++, shape())); break;
      case Index::Kind::slice: x = x.slice(d++, i.slice), ++ours; break;
      case Index::Kind::none: x = x.unsqueeze(d++); break;
      case Index::Kind::ellipsis:
        if (whole < 0) throw IndexError("only one Ellipsis may stand between brackets");
        d += whole, ours += static_cast<int>(std::exchange(whole, -1));
        break;
    }
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

// ## Functions
Tensor unflatten(const Tensor& x, int64_t dim, const Shape& sizes) {
  int d = wrap_dim(dim, x.dim(), "unflatten");
  if (x.dim() == 0 || sizes.empty()) {
    throw ShapeError("unflatten: dimension " + std::to_string(dim) + " of shape " + to_string(x.shape()) + " into " +
                     to_string(sizes));
  }
  Shape part = complete(x.shape()[d], sizes, x.shape(), "unflatten"), shape;
  for (int i = 0; i < x.dim(); ++i) {
    if (i != d) shape.push_back(x.shape()[i]);
    for (int k = 0; i == d && k < part.size(); ++k) shape.push_back(part[k]);
  }
  return x.view(shape);
}

// Dimensions named in `from` go to the places in `to`; the others fill what is left, in order.
Tensor movedim(const Tensor& x, const Dims& from, const Dims& to) {
  if (from.size() != to.size()) {
    throw ShapeError("movedim: " + std::to_string(from.size()) + " dimensions to " + std::to_string(to.size()) +
                     " places");
  }
  if (x.dim() == 0) return x;
  Dims source = wrap_dims(from, x.dim(), "movedim"), target = wrap_dims(to, x.dim(), "movedim"), order(x.dim(), -1);
  for (int i = 0; i < source.size(); ++i) order[static_cast<int>(target[i])] = source[i];
  int64_t next = 0;
  for (int64_t& place : order) {
    if (place >= 0) continue;
    while (std::find(source.begin(), source.end(), next) != source.end()) ++next;
    place = next++;
  }
  return x.permute(order);
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  if (!(broadcast_shapes(x.shape(), shape, "broadcast_to") == shape)) {
    throw ShapeError("broadcast_to: shape " + to_string(x.shape()) + " does not expand to " + to_string(shape));
  }
  return expand_to(x, shape);
}

std::vector<Tensor> broadcast_tensors(const std::vector<Tensor>& tensors) {
  Shape shape;
  for (const Tensor& x : tensors) shape = broadcast_shapes(shape, x.shape(), "broadcast_tensors");
  std::vector<Tensor> out;
  for (const Tensor& x : tensors) out.push_back(expand_to(x, shape));
  return out;
}

Tensor atleast_1d(const Tensor& x) { return x.dim() == 0 ? x.view({1}) : x; }
Tensor atleast_2d(const Tensor& x) { return x.dim() < 2 ? atleast_1d(x).unsqueeze(0) : x; }
Tensor atleast_3d(const Tensor& x) { return x.dim() < 3 ? atleast_2d(x).unsqueeze(-1) : x; }

}  // namespace cr
