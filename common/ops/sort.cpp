#include "ops/sort.hpp"

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/detail/dims.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"

namespace cr {
using namespace detail;
namespace {

// What all of these have in common: y[i] = x[index[i]], so dx[index[i]] += dy[i].
ValuesIndices taken(const char* op, const Tensor& x, Tensor values, const Tensor& indices, int d) {
  Tensor index = indices;
  record(op, std::array{&values, &index}, inputs(x), saved(constant(indices)), attributes(int64_t{d}), [](Backward& b) {
    return Grads{scatter_add(zeros(b.shape(), b.dy().dtype(), b.dy().device()), b.integer(0), b[0], b.dy())};
  });
  return {values, indices};
}

// A scalar is a line of one.
template <class F> ValuesIndices of_scalar(const Tensor& x, F&& f) {
  ValuesIndices y = f(x.reshape({1}));
  return {y.values.reshape({}), y.indices.reshape({})};
}

ValuesIndices without_dim(const ValuesIndices& y, int d, bool keepdim) {
  return keepdim ? y : ValuesIndices{y.values.squeeze(d), y.indices.squeeze(d)};
}

void require_elements(const char* op, const Tensor& x, int d) {
  require_computing(op, x);
  if (x.shape()[d] > 0) return;
  throw ShapeError(std::string(op) + ": no elements along dimension " + std::to_string(d) + " of shape " +
                   to_string(x.shape()));
}

ValuesIndices first_in_order(const char* op, const Tensor& x, int d, int64_t count, bool descending) {
  require_computing(op, x);
  Shape shape = x.shape();
  shape[d] = count;
  Tensor values = empty(shape, x.dtype(), x.device()), indices = empty(shape, DType::int64, x.device());
  backend::on(x.device()).sort(values, indices, x, d, descending);
  return taken(op, x, values, indices, d);
}

}  // namespace

// ## In order
//
ValuesIndices sort(const Tensor& x, int64_t dim, bool descending) {
  int d = wrap_dim(dim, x.dim(), "sort");
  if (x.dim() == 0) return of_scalar(x, [](const Tensor& x) { return sort(x); });
  return first_in_order("sort", x, d, x.shape()[d], descending);
}
Tensor argsort(const Tensor& x, int64_t d, bool descending) { return sort(x.detach(), d, descending).indices; }
Tensor msort(const Tensor& x) { return sort(x, 0).values; }

ValuesIndices topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  int d = wrap_dim(dim, x.dim(), "topk");
  int64_t size = x.dim() ? x.shape()[d] : 1;
  if (k < 0 || k > size)
    throw IndexError("topk: k = " + std::to_string(k) + " of " + std::to_string(size) + " elements along dimension " +
                     std::to_string(d) + " of shape " + to_string(x.shape()));
  if (x.dim() == 0 && k == 0) return {x.reshape({1}).narrow(0, 0, 0), empty({0}, DType::int64, x.device())};
  if (x.dim() == 0) return of_scalar(x, [](const Tensor& x) { return topk(x, 1); });
  return first_in_order("topk", x, d, k, largest);
}

// ## One element
//
static ValuesIndices picked(const char* op, backend::Pick what, const Tensor& x, int64_t dim, int64_t k, bool keepdim) {
  int d = wrap_dim(dim, x.dim(), op);
  if (x.dim() == 0) return of_scalar(x, [&](const Tensor& x) { return picked(op, what, x, 0, k, false); });
  require_elements(op, x, d);
  if (k < 0 || k >= x.shape()[d])
    throw IndexError(std::string(op) + ": k = " + std::to_string(k + 1) + " of " + std::to_string(x.shape()[d]) +
                     " elements along dimension " + std::to_string(d) + " of shape " + to_string(x.shape()));
  Shape shape = x.shape();
  shape[d] = 1;
  Tensor values = empty(shape, x.dtype(), x.device()), indices = empty(shape, DType::int64, x.device());
  backend::on(x.device()).pick(what, values, indices, x, d, k);
  return without_dim(taken(op, x, values, indices, d), d, keepdim);
}
ValuesIndices kthvalue(const Tensor& x, int64_t k, int64_t d, bool keepdim) {
  return picked("kthvalue", backend::Pick::kth, x, d, k - 1, keepdim);
}
ValuesIndices median(const Tensor& x, int64_t d, bool keepdim) {
  return picked("median", backend::Pick::median, x, d, 0, keepdim);
}
ValuesIndices nanmedian(const Tensor& x, int64_t d, bool keepdim) {
  return picked("nanmedian", backend::Pick::nanmedian, x, d, 0, keepdim);
}
ValuesIndices mode(const Tensor& x, int64_t d, bool keepdim) {
  return picked("mode", backend::Pick::mode, x, d, 0, keepdim);
}

static ValuesIndices extreme(const char* op, bool largest, const Tensor& x, int64_t dim, bool keepdim) {
  int d = wrap_dim(dim, x.dim(), op);
  if (x.dim() == 0) return of_scalar(x, [&](const Tensor& x) { return extreme(op, largest, x, 0, false); });
  require_elements(op, x, d);
  Shape shape = x.shape();
  shape[d] = 1;
  Tensor values = empty(shape, x.dtype(), x.device()), indices = empty(shape, DType::int64, x.device());
  backend::on(x.device()).arg_reduce(largest, indices, x, d);
  backend::on(x.device()).gather(values, x, d, indices, op);
  return without_dim(taken(op, x, values, indices, d), d, keepdim);
}
ValuesIndices max(const Tensor& x, int64_t d, bool keepdim) { return extreme("max", true, x, d, keepdim); }
ValuesIndices min(const Tensor& x, int64_t d, bool keepdim) { return extreme("min", false, x, d, keepdim); }

// The gradient of the median of all goes to every x that equals it, in equal parts.
static Tensor median_of_all(const char* op, backend::Pick what, const Tensor& x) {
  if (x.numel() == 0) {
    require_floating(op, x);
    return full({}, std::numeric_limits<double>::quiet_NaN(), x.dtype(), x.device());
  }
  Tensor y = picked(op, what, x.detach().flatten(), 0, 0, false).values;
  return record(op, y, inputs(x), saved(x, y), [](Backward& b) {
    Tensor x = b[0].detach(), y = b[1].detach();
    Tensor hit = where(y == y, x == y, x != x).to(x.dtype());
    return Grads{b.dy() * (hit / sum(hit))};
  });
}
Tensor median(const Tensor& x) { return median_of_all("median", backend::Pick::median, x); }
Tensor nanmedian(const Tensor& x) { return median_of_all("nanmedian", backend::Pick::nanmedian, x); }

// ## So far
//
static ValuesIndices running_extreme(const char* op, bool largest, const Tensor& x, int64_t dim) {
  int d = wrap_dim(dim, x.dim(), op);
  if (x.dim() == 0) return of_scalar(x, [&](const Tensor& x) { return running_extreme(op, largest, x, 0); });
  require_computing(op, x);
  Tensor values = empty(x.shape(), x.dtype(), x.device()), indices = empty(x.shape(), DType::int64, x.device());
  backend::on(x.device()).scan_extreme(largest, values, indices, x.contiguous(), d);
  return taken(op, x, values, indices, d);
}
ValuesIndices cummax(const Tensor& x, int64_t d) { return running_extreme("cummax", true, x, d); }
ValuesIndices cummin(const Tensor& x, int64_t d) { return running_extreme("cummin", false, x, d); }

// ## Quantiles
//
// The n elements in order stand at the places 0 … n − 1, and the quantile q at q (n − 1), mostly between two of them.
static Tensor quantile(const char* op, const Tensor& input, const Tensor& q, std::optional<int64_t> dim, bool keepdim,
                       Interpolation interpolation, bool ignore_nan) {
  require_floating(op, input);
  backend::check_device(op, input, q);
  if (q.dim() > 1) throw ShapeError(std::string(op) + ": q must be a scalar or a vector, got " + to_string(q.shape()));
  if (q.dtype() != input.dtype())
    throw DTypeError(std::string(op) + ": q is " + name(q.dtype()) + ", the elements are " + name(input.dtype()));
  if (q.numel() > 0 && !(amin(q.detach()).item() >= 0 && amax(q.detach()).item() <= 1))
    throw Error(std::string(op) + ": q must lie between 0 and 1");
  if (input.numel() == 0) throw ShapeError(std::string(op) + ": no elements in shape " + to_string(input.shape()));
  Dims dims = wrap_dims(input, dim ? Dims{*dim} : Dims{}, op);
  Tensor sorted = sort(gathered_last(input, dims)).values;  // (…, n)
  Tensor known = sorted.detach() == sorted.detach();        // is it a number?
  int64_t n = sorted.shape().back(), m = q.numel();
  DType type = input.dtype();

  // The places of the m quantiles, (…, m): below, and how far above. A NaN moves them to the end, where the NaNs stand.
  Tensor last = full({}, n - 1, type, input.device()), place = q.reshape({-1}) * last;
  if (ignore_nan) place = q.reshape({-1}) * clamp(sum(known, {-1}, true).to(type) - 1, 0, static_cast<double>(n));
  else place = where(all(known, {-1}, true), place, last);
  Shape shape = sorted.shape();
  shape[shape.size() - 1] = m;
  place = place.expand(shape);
  Tensor below = place.detach().to(DType::int64), rest = place - below.to(type), part = rest.detach();

  Tensor y;
  auto at = [&](const Tensor& index) { return gather(sorted, -1, index); };
  Tensor above = below + (part > 0).to(DType::int64);
  if (interpolation == Interpolation::lower) {
    y = at(below);
  } else if (interpolation == Interpolation::higher) {
    y = at(above);
  } else if (interpolation == Interpolation::nearest) {  // half-way between two, the even place
    Tensor half = below.to(type) / 2, odd = half != half.to(DType::int64).to(type);
    y = at(below + ((part > 0.5) + (part == 0.5) * odd).to(DType::int64));
  } else {
    // From the nearer end: at both ends the formula then gives the elements themselves.
    if (interpolation == Interpolation::midpoint) rest = full(shape, 0.5, type, input.device());
    Tensor from = at(below), to = at(above), step = to - from;
    y = where(rest.detach() < 0.5, from + rest * step, to - (1 - rest) * step);
  }

  // m comes first, or goes if q is a scalar.
  Dims order{y.dim() - 1};
  for (int i = 0; i + 1 < y.dim(); ++i) order.push_back(i);
  Shape result = shape;
  result.erase(result.size() - 1);
  for (int64_t i : keepdim ? dims : Dims{}) result.insert(static_cast<int>(i), 1);
  if (q.dim() == 1) result.insert(0, m);
  return y.permute(order).reshape(result);
}
Tensor quantile(const Tensor& x, const Tensor& q, std::optional<int64_t> d, bool keepdim, Interpolation interpolation) {
  return quantile("quantile", x, q, d, keepdim, interpolation, false);
}
Tensor nanquantile(const Tensor& x, const Tensor& q, std::optional<int64_t> d, bool keepdim,
                   Interpolation interpolation) {
  return quantile("nanquantile", x, q, d, keepdim, interpolation, true);
}
Tensor quantile(const Tensor& x, double q, std::optional<int64_t> d, bool keepdim, Interpolation interpolation) {
  return quantile(x, full({}, q, x.dtype(), x.device()), d, keepdim, interpolation);
}
Tensor nanquantile(const Tensor& x, double q, std::optional<int64_t> d, bool keepdim, Interpolation interpolation) {
  return nanquantile(x, full({}, q, x.dtype(), x.device()), d, keepdim, interpolation);
}

}  // namespace cr
