// # Python's brackets
//
// `x.index({…})` takes integers, slices, `None`, `Ellipsis` and tensors. Everything but tensors makes a view first,
// which leaves some dimensions of that view to be indexed by tensors. Together those name places: the tensors are
// broadcast against each other and joined to one index that counts along the rows of just these dimensions. Then
// reading is an `index_select`, and writing puts slices at that index.
#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/reduce.hpp"
#include "ops/view.hpp"

namespace cr {
namespace {

struct Places {
  Tensor view;   // x after integers, slices, None and Ellipsis
  Dims dims;     // its dimensions that tensors index, in order
  Tensor index;  // along these, as one: int64, in the shape the tensors broadcast to
  int at = 0;    // where that shape stands in the result
};

// One dimension's indices, those below 0 counted from the end. The range is looked at here: joined, an index too large
// for its own dimension could name another place.
Tensor checked(const char* op, const Tensor& index, int64_t size) {
  if (index.numel() > 0) {
    int64_t least = amin(index).item<int64_t>(), most = amax(index).item<int64_t>();
    if (least < -size || most >= size) {
      throw IndexError(std::string(op) + ": index " + std::to_string(most >= size ? most : least) +
                       " is out of range for a dimension of size " + std::to_string(size));
    }
  }
  return where(index < 0, index + size, index);
}

Places find_places(const char* op, const Tensor& x, const std::vector<AnyIndex>& items) {
  int used = 0, ellipses = 0;
  for (const AnyIndex& i : items) {
    if (i.tensor.defined()) used += i.tensor.dtype() == DType::boolean ? i.tensor.dim() : 1;
    else used += i.kind == Index::Kind::at || i.kind == Index::Kind::slice;
    ellipses += !i.tensor.defined() && i.kind == Index::Kind::ellipsis;
  }
  if (used > x.dim() || ellipses > 1) {
    throw IndexError(std::string(op) + ": " + std::to_string(used) + " indices" +
                     (ellipses > 1 ? " and more than one Ellipsis" : "") + " for a tensor of shape " +
                     to_string(x.shape()));
  }
  Places p{x, {}, {}};
  std::vector<Tensor> tensors;
  int d = 0;
  for (const AnyIndex& i : items) {
    if (!i.tensor.defined()) {
      switch (i.kind) {
        case Index::Kind::at: p.view = p.view.select(d, i.at); break;
        case Index::Kind::slice: p.view = p.view.slice(d++, i.slice); break;
        case Index::Kind::none: p.view = p.view.unsqueeze(d++); break;
        case Index::Kind::ellipsis: d += x.dim() - used; break;
      }
      continue;
    }
    backend::check_device(op, x, i.tensor);
    if (i.tensor.dtype() == DType::int64) {
      tensors.push_back(i.tensor);
      p.dims.push_back(d++);
    } else if (i.tensor.dtype() == DType::boolean) {
      if (i.tensor.dim() == 0) {  // a mask of no dimensions takes all or nothing of a new one
        p.view = p.view.unsqueeze(d);
        tensors.push_back(nonzero(i.tensor.reshape({1})).reshape({-1}));
        p.dims.push_back(d++);
        continue;
      }
      for (int k = 0; k < i.tensor.dim(); ++k) {
        if (i.tensor.shape()[k] != p.view.shape()[d + k]) {
          throw IndexError(std::string(op) + ": a mask of shape " + to_string(i.tensor.shape()) +
                           " does not fit dimension " + std::to_string(d + k) + " of shape " +
                           to_string(p.view.shape()));
        }
      }
      for (const Tensor& at : nonzero_as_tuple(i.tensor)) {
        tensors.push_back(at);
        p.dims.push_back(d++);
      }
    } else {
      throw DTypeError(std::string(op) + ": index tensors are int64 or bool, got " + name(i.tensor.dtype()));
    }
  }
  if (tensors.empty()) return p;
  Shape shape;
  for (const Tensor& t : tensors) shape = broadcast_shapes(shape, t.shape(), op);
  for (size_t k = 0; k < tensors.size(); ++k) {
    int64_t size = p.view.shape()[static_cast<int>(p.dims[static_cast<int>(k)])];
    Tensor i = checked(op, tensors[k], size);
    p.index = k == 0 ? i : p.index * size + i;
  }
  p.index = expand_to(p.index, shape);
  bool together = p.dims.back() - p.dims.front() == p.dims.size() - 1;
  p.at = together ? static_cast<int>(p.dims[0]) : 0;
  return p;
}

// The view with its indexed dimensions brought together at `at` and made one; a copy where the memory does not allow
// that.
Tensor joined(const Places& p) {
  int n = p.dims.size();
  if (n == 1) return p.view;
  Dims to;
  for (int i = 0; i < n; ++i) to.push_back(p.at + i);
  return movedim(p.view, p.dims, to).flatten(p.at, p.at + n - 1);
}

// a with dimension d replaced by `shape`
Shape replace_dim(const Shape& a, int d, const Shape& shape) {
  Shape out;
  for (int i = 0; i < a.size(); ++i) {
    if (i != d) out.push_back(a[i]);
    else
      for (int64_t size : shape) out.push_back(size);
  }
  return out;
}

// Slices of x along d, in place: x[index[i]] = source[i], or +=.
void put_slices(const Tensor& x, int d, const Tensor& index, const Tensor& source, bool accumulate) {
  Strides strides(x.dim(), 0);
  strides[d] = 1;
  Tensor wide = window(index, source.shape(), strides, index.impl()->offset);
  auto write = [&] {
    if (wide.numel() == 0) return;
    backend::Place how = accumulate ? backend::Place::add : backend::Place::set;
    backend::on(x.device()).scatter(x, d, wide, source, how, "index_put_");
  };
  record_in_place(
      "index_put_", x, inputs(x, source), saved(constant(index)), attributes(int64_t{d}, int64_t{accumulate}),
      [](Backward& b) {
        bool added = b.integer(1) != 0;
        return Grads{added || !b.needs(0) ? b.dy() : index_fill(b.dy(), b.integer(0), b[0], 0),
                     b.needs(1) ? index_select(b.dy(), b.integer(0), b[0]) : Tensor()};
      },
      write);
}

}  // namespace

Tensor Tensor::index(const std::vector<AnyIndex>& items) const {
  Places p = find_places("index", *this, items);
  if (!p.index.defined()) return p.view;
  Tensor whole = joined(p), picked = index_select(whole, p.at, p.index.reshape({-1}));
  return picked.reshape(replace_dim(whole.shape(), p.at, p.index.shape()));
}

const Tensor& Tensor::index_put_(const std::vector<AnyIndex>& items, const Tensor& values, bool accumulate) const {
  backend::check_device("index_put_", *this, values);
  if (values.dtype() != dtype() && values.dim() > 0) {
    throw DTypeError(std::string("index_put_: ") + name(values.dtype()) + " values into " + name(dtype()));
  }
  Places p = find_places("index_put_", *this, items);
  if (!p.index.defined()) {
    if (accumulate) p.view.add_(values.to(dtype()));
    else p.view.copy_(values);
    return *this;
  }
  Tensor whole = joined(p), index = p.index.reshape({-1});
  Shape result = replace_dim(whole.shape(), p.at, p.index.shape());
  if (!(broadcast_shapes(values.shape(), result, "index_put_") == result)) {
    throw ShapeError("index_put_: values of shape " + to_string(values.shape()) + " for places of shape " +
                     to_string(result));
  }
  Shape flat = whole.shape();
  flat[p.at] = index.numel();
  Tensor source = expand_to(values.to(dtype()), result).reshape(flat);
  bool copied = whole.impl()->storage.get() != impl_->storage.get();
  put_slices(whole, p.at, index, source, accumulate);
  if (copied) {  // write all of it back
    Dims to;
    for (int i = 0; i < p.dims.size(); ++i) to.push_back(p.at + i);
    Tensor moved = movedim(p.view, p.dims, to);
    moved.copy_(whole.reshape(moved.shape()));
  }
  return *this;
}

Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate) {
  Tensor y = x.clone();
  y.index_put_(std::vector<AnyIndex>(indices.begin(), indices.end()), values, accumulate);
  return y;
}

std::vector<Tensor> unravel_index(const Tensor& index, const Shape& shape) {
  if (index.dtype() != DType::int64)
    throw DTypeError(std::string("unravel_index: the index must be int64, got ") + name(index.dtype()));
  Tensor at = index.detach().to(Device::cpu).contiguous();
  bool has_room = std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size > 0; });
  std::vector<Tensor> coordinates;
  for (int d = 0; d < shape.size(); ++d) coordinates.push_back(empty(index.shape(), DType::int64));
  for (int64_t i = 0; i < at.numel(); ++i) {
    int64_t number = at.data<int64_t>()[i], rest = has_room ? number : -1;
    for (int d = shape.size() - 1; d >= 0 && rest >= 0; --d) {
      static_cast<int64_t*>(coordinates[static_cast<size_t>(d)].impl()->storage->data())[i] = rest % shape[d];
      rest /= shape[d];
    }
    if (rest != 0) {
      throw IndexError("unravel_index: " + std::to_string(number) + " is no element of a tensor of shape " +
                       to_string(shape));
    }
  }
  for (Tensor& x : coordinates) x = x.to(index.device());
  return coordinates;
}

}  // namespace cr
