#include "ops/reduce.hpp"

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/detail/dims.hpp"
#include "ops/elementwise.hpp"
#include "ops/scan.hpp"
#include "ops/types.hpp"

namespace cr {
using namespace detail;

// ## Dimensions
//
Dims detail::wrap_dims(const Tensor& x, const Dims& dims, const char* op) {
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

int64_t detail::count(const Tensor& x, const Dims& dims) {
  int64_t n = 1;
  for (int64_t d : dims) n *= x.shape()[static_cast<int>(d)];
  return n;
}

Tensor detail::restore(const Tensor& y, const Dims& dims, int64_t keepdim) {
  if (keepdim) return y;
  Shape shape = y.shape();
  for (int64_t d : dims) shape.insert(static_cast<int>(d), 1);
  return y.reshape(shape);
}

Tensor detail::gathered_last(const Tensor& x, const Dims& dims) {
  Dims order;
  Shape shape;
  for (int d = 0; d < x.dim(); ++d) {
    if (std::find(dims.begin(), dims.end(), d) != dims.end()) continue;
    order.push_back(d);
    shape.push_back(x.shape()[d]);
  }
  for (int64_t d : dims) order.push_back(d);
  shape.push_back(count(x, dims));
  return x.permute(order).reshape(shape);
}

void detail::require_computing(const char* op, const Tensor& x) {
  if (is_storage(x.dtype())) refuse_storage(x.dtype(), op);
}

void detail::require_floating(const char* op, const Tensor& x) {
  if (is_floating(x.dtype())) return;
  throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(x.dtype()) +
                   "; convert it with to(DType::float32)");
}

namespace {

Tensor converted(const Tensor& x, OptionalDType dtype) { return dtype ? x.to(*dtype) : x; }

// Is it a number? A mask without gradient.
Tensor numbers(const Tensor& x) { return x.detach() == x.detach(); }

}  // namespace

// ## Sums
//
// y = Σ x,  dy/dx = 1 for every x
Tensor sum(const Tensor& input, Dims dims, bool keepdim, OptionalDType dtype) {
  Tensor x = converted(input, dtype);
  dims = wrap_dims(x, dims, "sum");
  if (dtype == DType::boolean) return any(x, dims, keepdim);
  Tensor y = backend::reduce(x, functor::Sum{}, dims, keepdim);
  return record("sum", y, inputs(x), saved(), attributes(dims, int64_t{keepdim}),
                [](Backward& b) { return Grads{expand_to(restore(b.dy(), b.dims(0), b.integer(1)), b.shape())}; });
}
Tensor sum(const Tensor& x) { return sum(x, {}); }

Tensor nansum(const Tensor& input, Dims dims, bool keepdim, OptionalDType dtype) {
  Tensor x = converted(input, dtype);
  if (!is_floating(x.dtype())) return sum(x, dims, keepdim);
  return sum(where(numbers(x), x, zeros({}, x.dtype(), x.device())), dims, keepdim);
}

// y = Σ x / n,  dy/dx = 1 / n
Tensor mean(const Tensor& input, Dims dims, bool keepdim, OptionalDType dtype) {
  Tensor x = converted(input, dtype);
  require_floating("mean", x);
  dims = wrap_dims(x, dims, "mean");
  return sum(x, dims, keepdim) / static_cast<double>(count(x, dims));
}
Tensor mean(const Tensor& x) { return mean(x, {}); }

Tensor nanmean(const Tensor& input, Dims dims, bool keepdim, OptionalDType dtype) {
  Tensor x = converted(input, dtype);
  require_floating("nanmean", x);
  return nansum(x, dims, keepdim) / sum(numbers(x), dims, keepdim).to(x.dtype());
}

// y = Π x,  dy/dxᵢ = Π x over all others. Where no x is zero that is y / xᵢ; where one is, the product of all before xᵢ
// times the product of all after it.
Tensor prod(const Tensor& input, Dims dims, bool keepdim, OptionalDType dtype) {
  Tensor x = converted(input, dtype);
  dims = wrap_dims(x, dims, "prod");
  if (dtype == DType::boolean) return all(x, dims, keepdim);
  Tensor y = backend::reduce(x, functor::Prod{}, dims, keepdim);
  return record("prod", y, inputs(x), saved(x, y), attributes(dims, int64_t{keepdim}), [](Backward& b) {
    Tensor x = b[0], dy = restore(b.dy(), b.dims(0), b.integer(1));
    if (!any(x.detach() == 0).item<bool>()) return Grads{dy * restore(b[1], b.dims(0), b.integer(1)) / x};
    Tensor lines = gathered_last(x, b.dims(0)), others = cumprod_of_others(lines, -1);
    // The way back: the shape that the moved dimensions had, and the order that undoes the move.
    Dims order, back(x.dim(), 0);
    Shape moved;
    for (int d = 0; d < x.dim(); ++d) {
      if (std::find(b.dims(0).begin(), b.dims(0).end(), d) == b.dims(0).end()) order.push_back(d);
    }
    for (int64_t d : b.dims(0)) order.push_back(d);
    for (int i = 0; i < x.dim(); ++i) {
      back[static_cast<int>(order[i])] = i;
      moved.push_back(x.shape()[static_cast<int>(order[i])]);
    }
    return Grads{dy * others.reshape(moved).permute(back)};
  });
}

// y = log Σ eˣ,  dy/dx = eˣ⁻ʸ
Tensor logsumexp(const Tensor& input, Dims dims, bool keepdim) {
  Tensor x = real(input);
  dims = wrap_dims(x, dims, "logsumexp");
  Tensor lines = gathered_last(x.detach(), dims).contiguous();
  Shape shape = lines.shape();
  shape.erase(shape.size() - 1);
  Tensor y = empty(shape, x.dtype(), x.device());
  backend::on(x.device()).logsumexp(y, lines);
  if (keepdim) y = restore(y, dims, false);
  return record("logsumexp", y, inputs(x), saved(x, y), attributes(dims, int64_t{keepdim}), [](Backward& b) {
    Tensor y = restore(b[1], b.dims(0), b.integer(1));
    return Grads{restore(b.dy(), b.dims(0), b.integer(1)) * exp(b[0] - y)};
  });
}

// ## Extremes
//
// y = max x; the gradient goes to every x that equals y, in equal parts. Where y is NaN, it goes to the NaNs.
template <class F> static Tensor extreme(const char* op, const Tensor& x, Dims dims, bool keepdim) {
  dims = wrap_dims(x, dims, op);
  if (count(x, dims) == 0)
    throw ShapeError(std::string(op) + ": no elements to choose from in shape " + to_string(x.shape()));
  Tensor y = backend::reduce(x, F{}, dims, keepdim);
  return record(op, y, inputs(x), saved(x, y), attributes(dims, int64_t{keepdim}), [](Backward& b) {
    Tensor x = b[0].detach(), y = restore(b[1].detach(), b.dims(0), b.integer(1));
    Tensor hit = where(y == y, x == y, x != x).to(x.dtype());
    return Grads{restore(b.dy(), b.dims(0), b.integer(1)) * (hit / sum(hit, b.dims(0), true))};
  });
}
Tensor amax(const Tensor& x, Dims dims, bool keepdim) { return extreme<functor::Max>("amax", x, dims, keepdim); }
Tensor amin(const Tensor& x, Dims dims, bool keepdim) { return extreme<functor::Min>("amin", x, dims, keepdim); }
Tensor max(const Tensor& x) { return extreme<functor::Max>("max", x, {}, false); }
Tensor min(const Tensor& x) { return extreme<functor::Min>("min", x, {}, false); }
Tensor max(const Tensor& x, const Tensor& y) { return maximum(x, y); }
Tensor min(const Tensor& x, const Tensor& y) { return minimum(x, y); }
std::pair<Tensor, Tensor> aminmax(const Tensor& x, Dims dims, bool keepdim) {
  return {extreme<functor::Min>("aminmax", x, dims, keepdim), extreme<functor::Max>("aminmax", x, dims, keepdim)};
}

static Tensor arg_extreme(const char* op, bool largest, const Tensor& x, int64_t dim, bool keepdim) {
  int d = wrap_dim(dim, x.dim(), op);
  if (x.dim() == 0) return backend::full({}, 0, DType::int64, x.device());
  if (x.shape()[d] == 0)
    throw ShapeError(std::string(op) + ": no elements along dimension " + std::to_string(d) + " of shape " +
                     to_string(x.shape()));
  require_computing(op, x);
  Shape shape = x.shape();
  shape[d] = 1;
  Tensor y = empty(shape, DType::int64, x.device());
  backend::on(x.device()).arg_reduce(largest, y, x, d);
  return keepdim ? y : y.squeeze(d);
}
Tensor argmax(const Tensor& x) { return arg_extreme("argmax", true, x.flatten(), 0, false); }
Tensor argmin(const Tensor& x) { return arg_extreme("argmin", false, x.flatten(), 0, false); }
Tensor argmax(const Tensor& x, int64_t d, bool keepdim) { return arg_extreme("argmax", true, x, d, keepdim); }
Tensor argmin(const Tensor& x, int64_t d, bool keepdim) { return arg_extreme("argmin", false, x, d, keepdim); }

// ## Truth
//
static Tensor truth(const Tensor& x) { return x.dtype() == DType::boolean ? x : x != 0; }
Tensor all(const Tensor& x, Dims dims, bool keepdim) {
  return backend::reduce(truth(x), functor::Min{}, wrap_dims(x, dims, "all"), keepdim);
}
Tensor any(const Tensor& x, Dims dims, bool keepdim) {
  return backend::reduce(truth(x), functor::Max{}, wrap_dims(x, dims, "any"), keepdim);
}
Tensor count_nonzero(const Tensor& x, Dims dims) {
  return backend::reduce(truth(x), functor::Sum{}, wrap_dims(x, dims, "count_nonzero"), false);
}

// ## Softmax
//
// The backend works along the last dimension; another one is moved there and back.
using Softmax = Tensor (*)(const Tensor&, int64_t, OptionalDType);
static Tensor moved_to_last(Softmax f, const Tensor& x, int64_t dim, const char* op) {
  int d = wrap_dim(dim, x.dim(), op);
  return f(x.transpose(d, -1), -1, {}).transpose(d, -1);
}
static bool is_last(const Tensor& x, int64_t dim, const char* op) {
  return wrap_dim(dim, x.dim(), op) == std::max(x.dim(), 1) - 1;
}
static Tensor along_rows(const Tensor& x, bool log, const char* op) {
  require_floating(op, x);
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  backend::on(x.device()).softmax(y, x.contiguous(), log);
  return y;
}

// The gradient in one pass, where nobody asks for the gradient's own.
static Tensor one_pass(Backward& b, bool log) {
  Tensor y = b[0].detach(), dy = b.dy().contiguous(), dx = empty(y.shape(), y.dtype(), y.device());
  backend::on(y.device()).softmax_backward(dx, y, dy, log);
  return dx;
}

// y = softmax x,  dL/dx = y (dy − Σ y dy)
Tensor softmax(const Tensor& input, int64_t d, OptionalDType dtype) {
  Tensor x = converted(input, dtype);
  if (!is_last(x, d, "softmax")) return moved_to_last(softmax, x, d, "softmax");
  Tensor y = along_rows(x, false, "softmax");
  return record("softmax", y, inputs(x), saved(y), [](Backward& b) {
    if (!b.create_graph()) return Grads{one_pass(b, false)};
    Tensor y = b[0], weighted = b.dy() * y;
    return Grads{weighted - y * sum(weighted, {-1}, true)};
  });
}

// y = log softmax x,  dL/dx = dy − eʸ Σ dy
Tensor log_softmax(const Tensor& input, int64_t d, OptionalDType dtype) {
  Tensor x = converted(input, dtype);
  if (!is_last(x, d, "log_softmax")) return moved_to_last(log_softmax, x, d, "log_softmax");
  Tensor y = along_rows(x, true, "log_softmax");
  return record("log_softmax", y, inputs(x), saved(y), [](Backward& b) {
    if (!b.create_graph()) return Grads{one_pass(b, true)};
    return Grads{b.dy() - exp(b[0]) * sum(b.dy(), {-1}, true)};
  });
}

Tensor Tensor::sum() const { return cr::sum(*this); }
Tensor Tensor::sum(Dims dims, bool keepdim) const { return cr::sum(*this, dims, keepdim); }
Tensor Tensor::mean() const { return cr::mean(*this); }
Tensor Tensor::mean(Dims dims, bool keepdim) const { return cr::mean(*this, dims, keepdim); }
Tensor Tensor::argmax(int64_t d, bool keepdim) const { return cr::argmax(*this, d, keepdim); }

}  // namespace cr
