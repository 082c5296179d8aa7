// # Systems, inverses, determinants
#include "ops/linalg_parts.hpp"
#include "ops/scan.hpp"

namespace cr::linalg {

// ## Checks
void check_matrix(const char* op, const Tensor& x) {
  if (x.dim() < 2) {
    throw ShapeError(std::string(op) + ": needs a matrix (m, n) or a batch of them (…, m, n), got shape " +
                     to_string(x.shape()));
  }
  if (!is_floating(x.dtype())) {
    throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(x.dtype()) +
                     "; convert it with to(DType::float32)");
  }
}

void check_square(const char* op, const Tensor& x) {
  check_matrix(op, x);
  if (x.size(-1) != x.size(-2)) {
    throw ShapeError(std::string(op) + ": needs square matrices (…, n, n), got shape " + to_string(x.shape()));
  }
}

void check_same_type(const char* op, const Tensor& x, const Tensor& y) {
  if (x.dtype() != y.dtype()) {
    throw DTypeError(std::string(op) + ": needs two tensors of one floating-point type, got " + name(x.dtype()) +
                     " and " + name(y.dtype()));
  }
  backend::check_device(op, x, y);
}

void check_info(const char* op, const Tensor& x, const Tensor& info, const std::string& what, bool pivot) {
  Tensor host = info.to(Device::cpu);
  const int64_t* first = host.data<int64_t>();
  const int64_t* wrong = std::find_if(first, first + host.numel(), [](int64_t i) { return i != 0; });
  if (wrong == first + host.numel()) return;
  std::string which = "the matrix " + to_string(x.shape());
  if (info.dim() > 0) {
    int64_t rest = wrong - first;
    Dims place = info.shape();
    for (int d = info.dim() - 1; d >= 0; --d) {
      place[d] = rest % info.shape()[d];
      rest /= info.shape()[d];
    }
    which = "matrix " + (info.dim() == 1 ? std::to_string(place[0]) : to_string(place)) + " of the batch " +
            to_string(x.shape());
  }
  throw LinAlgError(std::string(op) + ": " + which + " " + what +
                    (pivot ? " (pivot " + std::to_string(*wrong) + ")" : "") +
                    (*wrong < 0 ? ": it holds infinities or NaN" : ""));
}

// ## Triangular systems
//
// A X = B:  dB = A⁻ᵀ dX,  dA = -dB Xᵀ, of which the triangle counts.   X A = B: Aᵀ Xᵀ = Bᵀ.
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left, bool unitriangular) {
  const char* op = "linalg.solve_triangular";
  if (!left) return mT(solve_triangular(mT(a), mT(b), !upper, true, unitriangular));
  check_square(op, a);
  check_matrix(op, b);
  check_same_type(op, a, b);
  if (a.size(-1) != b.size(-2)) {
    throw ShapeError(std::string(op) + ": A " + to_string(a.shape()) + " and B " + to_string(b.shape()) +
                     " do not fit: B must have " + std::to_string(a.size(-1)) + " rows");
  }
  Shape batch = broadcast_shapes(batch_of(a), batch_of(b), op);
  Tensor matrices = a.detach().expand(with(batch, {a.size(-2), a.size(-1)})).contiguous();
  Tensor x = backend::copy(b.detach().expand(with(batch, {b.size(-2), b.size(-1)})), b.dtype(), b.device());
  backend::on(a.device()).solve_triangular(x, matrices, upper, unitriangular);
  return record("solve_triangular", x, inputs(a, b), saved(a, x), attributes(int64_t{upper}, int64_t{unitriangular}),
                [](Backward& b) {
                  bool upper = b.integer(0), unit = b.integer(1);
                  Tensor db = solve_triangular(mT(b[0]), b.dy(), !upper, true, unit), da;
                  if (b.needs(0)) {
                    da = -matmul(db, mT(b[1]));
                    da = upper ? triu(da, unit) : tril(da, -int64_t{unit});
                  }
                  return Grads{da, db};
                });
}

// ## Systems of equations
//
// A X = B:  dB = A⁻ᵀ dX,  dA = -dB Xᵀ (Giles 2008, 2.3.1). The factors serve the first derivative, too.
static Tensor solve_matrices(const char* op, const Tensor& a, const Tensor& b, bool check, Tensor* info) {
  Lu f = factorise(op, a);
  if (check) check_info(op, a, f.info, "is singular", true);
  if (info) *info = f.info;
  Tensor x = without_graph([&] { return solve_permuted(f.lu, f.permutation, b.detach(), false); });
  return record("solve", x, inputs(a, b), saved(a, x, constant(f.lu), constant(f.permutation)), [](Backward& b) {
    Tensor db = b.create_graph() ? solve_matrices("linalg.solve", mT(b[0]), b.dy(), false, nullptr)
                                 : solve_permuted(b[2], b[3], b.dy(), true);
    return Grads{b.needs(0) ? -matmul(db, mT(b[1])) : Tensor(), db};
  });
}

// PyTorch's rule for when B is a vector.
static bool is_vector(const Tensor& a, const Tensor& b) {
  if (b.dim() == 1) return true;
  return b.dim() == a.dim() - 1 && b.shape() == batch_of(a.unsqueeze(-1));
}

static std::pair<Tensor, Tensor> solve(const char* op, const Tensor& a, const Tensor& b, bool left, bool check) {
  check_square(op, a);
  check_same_type(op, a, b);
  bool vector = is_vector(a, b);
  if (vector && !left)
    throw ShapeError(std::string(op) + ": with left = false, B must be a matrix, got shape " + to_string(b.shape()));
  Tensor rhs = vector ? b.unsqueeze(-1) : b, info;
  check_matrix(op, rhs);
  int64_t fits = left ? rhs.size(-2) : rhs.size(-1);
  if (fits != a.size(-1)) {
    throw ShapeError(std::string(op) + ": A " + to_string(a.shape()) + " and B " + to_string(b.shape()) +
                     " do not fit: B must have " + std::to_string(a.size(-1)) + (left ? " rows" : " columns"));
  }
  broadcast_shapes(batch_of(a), batch_of(rhs), op);
  Tensor x = left ? solve_matrices(op, a, rhs, check, &info) : mT(solve_matrices(op, mT(a), mT(rhs), check, &info));
  return {vector ? x.squeeze(-1) : x, info};
}
Tensor solve(const Tensor& a, const Tensor& b, bool left) { return solve("linalg.solve", a, b, left, true).first; }
std::pair<Tensor, Tensor> solve_ex(const Tensor& a, const Tensor& b, bool left, bool check_errors) {
  return solve("linalg.solve_ex", a, b, left, check_errors);
}

// Y = A⁻¹:  dA = -Yᵀ dY Yᵀ
std::pair<Tensor, Tensor> inv_ex(const Tensor& a, bool check_errors) {
  const char* op = check_errors ? "linalg.inv" : "linalg.inv_ex";
  check_square(op, a);
  Lu f = factorise(op, a);
  if (check_errors) check_info(op, a, f.info, "is singular", true);
  Tensor y =
      without_graph([&] { return solve_permuted(f.lu, f.permutation, identity(a, a.size(-1), a.size(-1)), false); });
  y = record("inv", y, inputs(a), saved(y), [](Backward& b) {
    Tensor yt = mT(b[0]);
    return Grads{-matmul(matmul(yt, b.dy()), yt)};
  });
  return {y, f.info};
}
Tensor inv(const Tensor& a) { return inv_ex(a, true).first; }

// ## Determinants
//
// The product of U's diagonal, with the sign of the exchanges.
static Tensor diagonal_of_u(const Lu& f) { return linalg::diagonal(f.lu.detach()); }
static Tensor parity(const Lu& f) {
  Tensor untouched = arange(1, f.pivots.size(-1) + 1).to(f.pivots.device());
  Tensor signs = 1 - 2 * (f.pivots != untouched).to(f.lu.dtype());
  return backend::reduce(signs, functor::Prod{}, {signs.dim() - 1}, false);
}

// The transposed adjugate, which is det A · A⁻ᵀ wherever there is an inverse, but always exists. From A = U S Vᵀ it is
// det U det V · U diag(Πⱼ≠ᵢ sⱼ) Vᵀ.
static Tensor cofactors(const Tensor& a) {
  Svd f = singular_values("linalg.det", a, true, true);
  int64_t n = a.size(-1);
  Tensor others =
      where(identity(a, n, n) == 1, ones({}, a.dtype(), a.device()), f.s.unsqueeze(-2));  // row i without sᵢ
  Tensor products = backend::reduce(others, functor::Prod{}, {others.dim() - 1}, true);   // (…, n, 1)
  Tensor sign = (det(f.u) * det(f.vh)).unsqueeze(-1).unsqueeze(-1);
  return matmul(f.u * mT(products), f.vh) * sign;
}

// The same as a polynomial in A, which can be differentiated again (Faddeev and LeVerrier): M₁ = I,
// Mₖ₊₁ = A Mₖ - (tr A Mₖ / k) I, and the adjugate is ± Mₙ.
static Tensor cofactors_polynomial(const Tensor& a) {
  int64_t n = a.size(-1);
  Tensor eye = identity(a, n, n), m = eye.expand(a.shape());
  for (int64_t k = 1; k < n; ++k) {
    Tensor am = matmul(a, m);
    m = am - eye * (sum(linalg::diagonal(am), {-1}, true).unsqueeze(-1) / k);
  }
  return mT(n % 2 == 1 ? m : -m);
}

// d = det A:  dA = dd · cofactors(A) (Giles, 2.2.4)
Tensor det(const Tensor& a) {
  check_square("linalg.det", a);
  Lu f = factorise("linalg.det", a);
  Tensor u = diagonal_of_u(f), d = backend::reduce(u, functor::Prod{}, {u.dim() - 1}, false) * parity(f);
  return record("det", d, inputs(a), saved(a, d, constant(f.info)), [](Backward& b) {
    Tensor a = b[0], scale = b.dy().unsqueeze(-1).unsqueeze(-1);
    bool singular = sum(b[2]).item<int64_t>() != 0;
    if (singular) return Grads{scale * (b.create_graph() ? cofactors_polynomial(a) : cofactors(a))};
    return Grads{scale * b[1].unsqueeze(-1).unsqueeze(-1) * mT(inv_ex(a, false).first)};
  });
}

// l = ln |det A|:  dA = dl · A⁻ᵀ. Where it is -∞, so is the derivative.
std::pair<Tensor, Tensor> slogdet(const Tensor& a) {
  check_square("linalg.slogdet", a);
  Lu f = factorise("linalg.slogdet", a);
  Tensor u = diagonal_of_u(f);
  Tensor s = backend::reduce(sign(u), functor::Prod{}, {u.dim() - 1}, false) * parity(f);
  Tensor l = sum(log(abs(u)), {-1});
  l = record("slogdet", l, inputs(a), saved(a),
             [](Backward& b) { return Grads{b.dy().unsqueeze(-1).unsqueeze(-1) * mT(inv_ex(b[0], false).first)}; });
  return {s, l};
}

// ## Pseudo-inverse and least squares
//
// Singular values to be counted as 0: up to max(atol, rtol · the largest). s is (…, k).
Tensor is_small(const char* op, const Tensor& s, const Tensor& atol, const Tensor& rtol, int64_t longer_side) {
  auto number = [&](const Tensor& t, double otherwise) {
    if (t.defined() && t.dim() > s.dim() - 1)
      throw ShapeError(std::string(op) + ": tolerances " + to_string(t.shape()) + " for a batch of shape " +
                       to_string(batch_of(s.unsqueeze(-1))));
    if (!t.defined()) return full({1}, otherwise, DType::float64, s.device());
    Tensor one = t.dim() == 0 ? t.detach().to(s.device()) : t.detach();  // a number may lie anywhere
    return one.to(DType::float64).unsqueeze(-1);
  };
  double eps = (s.dtype() == DType::float32 ? 0x1p-23 : 0x1p-52) * static_cast<double>(longer_side);
  Tensor absolute = number(atol, 0);
  Tensor relative = rtol.defined()
                        ? number(rtol, 0)
                        : where(absolute > 0, zeros_like(absolute), full({1}, eps, DType::float64, s.device()));
  Tensor values = s.detach().to(DType::float64);
  if (s.size(-1) == 0) return values <= 0;
  return values <= maximum(absolute, relative * amax(values, {-1}, true));
}

// Golub & Pereyra (1973): at constant rank, with P = A⁺,
// dP = -P dA P + P Pᵀ dAᵀ (I - A P) + (I - P A) dAᵀ Pᵀ P, so that a gradient G of P makes
// -Pᵀ G Pᵀ + (I - A P) Gᵀ P Pᵀ + Pᵀ P Gᵀ (I - P A). Bracketed for m ≥ n.
static Grads pinv_rule(Backward& b) {
  Tensor a = b[0], p = b[1], pt = mT(p), gt = mT(b.dy());  // p (n, m); the others (m, n)
  Tensor x = matmul(gt, matmul(p, pt)), y = matmul(pt, matmul(p, gt));
  return {x - matmul(a, matmul(p, x)) + y - matmul(y, matmul(p, a)) - matmul(pt, matmul(b.dy(), pt))};
}

// V S⁻¹ Uᵀ without what is small.
static Tensor pseudo_inverse(const Tensor& a, const Svd& f, const Tensor& small) {
  Tensor inverse = where(small, zero_like(f.s), 1 / where(small, ones_like(f.s), f.s));
  Tensor p = matmul(mT(f.vh) * inverse.unsqueeze(-2), mT(f.u)).contiguous();
  return record("pinv", p, inputs(a), saved(a, p), pinv_rule);
}

Tensor pinv(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
  const char* op = "linalg.pinv";
  hermitian ? check_square(op, a) : check_matrix(op, a);
  if (a.size(-2) < a.size(-1)) return mT(pinv(mT(a), atol, rtol));
  if (!hermitian) {
    Svd f = singular_values(op, a, true, false);
    return pseudo_inverse(a, f, is_small(op, f.s, atol, rtol, a.size(-2)));
  }
  // A = V Λ Vᵀ = V |Λ| (V sign Λ)ᵀ
  Svd f = without_graph([&] {
    auto [values, v] = eigh(a.detach());
    return Svd{v, abs(values), mT(v * sign(values).unsqueeze(-2))};
  });
  return pseudo_inverse(a, f, is_small(op, f.s, atol, rtol, a.size(-2)));
}
Tensor pinv(const Tensor& a, double rtol, bool hermitian) { return pinv(a, Tensor(), Tensor(rtol), hermitian); }

LeastSquares lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond) {
  const char* op = "linalg.lstsq";
  check_matrix(op, a);
  check_same_type(op, a, b);
  bool vector = is_vector(a, b);
  Tensor rhs = vector ? b.unsqueeze(-1) : b;
  check_matrix(op, rhs);
  int64_t m = a.size(-2), n = a.size(-1);
  if (rhs.size(-2) != m) {
    throw ShapeError(std::string(op) + ": A " + to_string(a.shape()) + " and B " + to_string(b.shape()) +
                     " do not fit: B must have " + std::to_string(m) + " rows");
  }
  Tensor tall = m < n ? mT(a) : a;
  Svd f = singular_values(op, tall, true, false);
  Tensor small = is_small(op, f.s, {}, rcond ? Tensor(*rcond) : Tensor(), std::max(m, n));
  Tensor p = pseudo_inverse(tall, f, small);
  Tensor x = matmul(m < n ? mT(p) : p, rhs);
  Tensor rank = sum((small == 0).to(DType::int64), {-1});
  Tensor residuals = zeros({0}, a.dtype(), a.device());
  if (m > n && sum((rank != n).to(DType::int64)).item<int64_t>() == 0)
    residuals = sum(square(matmul(a, x) - rhs), {-2});
  return {vector ? x.squeeze(-1) : x, vector && residuals.dim() > 1 ? residuals.squeeze(-1) : residuals, rank, f.s};
}

// ## Tensors as matrices
static int64_t product(const Tensor& a, int first, int last) {
  int64_t n = 1;
  for (int d = first; d < last; ++d) n *= a.shape()[d];
  return n;
}

Tensor tensorinv(const Tensor& a, int64_t ind) {
  if (ind <= 0 || ind > a.dim()) {
    throw IndexError("linalg.tensorinv: ind = " + std::to_string(ind) + " does not lie in 1 … " +
                     std::to_string(a.dim()) + " for shape " + to_string(a.shape()));
  }
  int split = static_cast<int>(ind);
  int64_t rows = product(a, 0, split), columns = product(a, split, a.dim());
  if (rows != columns) {
    throw ShapeError("linalg.tensorinv: of shape " + to_string(a.shape()) + ", the first " + std::to_string(ind) +
                     " sizes multiply to " + std::to_string(rows) + ", the others to " + std::to_string(columns) +
                     "; they must agree");
  }
  Shape shape;
  for (int d = 0; d < a.dim(); ++d) shape.push_back(a.shape()[(d + split) % a.dim()]);
  return inv(a.reshape({rows, columns})).reshape(shape);
}

Tensor tensorsolve(const Tensor& given, const Tensor& b, Dims dims) {
  Tensor a = given;
  if (!dims.empty()) {
    Dims order, last;
    for (int64_t d : dims) last.push_back(wrap_dim(d, a.dim(), "linalg.tensorsolve"));
    for (int d = 0; d < a.dim(); ++d) {
      if (std::find(last.begin(), last.end(), d) == last.end()) order.push_back(d);
    }
    for (int64_t d : last) order.push_back(d);
    a = a.permute(order);
  }
  if (a.numel() != b.numel() * b.numel() || a.dim() < b.dim()) {
    throw ShapeError("linalg.tensorsolve: A " + to_string(a.shape()) + " does not map anything to B " +
                     to_string(b.shape()) + ": it needs the square of B's elements");
  }
  Shape shape;
  for (int d = b.dim(); d < a.dim(); ++d) shape.push_back(a.shape()[d]);
  return solve(a.reshape({b.numel(), b.numel()}), b.reshape({b.numel()})).reshape(shape);
}

// ## Others
Tensor diagonal(const Tensor& a, int64_t offset, int64_t dim1, int64_t dim2) { return a.diagonal(offset, dim1, dim2); }

Tensor vander(const Tensor& x, int64_t n) {
  if (x.dim() == 0) return vander(x.unsqueeze(0), n);
  if (n < 0) n = x.size(-1);
  if (n <= 1) throw ShapeError("linalg.vander: N = " + std::to_string(n) + " must be greater than 1");
  Shape factors = x.shape();
  factors.push_back(n - 1);
  Tensor column = x.unsqueeze(-1);  // (…, 1)
  return cumprod(cat({ones_like(column), column.expand(factors)}, -1), -1);
}

}  // namespace cr::linalg

namespace cr {

using namespace linalg;

Tensor inverse(const Tensor& a) { return inv(a); }
Tensor pinverse(const Tensor& a, double rcond) { return pinv(a, rcond); }

Tensor logdet(const Tensor& a) {
  auto [sign, l] = slogdet(a);
  return where(sign < 0, full({}, std::numeric_limits<double>::quiet_NaN(), l.dtype(), l.device()), l);
}

// L Lᵀ X = B:  dB = (L Lᵀ)⁻¹ dX,  d(L Lᵀ) = -dB Xᵀ =: C, and dL = (C + Cᵀ) L. That is the gradient of a full matrix L, as
// PyTorch's; of an L that `cholesky` made, what lies above the diagonal does not matter.
static Tensor solve_factored(const char* op, const Tensor& b, const Tensor& l) {
  check_square(op, l);
  Tensor lower = tril(l);
  Tensor x = without_graph([&] { return solve_triangular(mT(lower), solve_triangular(lower, b, false), true); });
  return record("cholesky_solve", x, inputs(b, l), saved(l, x), [](Backward& b) {
    Tensor l = tril(b[0]), db = solve_factored("cholesky_solve", b.dy(), l), dl;
    if (b.needs(1)) {
      Tensor c = matmul(db, mT(b[1]));
      dl = -matmul(c + mT(c), l);
    }
    return Grads{db, dl};
  });
}
Tensor cholesky_solve(const Tensor& b, const Tensor& l, bool upper) {
  return solve_factored("cholesky_solve", b, upper ? mT(l) : l);
}
Tensor cholesky_inverse(const Tensor& l, bool upper) {
  check_square("cholesky_inverse", l);
  return solve_factored("cholesky_inverse", identity(l, l.size(-1), l.size(-1)).expand(l.shape()), upper ? mT(l) : l);
}

Tensor triangular_solve(const Tensor& b, const Tensor& a, bool upper, bool transpose, bool unitriangular) {
  check_matrix("triangular_solve", a);
  return solve_triangular(transpose ? mT(a) : a, b, upper != transpose, true, unitriangular);
}

}  // namespace cr
