#include "ops/product.hpp"

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/elementwise.hpp"
#include "ops/reduce.hpp"

namespace cr {
namespace {

std::string both(const Tensor& a, const Tensor& b) { return to_string(a.shape()) + " x " + to_string(b.shape()); }

void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !is_floating(a.dtype())) {
    throw DTypeError(std::string(op) + ": needs two tensors of one floating-point type, got " + name(a.dtype()) +
                     " and " + name(b.dtype()));
  }
  backend::check_device(op, a, b);
}

// C = A B,  dA = dC Bᵀ, dB = Aᵀ dC
Tensor mm(const Tensor& a, const Tensor& b) {
  return record("matmul", backend::gemm(a, b), inputs(a, b), saved(a, b), [](Backward& b) {
    return Grads{b.needs(0) ? mm(b.dy(), b[1].t()) : Tensor(), b.needs(1) ? mm(b[0].t(), b.dy()) : Tensor()};
  });
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_operands("matmul", a, b);
  if (a.dim() == 0 || b.dim() == 0) throw ShapeError("matmul: " + both(a, b) + ": a scalar has no inner size; use *");
  if (b.dim() > 2) throw ShapeError("matmul: " + both(a, b) + ": the right side may be a vector or a matrix");
  int64_t inner = a.shape().back(), rows = b.shape()[0];
  if (inner != rows) {
    throw ShapeError("matmul: " + both(a, b) + ": inner sizes " + std::to_string(inner) + " and " +
                     std::to_string(rows) + " differ");
  }
  Tensor right = b.dim() == 1 ? b.unsqueeze(1) : b;  // (k, n)
  int64_t all_rows = 1;
  for (int d = 0; d + 1 < a.dim(); ++d) all_rows *= a.shape()[d];
  Tensor left = a.dim() == 2 ? a : a.reshape({all_rows, inner});  // (m, k)
  Tensor c = mm(left, right);                                     // (m, n)
  if (a.dim() == 2 && b.dim() == 2) return c;
  Shape shape = a.shape();
  shape.resize(a.dim() - 1);
  if (b.dim() == 2) shape.push_back(b.shape()[1]);
  return c.reshape(shape);
}

Tensor Tensor::matmul(const Tensor& other) const { return cr::matmul(*this, other); }

Tensor dot(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || b.dim() != 1) throw ShapeError("dot: " + both(a, b) + ": needs two vectors");
  return matmul(a, b);
}

// y = x Wᵀ + b,  dx = dy W, dW = dyᵀ x, db = Σ dy over rows
static Tensor linear_rows(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Tensor w = window(weight, {weight.shape()[1], weight.shape()[0]}, {weight.strides()[1], weight.strides()[0]},
                    weight.impl()->offset);
  backend::GemmOptions options{.bias = &bias};
  return record("linear", backend::gemm(x, w, options), inputs(x, weight, bias), saved(x, weight), [](Backward& b) {
    return Grads{b.needs(0) ? mm(b.dy(), b[1]) : Tensor(), b.needs(1) ? mm(b.dy().t(), b[0]) : Tensor(),
                 b.needs(2) ? sum(b.dy(), {0}) : Tensor()};
  });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_operands("linear", x, weight);
  if (weight.dim() != 2 || x.dim() == 0 || x.shape().back() != weight.shape()[1]) {
    throw ShapeError("linear: input " + to_string(x.shape()) + " does not fit weight " + to_string(weight.shape()) +
                     " = (out, in): the input's last size must be in");
  }
  if (!bias.defined()) return matmul(x, weight.t());
  check_operands("linear", x, bias);
  if (!(bias.shape() == Shape{weight.shape()[0]})) {
    throw ShapeError("linear: bias " + to_string(bias.shape()) + " does not fit weight " + to_string(weight.shape()) +
                     " = (out, in): it must be (out,)");
  }
  if (x.dim() == 2) return linear_rows(x, weight, bias.contiguous());
  Shape shape = x.shape();
  shape[x.dim() - 1] = weight.shape()[0];
  int64_t rows = 1;
  for (int d = 0; d + 1 < x.dim(); ++d) rows *= x.shape()[d];
  return linear_rows(x.reshape({rows, x.shape().back()}), weight, bias.contiguous()).reshape(shape);
}

}  // namespace cr
