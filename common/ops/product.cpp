#include "ops/product.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/einsum.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/linalg.hpp"
#include "ops/reduce.hpp"

namespace cr {
namespace {

// ## What fits
std::string both(const Tensor& a, const Tensor& b) { return to_string(a.shape()) + " x " + to_string(b.shape()); }

void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(is_floating(a.dtype()) || a.dtype() == DType::int64)) {
    throw DTypeError(std::string(op) + ": needs two tensors of one type, floating-point or int64, got " +
                     name(a.dtype()) + " and " + name(b.dtype()));
  }
  backend::check_device(op, a, b);
}

void check_ranks(const char* op, const Tensor& a, const Tensor& b, int a_rank, int b_rank) {
  constexpr const char* kNames[] = {"a scalar", "a vector", "a matrix", "a batch of matrices"};
  if (a.dim() == a_rank && b.dim() == b_rank) return;
  throw ShapeError(std::string(op) + ": " + both(a, b) + ": needs " + kNames[a_rank] + " and " + kNames[b_rank]);
}

// The size that a product sums over: a's last and b's last but one.
int64_t inner_size(const char* op, const Tensor& a, const Tensor& b) {
  int64_t inner = a.shape().back(), rows = b.shape()[std::max(b.dim() - 2, 0)];
  if (inner == rows) return inner;
  throw ShapeError(std::string(op) + ": " + both(a, b) + ": inner sizes " + std::to_string(inner) + " and " +
                   std::to_string(rows) + " differ");
}

Shape without_last(const Tensor& x, int count) {
  Shape shape = x.shape();
  shape.resize(x.dim() - count);
  return shape;
}

Shape joined(Shape shape, std::initializer_list<int64_t> sizes) {
  for (int64_t size : sizes) shape.push_back(size);
  return shape;
}

// C = A B,  dA = dC Bᵀ, dB = Aᵀ dC, for matrices or batches of one shape. The transposes are views.
Tensor multiply(const Tensor& a, const Tensor& b) {
  return record("matmul", backend::gemm(a, b), inputs(a, b), saved(a, b), [](Backward& b) {
    return Grads{b.needs(0) ? multiply(b.dy(), b[1].transpose(-1, -2)) : Tensor(),
                 b.needs(1) ? multiply(b[0].transpose(-1, -2), b.dy()) : Tensor()};
  });
}

// All rows of a, whatever dimensions number them, times one matrix or vector.
Tensor multiply_rows(const Tensor& a, const Tensor& b, int64_t inner) {
  Tensor right = b.dim() == 1 ? b.unsqueeze(1) : b;                                // (k, n)
  Tensor left = a.dim() == 2 ? a : a.reshape({numel(without_last(a, 1)), inner});  // (m, k)
  Tensor c = multiply(left, right);                                                // (m, n)
  if (a.dim() == 2 && b.dim() == 2) return c;
  Shape shape = without_last(a, 1);
  if (b.dim() == 2) shape.push_back(b.shape()[1]);
  return c.reshape(shape);
}

}  // namespace

// ## Matrices
//
// One matrix on the right serves all rows on the left, which makes a single product of them. Otherwise the batches are
// expanded to one shape, which moves no number: a repeated matrix has stride 0.
Tensor matmul(const Tensor& a, const Tensor& b) {
  check_operands("matmul", a, b);
  if (a.dim() == 0 || b.dim() == 0) throw ShapeError("matmul: " + both(a, b) + ": a scalar has no inner size; use *");
  int64_t inner = inner_size("matmul", a, b);
  if (b.dim() <= 2) return multiply_rows(a, b, inner);
  if (a.dim() == 1) return matmul(a.unsqueeze(0), b).squeeze(-2);

  Shape a_batch = without_last(a, 2), b_batch = without_last(b, 2);
  if (a.dim() >= b.dim() && numel(b_batch) == 1) {
    return multiply_rows(a, b.reshape({inner, b.shape().back()}), inner);
  }
  for (int d = 1; d <= std::min(a_batch.size(), b_batch.size()); ++d) {
    int64_t x = a_batch[a_batch.size() - d], y = b_batch[b_batch.size() - d];
    if (x == y || x == 1 || y == 1) continue;
    throw ShapeError("matmul: " + both(a, b) + ": batch sizes " + std::to_string(x) + " and " + std::to_string(y) +
                     " differ, and neither is 1");
  }
  if (a_batch == b_batch) return multiply(a, b);
  Shape batch = broadcast_shapes(a_batch, b_batch, "matmul");
  return multiply(expand_to(a, joined(batch, {a.shape()[a.dim() - 2], inner})),
                  expand_to(b, joined(batch, {inner, b.shape().back()})));
}
Tensor Tensor::matmul(const Tensor& other) const { return cr::matmul(*this, other); }

Tensor mm(const Tensor& a, const Tensor& b) {
  check_operands("mm", a, b);
  check_ranks("mm", a, b, 2, 2);
  inner_size("mm", a, b);
  return multiply(a, b);
}

static void check_batches(const char* op, const Tensor& a, const Tensor& b) {
  check_operands(op, a, b);
  check_ranks(op, a, b, 3, 3);
  inner_size(op, a, b);
  if (a.shape()[0] != b.shape()[0]) {
    throw ShapeError(std::string(op) + ": " + both(a, b) + ": batch sizes " + std::to_string(a.shape()[0]) + " and " +
                     std::to_string(b.shape()[0]) + " differ");
  }
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  check_batches("bmm", a, b);
  return multiply(a, b);
}

Tensor mv(const Tensor& a, const Tensor& v) {
  check_operands("mv", a, v);
  check_ranks("mv", a, v, 2, 1);
  return multiply_rows(a, v, inner_size("mv", a, v));
}

// ## A product added to something
//
// A factor as a number of the tensors' type.
static Scalar factor(Scalar s, DType type) {
  return is_floating(type) ? s : type == DType::int64 ? Scalar(s.as<int64_t>()) : Scalar(s.as<bool>());
}

// y = β input + α product. Both are of the type that the sum has.
static Tensor blend(const char* op, const Tensor& input, const Tensor& product, Scalar beta, Scalar alpha) {
  if (input.dtype() != product.dtype()) {
    throw DTypeError(std::string(op) + ": input is " + name(input.dtype()) + ", the product " + name(product.dtype()));
  }
  backend::check_device(op, input, product);
  beta = factor(beta, input.dtype()), alpha = factor(alpha, input.dtype());
  if (input.dim() > product.dim() || !(broadcast_shapes(input.shape(), product.shape(), op) == product.shape())) {
    throw ShapeError(std::string(op) + ": input " + to_string(input.shape()) + " does not broadcast to the product " +
                     to_string(product.shape()));
  }
  Tensor scaled = alpha.value == 1 ? product : mul(product, alpha);
  if (beta.value == 0) return scaled;
  return add(scaled, beta.value == 1 ? input : mul(input, beta));
}

static Tensor linear_rows(const Tensor& x, const Tensor& weight, const Tensor& bias);

Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  check_operands("addmm", a, b);
  check_ranks("addmm", a, b, 2, 2);
  inner_size("addmm", a, b);
  bool is_bias = input.dim() == 1 && input.shape()[0] == b.shape()[1] && input.dtype() == a.dtype() &&
                 input.device() == a.device();
  if (is_bias && alpha.value == 1 && beta.value == 1) return linear_rows(a, b.t(), input.contiguous());
  return blend("addmm", input, multiply(a, b), beta, alpha);
}

Tensor addmv(const Tensor& input, const Tensor& a, const Tensor& v, Scalar beta, Scalar alpha) {
  check_operands("addmv", a, v);
  check_ranks("addmv", a, v, 2, 1);
  return blend("addmv", input, multiply_rows(a, v, inner_size("addmv", a, v)), beta, alpha);
}

// The sum over the batch is part of the inner sum of one wide product: [A₁ A₂ …] [B₁; B₂; …].
Tensor addbmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  check_batches("addbmm", a, b);
  int64_t batch = a.shape()[0], m = a.shape()[1], k = a.shape()[2], n = b.shape()[2];
  Tensor wide = a.transpose(0, 1).reshape({m, batch * k});
  return blend("addbmm", input, multiply(wide, b.reshape({batch * k, n})), beta, alpha);
}

Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  check_batches("baddbmm", a, b);
  return blend("baddbmm", input, multiply(a, b), beta, alpha);
}

// Nothing is summed here, so this one is elementwise: types are promoted, and bools are taken.
Tensor addr(const Tensor& input, const Tensor& v, const Tensor& w, Scalar beta, Scalar alpha) {
  check_ranks("addr", v, w, 1, 1);
  Tensor product = outer(v, w);
  DType type = promote(input.dtype(), product.dtype());
  return blend("addr", input.to(type), product.to(type), beta, alpha);
}

// ## Products of several
//
// best[i][j] is the least number of multiplications for Aᵢ … Aⱼ, and split[i][j] says before which matrix the last product
// cuts that chain (Cormen et al., *Introduction to Algorithms*, section 15.2).
Tensor linalg::multi_dot(const std::vector<Tensor>& tensors) {
  const size_t n = tensors.size();
  if (n < 2) throw Error("multi_dot: needs at least two tensors, got " + std::to_string(n));
  std::vector<Tensor> chain = tensors;
  const bool row = chain.front().dim() == 1, column = chain.back().dim() == 1;
  if (row) chain.front() = chain.front().unsqueeze(0);
  if (column) chain.back() = chain.back().unsqueeze(1);
  for (size_t i = 0; i < n; ++i) {
    if (chain[i].dim() != 2) {
      throw ShapeError("multi_dot: tensor " + std::to_string(i) + " of shape " + to_string(tensors[i].shape()) +
                       " is no matrix; only the first and the last may be vectors");
    }
    if (i == 0) continue;
    check_operands("multi_dot", chain[i - 1], chain[i]);
    inner_size("multi_dot", chain[i - 1], chain[i]);
  }
  auto size = [&](size_t i) { return static_cast<double>(i < n ? chain[i].shape()[0] : chain[n - 1].shape()[1]); };
  std::vector<std::vector<double>> best(n, std::vector<double>(n, 0));
  std::vector<std::vector<size_t>> split(n, std::vector<size_t>(n, 0));
  for (size_t length = 2; length <= n; ++length) {
    for (size_t i = 0; i + length <= n; ++i) {
      const size_t j = i + length - 1;
      best[i][j] = std::numeric_limits<double>::infinity();
      for (size_t s = i + 1; s <= j; ++s) {
        double cost = best[i][s - 1] + best[s][j] + size(i) * size(s) * size(j + 1);
        if (cost < best[i][j]) best[i][j] = cost, split[i][j] = s;
      }
    }
  }
  auto multiply_chain = [&](auto& self, size_t i, size_t j) -> Tensor {
    if (i == j) return chain[i];
    const size_t s = split[i][j];
    return multiply(self(self, i, s - 1), self(self, s, j));
  };
  Tensor y = multiply_chain(multiply_chain, 0, n - 1);
  if (column) y = y.squeeze(1);
  return row ? y.squeeze(0) : y;
}

// A¹³ = A⁸ A⁴ A: one squaring for every binary digit of n.
Tensor linalg::matrix_power(const Tensor& a, int64_t n) {
  check_operands("matrix_power", a, a);
  if (a.dim() < 2 || a.shape()[a.dim() - 2] != a.shape().back())
    throw ShapeError("matrix_power: " + to_string(a.shape()) + " is no square matrix or batch of them");
  if (n < 0) {
    Tensor inverse = linalg::inv(a);
    return multiply(linalg::matrix_power(inverse, -(n + 1)), inverse);  // the least n has no -n
  }
  if (n == 0) return expand_to(eye(a.shape().back(), a.dtype()).to(a.device()), a.shape()).clone();
  Tensor power = a, result;
  for (;; power = multiply(power, power)) {
    if (n & 1) result = result.defined() ? multiply(result, power) : power;
    n >>= 1;
    if (n == 0) return result;
  }
}

// ## Vectors
Tensor dot(const Tensor& a, const Tensor& b) {
  check_operands("dot", a, b);
  check_ranks("dot", a, b, 1, 1);
  return multiply_rows(a, b, inner_size("dot", a, b));
}

Tensor linalg::vecdot(const Tensor& a, const Tensor& b, int64_t d) {
  check_operands("vecdot", a, b);
  Tensor products = mul(a, b);
  return sum(products, {wrap_dim(d, products.dim(), "vecdot")});
}

Tensor inner(const Tensor& a, const Tensor& b) {
  check_operands("inner", a, b);
  if (a.dim() == 0 || b.dim() == 0) return mul(a, b);
  if (a.shape().back() != b.shape().back()) {
    throw ShapeError("inner: " + both(a, b) + ": last sizes " + std::to_string(a.shape().back()) + " and " +
                     std::to_string(b.shape().back()) + " differ");
  }
  return tensordot(a, b, {-1}, {-1});
}

Tensor outer(const Tensor& a, const Tensor& b) {
  check_ranks("outer", a, b, 1, 1);
  return mul(a.unsqueeze(1), b);
}

// Each dimension of the result is a pair: (m, 1) · (1, p) → (m, p) → m p.
Tensor kron(const Tensor& a, const Tensor& b) {
  const int rank = std::max(a.dim(), b.dim());
  Shape of_a, of_b, shape;
  for (int d = 0; d < rank; ++d) {
    int i = d - (rank - a.dim()), j = d - (rank - b.dim());
    int64_t m = i < 0 ? 1 : a.shape()[i], p = j < 0 ? 1 : b.shape()[j];
    of_a.push_back(m), of_a.push_back(1);
    of_b.push_back(1), of_b.push_back(p);
    int64_t size;
    if (__builtin_mul_overflow(m, p, &size)) throw ShapeError("kron: " + both(a, b) + ": the result is too large");
    shape.push_back(size);
  }
  numel(shape);  // throws where there are too many
  return mul(a.reshape(of_a), b.reshape(of_b)).reshape(shape);
}

// cᵢ = aᵢ₊₁ bᵢ₊₂ − aᵢ₊₂ bᵢ₊₁, indices taken round: 0, 1, 2, 0, 1
Tensor linalg::cross(const Tensor& a, const Tensor& b, int64_t dim) {
  if (a.dim() == 0 || b.dim() == 0) throw ShapeError("cross: " + both(a, b) + ": a scalar has no direction");
  Shape shape = broadcast_shapes(a.shape(), b.shape(), "cross");
  const int d = wrap_dim(dim, shape.size(), "cross"), from_end = d - shape.size();
  auto three = [&](const Tensor& x) { return x.dim() + from_end >= 0 && x.shape()[x.dim() + from_end] == 3; };
  if (!three(a) || !three(b)) {
    throw ShapeError("cross: " + both(a, b) + ": both must have size 3 along dimension " + std::to_string(d));
  }
  Tensor next = tensor({1, 2, 0}).to(a.device()), after = tensor({2, 0, 1}).to(a.device());
  return index_select(a, from_end, next) * index_select(b, from_end, after) -
         index_select(a, from_end, after) * index_select(b, from_end, next);
}

Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
  if (dim) return linalg::cross(a, b, *dim);
  Shape shape = broadcast_shapes(a.shape(), b.shape(), "cross");
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == 3) return linalg::cross(a, b, d);
  }
  throw ShapeError("cross: " + both(a, b) + ": no dimension has size 3");
}

Tensor trace(const Tensor& x) {
  if (x.dim() != 2) throw ShapeError("trace: needs a matrix, got shape " + to_string(x.shape()));
  int64_t n = std::min(x.shape()[0], x.shape()[1]);
  return einsum("ii", {x.narrow(0, 0, n).narrow(1, 0, n)});
}

// ## Layers
//
// y = x Wᵀ + b,  dx = dy W, dW = dyᵀ x, db = Σ dy over rows
static Tensor linear_rows(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Tensor w = window(weight, {weight.shape()[1], weight.shape()[0]}, {weight.strides()[1], weight.strides()[0]},
                    weight.impl()->offset);
  backend::GemmOptions options{.bias = &bias};
  return record("linear", backend::gemm(x, w, options), inputs(x, weight, bias), saved(x, weight), [](Backward& b) {
    return Grads{b.needs(0) ? multiply(b.dy(), b[1]) : Tensor(), b.needs(1) ? multiply(b.dy().t(), b[0]) : Tensor(),
                 b.needs(2) ? sum(b.dy(), {0}) : Tensor()};
  });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_operands("linear", x, weight);
  if (weight.dim() < 1 || weight.dim() > 2 || x.dim() == 0 || x.shape().back() != weight.shape().back()) {
    throw ShapeError("linear: input " + to_string(x.shape()) + " does not fit weight " + to_string(weight.shape()) +
                     " = (out, in): the input's last size must be in");
  }
  if (!bias.defined()) return matmul(x, weight.t());
  check_operands("linear", x, bias);
  if (bias.dim() == 0) return matmul(x, weight.t()) + bias;
  if (weight.dim() == 1 || !(bias.shape() == Shape{weight.shape()[0]})) {
    throw ShapeError("linear: bias " + to_string(bias.shape()) + " does not fit weight " + to_string(weight.shape()) +
                     (weight.dim() == 1 ? " = (in,): it must be 0-d" : " = (out, in): it must be (out,)"));
  }
  if (x.dim() == 2) return linear_rows(x, weight, bias.contiguous());
  Shape shape = x.shape();
  shape[x.dim() - 1] = weight.shape()[0];
  return linear_rows(x.reshape({numel(without_last(x, 1)), x.shape().back()}), weight, bias.contiguous())
      .reshape(shape);
}

// First x₁ᵀ Wₒ for every o in one product, then each row of that with its x₂.
Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias) {
  check_operands("bilinear", x1, x2);
  check_operands("bilinear", x1, weight);
  bool fits = weight.dim() == 3 && x1.dim() >= 1 && x1.dim() == x2.dim() && without_last(x1, 1) == without_last(x2, 1);
  if (!fits || x1.shape().back() != weight.shape()[1] || x2.shape().back() != weight.shape()[2]) {
    throw ShapeError("bilinear: inputs " + to_string(x1.shape()) + " and " + to_string(x2.shape()) +
                     " do not fit weight " + to_string(weight.shape()) + " = (out, in1, in2)");
  }
  int64_t out = weight.shape()[0], in1 = weight.shape()[1], in2 = weight.shape()[2];
  if (bias.defined() && !(bias.shape() == Shape{out})) {
    throw ShapeError("bilinear: bias " + to_string(bias.shape()) + " does not fit weight " + to_string(weight.shape()) +
                     " = (out, in1, in2): it must be (out,)");
  }
  int64_t rows = numel(without_last(x1, 1));
  Tensor flat = weight.transpose(0, 1).reshape({in1, out * in2});
  Tensor left = multiply(x1.reshape({rows, in1}), flat).reshape({rows, out, in2});
  Tensor y = multiply(left, x2.reshape({rows, in2, 1})).reshape(joined(without_last(x1, 1), {out}));
  return bias.defined() ? y + bias : y;
}

}  // namespace cr
