#include "ops/reduce.hpp"

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/elementwise.hpp"

namespace cr {
namespace {

// Sorted, non-negative, no duplicates; none given means all.
Dims wrap_dims(const Tensor& x, const Dims& dims, const char* op) {
  Dims out;
  if (dims.empty()) {
    for (int d = 0; d < x.dim(); ++d) out.push_back(d);
    return out;
  }
  for (int64_t d : dims) {
    int wrapped = wrap_dim(d, x.dim(), op);
    if (std::find(out.begin(), out.end(), wrapped) != out.end()) {
      throw IndexError(std::string(op) + ": dimension " + std::to_string(d) + " is named twice");
    }
    if (x.dim() > 0) out.push_back(wrapped);
  }
  std::sort(out.begin(), out.end());
  return out;
}

int64_t count(const Tensor& x, const Dims& dims) {
  int64_t n = 1;
  for (int64_t d : dims) n *= x.shape()[static_cast<int>(d)];
  return n;
}

// A reduced tensor with its lost dimensions back, as size 1, so that it broadcasts against the original.
Tensor restore(const Tensor& y, const Dims& dims, int64_t keepdim) {
  if (keepdim) return y;
  Shape shape = y.shape();
  for (int64_t d : dims) shape.insert(static_cast<int>(d), 1);
  return y.reshape(shape);
}

Tensor countable(const Tensor& x) { return x.dtype() == DType::boolean ? x.to(DType::int64) : x; }

}  // namespace

// y = Σ x,  dy/dx = 1 for every x
Tensor sum(const Tensor& x, Dims dims, bool keepdim) {
  if (x.dtype() == DType::boolean) return sum(countable(x), dims, keepdim);
  dims = wrap_dims(x, dims, "sum");
  Tensor y = backend::reduce(x, functor::Sum{}, dims, keepdim);
  return record("sum", y, inputs(x), saved(), attributes(dims, int64_t{keepdim}),
                [](Backward& b) { return Grads{expand_to(restore(b.dy(), b.dims(0), b.integer(1)), b.shape())}; });
}
Tensor sum(const Tensor& x) { return sum(x, {}); }

// y = Σ x / n,  dy/dx = 1 / n
Tensor mean(const Tensor& x, Dims dims, bool keepdim) {
  if (!is_floating(x.dtype())) {
    throw DTypeError(std::string("mean: needs a floating-point tensor, got ") + name(x.dtype()) +
                     "; convert it with to(DType::float32)");
  }
  dims = wrap_dims(x, dims, "mean");
  return sum(x, dims, keepdim) / static_cast<double>(count(x, dims));
}
Tensor mean(const Tensor& x) { return mean(x, {}); }

// ## Extremes
//
// y = max x; the gradient goes to every x that equals y, in equal parts.
template <class F> static Tensor extreme(const char* op, const Tensor& x, Dims dims, bool keepdim) {
  if (x.dtype() == DType::boolean) return extreme<F>(op, countable(x), dims, keepdim).to(DType::boolean);
  dims = wrap_dims(x, dims, op);
  if (count(x, dims) == 0)
    throw ShapeError(std::string(op) + ": no elements to choose from in shape " + to_string(x.shape()));
  Tensor y = backend::reduce(x, F{}, dims, keepdim);
  return record(op, y, inputs(x), saved(x, y), attributes(dims, int64_t{keepdim}), [](Backward& b) {
    Tensor x = b[0].detach(), y = restore(b[1].detach(), b.dims(0), b.integer(1));
    Tensor hit = (x == y).to(x.dtype());
    return Grads{restore(b.dy(), b.dims(0), b.integer(1)) * (hit / sum(hit, b.dims(0), true))};
  });
}
Tensor amax(const Tensor& x, Dims dims, bool keepdim) { return extreme<functor::Max>("amax", x, dims, keepdim); }
Tensor amin(const Tensor& x, Dims dims, bool keepdim) { return extreme<functor::Min>("amin", x, dims, keepdim); }

static Tensor arg_extreme(const char* op, bool largest, const Tensor& x, int64_t dim, bool keepdim) {
  int d = wrap_dim(dim, x.dim(), op);
  if (x.dim() == 0) return backend::full({}, 0, DType::int64, x.device());
  if (x.shape()[d] == 0)
    throw ShapeError(std::string(op) + ": no elements along dimension " + std::to_string(d) + " of shape " +
                     to_string(x.shape()));
  Shape shape = x.shape();
  shape[d] = 1;
  Tensor y = empty(shape, DType::int64, x.device());
  backend::on(x.device()).arg_reduce(largest, y, x, d);
  return keepdim ? y : y.squeeze(d);
}
Tensor argmax(const Tensor& x, int64_t d, bool keepdim) { return arg_extreme("argmax", true, x, d, keepdim); }
Tensor argmin(const Tensor& x, int64_t d, bool keepdim) { return arg_extreme("argmin", false, x, d, keepdim); }

// ## Softmax
//
// The backend works along the last dimension; another one is moved there and back.
static Tensor moved_to_last(Tensor (*f)(const Tensor&, int64_t), const Tensor& x, int64_t dim, const char* op) {
  int d = wrap_dim(dim, x.dim(), op);
  return f(x.transpose(d, -1), -1).transpose(d, -1);
}
static bool is_last(const Tensor& x, int64_t dim, const char* op) {
  return wrap_dim(dim, x.dim(), op) == std::max(x.dim(), 1) - 1;
}
static Tensor along_rows(const Tensor& x, bool log, const char* op) {
  if (!is_floating(x.dtype()))
    throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(x.dtype()));
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  backend::on(x.device()).softmax(y, x.contiguous(), log);
  return y;
}

// y = softmax x,  dL/dx = y (dy − Σ y dy)
Tensor softmax(const Tensor& x, int64_t d) {
  if (!is_last(x, d, "softmax")) return moved_to_last(softmax, x, d, "softmax");
  Tensor y = along_rows(x, false, "softmax");
  return record("softmax", y, inputs(x), saved(y), [](Backward& b) {
    Tensor y = b[0], weighted = b.dy() * y;
    return Grads{weighted - y * sum(weighted, {-1}, true)};
  });
}

// y = log softmax x,  dL/dx = dy − eʸ Σ dy
Tensor log_softmax(const Tensor& x, int64_t d) {
  if (!is_last(x, d, "log_softmax")) return moved_to_last(log_softmax, x, d, "log_softmax");
  Tensor y = along_rows(x, true, "log_softmax");
  return record("log_softmax", y, inputs(x), saved(y),
                [](Backward& b) { return Grads{b.dy() - exp(b[0]) * sum(b.dy(), {-1}, true)}; });
}

Tensor Tensor::sum() const { return cr::sum(*this); }
Tensor Tensor::sum(Dims dims, bool keepdim) const { return cr::sum(*this, dims, keepdim); }
Tensor Tensor::mean() const { return cr::mean(*this); }
Tensor Tensor::mean(Dims dims, bool keepdim) const { return cr::mean(*this, dims, keepdim); }
Tensor Tensor::argmax(int64_t d, bool keepdim) const { return cr::argmax(*this, d, keepdim); }

}  // namespace cr
