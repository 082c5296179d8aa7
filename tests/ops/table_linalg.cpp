#include "op_table.hpp"

namespace cr::test {
namespace {

// A norm's order: a number, or "fro" or "nuc".
std::optional<linalg::Ord> ord(const Json& j) {
  if (j.is_null()) return {};
  if (j.is_string()) return linalg::Ord(j.get<std::string>().c_str());
  return linalg::Ord(number(j));
}
double order(const Json& j) { return j.is_string() ? throw Unsupported("ord " + j.dump()) : number(j); }

// A tolerance: nothing, a number or a tensor.
Tensor tolerance(const std::optional<Operand>& t) {
  if (!t) return {};
  return t->is_tensor() ? t->tensor() : full({}, t->scalar(), DType::float64);
}

void with_pivoting(bool pivot) {
  if (!pivot) throw Unsupported("LU without pivoting");
}

// Which of its results a driver of PyTorch's `lstsq` returns.
Outputs least_squares(Tensor a, Tensor b, std::optional<double> rcond, std::optional<std::string> driver) {
  linalg::LeastSquares y = linalg::lstsq(a, b, rcond);
  std::string name = driver.value_or("gelsy");  // ("gelsy" says nothing of residuals)
  Tensor none = zeros({0}, a.dtype(), a.device());
  bool ranked = name != "gels", values = name == "gelsd" || name == "gelss";
  return {y.solution, name == "gelsy" ? none : y.residuals, ranked ? y.rank : none.to(DType::int64),
          values ? y.singular_values : none};
}

}  // namespace

Table linalg_ops() {
  using Maybe = std::optional<Operand>;
  using Type = std::optional<DType>;
  return {
      {"linalg.cholesky", "A upper=false", linalg::cholesky},
      {"linalg.cholesky_ex", "A upper=false check_errors=false", linalg::cholesky_ex},
      {"cholesky_solve", "B L upper=false", cholesky_solve},
      {"cholesky_inverse", "L upper=false", cholesky_inverse},
      {"linalg.inv", "A", linalg::inv},
      {"linalg.inv_ex", "A check_errors=false", linalg::inv_ex},
      {"inverse", "input", inverse},
      {"linalg.det", "A", linalg::det},
      {"det", "input", det},
      {"linalg.slogdet", "A", linalg::slogdet},
      {"slogdet", "input", slogdet},
      {"logdet", "input", logdet},
      {"linalg.solve", "A B left=true", linalg::solve},
      {"linalg.solve_ex", "A B left=true check_errors=false", linalg::solve_ex},
      {"linalg.solve_triangular", "A B upper left=true unitriangular=false", linalg::solve_triangular},
      {"triangular_solve", "b A upper=true transpose=false unitriangular=false",
       [](Tensor b, Tensor a, bool upper, bool transpose, bool unit) {
         return Outputs{triangular_solve(b, a, upper, transpose, unit), a.clone()};
       }},
      {"linalg.lu", "A pivot=true",
       [](Tensor a, bool pivot) {
         with_pivoting(pivot);
         return linalg::lu(a);
       }},
      {"linalg.lu_factor", "A pivot=true",
       [](Tensor a, bool pivot) {
         with_pivoting(pivot);
         return linalg::lu_factor(a);
       }},
      {"linalg.lu_factor_ex", "A pivot=true check_errors=false",
       [](Tensor a, bool pivot, bool check) {
         with_pivoting(pivot);
         return linalg::lu_factor_ex(a, check);
       }},
      {"lu", "A pivot=true get_infos=false",
       [](Tensor a, bool pivot, bool infos) {
         with_pivoting(pivot);
         Outputs y = outputs(linalg::lu_factor_ex(a));
         if (!infos) y.pop_back();
         return y;
       }},
      {"linalg.lu_solve", "LU pivots B left=true adjoint=false", linalg::lu_solve},
      {"lu_solve", "b LU_data LU_pivots", [](Tensor b, Tensor lu, Tensor pivots) { return lu_solve(b, lu, pivots); }},
      {"lu_unpack", "LU_data LU_pivots unpack_data=true unpack_pivots=true", lu_unpack},
      {"linalg.svd", "A full_matrices=true driver=null",
       [](Tensor a, bool full, Json) { return linalg::svd(a, full); }},
      {"linalg.svdvals", "A driver=null", [](Tensor a, Json) { return linalg::svdvals(a); }},
      {"svd", "input some=true compute_uv=true", [](Tensor a, bool some, bool uv) { return svd(a, some, uv); }},
      {"linalg.eigh", "A UPLO=\"L\"", linalg::eigh},
      {"linalg.eigvalsh", "A UPLO=\"L\"", linalg::eigvalsh},
      {"linalg.qr", "A mode=\"reduced\"", [](Tensor a, std::string mode) { return linalg::qr(a, mode); }},
      {"geqrf", "input", geqrf},
      {"ormqr", "input tau other left=true transpose=false", ormqr},
      {"linalg.householder_product", "A tau", linalg::householder_product},
      {"linalg.pinv", "A rtol=null hermitian=false atol=null rcond=null",
       [](Tensor a, Maybe rtol, bool hermitian, Maybe atol, Maybe rcond) {
         return linalg::pinv(a, tolerance(atol), tolerance(rtol ? rtol : rcond), hermitian);
       }},
      {"pinverse", "input rcond=1e-15", pinverse},
      {"linalg.lstsq", "A B rcond=null driver=null", least_squares},
      {"linalg.matrix_rank", "A tol=null hermitian=false atol=null rtol=null",
       [](Tensor a, Maybe tol, bool hermitian, Maybe atol, Maybe rtol) {
         if (tol) return linalg::matrix_rank(a, tolerance(tol), Tensor(0.0), hermitian);
         return linalg::matrix_rank(a, tolerance(atol), tolerance(rtol), hermitian);
       }},
      {"linalg.cond", "A p=null", [](Tensor a, Json p) { return linalg::cond(a, ord(p)); }},
      {"linalg.norm", "A ord=null dim=null keepdim=false dtype=null",
       [](Tensor x, Json p, Dims dim, bool keep, Type t) { return linalg::norm(x, ord(p), dim, keep, t); }},
      {"linalg.vector_norm", "x ord=2 dim=null keepdim=false dtype=null",
       [](Tensor x, Json p, Dims dim, bool keep, Type t) { return linalg::vector_norm(x, order(p), dim, keep, t); }},
      {"linalg.matrix_norm", "A ord=\"fro\" dim=[-2,-1] keepdim=false dtype=null",
       [](Tensor x, Json p, Dims dim, bool keep, Type t) { return linalg::matrix_norm(x, *ord(p), dim, keep, t); }},
      {"linalg.matrix_exp", "A", linalg::matrix_exp},
      {"matrix_exp", "A", matrix_exp},
      {"linalg.diagonal", "A offset=0 dim1=-2 dim2=-1", linalg::diagonal},
      {"linalg.vander", "x N=null",
       [](Tensor x, std::optional<int64_t> n) { return linalg::vander(x, n.value_or(-1)); }},
      {"linalg.tensorinv", "A ind=2", linalg::tensorinv},
      {"linalg.tensorsolve", "A B dims=null", linalg::tensorsolve},
  };
}

}  // namespace cr::test
