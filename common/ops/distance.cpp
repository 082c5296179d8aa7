#include "ops/distance.hpp"

#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/product.hpp"
#include "ops/reduce.hpp"

namespace cr {
namespace {

void check_operands(const char* op, const Tensor& x, const Tensor& y) {
  if (x.dtype() != y.dtype() || !is_floating(x.dtype())) {
    throw DTypeError(std::string(op) + ": needs two tensors of one floating-point type, got " + name(x.dtype()) +
                     " and " + name(y.dtype()));
  }
  backend::check_device(op, x, y);
}

void check_positive(const char* op, double p) {
  if (!(p >= 0)) throw Error(std::string(op) + ": p = " + std::to_string(p) + " is not 0 or more");
}

Tensor number_like(const Tensor& x, double v) { return backend::full({}, v, x.dtype(), x.device()); }

// x with 1 in place of 0, for denominators whose quotient does not count.
Tensor not_zero(const Tensor& x) { return where(eq(x, 0), number_like(x, 1), x); }

// n = ‖d‖ₚ,  ∂n/∂dᵢ = sign dᵢ |dᵢ|ᵖ⁻¹ / nᵖ⁻¹, and 0 where n is 0. `norm` broadcasts to d. For p = ∞ it is the sign where
// |dᵢ| is the largest.
Tensor norm_slope(const Tensor& d, const Tensor& norm, double p) {
  if (p == 0) return d * 0;
  if (p == 1) return sign(d);
  if (std::isinf(p)) return sign(d) * eq(abs(d.detach()), norm.detach()).to(d.dtype());
  Tensor zero = number_like(d, 0);
  if (p == 2) return where(eq(norm, 0), zero, d / not_zero(norm));
  Tensor share = sign(d) * pow(not_zero(abs(d)), p - 1) / pow(not_zero(norm), p - 1);
  return where(eq(norm, 0), zero, share);
}

Tensor all_distances(const Tensor& x, const Tensor& y, double p);

// For p = 2 the sum over j of wⱼ (x − yⱼ), with w = dn / n, is a matrix product less: (Σ w) x − w y. Nothing of the size
// m n k is made.
Grads euclidean_rule(Backward& b) {
  Tensor x = b[0], y = b[1], n = b[2];
  Tensor w = where(eq(n, 0), number_like(n, 0), b.dy() / not_zero(n));  // (b, m, n)
  return {b.needs(0) ? sum(w, {-1}, true) * x - matmul(w, y) : Tensor(),
          b.needs(1) ? sum(w, {-2}).unsqueeze(-1) * y - matmul(w.transpose(-1, -2), x) : Tensor()};
}

Grads distance_rule(Backward& b) {
  double p = b.number(0);
  if (p == 2) return euclidean_rule(b);
  Tensor x = b[0].unsqueeze(-2), y = b[1].unsqueeze(-3);                          // (b, m, 1, k), (b, 1, n, k)
  Tensor flow = b.dy().unsqueeze(-1) * norm_slope(x - y, b[2].unsqueeze(-1), p);  // (b, m, n, k)
  return {b.needs(0) ? sum(flow, {-2}) : Tensor(), b.needs(1) ? -sum(flow, {-3}) : Tensor()};
}

// x (b, m, k), y (b, n, k), both contiguous → (b, m, n)
Tensor all_distances(const Tensor& x, const Tensor& y, double p) {
  Tensor n = empty({x.shape()[0], x.shape()[1], y.shape()[1]}, x.dtype(), x.device());
  backend::on(x.device()).distances(n, x, y, p);
  return record("cdist", n, inputs(x, y), saved(x, y, n), attributes(p), distance_rule);
}

// ‖d‖ₚ along one dimension, which stays with size 1.
Tensor norm_along(const Tensor& d, double p, int64_t dim) {
  Tensor rows = d.detach().transpose(dim, -1).contiguous();  // (…, k)
  Shape shape = rows.shape();
  const int64_t k = shape.back();
  shape[rows.dim() - 1] = 1;
  const int64_t count = numel(shape);
  Tensor n = empty({1, count, 1}, d.dtype(), d.device()), origin = backend::full({1, 1, k}, 0, d.dtype(), d.device());
  backend::on(d.device()).distances(n, rows.reshape({1, count, k}), origin, p);
  n = window(n, shape, contiguous_strides(shape), 0).transpose(dim, -1).contiguous();
  return record("norm", n, inputs(d), saved(d, n), attributes(p),
                [](Backward& b) { return Grads{b.dy() * norm_slope(b[0], b[1], b.number(0))}; });
}

}  // namespace

Tensor cdist(const Tensor& x, const Tensor& y, double p) {
  check_operands("cdist", x, y);
  check_positive("cdist", p);
  auto bad = [&](const std::string& why) {
    return ShapeError("cdist: " + to_string(x.shape()) + " and " + to_string(y.shape()) + ": " + why);
  };
  if (x.dim() < 2 || y.dim() < 2) throw bad("needs matrices or batches of them");
  if (x.shape().back() != y.shape().back()) throw bad("the rows have different lengths");
  const int64_t m = x.shape()[x.dim() - 2], n = y.shape()[y.dim() - 2], k = x.shape().back();
  Shape x_batch = x.shape(), y_batch = y.shape();
  x_batch.resize(x.dim() - 2);
  y_batch.resize(y.dim() - 2);
  Shape shape = broadcast_shapes(x_batch, y_batch, "cdist");
  int64_t batches = numel(shape);
  auto batched = [&](const Tensor& t, int64_t rows) {
    Shape full = shape;
    full.push_back(rows), full.push_back(k);
    Tensor expanded = t.shape() == full ? t : expand_to(t, full);
    return expanded.contiguous().reshape({batches, rows, k});
  };
  Tensor d = all_distances(batched(x, m), batched(y, n), p);
  shape.push_back(m), shape.push_back(n);
  return d.reshape(shape);
}

Tensor pdist(const Tensor& x, double p) {
  check_operands("pdist", x, x);
  check_positive("pdist", p);
  if (x.dim() != 2) throw ShapeError("pdist: needs a matrix, got shape " + to_string(x.shape()));
  const int64_t n = x.shape()[0];
  Tensor all = cdist(x, x, p);
  Tensor pairs = empty({n * (n - 1) / 2}, DType::int64);
  int64_t* next = pairs.mutable_data<int64_t>();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j) *next++ = i * n + j;
  }
  return index_select(all.reshape({n * n}), 0, pairs.to(x.device()));
}

Tensor pairwise_distance(const Tensor& x, const Tensor& y, double p, double eps, bool keepdim) {
  Tensor d = x - y + eps;
  if (p == -std::numeric_limits<double>::infinity()) return amin(abs(d), {-1}, keepdim);
  if (d.dim() == 0) return norm_along(d.reshape({1}), p, 0).reshape({});
  Tensor n = norm_along(d, p, -1);
  return keepdim ? n : n.squeeze(-1);
}

// cos = Σ (x / max(‖x‖, ε)) (y / max(‖y‖, ε)). As in PyTorch the gradient does not see the maximum, only the norm.
Tensor cosine_similarity(const Tensor& a, const Tensor& b, int64_t d, double eps) {
  DType type = promote(promote(a.dtype(), b.dtype()), DType::float32);
  Tensor x = a.to(type), y = b.to(type);
  Shape shape = broadcast_shapes(x.shape(), y.shape(), "cosine_similarity");
  if (!(x.shape() == shape)) x = expand_to(x, shape);
  if (!(y.shape() == shape)) y = expand_to(y, shape);
  const int dim = wrap_dim(d, shape.size(), "cosine_similarity");
  if (shape.empty()) return cosine_similarity(x.reshape({1}), y.reshape({1}), 0, eps).reshape({});
  auto unit = [&](const Tensor& t) {
    Tensor n = norm_along(t, 2, dim), seen = n.detach();
    return t / (n + (maximum(seen, number_like(seen, eps)) - seen));
  };
  Tensor products = unit(x) * unit(y);
  return sum(products, {dim});
}

}  // namespace cr
