#include <span>

#include "ops/elementwise.hpp"
#include "ops/types.hpp"

namespace cr {

// # Writing in place
//
// x keeps its shape and type; y must broadcast to it and not be of a higher kind.
namespace {

void check_fits(const char* op, const Tensor& x, const Shape& shape, DType type) {
  if (!(broadcast_shapes(x.shape(), shape, op) == x.shape())) {
    throw ShapeError(std::string(op) + ": a result of shape " + to_string(broadcast_shapes(x.shape(), shape, op)) +
                     " does not fit into a tensor of shape " + to_string(x.shape()));
  }
  if (category(type) > category(x.dtype())) {
    throw DTypeError(std::string(op) + ": " + name(type) + " values do not fit into a tensor of " + name(x.dtype()));
  }
}

template <class F>
void update(const char* op, const Tensor& x, const Tensor& y, std::span<const Saved> saved_values, Rule rule) {
  record_in_place(op, x, inputs(x, y), saved_values, {}, rule, [&] {
    backend::map_into(x, F{}, {x, backend::Operand(y)});
  });
}
template <class F> void update(const char* op, const Tensor& x, Scalar s, Rule rule) {
  check_fits(op, x, {}, s.kind);
  record_in_place(op, x, inputs(x), {}, attributes(s.value), rule, [&] { backend::map_into(x, F{}, {x, s}); });
}

// y as x's type; a real copy where y looks at the same memory, so that no element is read after it was written.
Tensor operand_for(const char* op, const Tensor& x, const Tensor& y) {
  backend::check_device(op, x, y);
  check_fits(op, x, y.shape(), y.dtype());
  Tensor z = to_dtype(y, x.dtype());
  bool shares = z.impl()->storage == x.impl()->storage && z.impl() != x.impl();
  return shares ? z.clone() : z;
}

// y, a new value for x, if it has a place there.
const Tensor& fitting(const char* op, const Tensor& x, const Tensor& y) {
  check_fits(op, x, y.shape(), y.dtype());
  return y;
}

}  // namespace

static void add_in_place(const char* op, const Tensor& x, const Tensor& y, double alpha) {
  Tensor z = operand_for(op, x, y);
  check_alpha(op, x.dtype(), alpha);
  record_in_place(
      op, x, inputs(x, z), {}, attributes(alpha),
      [](Backward& b) {
        return Grads{b.dy(), b.needs(1) ? b.dy() * b.number(0) : Tensor()};
      },
      [&] {
        backend::map_into(x, functor::AddScaled{}, {x, z, alpha});
      });
}
const Tensor& Tensor::add_(const Tensor& y, double alpha) const {
  add_in_place("add_", *this, y, alpha);
  return *this;
}
const Tensor& Tensor::sub_(const Tensor& y, double alpha) const {
  add_in_place("sub_", *this, y, -alpha);
  return *this;
}

const Tensor& Tensor::mul_(const Tensor& y) const {
  Tensor z = operand_for("mul_", *this, y);
  update<functor::Mul>("mul_", *this, z, saved(*this, z), [](Backward& b) {
    return Grads{b.needs(0) ? b.dy() * b[1] : Tensor(), b.needs(1) ? b.dy() * b[0] : Tensor()};
  });
  return *this;
}

const Tensor& Tensor::div_(const Tensor& y) const {
  Tensor z = operand_for("div_", *this, y);
  update<functor::Div>("div_", *this, z, saved(*this, z), [](Backward& b) {
    return Grads{b.dy() / b[1], b.needs(1) ? -(b.dy() * b[0] / square(b[1])) : Tensor()};
  });
  return *this;
}

const Tensor& Tensor::add_(Scalar s) const {
  update<functor::Add>("add_", *this, s, [](Backward& b) { return Grads{b.dy()}; });
  return *this;
}
const Tensor& Tensor::sub_(Scalar s) const {
  update<functor::Sub>("sub_", *this, s, [](Backward& b) { return Grads{b.dy()}; });
  return *this;
}
const Tensor& Tensor::mul_(Scalar s) const {
  update<functor::Mul>("mul_", *this, s, [](Backward& b) { return Grads{b.dy() * b.number(0)}; });
  return *this;
}
const Tensor& Tensor::div_(Scalar s) const {
  update<functor::Div>("div_", *this, s, [](Backward& b) { return Grads{b.dy() / b.number(0)}; });
  return *this;
}

// What was there before is gone, so no gradient flows to it.
const Tensor& Tensor::copy_(const Tensor& y) const {
  if (y.device() != device()) return copy_(y.to(device()));
  if (!(broadcast_shapes(shape(), y.shape(), "copy_") == shape())) check_fits("copy_", *this, y.shape(), dtype());
  bool shares = y.impl()->storage == impl_->storage && y.impl() != impl();
  Tensor z = shares ? y.clone() : y;
  record_in_place(
      "copy_", *this, inputs(*this, z), {}, {},
      [](Backward& b) {
        return Grads{Tensor(), b.dy()};
      },
      [&] { backend::on(device()).copy(*this, z); });
  return *this;
}
const Tensor& Tensor::fill_(Scalar s) const {
  record_in_place(
      "fill_", *this, inputs(*this), {}, {}, [](Backward&) { return Grads{Tensor()}; },
      [&] { backend::on(device()).fill(*this, s); });
  return *this;
}

// The others compute a new tensor and copy it: what they spare is the memory that would stay occupied, not the pass.
const Tensor& Tensor::neg_() const { return copy_(neg(*this)); }
const Tensor& Tensor::exp_() const { return copy_(fitting("exp_", *this, exp(*this))); }
const Tensor& Tensor::sqrt_() const { return copy_(fitting("sqrt_", *this, sqrt(*this))); }
const Tensor& Tensor::relu_() const { return copy_(relu(*this)); }
const Tensor& Tensor::clamp_(std::optional<Scalar> min, std::optional<Scalar> max) const {
  return copy_(fitting("clamp_", *this, clamp(requires_grad() ? clone() : *this, min, max)));  // its rule reads x
}
const Tensor& Tensor::masked_fill_(const Tensor& mask, Scalar value) const {
  return copy_(fitting("masked_fill_", *this, masked_fill(*this, mask, value)));
}

Tensor& Tensor::operator=(const Tensor& values) && {
  copy_(values);
  return *this;
}
Tensor& Tensor::operator=(Scalar value) && {
  fill_(value);
  return *this;
}

}  // namespace cr
