#include "ops/scan.hpp"

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/detail/dims.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/types.hpp"

namespace cr {
using namespace detail;
namespace {

Tensor scanned(backend::Scan kind, const Tensor& x, int d, bool reverse) {
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  backend::on(x.device()).scan(kind, y, x.contiguous(), d, reverse);
  return y;
}

Tensor countable(const Tensor& x, OptionalDType dtype) {
  if (dtype) return x.to(*dtype);
  return x.dtype() == DType::boolean ? x.to(DType::int64) : x;
}

// A scalar is a line of one.
using Scanning = Tensor (*)(const Tensor&, int64_t);
Tensor of_scalar(Scanning f, const Tensor& x, int64_t d, const char* op) {
  wrap_dim(d, 0, op);
  return f(x.reshape({1}), 0).reshape({});
}

// x moved along d by one, `fill` at the end that falls free: out[i] = x[i + 1] if `down`, else x[i − 1].
Tensor shifted(const Tensor& x, int d, bool down, double fill) {
  Shape one = x.shape();
  one[d] = 1;
  Tensor edge = full(one, fill, x.dtype(), x.device()), rest = x.narrow(d, down ? 1 : 0, x.shape()[d] - 1);
  return down ? cat({rest, edge}, d) : cat({edge, rest}, d);
}

}  // namespace

// ## Sums
//
// yᵢ = Σ x over j ≤ i,  dxⱼ = Σ dy over i ≥ j: the same from the far end.
static Tensor cumsum_from(const Tensor& x, int64_t d, bool reverse) {
  Tensor y = scanned(backend::Scan::sum, x, static_cast<int>(d), reverse);
  return record("cumsum", y, inputs(x), saved(), attributes(d, int64_t{reverse}),
                [](Backward& b) { return Grads{cumsum_from(b.dy(), b.integer(0), !b.integer(1))}; });
}
Tensor cumsum(const Tensor& input, int64_t dim, OptionalDType dtype) {
  Tensor x = countable(input, dtype);
  if (x.dim() == 0) return of_scalar([](const Tensor& x, int64_t d) { return cumsum(x, d); }, x, dim, "cumsum");
  int d = wrap_dim(dim, x.dim(), "cumsum");
  return dtype == DType::boolean ? cumsum_from(x.to(DType::int64), d, false).to(DType::boolean)
                                 : cumsum_from(x, d, false);
}

// ## Linear recurrences
//
// yᵢ = aᵢ yᵢ₋₁ + xᵢ. A change of xᵢ reaches yᵢ and, by way of aᵢ₊₁, everything after it: dxᵢ = dyᵢ + aᵢ₊₁ dxᵢ₊₁, which is
// the same recurrence from the far end; and daᵢ = dxᵢ yᵢ₋₁.
static Tensor linear_scan_from(const Tensor& a, const Tensor& x, int64_t d, bool reverse) {
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  backend::on(x.device()).scan_linear(y, a.contiguous(), x.contiguous(), static_cast<int>(d), reverse);
  return record("linear_scan", y, inputs(a, x), saved(a, y), attributes(d, int64_t{reverse}), [](Backward& b) {
    int d = static_cast<int>(b.integer(0));
    bool reverse = b.integer(1);
    Tensor dx = linear_scan_from(shifted(b[0], d, !reverse, 0), b.dy(), d, !reverse);
    return Grads{b.needs(0) ? dx * shifted(b[1], d, reverse, 0) : Tensor(), dx};
  });
}
Tensor linear_scan(const Tensor& factor, const Tensor& x, int64_t dim, bool reverse) {
  int d = wrap_dim(dim, x.dim(), "linear_scan");
  backend::check_device("linear_scan", factor, x);
  if (!(factor.shape() == x.shape()) || x.dim() == 0)
    throw ShapeError("linear_scan: factors of shape " + to_string(factor.shape()) + " for elements of shape " +
                     to_string(x.shape()));
  if (factor.dtype() != x.dtype())
    throw DTypeError(std::string("linear_scan: ") + name(factor.dtype()) + " factors for " + name(x.dtype()));
  require_floating("linear_scan", x);
  return x.numel() == 0 ? x.clone() : linear_scan_from(factor, x, d, reverse);
}

// ## Products
//
// yᵢ = Π x over j ≤ i. The gradient of xᵢ is what comes before it times what comes after,
//
// $$dx_i = y_{i-1}\, s_i, \qquad s_i = \sum_{k \ge i} dy_k \prod_{i < j \le k} x_j = dy_i + x_{i+1} s_{i+1} ,$$
//
// a recurrence that divides by nothing and so holds where elements are zero.
static Tensor cumprod_from(const Tensor& x, int64_t d, bool reverse) {
  Tensor y = scanned(backend::Scan::prod, x, static_cast<int>(d), reverse);
  return record("cumprod", y, inputs(x), saved(x, y), attributes(d, int64_t{reverse}), [](Backward& b) {
    if (b.dy().numel() == 0) return Grads{b.dy()};
    int d = static_cast<int>(b.integer(0));
    bool reverse = b.integer(1);
    Tensor after = linear_scan(shifted(b[0], d, !reverse, 1), b.dy(), d, !reverse);
    return Grads{shifted(b[1], d, reverse, 1) * after};
  });
}
Tensor cumprod(const Tensor& input, int64_t dim, OptionalDType dtype) {
  Tensor x = countable(input, dtype);
  if (x.dim() == 0) return of_scalar([](const Tensor& x, int64_t d) { return cumprod(x, d); }, x, dim, "cumprod");
  int d = wrap_dim(dim, x.dim(), "cumprod");
  return dtype == DType::boolean ? cumprod_from(x.to(DType::int64), d, false).to(DType::boolean)
                                 : cumprod_from(x, d, false);
}

Tensor detail::cumprod_of_others(const Tensor& x, int64_t dim) {
  int d = wrap_dim(dim, x.dim(), "cumprod_of_others");
  if (x.dim() == 0) return ones_like(x);
  if (x.numel() == 0) return x.clone();
  return shifted(cumprod_from(x, d, false), d, false, 1) * shifted(cumprod_from(x, d, true), d, true, 1);
}

// ## Log-sum-exps
//
// yᵢ = log Σ eˣ over j ≤ i,  dxᵢ = Σ dyₖ e^(xᵢ − yₖ) over k ≥ i = e^(xᵢ − yᵢ) sᵢ with sᵢ = dyᵢ + e^(yᵢ − yᵢ₊₁) sᵢ₊₁. No exponent
// is positive.
Tensor logcumsumexp(const Tensor& x, int64_t dim) {
  require_floating("logcumsumexp", x);
  if (x.dim() == 0) return of_scalar(logcumsumexp, x, dim, "logcumsumexp");
  int d = wrap_dim(dim, x.dim(), "logcumsumexp");
  Tensor y = scanned(backend::Scan::logsumexp, x, d, false);
  return record("logcumsumexp", y, inputs(x), saved(x, y), attributes(int64_t{d}), [](Backward& b) {
    if (b.dy().numel() == 0) return Grads{b.dy()};
    int d = static_cast<int>(b.integer(0));
    Tensor y = b[1], factor = exp(y - shifted(y, d, true, 0));
    return Grads{exp(b[0] - y) * linear_scan(factor, b.dy(), d, true)};
  });
}

// ## Neighbours
//
Tensor diff(const Tensor& input, int64_t n, int64_t dim, const Tensor& prepend, const Tensor& append) {
  if (input.dim() == 0) throw ShapeError("diff: a scalar has no neighbours");
  if (n < 0) throw Error("diff: order " + std::to_string(n) + " is negative");
  int d = wrap_dim(dim, input.dim(), "diff");
  Tensor x = input;
  if (n > 0 && (prepend.defined() || append.defined())) {
    std::vector<Tensor> parts;
    for (const Tensor& part : {prepend, input, append}) {
      if (!part.defined()) continue;
      parts.push_back(part);
      if (part.dim() != 0) continue;
      Shape one = input.shape();
      one[d] = 1;
      parts.back() = part.expand(one);
    }
    x = cat(parts, d);
  }
  for (n = std::min(n, x.shape()[d]); n > 0; --n) {
    int64_t size = std::max<int64_t>(x.shape()[d] - 1, 0);
    Tensor after = x.narrow(d, x.shape()[d] - size, size), before = x.narrow(d, 0, size);
    x = x.dtype() == DType::boolean ? after != before : after - before;
  }
  return x;
}

// ## Areas
//
// A strip between two places has the area of its width times the mean of its two heights.
namespace {

Tensor heights(const Tensor& y, int d) {
  Tensor h = real(y);
  int64_t strips = std::max<int64_t>(y.shape()[d] - 1, 0);
  return (h.narrow(d, 0, strips) + h.narrow(d, y.shape()[d] - strips, strips)) / 2;
}

int dimension(const char* op, const Tensor& y, int64_t d) {
  if (y.dim() == 0) throw ShapeError(std::string(op) + ": a scalar has no dimension to integrate along");
  if (y.dtype() == DType::boolean) throw DTypeError(std::string(op) + ": does not take bool tensors");
  return wrap_dim(d, y.dim(), op);
}

// The widths of the strips, as they broadcast against the heights.
Tensor widths(const char* op, const Tensor& y, const Tensor& x, int d) {
  Tensor places = real(x);
  if (x.dim() == 1 && x.shape()[0] == y.shape()[d]) {
    Shape along(y.dim() - d, 1);
    along[0] = x.shape()[0];
    places = places.reshape(along);
  } else {
    bool fits = x.dim() <= y.dim() && x.dim() >= y.dim() - d && x.shape()[x.dim() - y.dim() + d] == y.shape()[d];
    if (!fits)
      throw ShapeError(std::string(op) + ": places of shape " + to_string(x.shape()) + " for values of shape " +
                       to_string(y.shape()) + " along dimension " + std::to_string(d));
  }
  return y.shape()[d] == 0 ? places : diff(places, 1, d - y.dim());
}

}  // namespace

Tensor trapezoid(const Tensor& y, const Tensor& x, int64_t dim) {
  int d = dimension("trapezoid", y, dim);
  return sum(heights(y, d) * widths("trapezoid", y, x, d), {d});
}
Tensor trapezoid(const Tensor& y, double dx, int64_t dim) {
  int d = dimension("trapezoid", y, dim);
  return sum(heights(y, d), {d}) * dx;
}
Tensor cumulative_trapezoid(const Tensor& y, const Tensor& x, int64_t dim) {
  int d = dimension("cumulative_trapezoid", y, dim);
  return cumsum(heights(y, d) * widths("cumulative_trapezoid", y, x, d), d - y.dim());
}
Tensor cumulative_trapezoid(const Tensor& y, double dx, int64_t dim) {
  int d = dimension("cumulative_trapezoid", y, dim);
  return cumsum(heights(y, d), d) * dx;
}

}  // namespace cr
