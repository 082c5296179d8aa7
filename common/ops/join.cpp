#include "ops/join.hpp"

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/view.hpp"

namespace cr {
namespace {

// Of tensors that take part as equals, those of a higher rank decide together; a scalar counts only if its kind is
// higher.
std::vector<Tensor> of_one_type(const char* op, const std::vector<Tensor>& tensors) {
  DType type = DType::boolean, scalars = DType::boolean;
  bool any = false;
  for (const Tensor& x : tensors) {
    backend::check_device(op, tensors[0], x);
    any = any || x.dim() > 0;
    DType& group = x.dim() > 0 ? type : scalars;
    group = promote(group, x.dtype());
  }
  type = any ? promote_weak(type, scalars) : scalars;
  std::vector<Tensor> out;
  for (const Tensor& x : tensors) out.push_back(x.to(type));
  return out;
}

std::vector<Tensor> each(Tensor (*f)(const Tensor&), std::vector<Tensor> tensors) {
  for (Tensor& x : tensors) x = f(x);
  return tensors;
}

bool skipped(const Tensor& x) { return x.dim() == 1 && x.numel() == 0; }

}  // namespace

// Backward, each tensor gets its own stretch of dy.
Tensor cat(const std::vector<Tensor>& given, int64_t dim) {
  if (given.empty()) throw ShapeError("cat: no tensors");
  std::vector<Tensor> tensors = of_one_type("cat", given);
  const Tensor* shaped = &tensors[0];
  for (const Tensor& x : tensors) {
    if (x.dim() == 0) throw ShapeError("cat: scalars have no dimension to join along; use stack()");
    if (skipped(*shaped)) shaped = &x;
  }
  const Tensor& first = *shaped;
  int d = wrap_dim(dim, first.dim(), "cat");
  Shape shape = first.shape();
  shape[d] = 0;
  Dims ends;
  std::vector<const Tensor*> in;
  for (const Tensor& x : tensors) {
    in.push_back(&x);
    if (!skipped(x)) {
      Shape expected = first.shape();
      if (x.dim() == first.dim()) expected[d] = x.shape()[d];
      if (!(x.shape() == expected)) {
        throw ShapeError("cat: shapes " + to_string(first.shape()) + " and " + to_string(x.shape()) +
                         " differ outside dimension " + std::to_string(d));
      }
      shape[d] += x.shape()[d];
    }
    ends.push_back(shape[d]);
  }
  Tensor y = empty(shape, first.dtype(), first.device());
  int64_t start = 0;
  for (const Tensor& x : tensors) {
    if (skipped(x)) continue;
    backend::on(y.device()).copy(window(y, x.shape(), y.strides(), start * y.strides()[d]), x);
    start += x.shape()[d];
  }
  return record("cat", y, in, {}, attributes(int64_t{d}, ends), [](Backward& b) {
    Grads grads;
    int64_t start = 0;
    for (int64_t end : b.dims(1)) {
      int i = grads.size();
      bool empty_vector = b.needs(i) && b.shape(i).size() == 1 && b.shape(i)[0] == 0;  // one that was skipped
      Tensor part = b.needs(i) ? b.dy().slice(b.integer(0), {start, end}) : Tensor();
      grads.push_back(empty_vector ? part.reshape({0}) : part);
      start = end;
    }
    return grads;
  });
}

Tensor stack(const std::vector<Tensor>& given, int64_t dim) {
  if (given.empty()) throw ShapeError("stack: no tensors");
  std::vector<Tensor> tensors = of_one_type("stack", given);
  for (Tensor& x : tensors) {
    if (!(x.shape() == given[0].shape())) {
      throw ShapeError("stack: shapes " + to_string(given[0].shape()) + " and " + to_string(x.shape()) + " differ");
    }
  }
  int d = wrap_dim(dim, given[0].dim() + 1, "stack");
  for (Tensor& x : tensors) x = x.unsqueeze(d);
  return cat(tensors, d);
}

Tensor hstack(const std::vector<Tensor>& tensors) {
  if (tensors.empty()) throw ShapeError("hstack: no tensors");
  return cat(each(atleast_1d, of_one_type("hstack", tensors)), tensors[0].dim() > 1);
}
Tensor vstack(const std::vector<Tensor>& tensors) {
  if (tensors.empty()) throw ShapeError("vstack: no tensors");
  return cat(each(atleast_2d, of_one_type("vstack", tensors)), 0);
}
Tensor dstack(const std::vector<Tensor>& tensors) {
  if (tensors.empty()) throw ShapeError("dstack: no tensors");
  return cat(each(atleast_3d, of_one_type("dstack", tensors)), 2);
}
Tensor column_stack(const std::vector<Tensor>& tensors) {
  if (tensors.empty()) throw ShapeError("column_stack: no tensors");
  auto column = [](const Tensor& x) { return x.dim() < 2 ? x.reshape({x.numel(), 1}) : x; };
  return hstack(each(column, of_one_type("column_stack", tensors)));
}

}  // namespace cr
