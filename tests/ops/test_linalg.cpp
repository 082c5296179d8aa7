// # Linear algebra: what the factors promise, derivatives of what they determine, and bad matrices
#include "catch.hpp"

#if CHAINRULE_LAPACK
#include "ops/arma.hpp"
#endif

#include <cmath>
#include <functional>
#include <limits>

#include "backend/cpu/lapack.hpp"
#include "backend/cpu/small_lapack.hpp"
#include "compare.hpp"
#include "contains.hpp"

using namespace cr;
using namespace cr::test;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

Tensor random(const Shape& shape, uint64_t seed, DType dtype = DType::float64) {
  Generator g(seed);
  return randn(shape, g, DType::float64).to(dtype);
}
Tensor transposed(const Tensor& x) { return x.transpose(-2, -1); }
Tensor positive(int64_t n, uint64_t seed) {
  Tensor x = random({n, n}, seed);
  return matmul(x, x.t()) / static_cast<double>(n) + eye(n, DType::float64);
}

double distance(const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return x.shape() == y.shape() ? 0 : 1;
  return amax(abs(x.detach() - y.detach())).item();
}
// How far the columns of q are from being orthonormal.
double skewness(const Tensor& q) {
  Tensor product = matmul(q.t(), q);
  return distance(product, eye(q.size(-1), DType::float64).to(q.dtype()));
}

// The largest difference between f's first two derivatives at x and central differences, relative to their size. w · f is
// differentiated, and then v · its gradient.
struct Mismatch {
  double first = 0, second = 0;
};
Mismatch derivatives(const std::function<Tensor(const Tensor&)>& f, const Tensor& at) {
  Tensor weights, directions = random(at.shape(), 5);
  auto both = [&](const Tensor& x) {
    Tensor leaf = x.detach().clone().requires_grad_();
    Tensor y = f(leaf);
    if (!weights.defined()) weights = random(y.shape(), 6);
    Tensor l = sum(y * weights), g = grad(l, leaf, {.create_graph = true}), s = sum(g * directions);
    Tensor h = s.requires_grad() ? grad(std::vector<Tensor>{s}, {leaf}, {.allow_unused = true})[0] : Tensor();
    return std::tuple(l.item(), s.item(), g.detach(), h.defined() ? h : zeros_like(leaf));
  };
  auto [l, s, g, h] = both(at);
  Tensor first = zeros_like(at), second = zeros_like(at);
  constexpr double kStep = 1e-5;
  for (int64_t i = 0; i < at.numel(); ++i) {
    double value[2][2];
    for (int side = 0; side < 2; ++side) {
      Tensor x = at.clone();
      x.mutable_data<double>()[i] += side ? kStep : -kStep;
      auto [lx, sx, gx, hx] = both(x);
      value[side][0] = lx, value[side][1] = sx;
    }
    first.mutable_data<double>()[i] = (value[1][0] - value[0][0]) / (2 * kStep);
    second.mutable_data<double>()[i] = (value[1][1] - value[0][1]) / (2 * kStep);
  }
  auto relative = [](const Tensor& x, const Tensor& y) { return distance(x, y) / std::max(1.0, amax(abs(y)).item()); };
  return {relative(g, first), relative(h, second)};
}

void check_derivatives(const char* what, const std::function<Tensor(const Tensor&)>& f, const Tensor& at) {
  INFO(what);
  Mismatch m = derivatives(f, at);
  CHECK(m.first < 1e-7);
  CHECK(m.second < 1e-6);
}

Tensor symmetric(const Tensor& x) { return (x + transposed(x)) / 2; }

}  // namespace

// ## Our routines and LAPACK's
namespace {

template <class T> std::vector<T> columns_of(const Tensor& x) {
  Tensor c = transposed(x).to(dtype_of<T>).contiguous();
  return {c.data<T>(), c.data<T>() + c.numel()};
}
template <class T> Tensor from_columns(const std::vector<T>& numbers, int64_t m, int64_t n) {
  return from_span(std::span<const T>(numbers.data(), static_cast<size_t>(m * n)), {n, m}).t().contiguous();
}

// Runs everything of one solver on x (m, n), n ≤ m, and returns what is determined by x alone.
template <class Solver, class T> std::vector<Tensor> solved(const Tensor& x) {
  int64_t m = x.size(0), n = x.size(1);
  double eps = 20 * static_cast<double>(m) * std::numeric_limits<T>::epsilon();
  Tensor given = x.to(dtype_of<T>);
  std::vector<Tensor> out;

  std::vector<T> a = columns_of<T>(matmul(x.t(), x) + eye(n, DType::float64));
  std::vector<T> spd = a;
  REQUIRE(Solver::cholesky(a.data(), n) == 0);
  out.push_back(from_columns(a, n, n) * (arange(n).unsqueeze(1) >= arange(n)).to(dtype_of<T>));

  std::vector<T> lu = columns_of<T>(x);
  std::vector<int64_t> pivots(static_cast<size_t>(n));
  REQUIRE(Solver::lu(lu.data(), m, n, pivots.data()) == 0);
  out.push_back(from_columns(lu, m, n));
  out.push_back(from_vector(pivots));

  std::vector<T> b = columns_of<T>(x.t()), unit = b;  // (n, m)
  Solver::solve_triangular(spd.data(), true, false, b.data(), n, m);
  Solver::solve_triangular(spd.data(), false, true, unit.data(), n, m);
  out.push_back(from_columns(b, n, m));

  std::vector<T> q = columns_of<T>(x), tau(static_cast<size_t>(n));
  Solver::qr(q.data(), m, n, tau.data());
  out.push_back(from_columns(q, m, n));
  Solver::householder_product(q.data(), m, n, n, tau.data());
  out.push_back(from_columns(q, m, n));
  CHECK(skewness(out.back()) < eps);

  for (bool upper : {false, true}) {
    std::vector<T> v = spd, values(static_cast<size_t>(n));
    REQUIRE(Solver::eigh(v.data(), n, values.data(), upper, true) == 0);
    Tensor vectors = from_columns(v, n, n), l = from_vector(values), s = from_columns(spd, n, n);
    CHECK(skewness(vectors) < eps);
    CHECK(distance(matmul(vectors * l, vectors.t()), s) < eps * amax(l).item());
    out.push_back(l);
  }

  for (bool wide : {false, true}) {
    for (bool full : {false, true}) {
      int64_t rows = wide ? n : m, columns = wide ? m : n, left = full ? rows : n, right = full ? columns : n;
      Tensor matrix = wide ? given.t() : given;
      std::vector<T> c = columns_of<T>(matrix), u(static_cast<size_t>(rows * left)), s(static_cast<size_t>(n)),
                     vt(static_cast<size_t>(right * columns));
      REQUIRE(Solver::svd(c.data(), rows, columns, u.data(), s.data(), vt.data(), full) == 0);
      Tensor us = from_columns(u, rows, left), vs = from_columns(vt, right, columns), values = from_vector(s);
      CHECK(skewness(us) < eps);
      CHECK(skewness(vs.t()) < eps);
      Tensor product = matmul(us.narrow(1, 0, n) * values, vs.narrow(0, 0, n));
      CHECK(distance(product, matrix) < eps * amax(values).item());
      out.push_back(values);
    }
  }
  return out;
}

template <class T> void compare_solvers() {
  for (auto [m, n] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {2, 2}, {5, 3}, {8, 8}, {30, 20}}) {
    Tensor x = random({m, n}, static_cast<uint64_t>(m * 100 + n));
    std::vector<Tensor> ours = solved<backend::cpu::SmallLapack<T>, T>(x);
#if CHAINRULE_LAPACK
    std::vector<Tensor> theirs = solved<backend::cpu::Lapack<T>, T>(x);
    for (size_t i = 0; i < ours.size(); ++i) {
      INFO("matrix of shape " << to_string(x.shape()) << ", result " << i);
      CHECK(difference(ours[i], theirs[i], 2000, 1) == "");
    }
#endif
  }
}

}  // namespace

TEST_CASE("our own routines keep their promises, and agree with LAPACK where there is one", "[linalg]") {
  compare_solvers<float>();
  compare_solvers<double>();
}

TEST_CASE("our own iterations end on every input", "[linalg]") {
  using Own = backend::cpu::SmallLapack<double>;
  for (double scale : {1e-300, 1e300}) {
    std::vector<double> a = columns_of<double>(random({6, 6}, 3) * scale), s(6), u(36), vt(36);
    CHECK(Own::svd(a.data(), 6, 6, u.data(), s.data(), vt.data(), false) == 0);
    CHECK(s[0] > scale);
    std::vector<double> b = columns_of<double>(positive(6, 4) * scale);
    CHECK(Own::eigh(b.data(), 6, s.data(), false, true) == 0);
    CHECK(s[0] > scale / 2);
  }
  std::vector<double> zero(12, 0.0), u(16), s(3), vt(9);
  CHECK(Own::svd(zero.data(), 4, 3, u.data(), s.data(), vt.data(), true) == 0);
  CHECK(skewness(from_columns(u, 4, 4)) < 1e-14);
  std::vector<double> bad(12, kNan);
  Own::svd(bad.data(), 4, 3, u.data(), s.data(), vt.data(), true);  // ends, somehow
  Own::eigh(bad.data(), 3, s.data(), false, true);
}

// ## What factors promise
TEST_CASE("factors multiply to the matrix and have the shape they promise", "[linalg]") {
  for (Shape shape : {Shape{4, 4}, Shape{6, 3}, Shape{3, 6}, Shape{1, 5}, Shape{40, 40}}) {
    INFO(to_string(shape));
    Tensor a = random(shape, 7);
    int64_t m = shape[0], n = shape[1], k = std::min(m, n);
    for (bool full : {false, true}) {
      auto [u, s, vh] = linalg::svd(a, full);
      CHECK(u.shape() == Shape{m, full ? m : k});
      CHECK(vh.shape() == Shape{full ? n : k, n});
      CHECK(skewness(u) < 1e-13);
      CHECK(skewness(vh.t()) < 1e-13);
      CHECK(distance(matmul(u.narrow(1, 0, k) * s, vh.narrow(0, 0, k)), a) < 1e-13);
      CHECK(amin(s).item() >= 0);
      if (k > 1) CHECK(amin(s.narrow(0, 0, k - 1) - s.narrow(0, 1, k - 1)).item() >= 0);
      auto [q, r] = linalg::qr(a, full ? "complete" : "reduced");
      CHECK(q.shape() == Shape{m, full ? m : k});
      CHECK(skewness(q) < 1e-13);
      CHECK(distance(matmul(q, r), a) < 1e-13);
    }
    auto [p, l, u] = linalg::lu(a);
    CHECK(distance(matmul(matmul(p, l), u), a) < 1e-13);
    CHECK(amax(abs(l)).item() == 1);  // the pivot is the largest
    // Penrose's four conditions
    Tensor inverse = linalg::pinv(a), left = matmul(inverse, a), right = matmul(a, inverse);
    CHECK(distance(matmul(a, left), a) < 1e-12);
    CHECK(distance(matmul(inverse, right), inverse) < 1e-12);
    CHECK(distance(left, left.t()) < 1e-12);
    CHECK(distance(right, right.t()) < 1e-12);
  }
  Tensor a = symmetric(random({2, 3, 5, 5}, 8));
  auto [values, v] = linalg::eigh(a);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 3; ++j) {
      CHECK(distance(matmul(v[{i, j}] * values[{i, j}], v[{i, j}].t()), a[{i, j}]) < 1e-13);
    }
  }
  CHECK(distance(linalg::eigvalsh(a), values) < 1e-13);
}

TEST_CASE("only the triangle that is meant is read", "[linalg]") {
  Tensor a = positive(4, 9), lower = a.clone(), upper = a.clone();
  lower[{0, 3}].fill_(kNan);
  upper[{3, 0}].fill_(kNan);
  CHECK(distance(linalg::cholesky(lower), linalg::cholesky(a)) == 0);
  CHECK(distance(linalg::cholesky(upper, true), linalg::cholesky(a, true)) == 0);
  CHECK(distance(linalg::eigvalsh(lower), linalg::eigvalsh(a)) == 0);
  CHECK(distance(linalg::eigvalsh(upper, "U"), linalg::eigvalsh(a, "U")) == 0);
  Tensor b = ones({4, 1}, DType::float64);
  CHECK(distance(linalg::solve_triangular(lower, b, false), linalg::solve_triangular(a, b, false)) == 0);
}

// ## Derivatives
//
// Functions of symmetric matrices are differentiated through (X + Xᵀ) / 2; of singular vectors and eigenvectors only what
// does not depend on their signs.
TEST_CASE("derivatives of matrix functions agree with finite differences", "[linalg]") {
  Tensor spd = positive(3, 11), batch = stack({positive(3, 12), positive(3, 13)});
  Tensor square = random({3, 3}, 14), tall = random({4, 3}, 15), wide = random({3, 4}, 16);
  check_derivatives(
      "cholesky", [](const Tensor& x) { return linalg::cholesky(symmetric(x)); }, spd);
  check_derivatives(
      "cholesky, upper", [](const Tensor& x) { return linalg::cholesky(symmetric(x), true); }, batch);
  check_derivatives(
      "cholesky_inverse", [](const Tensor& x) { return cholesky_inverse(linalg::cholesky(symmetric(x))); }, spd);
  check_derivatives(
      "cholesky_solve",
      [&](const Tensor& x) { return cholesky_solve(tall.t(), linalg::cholesky(symmetric(x), true), true); }, spd);
  check_derivatives(
      "eigvalsh", [](const Tensor& x) { return linalg::eigvalsh(symmetric(x)); }, spd);
  auto root = [](const char* uplo) {
    return [uplo](const Tensor& x) {
      auto [l, v] = linalg::eigh(symmetric(x), uplo);
      return linalg::matrix_norm(matmul(v * sqrt(l), v.t())) * matmul(v * sqrt(l), v.t());
    };
  };
  check_derivatives("square root by eigh", root("L"), spd);
  check_derivatives("square root by eigh, upper", root("U"), spd);
  auto by_svd = [](bool full) {
    return [full](const Tensor& x) {
      auto [u, s, vh] = linalg::svd(x, full);
      int64_t k = s.size(-1);
      return matmul(u.narrow(1, 0, k) * exp(s), vh.narrow(0, 0, k));
    };
  };
  check_derivatives("U f(S) V, square", by_svd(false), square);
  check_derivatives("U f(S) V, tall", by_svd(false), tall);
  check_derivatives("U f(S) V, wide, full", by_svd(true), wide);
  check_derivatives(
      "the nuclear norm", [](const Tensor& x) { return linalg::norm(x, "nuc"); }, tall);
  check_derivatives(
      "pinv, hermitian", [](const Tensor& x) { return linalg::pinv(symmetric(x), {}, {}, true); }, spd);
  for (linalg::Ord p : {linalg::Ord(1), linalg::Ord(-1), linalg::Ord(kInf), linalg::Ord("fro"), linalg::Ord("nuc")}) {
    check_derivatives(
        "cond", [p](const Tensor& x) { return linalg::cond(x, p); }, spd);
  }
  check_derivatives(
      "tensorinv", [](const Tensor& x) { return linalg::tensorinv(x, 1); }, random({4, 2, 2}, 17));
  check_derivatives(
      "tensorsolve", [](const Tensor& x) { return linalg::tensorsolve(x, ones({4}, DType::float64)); },
      random({4, 2, 2}, 18));
  check_derivatives(
      "qr, wide", [](const Tensor& x) { return linalg::qr(x).second; }, wide);
  // Of constant rank 2: x is (4, 2) times a constant.
  Tensor other = random({2, 3}, 19);
  check_derivatives(
      "pinv of a singular matrix", [&](const Tensor& x) { return linalg::pinv(matmul(x, other), 1e-10); },
      random({4, 2}, 20));
}

TEST_CASE("a singular matrix has a determinant with all its derivatives", "[linalg]") {
  auto det = [](const Tensor& x) { return linalg::det(x); };
  check_derivatives("rank 2 of 3", det, tensor({{1, 2, 3}, {2, 4, 6}, {1, 0, 1}}, DType::float64));
  check_derivatives("rank 1 of 3", det, tensor({{1, 2, 4}, {2, 4, 8}, {0, 0, 0}}, DType::float64));
  check_derivatives("nothing", det, zeros({2, 2}, DType::float64));
  Tensor x = tensor({{1, 2}, {2, 4}}, DType::float64).requires_grad_();
  CHECK(distance(grad(linalg::det(x), x), tensor({{4, -2}, {-2, 1}}, DType::float64)) < 1e-14);
}

TEST_CASE("values have a derivative where vectors have none", "[linalg]") {
  Tensor x = eye(3, DType::float64).requires_grad_();
  CHECK(distance(grad(sum(linalg::svdvals(x)), x), eye(3, DType::float64)) == 0);
  CHECK(distance(grad(sum(linalg::eigvalsh(x)), x), eye(3, DType::float64)) == 0);
  auto [u, s, vh] = linalg::svd(x);
  CHECK(!(std::isfinite(sum(grad(sum(u * vh * 2), x)).item())));
}

// ## Bad matrices
TEST_CASE("linear algebra says what is wrong, and with which matrix", "[linalg]") {
  Tensor one = eye(3, DType::float64), bad = one.clone();
  bad[{1, 1}].fill_(-1.0);
  Tensor singular = tensor({{1, 2}, {2, 4}}, DType::float64);
  CHECK_THROWS_WITH(linalg::cholesky(bad), "linalg.cholesky: the matrix (3, 3) is not positive definite (pivot 2)");
  CHECK_THROWS_WITH(linalg::cholesky(stack({one, one, one, bad})),
                    "linalg.cholesky: matrix 3 of the batch (4, 3, 3) is not positive definite (pivot 2)");
  CHECK_THROWS_WITH(linalg::cholesky(stack({one, bad, one, bad}).reshape({2, 2, 3, 3}), true),
                    "linalg.cholesky: matrix (0, 1) of the batch (2, 2, 3, 3) is not positive definite (pivot 2)");
  CHECK_THROWS_AS(linalg::cholesky(bad), LinAlgError);
  CHECK(linalg::cholesky_ex(bad).second.item<int64_t>() == 2);
  CHECK_THROWS_WITH(linalg::inv(singular), "linalg.inv: the matrix (2, 2) is singular (pivot 2)");
  CHECK_THROWS_WITH(linalg::solve(stack({eye(2, DType::float64), singular}), zeros({2}, DType::float64)),
                    "linalg.solve: matrix 1 of the batch (2, 2, 2) is singular (pivot 2)");
  CHECK_THROWS_WITH(linalg::tensorinv(singular, 1), ContainsSubstring("singular"));
  CHECK(linalg::inv_ex(singular).second.item<int64_t>() == 2);
  CHECK(linalg::slogdet(singular).second.item() == -kInf);
  CHECK(linalg::cond(singular, 1).item() == kInf);
  CHECK(linalg::matrix_rank(singular).item<int64_t>() == 1);
  CHECK(std::isnan(logdet(tensor({{0, 1}, {1, 0}}, DType::float64)).item()));

  for (double what : {kNan, kInf, -kInf}) {
    for (int64_t n : {1, 2, 3, 20}) {
      Tensor x = random({n, n}, 21);
      x[{n - 1, 0}].fill_(what);
      CHECK_THROWS_WITH(linalg::svd(x), ContainsSubstring("linalg.svd") &&
                                            ContainsSubstring("did not converge: it holds infinities or NaN"));
      CHECK_THROWS_AS(linalg::eigh(x), LinAlgError);
      CHECK_THROWS_AS(linalg::svdvals(x), LinAlgError);
      CHECK_THROWS_AS(linalg::pinv(x), LinAlgError);
      linalg::inv_ex(x), linalg::qr(x), linalg::det(x), matrix_exp(x), linalg::lu(x);  // end
    }
  }
  CHECK_THROWS_AS(linalg::cholesky(zeros({2, 2}) + kNan), LinAlgError);

  CHECK_THROWS_WITH(linalg::inv(zeros({2, 3})), "linalg.inv: needs square matrices (…, n, n), got shape (2, 3)");
  CHECK_THROWS_WITH(linalg::det(zeros({3})),
                    ContainsSubstring("linalg.det: needs a matrix (m, n)") && ContainsSubstring("(3,)"));
  CHECK_THROWS_WITH(linalg::svd(arange(4).reshape({2, 2})),
                    ContainsSubstring("linalg.svd: needs a floating-point tensor, got int64"));
  CHECK_THROWS_WITH(linalg::solve(one, zeros({2}, DType::float64)),
                    "linalg.solve: A (3, 3) and B (2,) do not fit: B must have 3 rows");
  CHECK_THROWS_WITH(linalg::solve(one, zeros({3, 2}, DType::float64), false), ContainsSubstring("3 columns"));
  CHECK_THROWS_AS(linalg::solve(one, zeros({3})), DTypeError);
  CHECK_THROWS_AS(linalg::solve(one.expand({2, 3, 3}), zeros({5, 3, 1}, DType::float64)), ShapeError);
  CHECK_THROWS_AS(linalg::solve_triangular(one, zeros({2, 1}, DType::float64), true), ShapeError);
  CHECK_THROWS_AS(linalg::lstsq(one, zeros({2, 1}, DType::float64)), ShapeError);
  CHECK_THROWS_WITH(linalg::qr(one, "half"), ContainsSubstring("reduced"));
  CHECK_THROWS_WITH(linalg::eigh(one, "X"), ContainsSubstring("neither \"L\" nor \"U\""));
  CHECK_THROWS_WITH(linalg::matrix_norm(one, 3),
                    "linalg.matrix_norm: order 3 is none of ±1, ±2, ±inf, \"fro\", \"nuc\"");
  CHECK_THROWS_AS(linalg::matrix_norm(one, "max"), Error);
  CHECK_THROWS_AS(linalg::matrix_norm(one, "fro", {0, 0}), IndexError);
  CHECK_THROWS_AS(linalg::matrix_norm(one, "fro", {0}), ShapeError);
  CHECK_THROWS_AS(linalg::norm(one, "fro", {0}), Error);
  CHECK_THROWS_WITH(linalg::vector_norm(zeros({0}), -1), ContainsSubstring("order -1") && ContainsSubstring("(0,)"));
  CHECK_THROWS_AS(linalg::vector_norm(arange(3)), DTypeError);
  CHECK_THROWS_AS(linalg::lu_solve(one, tensor({1, 2, 4}), one), IndexError);
  CHECK_THROWS_AS(linalg::lu_solve(one, tensor({0, 2, 3}), one), IndexError);
  CHECK_THROWS_AS(linalg::householder_product(one, zeros({4}, DType::float64)), ShapeError);
  CHECK_THROWS_AS(ormqr(one, zeros({3}, DType::float64), zeros({2, 2}, DType::float64)), ShapeError);
  CHECK_THROWS_AS(linalg::tensorinv(zeros({2, 3}), 1), ShapeError);
  CHECK_THROWS_AS(linalg::tensorinv(zeros({2, 2}), 3), IndexError);
  CHECK_THROWS_AS(linalg::tensorsolve(zeros({2, 3}), zeros({2})), ShapeError);
  CHECK_THROWS_AS(linalg::vander(zeros({3}), 1), ShapeError);
  CHECK_THROWS_AS(linalg::diagonal(one, 0, 1, 1), IndexError);
  CHECK_THROWS_AS(linalg::pinv(one, zeros({4}, DType::float64)), ShapeError);

  Tensor tall = random({4, 2}, 22).requires_grad_();
  CHECK_THROWS_AS(grad(sum(linalg::qr(tall, "complete").first), tall), AutogradError);
  CHECK_THROWS_AS(grad(sum(linalg::qr(tall, "r").second), tall), AutogradError);
}

TEST_CASE("the exponential of large and small matrices", "[linalg]") {
  // exp [0 -t; t 0] turns by the angle t.
  for (double t : {1e-9, 0.5, 20.0, 1000.0}) {
    Tensor a = tensor({{0, -1}, {1, 0}}, DType::float64) * t;
    Tensor want = tensor({{std::cos(t), -std::sin(t)}, {std::sin(t), std::cos(t)}}, DType::float64);
    CHECK(distance(matrix_exp(a), want) < 1e-15 * std::max(100.0, 20 * t));
  }
  Tensor x = random({5, 5}, 23), both = stack({x, x * 100});
  CHECK(distance(matrix_exp(both)[0], matrix_exp(x)) == 0);  // no matrix of a batch changes another
  CHECK(distance(matmul(matrix_exp(x), matrix_exp(-x)), eye(5, DType::float64)) < 1e-12);
}

#if CHAINRULE_LAPACK
TEST_CASE("Armadillo's matrices share a tensor's memory", "[linalg]") {
  Tensor t = arange(6).to(DType::float64).reshape({2, 3});
  arma::mat m = as_arma<double>(t);
  CHECK(m.n_rows == 3);
  CHECK(m.n_cols == 2);
  CHECK(m.memptr() == t.data<double>());
  CHECK(m(2, 1) == t[{1, 2}].item());
  m(0, 1) = 30;
  CHECK(t[{1, 0}].item() == 30);
  CHECK(difference(from_arma(m), t) == "");
  CHECK(from_arma(m).data<double>() != t.data<double>());
  CHECK(difference(from_arma(arma::mat(m.t())).t().contiguous(), t) == "");
  Tensor v = arange(4).to(DType::float32);
  CHECK(as_arma<float>(v).n_rows == 4);
  CHECK(as_arma<float>(zeros({0, 3})).n_cols == 0);

  // A write that a derivative would have to know of is noticed; reading is none.
  Tensor x = ones({2, 2}, DType::float64).requires_grad_(), y = x * 2, loss = sum(y * y);
  CHECK(arma::accu(as_arma<const double>(y)) == 8);
  CHECK(sum(grad(loss, x, {.retain_graph = true})).item() == 32);
  as_arma<double>(y).fill(0);
  CHECK_THROWS_AS(grad(loss, x), AutogradError);

  CHECK_THROWS_AS(as_arma<double>(t.t()), ShapeError);
  CHECK_THROWS_AS(as_arma<double>(zeros({1, 2, 2}, DType::float64)), ShapeError);
  CHECK_THROWS_AS(as_arma<double>(zeros({})), ShapeError);
  CHECK_THROWS_AS(as_arma<float>(t), DTypeError);
  CHECK_THROWS_AS(as_arma<double>(arange(3)), DTypeError);
}
#endif
