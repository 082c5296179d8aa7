#include "ops/elementwise.hpp"

#include <cmath>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"

namespace cr {

// Every operation below has the same two parts: the numbers, which the backend computes, and the rule, written in
// operations of this very page, so that it can be differentiated again. A rule for a broadcast input need not sum: the
// engine brings each gradient to its input's shape.

// ## Types first
namespace {

// A function of real numbers takes integers as float32.
Tensor real(const Tensor& x) { return is_floating(x.dtype()) ? x : x.to(DType::float32); }

// 0-d tensors give way to larger ones, else the later type in the table wins.
DType common_type(const Tensor& x, const Tensor& y) {
  if ((x.dim() == 0) == (y.dim() == 0)) return promote(x.dtype(), y.dtype());
  return x.dim() ? promote_weak(x.dtype(), y.dtype()) : promote_weak(y.dtype(), x.dtype());
}

using Binary = Tensor (*)(const Tensor&, const Tensor&);
Tensor promoted(Binary f, const Tensor& x, const Tensor& y) {
  DType type = common_type(x, y);
  return f(to_dtype(x, type), to_dtype(y, type));
}

Tensor adapted(const Tensor& x, Scalar s) { return to_dtype(x, promote_weak(x.dtype(), s.kind)); }

bool same_type(const Tensor& x, const Tensor& y) { return x.dtype() == y.dtype(); }
bool takes(const Tensor& x, Scalar s) { return category(s.kind) <= category(x.dtype()); }

}  // namespace

// ## One tensor
//
// y = -x,  dy/dx = -1
Tensor neg(const Tensor& x) {
  return record("neg", backend::map(x, functor::Neg{}), inputs(x), saved(), [](Backward& b) { return Grads{-b.dy()}; });
}

// y = |x|,  dy/dx = sign x, and 0 at 0
Tensor abs(const Tensor& x) {
  return record("abs", backend::map(x, functor::Abs{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{b.dy() * sign(b[0])}; });
}

// y = sign x,  dy/dx = 0
Tensor sign(const Tensor& x) {
  return record("sign", backend::map(x, functor::Sign{}), inputs(x), saved(),
                [](Backward& b) { return Grads{backend::full(b.shape(), 0, b.dtype(), b.dy().device())}; });
}

// y = x²,  dy/dx = 2 x
Tensor square(const Tensor& x) {
  return record("square", backend::map(x, functor::Square{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{b.dy() * b[0] * 2}; });
}

// The gradient passes where y > 0 and stops elsewhere; `gate` is linear in dy, so its own derivative is a gate again.
static Tensor gate(const Tensor& dy, const Tensor& y) {
  return record("gate", backend::map(dy, y, functor::Gate{}), inputs(dy), saved(constant(y)),
                [](Backward& b) { return Grads{gate(b.dy(), b[0])}; });
}

// y = max(x, 0),  dy/dx = 1 where y > 0, else 0
Tensor relu(const Tensor& x) {
  Tensor y = backend::map(x, functor::Relu{});
  return record("relu", y, inputs(x), saved(y), [](Backward& b) { return Grads{gate(b.dy(), b[0])}; });
}

// y = eˣ,  dy/dx = y
Tensor exp(const Tensor& x) {
  if (!is_floating(x.dtype())) return exp(real(x));
  Tensor y = backend::map(x, functor::Exp{});
  return record("exp", y, inputs(x), saved(y), [](Backward& b) { return Grads{b.dy() * b[0]}; });
}

// y = ln x,  dy/dx = 1 / x
Tensor log(const Tensor& x) {
  if (!is_floating(x.dtype())) return log(real(x));
  return record("log", backend::map(x, functor::Log{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{b.dy() / b[0]}; });
}

// y = √x,  dy/dx = 1 / (2 y)
Tensor sqrt(const Tensor& x) {
  if (!is_floating(x.dtype())) return sqrt(real(x));
  Tensor y = backend::map(x, functor::Sqrt{});
  return record("sqrt", y, inputs(x), saved(y), [](Backward& b) { return Grads{b.dy() / (b[0] * 2)}; });
}

// y = sin x,  dy/dx = cos x
Tensor sin(const Tensor& x) {
  if (!is_floating(x.dtype())) return sin(real(x));
  return record("sin", backend::map(x, functor::Sin{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{b.dy() * cos(b[0])}; });
}

// y = cos x,  dy/dx = -sin x
Tensor cos(const Tensor& x) {
  if (!is_floating(x.dtype())) return cos(real(x));
  return record("cos", backend::map(x, functor::Cos{}), inputs(x), saved(x),
                [](Backward& b) { return Grads{-(b.dy() * sin(b[0]))}; });
}

// y = tanh(x),  dy/dx = 1 − y²
Tensor tanh(const Tensor& x) {
  if (!is_floating(x.dtype())) return tanh(real(x));
  Tensor y = backend::map(x, functor::Tanh{});
  return record("tanh", y, inputs(x), saved(y), [](Backward& b) { return Grads{b.dy() * (1 - square(b[0]))}; });
}

// y = 1 / (1 + e⁻ˣ),  dy/dx = y (1 − y)
Tensor sigmoid(const Tensor& x) {
  if (!is_floating(x.dtype())) return sigmoid(real(x));
  Tensor y = backend::map(x, functor::Sigmoid{});
  return record("sigmoid", y, inputs(x), saved(y), [](Backward& b) {
    Tensor y = b[0];
    return Grads{b.dy() * (y * (1 - y))};
  });
}

// y = xᵃ,  dy/dx = a xᵃ⁻¹
Tensor pow(const Tensor& x, double exponent) {
  if (!is_floating(x.dtype())) return pow(real(x), exponent);
  return record("pow", backend::map(x, exponent, functor::Pow{}), inputs(x), saved(x), attributes(exponent),
                [](Backward& b) {
                  double a = b.number(0);
                  if (a == 0) return Grads{b.dy() * 0};
                  return Grads{b.dy() * (pow(b[0], a - 1) * a)};
                });
}

// A bound as an element of x's type: integers end at the ends of int64.
static Scalar bound(const Tensor& x, double value) {
  if (is_floating(x.dtype())) return value;
  return value >= 0x1p63 ? INT64_MAX : value < -0x1p63 ? INT64_MIN : static_cast<int64_t>(value);
}

// y = x held between min and max,  dy/dx = 1 inside, 0 at the bounds and outside. Whole bounds keep integers integers.
Tensor clamp(const Tensor& x, double min, double max) {
  if (!is_floating(x.dtype()) && !(std::floor(min) == min && std::floor(max) == max)) return clamp(real(x), min, max);
  Tensor y = backend::map(backend::map(x, bound(x, min), functor::Maximum{}), bound(x, max), functor::Minimum{});
  return record("clamp", y, inputs(x), saved(x), attributes(min, max), [](Backward& b) {
    Tensor x = b[0].detach();
    return Grads{b.dy() * ((x > b.number(0)).to(x.dtype()) * (x < b.number(1)).to(x.dtype()))};
  });
}

// ## Two tensors
//
static void check_alpha(const char* op, DType type, double alpha) {
  if (!is_floating(type) && alpha != std::floor(alpha)) {
    throw DTypeError(std::string(op) + ": alpha = " + std::to_string(alpha) + " is not whole, but the tensors are " +
                     name(type));
  }
}

// z = x + α y,  dz/dx = 1, dz/dy = α
static Tensor add_scaled(const Tensor& x, const Tensor& y, double alpha) {
  return record("add", backend::map(x, y, alpha, functor::AddScaled{}), inputs(x, y), saved(), attributes(alpha),
                [](Backward& b) {
                  return Grads{b.dy(), b.needs(1) ? b.dy() * b.number(0) : Tensor()};
                });
}
static Tensor add_plain(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(add_plain, x, y);
  return add_same(x, y);
}
Tensor add(const Tensor& x, const Tensor& y, double alpha) {
  if (alpha == 1) return add_plain(x, y);
  DType type = common_type(x, y);
  check_alpha("add", type, alpha);
  return add_scaled(to_dtype(x, type), to_dtype(y, type), alpha);
}

// z = x − y
static Tensor sub_plain(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(sub_plain, x, y);
  return record("sub", backend::map(x, y, functor::Sub{}), inputs(x, y), saved(), [](Backward& b) {
    return Grads{b.dy(), b.needs(1) ? -b.dy() : Tensor()};
  });
}
Tensor sub(const Tensor& x, const Tensor& y, double alpha) { return alpha == 1 ? sub_plain(x, y) : add(x, y, -alpha); }

// z = x y,  dz/dx = y, dz/dy = x
Tensor mul(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(mul, x, y);
  return record("mul", backend::map(x, y, functor::Mul{}), inputs(x, y), saved(x, y), [](Backward& b) {
    return Grads{b.needs(0) ? b.dy() * b[1] : Tensor(), b.needs(1) ? b.dy() * b[0] : Tensor()};
  });
}

// z = x / y,  dz/dx = 1 / y, dz/dy = −z / y
Tensor div(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(div, x, y);
  if (!is_floating(x.dtype())) return div(real(x), real(y));
  Tensor z = backend::map(x, y, functor::Div{});
  return record("div", z, inputs(x, y), saved(y, z), [](Backward& b) {
    Tensor dx = b.dy() / b[0];
    return Grads{dx, b.needs(1) ? -(dx * b[1]) : Tensor()};
  });
}

// The larger (smaller) of two; the gradient goes to the one that was taken, halved between equals.
static Tensor share_of(const Tensor& x, const Tensor& y, const Tensor& z) {
  Tensor mine = (x == z).to(z.dtype()), other = (y == z).to(z.dtype());
  return mine * (1 - 0.5 * other);
}
Tensor maximum(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(maximum, x, y);
  Tensor z = backend::map(x, y, functor::Maximum{});
  return record("maximum", z, inputs(x, y), saved(x, y, z), [](Backward& b) {
    Tensor x = b[0].detach(), y = b[1].detach(), z = b[2].detach();
    return Grads{b.dy() * share_of(x, y, z), b.dy() * share_of(y, x, z)};
  });
}
Tensor minimum(const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) return promoted(minimum, x, y);
  Tensor z = backend::map(x, y, functor::Minimum{});
  return record("minimum", z, inputs(x, y), saved(x, y, z), [](Backward& b) {
    Tensor x = b[0].detach(), y = b[1].detach(), z = b[2].detach();
    return Grads{b.dy() * share_of(x, y, z), b.dy() * share_of(y, x, z)};
  });
}

// z = x where the condition holds, else y. The condition may be of any type; what is not zero holds.
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y) {
  if (!same_type(x, y)) {
    DType type = common_type(x, y);
    return where(condition, to_dtype(x, type), to_dtype(y, type));
  }
  Tensor c = (condition.dtype() == DType::boolean ? condition : condition != 0).to(x.dtype());
  return record("where", backend::map(c, x, y, functor::Where{}), inputs(x, y), saved(constant(c)), [](Backward& b) {
    Tensor zero = backend::full({}, 0, b.dy().dtype(), b.dy().device());
    return Grads{b.needs(0) ? where(b[0], b.dy(), zero) : Tensor(), b.needs(1) ? where(b[0], zero, b.dy()) : Tensor()};
  });
}

// ## A tensor and a number
Tensor add(const Tensor& x, Scalar s) {
  if (!takes(x, s)) return add(adapted(x, s), s);
  return record("add", backend::map(x, s, functor::Add{}), inputs(x), saved(),
                [](Backward& b) { return Grads{b.dy()}; });
}

Tensor sub(const Tensor& x, Scalar s) {
  if (!takes(x, s)) return sub(adapted(x, s), s);
  return record("sub", backend::map(x, s, functor::Sub{}), inputs(x), saved(),
                [](Backward& b) { return Grads{b.dy()}; });
}

Tensor mul(const Tensor& x, Scalar s) {
  if (!takes(x, s)) return mul(adapted(x, s), s);
  return record("mul", backend::map(x, s, functor::Mul{}), inputs(x), saved(), attributes(s.value),
                [](Backward& b) { return Grads{b.dy() * b.number(0)}; });
}

Tensor div(const Tensor& x, Scalar s) {
  if (!is_floating(x.dtype())) return div(real(x), s);
  return record("div", backend::map(x, s, functor::Div{}), inputs(x), saved(), attributes(s.value),
                [](Backward& b) { return Grads{b.dy() / b.number(0)}; });
}

// z = s / y,  dz/dy = −z / y
Tensor div(Scalar s, const Tensor& y) {
  if (!is_floating(y.dtype())) return div(s, real(y));
  Tensor z = backend::map(s, y, functor::Div{});
  return record("div", z, inputs(y), saved(y, z), [](Backward& b) { return Grads{-(b.dy() * b[1] / b[0])}; });
}

// ## Comparisons
template <class F> static Tensor compare(const Tensor& x, const Tensor& y) {
  DType type = common_type(x, y);
  return backend::map(to_dtype(x, type).detach(), to_dtype(y, type).detach(), F{});
}
template <class F> static Tensor compare(const Tensor& x, Scalar s) { return backend::map(adapted(x, s), s, F{}); }
Tensor eq(const Tensor& x, const Tensor& y) { return compare<functor::Eq>(x, y); }
Tensor ne(const Tensor& x, const Tensor& y) { return compare<functor::Ne>(x, y); }
Tensor lt(const Tensor& x, const Tensor& y) { return compare<functor::Lt>(x, y); }
Tensor le(const Tensor& x, const Tensor& y) { return compare<functor::Le>(x, y); }
Tensor gt(const Tensor& x, const Tensor& y) { return compare<functor::Gt>(x, y); }
Tensor ge(const Tensor& x, const Tensor& y) { return compare<functor::Ge>(x, y); }
Tensor eq(const Tensor& x, Scalar s) { return compare<functor::Eq>(x, s); }
Tensor ne(const Tensor& x, Scalar s) { return compare<functor::Ne>(x, s); }
Tensor lt(const Tensor& x, Scalar s) { return compare<functor::Lt>(x, s); }
Tensor le(const Tensor& x, Scalar s) { return compare<functor::Le>(x, s); }
Tensor gt(const Tensor& x, Scalar s) { return compare<functor::Gt>(x, s); }
Tensor ge(const Tensor& x, Scalar s) { return compare<functor::Ge>(x, s); }

// ## In place
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

Tensor& Tensor::operator=(const Tensor& values) && {
  copy_(values);
  return *this;
}
Tensor& Tensor::operator=(Scalar value) && {
  fill_(value);
  return *this;
}

}  // namespace cr
