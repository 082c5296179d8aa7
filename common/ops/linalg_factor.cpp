// # Factorisations and their derivatives
//
// Every rule answers one question: given the gradients of the factors, what is A's? Differentiate the definition, as in
// $dA = dL\,L^T + L\,dL^T$, multiply from both sides until the unknown stands alone, and use what is known of its shape:
// triangular, or, for the derivative of an orthogonal Q, $Q^T dQ$ skew-symmetric.
// (Giles 2008, "An extended collection of matrix derivative results"; others are named where they come in.)
#include "ops/linalg_parts.hpp"

namespace cr::linalg {

// ## Cholesky
//
// A = L Lᵀ. Murray (2016), "Differentiation of the Cholesky decomposition", eq. 10:
// dA = sym(L⁻ᵀ Φ(Lᵀ dL) L⁻¹), where Φ keeps the lower triangle and halves the diagonal.
std::pair<Tensor, Tensor> cholesky_ex(const Tensor& a, bool upper, bool check_errors) {
  const char* op = check_errors ? "linalg.cholesky" : "linalg.cholesky_ex";
  check_square(op, a);
  if (upper) {
    auto [l, info] = cholesky_ex(mT(a), false, check_errors);
    return {mT(l), info};
  }
  Tensor l = backend::copy(a, a.dtype(), a.device()), info = info_for(a);
  backend::on(a.device()).cholesky(l, info);
  if (check_errors) check_info(op, a, info, "is not positive definite", true);
  l = record("cholesky", l, inputs(a), saved(l), [](Backward& b) {
    Tensor l = b[0], lt = mT(l);
    Tensor phi = tril(matmul(lt, b.dy()));
    phi = phi - diag_embed(linalg::diagonal(phi) / 2);
    Tensor left = solve_triangular(lt, phi, true);                 // L⁻ᵀ Φ
    Tensor da = solve_triangular(l, left, false, /*left=*/false);  // … L⁻¹
    return Grads{(da + mT(da)) / 2};
  });
  return {l, info};
}
Tensor cholesky(const Tensor& a, bool upper) { return cholesky_ex(a, upper, true).first; }

// ## LU
//
// Which row ends where after the exchanges: row i of Pᵀ A is row permutation[i] of A. Throws IndexError for a pivot that
// is no row.
static Tensor permutation_of(const char* op, const Tensor& pivots, int64_t m) {
  if (pivots.dtype() != DType::int64)
    throw DTypeError(std::string(op) + ": the pivots must be int64, got " + name(pivots.dtype()));
  if (pivots.dim() == 0 || pivots.size(-1) > m) {
    throw ShapeError(std::string(op) + ": pivots " + to_string(pivots.shape()) + " do not fit " + std::to_string(m) +
                     " rows");
  }
  Shape shape = pivots.shape();
  int64_t k = shape.back();
  shape[shape.size() - 1] = m;
  Tensor from = pivots.to(Device::cpu).contiguous(), out = empty(shape, DType::int64);
  const int64_t* pivot = from.data<int64_t>();
  int64_t* row = out.mutable_data<int64_t>();
  for (int64_t b = 0, count = m == 0 ? 0 : numel(shape) / m; b < count; ++b, row += m) {
    for (int64_t i = 0; i < m; ++i) row[i] = i;
    for (int64_t i = 0; i < k; ++i, ++pivot) {
      if (*pivot < 1 || *pivot > m) {
        throw IndexError(std::string(op) + ": pivot " + std::to_string(*pivot) + " is none of the rows 1 … " +
                         std::to_string(m));
      }
      std::swap(row[i], row[*pivot - 1]);
    }
  }
  return out.to(pivots.device());
}

// The rows of x in the order of `permutation`, batches broadcasting: Pᵀ x; and back: P x.
static Tensor permute_rows(const Tensor& x, const Tensor& permutation) {
  Shape batch = batch_of(permutation.unsqueeze(-1));
  batch = broadcast_shapes(batch, batch_of(x), "lu_solve");
  Shape full = with(batch, {x.size(-2), x.size(-1)});
  return gather(x.expand(full), -2, permutation.unsqueeze(-1).expand(full));
}
static Tensor inverse_of(const Tensor& permutation) {
  Tensor places = arange(permutation.size(-1)).to(permutation.device()).expand(permutation.shape());
  return scatter_add(zeros(permutation.shape(), DType::int64, permutation.device()), -1, permutation, places);
}

Lu factorise(const char* op, const Tensor& a) {
  check_matrix(op, a);
  int64_t m = a.size(-2), k = std::min(m, a.size(-1));
  Lu f{backend::copy(a, a.dtype(), a.device()), {}, {}, info_for(a)};
  f.pivots = empty(with(batch_of(a), {k}), DType::int64, a.device());
  backend::on(a.device()).lu(f.lu, f.pivots, f.info);
  f.permutation = permutation_of(op, f.pivots, m);
  return f;
}

// B = Pᵀ A = [B₁₁ B₁₂; B₂₁ B₂₂], one of the outer blocks being empty, = [L₁; L₂] [U₁ U₂]. For a square A,
// dB = L⁻ᵀ (tril₋₁(Lᵀ dL) + triu(dU Uᵀ)) U⁻ᵀ. Outer blocks have U₂ = L₁⁻¹ B₁₂ and L₂ = B₂₁ U₁⁻¹, of which L₁ and U₁ get
// their share.
static Grads lu_rule(Backward& b) {
  Tensor lu = b[0], permutation = b[1], dy = b.dy();
  int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
  Tensor square = lu.narrow(-2, 0, k).narrow(-1, 0, k), d_square = dy.narrow(-2, 0, k).narrow(-1, 0, k);
  Tensor l = tril(square, -1) + identity(lu, k, k), u = triu(square);
  Tensor for_l = matmul(mT(l), tril(d_square, -1)), for_u = matmul(triu(d_square), mT(u)), outer;
  if (m < n) {
    Tensor du2 = dy.narrow(-1, k, n - k);
    for_l = for_l - matmul(du2, mT(lu.narrow(-1, k, n - k)));
    outer = solve_triangular(mT(l), du2, true, true, true);
  } else if (m > n) {
    Tensor dl2 = dy.narrow(-2, k, m - k);
    for_u = for_u - matmul(mT(lu.narrow(-2, k, m - k)), dl2);
    outer = solve_triangular(mT(u), dl2, false, false);
  }
  Tensor db = tril(for_l, -1) + triu(for_u);
  db = solve_triangular(mT(u), solve_triangular(mT(l), db, true, true, true), false, false);
  if (m != n) db = cat({db, outer}, m < n ? -1 : -2);
  return {permute_rows(db, inverse_of(permutation))};
}

std::tuple<Tensor, Tensor, Tensor> lu_factor_ex(const Tensor& a, bool check_errors) {
  const char* op = check_errors ? "linalg.lu_factor" : "linalg.lu_factor_ex";
  Lu f = factorise(op, a);
  if (check_errors) check_info(op, a, f.info, "is singular", true);
  return {record("lu_factor", f.lu, inputs(a), saved(f.lu, constant(f.permutation)), lu_rule), f.pivots, f.info};
}
std::pair<Tensor, Tensor> lu_factor(const Tensor& a) {
  auto [lu, pivots, info] = lu_factor_ex(a, false);
  return {lu, pivots};
}

// A is L U with its rows back in their places.
static std::tuple<Tensor, Tensor, Tensor> unpack(const Tensor& lu, const Tensor& permutation) {
  int64_t m = lu.size(-2), k = std::min(m, lu.size(-1));
  Tensor p = permutation.unsqueeze(-2) == arange(m).to(permutation.device()).unsqueeze(-1);
  return {p.to(lu.dtype()), tril(lu.narrow(-1, 0, k), -1) + identity(lu, m, k), triu(lu.narrow(-2, 0, k))};
}

std::tuple<Tensor, Tensor, Tensor> lu(const Tensor& a) {
  Lu f = factorise("linalg.lu", a);
  Tensor packed = record("lu_factor", f.lu, inputs(a), saved(f.lu, constant(f.permutation)), lu_rule);
  return unpack(packed, f.permutation);
}

// A X = B: L U X = Pᵀ B.   Aᵀ X = B: Uᵀ Lᵀ (Pᵀ X) = B.   X A = B: Aᵀ Xᵀ = Bᵀ.
Tensor solve_permuted(const Tensor& lu, const Tensor& permutation, const Tensor& b, bool transposed) {
  if (!transposed) {
    Tensor y = solve_triangular(lu, permute_rows(b, permutation), false, true, true);
    return solve_triangular(lu, y, true);
  }
  Tensor y = solve_triangular(mT(lu), b, false);
  return permute_rows(solve_triangular(mT(lu), y, true, true, true), inverse_of(permutation));
}

Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left, bool adjoint) {
  if (!left) return mT(linalg::lu_solve(lu, pivots, mT(b), true, !adjoint));
  check_square("linalg.lu_solve", lu);
  check_matrix("linalg.lu_solve", b);
  check_same_type("linalg.lu_solve", lu, b);
  if (b.size(-2) != lu.size(-1)) {
    throw ShapeError("linalg.lu_solve: LU " + to_string(lu.shape()) + " and B " + to_string(b.shape()) +
                     " do not fit: B must have " + std::to_string(lu.size(-1)) +
                     " rows, or columns if it stands on the left");
  }
  return solve_permuted(lu, permutation_of("linalg.lu_solve", pivots, lu.size(-1)), b, adjoint);
}

// ## Householder's reflections
//
// H x = x - τ v (vᵀ x) for the reflections of `a` and `tau`, the first one last unless `transposed`. In differentiable steps.
static Tensor reflect(const char* op, const Tensor& a, const Tensor& tau, Tensor x, bool transposed) {
  check_matrix(op, a);
  check_same_type(op, a, tau);
  int64_t m = a.size(-2), k = tau.dim() == 0 ? -1 : tau.size(-1);
  if (k < 0 || k > std::min(m, a.size(-1)) || !(batch_of(a) == batch_of(tau.unsqueeze(-1)))) {
    throw ShapeError(std::string(op) + ": tau " + to_string(tau.shape()) + " does not fit the reflections in " +
                     to_string(a.shape()) + " = (…, m, n): it must be (…, k) with k ≤ min(m, n)");
  }
  Tensor vectors = tril(a.narrow(-1, 0, k), -1) + identity(a, m, k);
  for (int64_t step = 0; step < k; ++step) {
    int64_t i = transposed ? step : k - 1 - step;
    Tensor v = vectors.narrow(-1, i, 1);                                  // (…, m, 1)
    x = x - v * (tau.narrow(-1, i, 1).unsqueeze(-1) * matmul(mT(v), x));  // (…, m, n)
  }
  return x;
}

Tensor householder_product(const Tensor& a, const Tensor& tau) {
  const char* op = "linalg.householder_product";
  check_matrix(op, a);
  if (a.size(-1) > a.size(-2))
    throw ShapeError(std::string(op) + ": needs no more columns than rows, got shape " + to_string(a.shape()));
  Tensor q = identity(a, a.size(-2), a.size(-1)).expand(a.shape());
  if (grad_enabled() && (a.requires_grad() || tau.requires_grad())) return reflect(op, a, tau, q, false);
  reflect(op, a, tau, q.narrow(-1, 0, 0), false);  // of nothing: for its checks
  q = backend::copy(a, a.dtype(), a.device());
  backend::on(a.device()).householder_product(q, tau.contiguous());
  return q;
}

// ## QR
//
// A = Q R with independent columns: dA = (dQ + Q copyltu(M)) R⁻ᵀ with M = R dRᵀ - dQᵀ Q, and copyltu(M) = tril(M) + tril(M, -1)ᵀ
// (Walter & Lehmann 2018, "Algorithmic differentiation of linear algebra functions with application in optimum
// experimental design", eq. 25).
static Grads qr_rule(Backward& b) {
  Tensor q = b[0], r = b[1], m;
  bool has_q = b.has_dy(0);
  if (b.has_dy(1)) m = matmul(r, mT(b.dy(1)));
  if (has_q) m = m.defined() ? m - matmul(mT(b.dy(0)), q) : -matmul(mT(b.dy(0)), q);
  Tensor da = matmul(q, tril(m) + mT(tril(m, -1)));
  if (has_q) da = da + b.dy(0);
  return {solve_triangular(mT(r), da, false, /*left=*/false)};
}

static Grads no_rule(Backward&) {
  throw AutogradError(
      "linalg.qr: Q has more columns than A, or was not asked for: only mode \"reduced\" has a derivative");
}

// The reflections and R in one matrix, and tau.
static std::pair<Tensor, Tensor> reflections(const Tensor& a) {
  Tensor packed = backend::copy(a, a.dtype(), a.device());
  Tensor tau = empty_like(a, with(batch_of(a), {std::min(a.size(-2), a.size(-1))}));
  backend::on(a.device()).qr(packed, tau);
  return {packed, tau};
}

std::pair<Tensor, Tensor> qr(const Tensor& a, const std::string& mode) {
  check_matrix("linalg.qr", a);
  if (mode != "reduced" && mode != "complete" && mode != "r")
    throw Error("linalg.qr: mode \"" + mode + "\" is none of \"reduced\", \"complete\", \"r\"");
  int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
  if (m < n && mode != "r" && a.requires_grad() && grad_enabled()) {
    // A = (A₁ A₂) with A₁ square, = Q (R₁ Qᵀ A₂).
    auto [q, r] = linalg::qr(a.narrow(-1, 0, m), mode);
    return {q, cat({r, matmul(mT(q), a.narrow(-1, m, n - m))}, -1)};
  }
  auto [packed, tau] = reflections(a);
  int64_t columns = mode == "complete" ? m : k;
  Tensor r =
      backend::copy(triu(window(packed, with(batch_of(a), {columns, n}), packed.strides(), 0)), a.dtype(), a.device());
  Tensor q = empty_like(a, mode == "r" ? Shape{0} : with(batch_of(a), {m, columns}));
  if (mode != "r") {
    backend::on(a.device()).fill(q, 0);
    backend::on(a.device())
        .copy(window(q, with(batch_of(a), {m, k}), q.strides(), 0),
              window(packed, with(batch_of(a), {m, k}), packed.strides(), 0));
    backend::on(a.device()).householder_product(q, tau);
  }
  Tensor* outputs[] = {&q, &r};
  const Tensor* input[] = {&a};
  Saved kept[] = {as_saved(q), as_saved(r)};
  record("qr", outputs, input, kept, {}, m >= n && columns == k && mode != "r" ? qr_rule : no_rule);
  return {q, r};
}

// ## Symmetric eigenvalues
//
// A = V diag(λ) Vᵀ:  dA = V (diag(dλ) + skew(Vᵀ dV) / 2E) Vᵀ,  skew(X) = X - Xᵀ, Eᵢⱼ = λⱼ - λᵢ off the diagonal (Giles, 3.1,
// made symmetric as A is).
static Grads eigh_rule(Backward& b) {
  Tensor values = b[0], v = b[1], inner;
  if (b.has_dy(1)) {
    Tensor e = values.unsqueeze(-2) - values.unsqueeze(-1) + identity(v, v.size(-1), v.size(-1));
    Tensor x = matmul(mT(v), b.dy(1));
    inner = (x - mT(x)) / e / 2;
  }
  if (b.has_dy(0)) inner = inner.defined() ? inner + diag_embed(b.dy(0)) : diag_embed(b.dy(0));
  return {matmul(matmul(v, inner), mT(v))};
}

static Svd eigen(const char* op, const Tensor& a, const std::string& uplo, bool vectors) {
  check_square(op, a);
  if (uplo != "L" && uplo != "U" && uplo != "l" && uplo != "u")
    throw Error(std::string(op) + ": uplo \"" + uplo + "\" is neither \"L\" nor \"U\"");
  Svd f{backend::copy(a, a.dtype(), a.device()), empty_like(a, with(batch_of(a), {a.size(-1)})), {}};
  Tensor info = info_for(a);
  backend::on(a.device()).eigh(f.u, f.s, uplo == "U" || uplo == "u", vectors, info);
  check_info(op, a, info, "did not converge", false);
  return f;
}

std::pair<Tensor, Tensor> eigh(const Tensor& a, const std::string& uplo) {
  Svd f = eigen("linalg.eigh", a, uplo, true);
  Tensor* outputs[] = {&f.s, &f.u};
  const Tensor* input[] = {&a};
  Saved kept[] = {as_saved(f.s), as_saved(f.u)};
  record("eigh", outputs, input, kept, {}, eigh_rule);
  return {f.s, f.u};
}

Tensor eigvalsh(const Tensor& a, const std::string& uplo) {
  if (grad_enabled() && a.requires_grad()) return eigh(a, uplo).first;
  return eigen("linalg.eigvalsh", a, uplo, false).s;
}

// ## Singular values
//
// A = U S Vᵀ (Townsend 2016, "Differentiating the singular value decomposition"): with Eᵢⱼ = sⱼ² - sᵢ² off the diagonal,
// dA = U (skew(Uᵀ dU) / E · S + S · skew(Vᵀ dV) / E + diag(ds)) Vᵀ, skew(X) = X - Xᵀ, and the parts of dU and dV outside
// of the spaces of U and V: (I - U Uᵀ) dU S⁻¹ Vᵀ + U S⁻¹ dVᵀ (I - V Vᵀ).
static Grads svd_rule(Backward& b) {
  Tensor u = b[0], s = b[1], vh = b[2], inner;
  int64_t m = u.size(-2), n = vh.size(-1), k = s.size(-1);
  bool has_u = b.has_dy(0), has_s = b.has_dy(1), has_v = b.has_dy(2);
  u = u.narrow(-1, 0, k), vh = vh.narrow(-2, 0, k);
  Tensor du, dvh, da, row = s.unsqueeze(-2), column = s.unsqueeze(-1);
  if (has_u || has_v) {
    Tensor e = (row - column) * (row + column) + identity(s, k, k);
    if (has_u) {
      du = b.dy(0).narrow(-1, 0, k);
      Tensor x = matmul(mT(u), du);
      inner = (x - mT(x)) / e * row;
    }
    if (has_v) {
      dvh = b.dy(2).narrow(-2, 0, k);
      Tensor x = matmul(vh, mT(dvh)), part = (x - mT(x)) / e * column;
      inner = inner.defined() ? inner + part : part;
    }
  }
  if (has_s) inner = inner.defined() ? inner + diag_embed(b.dy(1)) : diag_embed(b.dy(1));
  da = matmul(u, inner);
  if (has_u && m > k) {
    Tensor x = du / row;
    da = da + x - matmul(u, matmul(mT(u), x));
  }
  da = matmul(da, vh);
  if (has_v && n > k) {
    Tensor x = dvh / column;
    da = da + matmul(u, x - matmul(matmul(x, mT(vh)), vh));
  }
  return {da};
}

Svd singular_values(const char* op, const Tensor& a, bool vectors, bool full) {
  check_matrix(op, a);
  int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
  Svd f{{}, empty_like(a, with(batch_of(a), {k})), {}};
  Tensor work = backend::copy(a, a.dtype(), a.device()), info = info_for(a);
  if (vectors) {
    f.u = empty_like(a, with(batch_of(a), {m, full ? m : k}));
    f.vh = empty_like(a, with(batch_of(a), {full ? n : k, n}));
  }
  backend::on(a.device()).svd(work, f.u, f.s, f.vh, info);
  check_info(op, a, info, "did not converge", false);
  return f;
}

std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& a, bool full_matrices) {
  Svd f = singular_values("linalg.svd", a, true, full_matrices);
  Tensor* outputs[] = {&f.u, &f.s, &f.vh};
  const Tensor* input[] = {&a};
  Saved kept[] = {as_saved(f.u), as_saved(f.s), as_saved(f.vh)};
  record("svd", outputs, input, kept, {}, svd_rule);
  return {f.u, f.s, f.vh};
}

Tensor svdvals(const Tensor& a) {
  if (grad_enabled() && a.requires_grad()) return std::get<1>(linalg::svd(a, false));
  return singular_values("linalg.svdvals", a, false, false).s;
}

}  // namespace cr::linalg

namespace cr {

// ## PyTorch's older names
std::tuple<Tensor, Tensor, Tensor> lu_unpack(const Tensor& lu, const Tensor& pivots, bool unpack_data,
                                             bool unpack_pivots) {
  linalg::check_matrix("lu_unpack", lu);
  backend::check_device("lu_unpack", lu, pivots);
  Tensor permutation = linalg::permutation_of("lu_unpack", pivots, lu.size(-2));
  auto [p, l, u] = linalg::unpack(lu, permutation);
  Tensor none = linalg::empty_like(lu, {0});
  return {unpack_pivots ? p : none, unpack_data ? l : none, unpack_data ? u : none};
}
Tensor lu_solve(const Tensor& b, const Tensor& lu, const Tensor& pivots) { return linalg::lu_solve(lu, pivots, b); }

std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& a, bool some, bool compute_uv) {
  if (!compute_uv) {
    Tensor s = linalg::svdvals(a);
    Shape left = a.shape(), right = a.shape();
    left[a.dim() - 1] = a.size(-2), right[a.dim() - 2] = a.size(-1);
    return {zeros(left, a.dtype(), a.device()), s, zeros(right, a.dtype(), a.device())};
  }
  auto [u, s, vh] = linalg::svd(a, !some);
  return {u, s, linalg::mT(vh)};
}

std::pair<Tensor, Tensor> geqrf(const Tensor& a) {
  linalg::check_matrix("geqrf", a);
  return linalg::reflections(a);
}

Tensor ormqr(const Tensor& a, const Tensor& tau, const Tensor& c, bool left, bool transpose) {
  linalg::check_matrix("ormqr", c);
  Tensor x = left ? c : linalg::mT(c);
  if (a.dim() < 2 || a.size(-2) != x.size(-2)) {
    throw ShapeError("ormqr: reflections " + to_string(a.shape()) + " do not fit " + to_string(c.shape()) +
                     (left ? ": both need as many rows" : ": it needs as many columns as they have rows"));
  }
  Tensor y = linalg::reflect("ormqr", a, tau, x, left == transpose);
  return left ? y : linalg::mT(y);
}

}  // namespace cr
