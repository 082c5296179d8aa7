// # The waist
//
// Everything that touches numbers goes through the functions of this page, and nothing else does. Above it, operations
// know about gradients and nothing about devices; below it, a backend knows about shapes, strides and numbers and nothing
// about gradients. To add a device is to implement the class `Backend`; to add an operation is, nearly always, to
// combine what is listed here.
//
// Outputs are written, never resized: whoever calls has made them with the right shape and type. Inputs may be any
// strided view unless it says otherwise.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>

#include "backend/functor.hpp"
#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr::backend {

// An input of `map`: a tensor, or a number that stands for a tensor of any shape.
struct Operand {
  Operand(const Tensor& t) : tensor(&t) {}
  Operand(Scalar s) : number(s) {}
  template <class N>
    requires std::is_arithmetic_v<N> Operand(N n) : number(n) {}
    const Tensor* tensor = nullptr;
    Scalar number{0};
};

// C = [C +] A B [+ bias] [then relu]. A is (m, k), B is (k, n), C is (m, n), row by row; bias is (n,).
struct GemmOptions {
  bool accumulate = false;
  const Tensor* bias = nullptr;
  bool relu = false;
};

struct SgdStep {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, first;  // `first`: the momentum buffer holds nothing yet
};

struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  int64_t step;  // 1 for the first
};

enum class Place { set, add, multiply, smallest, greatest };
enum class Random { uniform, normal, randint };

class Backend {
 public:
  virtual ~Backend() = default;

  // out[i] = number;  out[i] = x[i] with the type converted;  out[i] = start + i · step, in integers for an int64 out
  virtual void fill(const Tensor& out, Scalar number) = 0;
  virtual void copy(const Tensor& out, const Tensor& x) = 0;
  virtual void arange(const Tensor& out, Scalar start, Scalar step) = 0;

  // out[i] = f(in₀[i], in₁[i], …), f being number `functor` of functor::Maps. Inputs broadcast to out's shape and share
  // one element type; out has the same type, or bool for a comparison. An input may be out itself.
  virtual void map(int functor, const Tensor& out, std::span<const Operand> in) = 0;

  // out = f over the dimensions in `dims` (sorted), which out keeps with size 1. `functor` numbers functor::Reductions.
  virtual void reduce(int functor, const Tensor& out, const Tensor& x, const Dims& dims) = 0;

  // out (int64) = index of the largest (or smallest) element along d; the first of equals; NaN counts as beyond all.
  virtual void arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) = 0;

  // Matrix product. float32 or float64; any strides for a and b, c contiguous along rows.
  virtual void gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) = 0;

  // out[i][j] = x[index[i][j]][j] for d = 0 and likewise for other d; out[index[i][j]][j] is combined with x[i][j], in
  // order, as `how` says. `index` is int64 and has the rank of both; negative ones are not allowed here. An index out
  // of range throws IndexError naming `op`, and nothing is written by `scatter`.
  virtual void gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) = 0;
  virtual void scatter(const Tensor& out, int d, const Tensor& index, const Tensor& x, Place how, const char* op) = 0;

  // The coordinates of what is not 0 in contiguous x, in order: (n, rank of x), int64. Made here, since only now is n
  // known.
  virtual Tensor nonzero(const Tensor& x) = 0;

  // out[i] += x[i] one element after another: `out` may be a view in which several elements share memory.
  virtual void add_overlapping(const Tensor& out, const Tensor& x) = 0;

  // Along the last dimension of contiguous tensors: eˣ / Σ eˣ, or its logarithm.
  virtual void softmax(const Tensor& out, const Tensor& x, bool log) = 0;

  // For logits x (n, c) and class labels target (n,), int64: loss (n,) = log Σ eˣ - x[target], and the log-sum-exp (n,), float64.
  // Backward: dx = (softmax(x) - one_hot(target)) · dloss[row]. A label outside 0 … c - 1 throws IndexError.
  virtual void cross_entropy(const Tensor& loss, const Tensor& logsumexp, const Tensor& x, const Tensor& target) = 0;
  virtual void cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& logsumexp,
                                      const Tensor& dloss) = 0;

  // Contiguous out: number i depends on `from` and i only. randint is uniform over lo … hi - 1.
  virtual void random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) = 0;

  // One optimiser step, in place, on contiguous tensors of one shape. `momentum` may be undefined.
  virtual void sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& options) = 0;
  virtual void adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const AdamStep& options) = 0;
};

// The backend behind a device. Throws DeviceError if this build or machine has none.
Backend& on(Device device);

// Throws DeviceError, naming `op` and both devices, unless the tensors are on one.
void check_device(const char* op, const Tensor& x, const Tensor& y);

// Each backend's file makes its own.
std::unique_ptr<Backend> make_cpu();
std::unique_ptr<Backend> make_simt();

// ## The same, returning new tensors
//
// All tensors of a call must be on one device; otherwise DeviceError names both.
// A map's result has the broadcast shape and the operands' common type; `map_into` writes into `out` instead.
Tensor map_numbered(int functor, std::span<const Operand> in);
template <class F> void map_into(const Tensor& out, F, std::initializer_list<Operand> in) {
  on(out.device()).map(functor::Maps::index_of<F>(), out, {in.begin(), in.size()});
}

// `map(x, y, functor::Mul{})`: the operands first, then the functor, as in "x, y ↦ x y".
template <class F> Tensor map(const Operand& x, F) {
  static_assert(F::kArity == 1);
  Operand in[] = {x};
  return map_numbered(functor::Maps::index_of<F>(), in);
}
template <class F> Tensor map(const Operand& x, const Operand& y, F) {
  static_assert(F::kArity == 2);
  Operand in[] = {x, y};
  return map_numbered(functor::Maps::index_of<F>(), in);
}
template <class F> Tensor map(const Operand& x, const Operand& y, const Operand& z, F) {
  static_assert(F::kArity == 3);
  Operand in[] = {x, y, z};
  return map_numbered(functor::Maps::index_of<F>(), in);
}

Tensor reduce_numbered(int functor, const Tensor& x, const Dims& dims, bool keepdim);
template <class F> Tensor reduce(const Tensor& x, F, const Dims& dims, bool keepdim) {
  return reduce_numbered(functor::Reductions::index_of<F>(), x, dims, keepdim);
}

Tensor full(const Shape& shape, Scalar number, DType dtype, Device device);
Tensor copy(const Tensor& x, DType dtype, Device device);
Tensor gemm(const Tensor& a, const Tensor& b, const GemmOptions& options = {});

}  // namespace cr::backend
