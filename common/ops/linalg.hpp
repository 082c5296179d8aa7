// # Linear algebra
//
// Solving, factorising and measuring matrices, in PyTorch's namespace `linalg`. All work on float32 or float64 matrices in
// the last two dimensions; the dimensions before, written …, are a batch. All are differentiable, to any order, unless it
// says otherwise.
//
// Errors: ShapeError for matrices that are not square or do not fit, DTypeError for other element types, LinAlgError
// naming the matrix of the batch that is singular or not positive definite, or for which an iteration did not converge,
// as happens if it holds a NaN. The numbers come from LAPACK, on one thread, or in a build without it from
// `backend/cpu/small_lapack.hpp`.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "tensor/tensor.hpp"

namespace cr::linalg {

// ## Systems of equations
//
// X with A X = B (or X A = B, not `left`). A is (…, n, n), B is (…, n, k), and batches broadcast; B is a vector (…, n) if it
// has one dimension or exactly A's batch. The forms ending in _ex do not throw for a singular A: they return, beside a
// result that is then of no use, `info` (…): 0, or the place of the zero pivot, from 1.
Tensor solve(const Tensor& a, const Tensor& b, bool left = true);
std::pair<Tensor, Tensor> solve_ex(const Tensor& a, const Tensor& b, bool left = true, bool check_errors = false);
Tensor inv(const Tensor& a);
std::pair<Tensor, Tensor> inv_ex(const Tensor& a, bool check_errors = false);

// The same for a triangular A, of which the other triangle, and the diagonal too if `unitriangular`, is not read. A zero on
// the diagonal gives infinities.
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left = true, bool unitriangular = false);

// X (…, n, k) that makes ‖A X - B‖ smallest, and itself where several do. A is (…, m, n); B is (…, m, k) or, as for `solve`,
// a vector. Residuals ‖A X - B‖² of each column, (…, k), if m > n and all ranks are full, else empty. `rcond`: singular
// values below rcond times the largest count as 0; default: machine epsilon times max(m, n).
struct LeastSquares {
  Tensor solution, residuals, rank, singular_values;
};
LeastSquares lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond = {});

// A⁺ (…, n, m), the Moore-Penrose inverse. Singular values up to max(atol, rtol · the largest) count as 0; atol and rtol are
// numbers or, for a batch, tensors (…). Default: atol 0, and rtol machine epsilon times max(m, n) where atol is 0.
// `hermitian`: A is symmetric; only its lower triangle is read.
Tensor pinv(const Tensor& a, const Tensor& atol = {}, const Tensor& rtol = {}, bool hermitian = false);
Tensor pinv(const Tensor& a, double rtol, bool hermitian = false);

// For A of shape q + p, `ind` = |q|, and prod q = prod p: the inverse of A as a map from p to q. Shape p + q.
Tensor tensorinv(const Tensor& a, int64_t ind = 2);
// X with tensordot(A, X, X.dim()) = B; `dims` of A are moved to its end first.
Tensor tensorsolve(const Tensor& a, const Tensor& b, Dims dims = {});

// ## Factorisations
//
// A = L Lᵀ with L lower triangular, or A = Uᵀ U. A is symmetric positive definite; only that triangle of it is read, and the
// gradient is symmetric. cholesky_ex: (L, info); info is the first pivot, from 1, that is not positive.
Tensor cholesky(const Tensor& a, bool upper = false);
std::pair<Tensor, Tensor> cholesky_ex(const Tensor& a, bool upper = false, bool check_errors = false);

// A (…, m, n) = P L U by Gaussian elimination with row exchanges. lu_factor: L and U in one matrix (L's diagonal, all ones,
// is left out) and the exchanges (…, min(m, n)): row i with row pivots[i] - 1, one after another. lu_solve takes them.
std::tuple<Tensor, Tensor, Tensor> lu(const Tensor& a);
std::pair<Tensor, Tensor> lu_factor(const Tensor& a);
std::tuple<Tensor, Tensor, Tensor> lu_factor_ex(const Tensor& a, bool check_errors = false);
Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left = true, bool adjoint = false);

// A (…, m, n) = Q R, Q with orthonormal columns, R upper triangular. mode "reduced": Q is (…, m, k), k = min(m, n);
// "complete": (…, m, m); "r": Q is empty. Differentiable where the first k columns of A are independent, for "reduced" and
// square Q; AutogradError from the derivative of others.
std::pair<Tensor, Tensor> qr(const Tensor& a, const std::string& mode = "reduced");

// Symmetric A = V diag(λ) Vᵀ: eigenvalues (…, n), ascending, and eigenvectors as columns. Only the lower triangle is read
// (uplo "L"), or the upper ("U"). An eigenvector is defined up to its sign, and several with one eigenvalue up to a
// rotation: the derivative of what depends on such a choice is infinite or NaN, as in PyTorch. Eigenvalues alone always
// have one.
std::pair<Tensor, Tensor> eigh(const Tensor& a, const std::string& uplo = "L");
Tensor eigvalsh(const Tensor& a, const std::string& uplo = "L");

// A (…, m, n) = U diag(S) Vh: singular values descending. U is (…, m, m) and Vh (…, n, n), or if not `full_matrices`
// (…, m, k) and (…, k, n), k = min(m, n). The signs and rotations of eigh; further, the derivative counts only the first k
// columns of U and rows of Vh.
std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& a, bool full_matrices = true);
Tensor svdvals(const Tensor& a);

// The first n columns of H₁ H₂ …, Hᵢ = I - τᵢ vᵢ vᵢᵀ: vᵢ is column i of A (…, m, n) below a 1 on the diagonal, tau is (…, k).
Tensor householder_product(const Tensor& a, const Tensor& tau);

// ## Numbers about a matrix
Tensor det(const Tensor& a);                         // (…)
std::pair<Tensor, Tensor> slogdet(const Tensor& a);  // its sign, which has no gradient, and ln |det|

// How many singular values exceed max(atol, rtol · the largest). int64, (…). Tolerances as for pinv.
Tensor matrix_rank(const Tensor& a, const Tensor& atol = {}, const Tensor& rtol = {}, bool hermitian = false);
Tensor matrix_rank(const Tensor& a, double atol, bool hermitian = false);

// ## Norms
//
// Which norm: a number p, infinite ones included, or "fro" or "nuc".
struct Ord {
  Ord(int p) : p(p) {}
  Ord(double p) : p(p) {}
  Ord(const char* name);  // throws Error for another name
  enum class Kind { number, fro, nuc } kind = Kind::number;
  double p = 2;
};

// (Σ |x|ᵖ)^(1/p) over `dim`, or all; for p = ∞ and -∞ the largest and smallest |x|, for 0 how many are not 0. `dtype`: x is
// converted first.
Tensor vector_norm(const Tensor& x, double ord = 2, Dims dim = {}, bool keepdim = false,
                   std::optional<DType> dtype = {});

// Of the matrices in the dimensions `dim` = (rows, columns). "fro": √Σ a². "nuc": Σ singular values. 2 and -2: the largest
// and smallest singular value. 1 and -1: the largest and smallest column's Σ |a|. ∞ and -∞: the same of rows.
Tensor matrix_norm(const Tensor& a, Ord ord = "fro", Dims dim = {-2, -1}, bool keepdim = false,
                   std::optional<DType> dtype = {});

// vector_norm if `dim` names one dimension, or none and x is a vector; matrix_norm likewise for two. Without `ord`, the
// 2-norm of all that `dim` names.
Tensor norm(const Tensor& x, std::optional<Ord> ord = {}, Dims dim = {}, bool keepdim = false,
            std::optional<DType> dtype = {});

// ‖A‖ ‖A⁻¹‖; default: the 2-norm. ∞ for a singular matrix.
Tensor cond(const Tensor& a, std::optional<Ord> p = {});

// ## Others
Tensor matrix_exp(const Tensor& a);  // I + A + A²/2! + A³/3! + …

// A view of the diagonal `offset` places above the main one, of the matrices in dim1 and dim2; its own dimension is last.
Tensor diagonal(const Tensor& a, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);

// (…, n) → (…, n, N): the powers 0 … N - 1 of each number; N < 0: as many as there are numbers.
Tensor vander(const Tensor& x, int64_t n = -1);

}  // namespace cr::linalg

namespace cr {

// ## PyTorch's names outside of `linalg`
using linalg::det;
using linalg::matrix_exp;
using linalg::slogdet;
Tensor inverse(const Tensor& a);                         // linalg::inv
Tensor logdet(const Tensor& a);                          // NaN where the determinant is negative
Tensor pinverse(const Tensor& a, double rcond = 1e-15);  // linalg::pinv with this rtol

// X with L Lᵀ X = B, and (L Lᵀ)⁻¹, from a Cholesky factor L, or U if `upper`.
Tensor cholesky_solve(const Tensor& b, const Tensor& l, bool upper = false);
Tensor cholesky_inverse(const Tensor& l, bool upper = false);

// The same for a triangular matrix A, or its transpose, and for what lu_factor gave.
Tensor triangular_solve(const Tensor& b, const Tensor& a, bool upper = true, bool transpose = false,
                        bool unitriangular = false);
Tensor lu_solve(const Tensor& b, const Tensor& lu, const Tensor& pivots);
// P, L and U from what lu_factor gave; those not wanted are empty.
std::tuple<Tensor, Tensor, Tensor> lu_unpack(const Tensor& lu, const Tensor& pivots, bool unpack_data = true,
                                             bool unpack_pivots = true);

// U, S and V (not Vᵀ); `some`: U and V have min(m, n) columns. Without compute_uv they are zeros.
std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& a, bool some = true, bool compute_uv = true);

// Householder's vectors and R in one matrix, and tau: what householder_product and ormqr take. No gradient.
std::pair<Tensor, Tensor> geqrf(const Tensor& a);
// Q C, Qᵀ C, C Q or C Qᵀ with the whole square Q of those vectors.
Tensor ormqr(const Tensor& a, const Tensor& tau, const Tensor& c, bool left = true, bool transpose = false);

}  // namespace cr
