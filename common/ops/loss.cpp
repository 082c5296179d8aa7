#include "ops/loss.hpp"

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/reduce.hpp"

namespace cr {
namespace {

Tensor reduced(const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean: return mean(losses);
    case Reduction::sum: return sum(losses);
    default: return losses;
  }
}

void check_same_shape(const char* op, const Tensor& input, const Tensor& target) {
  if (!(input.shape() == target.shape())) {
    throw ShapeError(std::string(op) + ": input " + to_string(input.shape()) + " and target " +
                     to_string(target.shape()) + " differ");
  }
}

}  // namespace

Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  check_same_shape("mse_loss", input, target);
  return reduced(square(input - target), reduction);
}

// ## Cross-entropy
//
// L = log Σ eˣ − x[target],  dL/dx = softmax(x) − one_hot(target)
//
// One pass computes the loss of a row, and one its gradient; that serves the first derivative. When the gradient is to be
// differentiated again, the same formula is spelled out in operations that can be.
static Tensor cross_entropy_rows(const Tensor& x, const Tensor& target) {
  Tensor loss = empty({x.shape()[0]}, x.dtype(), x.device()),
         logsumexp = empty(loss.shape(), DType::float64, x.device());
  backend::on(x.device()).cross_entropy(loss, logsumexp, x, target);
  return record("cross_entropy", loss, inputs(x), saved(x, constant(target), constant(logsumexp)), [](Backward& b) {
    Tensor x = b[0], target = b[1];
    if (b.create_graph()) {
      Tensor off = softmax(x, 1) - one_hot(target, x.shape()[1], x.dtype());
      return Grads{off * b.dy().unsqueeze(1)};
    }
    Tensor dx = empty(x.shape(), x.dtype(), x.device());
    backend::on(x.device()).cross_entropy_backward(dx, x, target, b[2], b.dy().contiguous());
    return Grads{dx};
  });
}

Tensor cross_entropy(const Tensor& logits, const Tensor& target, Reduction reduction) {
  if (logits.dim() != 2 || !(target.shape() == Shape{logits.shape()[0]})) {
    throw ShapeError("cross_entropy: logits " + to_string(logits.shape()) + " and target " + to_string(target.shape()) +
                     ": needs (n, classes) and (n,)");
  }
  if (logits.shape()[1] == 0 && logits.shape()[0] > 0)
    throw ShapeError("cross_entropy: logits " + to_string(logits.shape()) + " have no classes");
  if (target.dtype() != DType::int64)
    throw DTypeError(std::string("cross_entropy: labels must be int64, got ") + name(target.dtype()));
  if (!is_floating(logits.dtype()))
    throw DTypeError(std::string("cross_entropy: logits must be floating-point, got ") + name(logits.dtype()));
  backend::check_device("cross_entropy", logits, target);
  return reduced(cross_entropy_rows(logits.contiguous(), target.contiguous()), reduction);
}

// L = max(z, 0) − z y + log(1 + e^−|z|),  dL/dz = σ(z) − y, dL/dy = −z
static Tensor binary_cross_entropy(const Tensor& z, const Tensor& y) {
  Tensor loss;
  {
    NoGrad plain;
    loss = relu(z) - z * y + backend::map(exp(-abs(z)), functor::Log1p{});
  }
  return record("binary_cross_entropy_with_logits", loss, inputs(z, y), saved(z, y), [](Backward& b) {
    return Grads{b.needs(0) ? b.dy() * (sigmoid(b[0]) - b[1]) : Tensor(), b.needs(1) ? -(b.dy() * b[0]) : Tensor()};
  });
}

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction) {
  check_same_shape("binary_cross_entropy_with_logits", logits, target);
  if (!is_floating(logits.dtype())) {
    throw DTypeError(std::string("binary_cross_entropy_with_logits: needs floating-point logits, got ") +
                     name(logits.dtype()));
  }
  return reduced(binary_cross_entropy(logits, target.to(logits.dtype())), reduction);
}

}  // namespace cr
