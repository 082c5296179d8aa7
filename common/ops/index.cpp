#include "ops/index.hpp"

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"

namespace cr {
namespace {

void check_index(const char* op, const Tensor& x, const Tensor& index) {
  backend::check_device(op, x, index);
  if (index.dtype() != DType::int64)
    throw DTypeError(std::string(op) + ": the index must be int64, got " + name(index.dtype()));
}

// `slices` has x's shape but for dimension d, where it has `length`.
void check_slices(const char* op, const Tensor& x, int d, const Tensor& slices, int64_t length) {
  Shape expected = x.shape();
  expected[d] = length;
  backend::check_device(op, x, slices);
  if (!(slices.shape() == expected)) {
    throw ShapeError(std::string(op) + ": the source has shape " + to_string(slices.shape()) + ", but needs " +
                     to_string(expected));
  }
  if (slices.dtype() != x.dtype())
    throw DTypeError(std::string(op) + ": " + name(slices.dtype()) + " values into " + name(x.dtype()));
}

void check_same_rank(const char* op, const Tensor& x, int d, const Tensor& index) {
  bool fits = index.dim() == x.dim();
  for (int i = 0; i < x.dim() && fits; ++i) fits = i == d || index.shape()[i] <= x.shape()[i];
  if (!fits) {
    throw ShapeError(std::string(op) + ": index " + to_string(index.shape()) + " does not fit " + to_string(x.shape()) +
                     " along dimension " + std::to_string(d));
  }
}

}  // namespace

// ## Whole slices
//
// y[i] = x[index[i]],  dx[index[i]] += dy[i]
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  check_index("index_select", x, index);
  if (index.dim() > 1)
    throw ShapeError("index_select: the index must be a vector, got shape " + to_string(index.shape()));
  if (x.dim() == 0) throw ShapeError("index_select: a scalar has no dimension to select from");
  int d = wrap_dim(dim, x.dim(), "index_select");
  Shape shape = x.shape();
  shape[d] = index.numel();
  Tensor y = empty(shape, x.dtype(), x.device());
  backend::on(x.device()).index_select(y, x, d, index, "index_select");
  return record("index_select", y, inputs(x), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{index_add(zeros(b.shape(), b.dy().dtype(), b.dy().device()), b.integer(0), b[0], b.dy())};
  });
}

// y = x, then y[index[i]] += source[i];  dx = dy, dsource[i] = dy[index[i]]
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  check_index("index_add", x, index);
  if (index.dim() > 1) throw ShapeError("index_add: the index must be a vector, got shape " + to_string(index.shape()));
  if (x.dim() == 0) throw ShapeError("index_add: a scalar has no dimension to add along");
  int d = wrap_dim(dim, x.dim(), "index_add");
  check_slices("index_add", x, d, source, index.numel());
  Tensor y = backend::copy(x, x.dtype(), x.device());
  backend::on(x.device()).index_add(y, d, index, source, "index_add");
  return record("index_add", y, inputs(x, source), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{b.dy(), b.needs(1) ? index_select(b.dy(), b.integer(0), b[0]) : Tensor()};
  });
}

// ## Single elements
//
// y[i][j] = x[index[i][j]][j],  dx[index[i][j]][j] += dy[i][j]
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  check_index("gather", x, index);
  int d = wrap_dim(dim, x.dim(), "gather");
  check_same_rank("gather", x, d, index);
  if (x.dim() == 0) return gather(x.reshape({1}), 0, index.reshape({1})).reshape({});
  Tensor y = empty(index.shape(), x.dtype(), x.device());
  backend::on(x.device()).gather(y, x, d, index, "gather");
  return record("gather", y, inputs(x), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{scatter_add(zeros(b.shape(), b.dy().dtype(), b.dy().device()), b.integer(0), b[0], b.dy())};
  });
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  check_index("scatter_add", x, index);
  int d = wrap_dim(dim, x.dim(), "scatter_add");
  check_same_rank("scatter_add", x, d, index);
  backend::check_device("scatter_add", x, source);
  if (!(source.shape() == index.shape())) {
    throw ShapeError("scatter_add: index " + to_string(index.shape()) + " and source " + to_string(source.shape()) +
                     " differ");
  }
  if (source.dtype() != x.dtype())
    throw DTypeError(std::string("scatter_add: ") + name(source.dtype()) + " values into " + name(x.dtype()));
  if (x.dim() == 0) throw ShapeError("scatter_add: a scalar has no dimension to add along");
  Tensor y = backend::copy(x, x.dtype(), x.device());
  backend::on(x.device()).scatter_add(y, d, index, source, "scatter_add");
  return record("scatter_add", y, inputs(x, source), saved(constant(index)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{b.dy(), b.needs(1) ? gather(b.dy(), b.integer(0), b[0]) : Tensor()};
  });
}

// ## Joining
//
// Backward, each tensor gets its own stretch of dy.
Tensor cat(const std::vector<Tensor>& tensors, int64_t dim) {
  if (tensors.empty()) throw ShapeError("cat: no tensors");
  const Tensor& first = tensors[0];
  if (first.dim() == 0) throw ShapeError("cat: scalars have no dimension to join along; use stack()");
  int d = wrap_dim(dim, first.dim(), "cat");
  Shape shape = first.shape();
  Dims ends{first.shape()[d]};
  std::vector<const Tensor*> in{&first};
  for (size_t i = 1; i < tensors.size(); ++i) {
    Shape expected = first.shape();
    if (tensors[i].dim() == first.dim()) expected[d] = tensors[i].shape()[d];
    if (!(tensors[i].shape() == expected)) {
      throw ShapeError("cat: shapes " + to_string(first.shape()) + " and " + to_string(tensors[i].shape()) +
                       " differ outside dimension " + std::to_string(d));
    }
    backend::check_device("cat", first, tensors[i]);
    if (tensors[i].dtype() != first.dtype()) {
      throw DTypeError(std::string("cat: ") + name(first.dtype()) + " and " + name(tensors[i].dtype()) + " tensors");
    }
    shape[d] += expected[d];
    ends.push_back(shape[d]);
    in.push_back(&tensors[i]);
  }
  Tensor y = empty(shape, first.dtype(), first.device());
  int64_t start = 0;
  for (const Tensor& x : tensors) {
    backend::on(y.device()).copy(window(y, x.shape(), y.strides(), start * y.strides()[d]), x);
    start += x.shape()[d];
  }
  return record("cat", y, in, {}, attributes(int64_t{d}, ends), [](Backward& b) {
    Grads grads;
    int64_t start = 0;
    for (int64_t end : b.dims(1)) {
      grads.push_back(b.needs(grads.size()) ? b.dy().slice(b.integer(0), {start, end}) : Tensor());
      start = end;
    }
    return grads;
  });
}

Tensor stack(const std::vector<Tensor>& tensors, int64_t dim) {
  if (tensors.empty()) throw ShapeError("stack: no tensors");
  std::vector<Tensor> lifted;
  for (const Tensor& x : tensors) {
    if (!(x.shape() == tensors[0].shape())) {
      throw ShapeError("stack: shapes " + to_string(tensors[0].shape()) + " and " + to_string(x.shape()) + " differ");
    }
    lifted.push_back(x.unsqueeze(dim));
  }
  return cat(lifted, wrap_dim(dim, tensors[0].dim() + 1, "stack"));
}

Tensor one_hot(const Tensor& labels, int64_t classes, DType dtype) {
  check_index("one_hot", labels, labels);
  Shape shape = labels.shape();
  shape.push_back(classes);
  Tensor y = zeros(shape, dtype, labels.device()), index = labels.unsqueeze(-1);
  backend::on(y.device()).scatter_add(y, y.dim() - 1, index, ones(index.shape(), dtype, labels.device()), "one_hot");
  return y;
}

}  // namespace cr
