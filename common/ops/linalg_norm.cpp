// # Norms, and what is measured with them
#include <cmath>
#include <cstdio>

#include "ops/detail/dims.hpp"
#include "ops/linalg_parts.hpp"
#include "ops/statistics.hpp"

namespace cr::linalg {

Ord::Ord(const char* name) {
  std::string given = name;
  if (given != "fro" && given != "nuc")
    throw Error("norm: ord \"" + given + "\" is neither a number nor \"fro\" or \"nuc\"");
  kind = given == "fro" ? Kind::fro : Kind::nuc;
}

// ## Of vectors
namespace {

std::string written(double p) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", p);
  return text;
}

}  // namespace

Tensor vector_norm(const Tensor& given, double p, Dims dim, bool keepdim, std::optional<DType> dtype) {
  const char* op = "linalg.vector_norm";
  Tensor x = dtype ? given.to(*dtype) : given;
  if (!is_floating(x.dtype()))
    throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(x.dtype()));
  Dims dims = cr::detail::wrap_dims(x, dim, op);
  if (cr::detail::count(x, dims) == 0 && (p < 0 || std::isinf(p))) {
    throw ShapeError(std::string(op) + ": no numbers to take the norm of order " + written(p) + " of in shape " +
                     to_string(x.shape()));
  }
  return cr::norm(x, p, dims, keepdim);
}

// ## Of matrices
Tensor matrix_norm(const Tensor& given, Ord ord, Dims dim, bool keepdim, std::optional<DType> dtype) {
  const char* op = "linalg.matrix_norm";
  Tensor a = dtype ? given.to(*dtype) : given;
  check_matrix(op, a);
  if (dim.size() != 2) throw ShapeError(std::string(op) + ": dim must name two dimensions, got " + to_string(dim));
  int rows = wrap_dim(dim[0], a.dim(), op), columns = wrap_dim(dim[1], a.dim(), op);
  if (rows == columns) throw IndexError(std::string(op) + ": dimension " + std::to_string(rows) + " is named twice");
  if (ord.kind == Ord::Kind::fro) return vector_norm(a, 2, {rows, columns}, keepdim);
  // The matrices last, for the others.
  Dims order;
  for (int d = 0; d < a.dim(); ++d) {
    if (d != rows && d != columns) order.push_back(d);
  }
  order.push_back(rows);
  order.push_back(columns);
  a = a.permute(order);
  Tensor y;
  double p = std::abs(ord.p);
  if (ord.kind == Ord::Kind::nuc) {
    y = sum(svdvals(a), {-1});
  } else if (p == 2 || p == 1 || std::isinf(p)) {
    Tensor values = p == 2 ? svdvals(a) : sum(abs(a), {p == 1 ? -2 : -1});
    y = ord.p > 0 ? amax(values, {-1}) : amin(values, {-1});
  } else {
    throw Error(std::string(op) + ": order " + written(ord.p) + " is none of ±1, ±2, ±inf, \"fro\", \"nuc\"");
  }
  if (!keepdim) return y;
  return y.unsqueeze(std::min(rows, columns)).unsqueeze(std::max(rows, columns));
}

Tensor norm(const Tensor& x, std::optional<Ord> ord, Dims dim, bool keepdim, std::optional<DType> dtype) {
  if (!ord) return vector_norm(x, 2, dim, keepdim, dtype);
  int count = dim.empty() ? x.dim() : dim.size();
  if (count == 2) return matrix_norm(x, *ord, dim.empty() ? Dims{0, 1} : dim, keepdim, dtype);
  if (count != 1) {
    throw ShapeError("linalg.norm: with ord, dim must name one or two dimensions; shape " + to_string(x.shape()) +
                     ", dim " + to_string(dim));
  }
  if (ord->kind != Ord::Kind::number) throw Error("linalg.norm: \"fro\" and \"nuc\" are norms of matrices");
  return vector_norm(x, ord->p, dim, keepdim, dtype);
}

Tensor cond(const Tensor& a, std::optional<Ord> p) {
  check_matrix("linalg.cond", a);
  Ord ord = p.value_or(2);
  if (ord.kind == Ord::Kind::number && std::abs(ord.p) == 2) {
    if (a.numel() == 0) return zeros(batch_of(a), a.dtype(), a.device());
    Tensor s = svdvals(a), largest = s.select(-1, 0), smallest = s.select(-1, -1);
    return ord.p > 0 ? largest / smallest : smallest / largest;
  }
  check_square("linalg.cond", a);
  if (a.numel() == 0) return zeros(batch_of(a), a.dtype(), a.device());
  auto [inverse, info] = inv_ex(a);
  Tensor y =
      matrix_norm(a, ord) * matrix_norm(where((info != 0).unsqueeze(-1).unsqueeze(-1), zero_like(a), inverse), ord);
  return where(info != 0, full({}, HUGE_VAL, a.dtype(), a.device()), y);
}

Tensor matrix_rank(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
  const char* op = "linalg.matrix_rank";
  check_matrix(op, a);
  Tensor s = without_graph([&] { return hermitian ? abs(eigvalsh(a)) : svdvals(a); });
  Tensor small = is_small(op, s, atol, rtol, std::max(a.size(-2), a.size(-1)));
  return sum((small == 0).to(DType::int64), {-1});
}
Tensor matrix_rank(const Tensor& a, double atol, bool hermitian) {
  return matrix_rank(a, Tensor(atol), Tensor(0.0), hermitian);
}

// ## The exponential of a matrix
//
// A / 2ˢ is small enough for the quotient of two polynomials (Padé's, of degree 13), whose s-th square is eᴬ. (Higham 2005,
// "The scaling and squaring method for the matrix exponential revisited")
static Tensor exponential(const Tensor& a) {
  constexpr double kTheta = 5.371920351148152;
  constexpr double c[] = {64764752532480000,
                          32382376266240000,
                          7771770303897600,
                          1187353796428800,
                          129060195264000,
                          10559470521600,
                          670442572800,
                          33522128640,
                          1323241920,
                          40840800,
                          960960,
                          16380,
                          182,
                          1};
  Tensor norms = matrix_norm(a, 1).to(Device::cpu).to(DType::float64).contiguous();
  std::vector<double> squarings, scales;
  for (double size : norms.span<double>()) {
    double x = size / kTheta;
    squarings.push_back(std::isfinite(x) && x > 1 ? std::ceil(std::log2(x)) : 0);
    scales.push_back(std::exp2(-squarings.back()));
  }
  double most = *std::max_element(squarings.begin(), squarings.end());
  auto each = [&](const std::vector<double>& numbers) {  // one a matrix
    return from_span(std::span<const double>(numbers), with(norms.shape(), {1, 1})).to(a.dtype()).to(a.device());
  };
  Tensor x = a * each(scales), steps = each(squarings);
  Tensor eye = identity(a, a.size(-1), a.size(-1));
  Tensor x2 = matmul(x, x), x4 = matmul(x2, x2), x6 = matmul(x4, x2);
  Tensor odd = matmul(x6, x6 * c[13] + x4 * c[11] + x2 * c[9]) + x6 * c[7] + x4 * c[5] + x2 * c[3] + eye * c[1];
  Tensor even = matmul(x6, x6 * c[12] + x4 * c[10] + x2 * c[8]) + x6 * c[6] + x4 * c[4] + x2 * c[2] + eye * c[0];
  odd = matmul(x, odd);
  Tensor y = solve_ex(even - odd, even + odd).first;
  for (double step = 1; step <= most; ++step) y = where(steps >= step, matmul(y, y), y);
  return y;
}

// Y = eᴬ: the derivative at A in direction E is the upper right block of exp [A E; 0 A], and dA is that of Aᵀ in direction dY
// (Mathias 1996). The rule needs nothing but matrix_exp itself, so it can be differentiated again.
Tensor matrix_exp(const Tensor& a) {
  check_square("matrix_exp", a);
  Tensor y =
      a.numel() == 0 ? backend::copy(a, a.dtype(), a.device()) : without_graph([&] { return exponential(a.detach()); });
  return record("matrix_exp", y, inputs(a), saved(a), [](Backward& b) {
    Tensor at = mT(b[0]);
    int64_t n = at.size(-1);
    Tensor above = cat({at, b.dy()}, -1), below = cat({zeros_like(at), at}, -1);
    return Grads{matrix_exp(cat({above, below}, -2)).narrow(-2, 0, n).narrow(-1, n, n)};
  });
}

}  // namespace cr::linalg
