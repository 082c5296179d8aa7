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
#include <vector>

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

// C = [C +] A B [+ bias] [then relu]. A is (…, m, k), B is (…, k, n), C is (…, m, n), row by row; bias is (n,). The
// dimensions before the last two number products of their own: all three tensors have the same ones, and where A or B is
// to serve in several, its stride is 0.
struct GemmOptions {
  bool accumulate = false;
  const Tensor* bias = nullptr;
  bool relu = false;
};

struct SgdStep {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, first;  // `first`: the momentum buffer holds nothing yet
  bool maximize = false;
};

struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  int64_t step;            // 1 for the first
  bool decoupled = false;  // weight decay as in AdamW
  bool maximize = false;
};

struct AdagradStep {
  double lr, eps, weight_decay;
  bool maximize;
};

struct RmspropStep {
  double lr, alpha, eps, weight_decay, momentum;
  bool maximize;
};

// How a window slides over one, two or three dimensions of places: each list has a number for each. `padding` is what lies
// before the first place; how much lies after the last one follows from the sizes of the tensors.
struct Window {
  Dims stride, padding, dilation;
};

// For one dimension of a pool: output i looks at the places begin[i], begin[i] + step, … before end[i], of which some may
// lie beyond the edges; `size` is how many of a sum's shares they make.
struct PoolSpan {
  std::vector<int64_t> begin, end, size;
  int64_t step = 1;
};

enum class Place { set, add, multiply, smallest, greatest };
enum class Random { uniform, normal, randint };

// What `pick` looks for along a line: the k-th smallest (k from 0), the lower median (of what is not NaN), the most frequent.
enum class Pick { kth, median, nanmedian, mode };
enum class Scan { sum, prod, logsumexp };

// One recurrent layer in one direction: t steps for b rows, n units, contiguous tensors. The gates' sums are
// W_ih x + b_ih + W_hh h₀ + b_hh, where h₀ (and c₀) is the state before a step and h the one after it.
//
//     tanh, relu  h = tanh or relu of the sum
//     lstm        gates i, f, g, o become σ(i), σ(f), tanh(g), σ(o);  c = f c₀ + i g,  h = o tanh c
//     gru         gates r, z, n, m become σ(r), σ(z), tanh(n + r m), m;  h = (1 − z) n + z h₀
//
// A GRU's n has the input's share alone, m = W_hn h₀ + b_hn: r multiplies the state's share. The states begin with the one
// given, and step s makes h[s + 1] of h[s]; in reverse it stands at the end, and h[s] is made of h[s + 1].
enum class Recurrent { tanh, relu, lstm, gru };
struct RecurrentLayer {
  Recurrent kind;
  bool reverse;
  Tensor x;                       // (t, b, in)
  Tensor w_ih, w_hh, b_ih, b_hh;  // as PyTorch keeps them; biases may be undefined
  Tensor h, c;                    // (t + 1, b, n), c of an LSTM only
  Tensor gates;                   // (t, b, 4 n), of LSTM and GRU
};

// dh (and dc) hold the gradient of the last state and become that of the first; dy (t, b, n), that of all states made, may
// be undefined, and so may each of the others, which are written.
struct RecurrentGradients {
  Tensor dy, dh, dc;
  Tensor dx, dw_ih, dw_hh, db_ih, db_hh;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Waits until everything asked for so far has been computed. A GPU works while the program goes on; the others are
  // done when a call returns.
  virtual void synchronize() {}

  // What it computes on, for tables: "NVIDIA H100 80GB HBM3, CUDA 13.0". Empty where that is the processor.
  virtual std::string machine() const { return ""; }

  // out[i] = number;  out[i] = x[i] with the type converted;  out[i] = start + i · step, in integers for an int64 out
  virtual void fill(const Tensor& out, Scalar number) = 0;
  virtual void copy(const Tensor& out, const Tensor& x) = 0;
  virtual void arange(const Tensor& out, Scalar start, Scalar step) = 0;

  // out[i] = f(in₀[i], in₁[i], …), f being number `functor` of functor::Maps. Inputs broadcast to out's shape and share
  // one element type; out has the same type, or bool for a comparison. An input may be out itself.
  virtual void map(int functor, const Tensor& out, std::span<const Operand> in) = 0;

  // out = f over the dimensions in `dims` (sorted), which out keeps with size 1. `functor` numbers functor::Reductions.
  // Types are x's, but sums and products of bools are int64.
  virtual void reduce(int functor, const Tensor& out, const Tensor& x, const Dims& dims) = 0;

  // out (int64) = index of the largest (or smallest) element along d; the first of equals; NaN counts as beyond all.
  virtual void arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) = 0;

  // Matrix products. float32, float64 or int64 (whose sums wrap around); any strides for a and b, c contiguous along rows.
  virtual void gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) = 0;

  // out[b, i, j] = ‖x[b, i] − y[b, j]‖ in the p-norm, p ≥ 0, of contiguous floating-point tensors: x is (b, m, k), y is
  // (b, n, k), out is (b, m, n).
  virtual void distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) = 0;

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

  // From its result y: dx = y (dy − Σ y dy), of the logarithm dx = dy − eʸ Σ dy.
  virtual void softmax_backward(const Tensor& dx, const Tensor& y, const Tensor& dy, bool log) = 0;

  // For logits x (n, c) and class labels target (n,), int64: loss (n,) = log Σ eˣ - x[target], and the log-sum-exp (n,), float64.
  // Backward: dx = (softmax(x) - one_hot(target)) · dloss[row]. A label outside 0 … c - 1 throws IndexError.
  virtual void cross_entropy(const Tensor& loss, const Tensor& logsumexp, const Tensor& x, const Tensor& target) = 0;
  virtual void cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& logsumexp,
                                      const Tensor& dloss) = 0;

  // ## Order and scans
  //
  // Along dimension d: x in order, as far as values and indices (int64) have room. Equal elements keep their order; NaN is
  // the largest number, and -0 equals 0.
  virtual void sort(const Tensor& values, const Tensor& indices, const Tensor& x, int d, bool descending) = 0;

  // Along dimension d, which values and indices keep with size 1: one element and where it is. Of equals the first one
  // counts, for the mode the last one; a median is NaN if one element is.
  virtual void pick(Pick what, const Tensor& values, const Tensor& indices, const Tensor& x, int d, int64_t k) = 0;

  // Contiguous tensors of one shape: out[i] = f(out[i - 1], x[i]) along d, from the far end if `reverse`; likewise
  // out[i] = factor[i] · out[i - 1] + x[i]. Extremes come with the index of the last equal one; NaN is beyond all.
  virtual void scan(Scan kind, const Tensor& out, const Tensor& x, int d, bool reverse) = 0;
  virtual void scan_linear(const Tensor& out, const Tensor& factor, const Tensor& x, int d, bool reverse) = 0;
  virtual void scan_extreme(bool largest, const Tensor& values, const Tensor& indices, const Tensor& x, int d) = 0;

  // out (int64) = how many elements of `sorted` are < x (≤ x if `right`). Contiguous; `sorted` is one line for all, or has
  // one for each line of x.
  virtual void search_sorted(const Tensor& out, const Tensor& sorted, const Tensor& x, bool right) = 0;

  // log Σ eˣ along the last dimension of a contiguous x.
  virtual void logsumexp(const Tensor& out, const Tensor& x) = 0;

  // Rows of contiguous x (rows, n): y = (x - mean) / √(var + eps) · weight + bias. Writes mean and var (rows,), float64; an
  // undefined `mean` counts as 0, as in RMS norm. weight and bias (n,) may be undefined, and so may dweight and dbias.
  virtual void layer_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                          const Tensor& bias, double eps) = 0;
  virtual void layer_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                                   const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                                   double eps) = 0;

  // Likewise for each channel of contiguous x (n, channels, places); mean, var, weight … are (channels,).
  virtual void batch_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                          const Tensor& bias, double eps) = 0;
  virtual void batch_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                                   const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                                   double eps) = 0;

  // Contiguous out: number i depends on `from` and i only. randint is uniform over lo … hi - 1.
  virtual void random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) = 0;

  // ## Convolution
  //
  // Contiguous tensors: x (n, c, places…), w (o, c / groups, kernel…), y (n, o, places…), with one to three dimensions of
  // places. y = x ⋆ w [+ bias (o,)]. The map is linear in x and in w; the other two are its adjoints, so that each one's
  // derivatives are the other two. conv_input may add a bias (c,) too: that is a transposed convolution. int64 as well,
  // but for conv_weight.
  virtual void conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Window& window,
                    int64_t groups) = 0;
  virtual void conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& bias, const Window& window,
                          int64_t groups) = 0;
  virtual void conv_weight(const Tensor& dw, const Tensor& x, const Tensor& dy, const Window& window,
                           int64_t groups) = 0;

  // ## Pools
  //
  // Contiguous x (planes, places…), one span for each dimension of places. The largest number of each window and where in
  // its plane it lies (int64; of equals the first one, of NaNs the last: PyTorch's choice), which `indices` may leave out by
  // being undefined; or the sum of the window's numbers over the product of the spans' sizes. Each has its adjoint. All but
  // the adjoints take int64 too. Every window must see some place.
  virtual void max_pool(const Tensor& y, const Tensor& indices, const Tensor& x, std::span<const PoolSpan> spans) = 0;
  virtual void max_pool_backward(const Tensor& dx, const Tensor& dy, const Tensor& indices,
                                 std::span<const PoolSpan> spans) = 0;
  virtual void avg_pool(const Tensor& y, const Tensor& x, std::span<const PoolSpan> spans) = 0;
  virtual void avg_pool_backward(const Tensor& dx, const Tensor& dy, std::span<const PoolSpan> spans) = 0;

  // ## Recurrent layers
  //
  // A whole sequence at once. `recurrent` writes gates and all states but the first; `recurrent_backward` what of `d` is
  // defined, from what `recurrent` left in `layer`.
  virtual void recurrent(const RecurrentLayer& layer) = 0;
  virtual void recurrent_backward(const RecurrentLayer& layer, const RecurrentGradients& d) = 0;

  // ## Attention
  //
  // softmax(scale · q kᵀ + bias) v without ever holding all the scores: q (…, l, e), k (…, s, e), v (…, s, f), out (…, l, f), of
  // any strides but for the last dimension, which is contiguous; so are the gradients. `bias` (…, l, s) may have strides of
  // 0 (along the last dimension 0 or 1) or be undefined. In the causal case query i sees keys 0 … i only. normalizer
  // (…, l, 2), contiguous, of q's type, is kept for the way back in two parts that must not meet: m, near the query's largest
  // score, and 1 / Σ eˢ⁻ᵐ; both are 0 for a query that sees nothing, which gets zeros.
  virtual void attention(const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                         const Tensor& bias, double scale, bool causal) = 0;
  virtual void attention_backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                                  const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k,
                                  const Tensor& v, const Tensor& bias, double scale, bool causal) = 0;

  // ## Factorisations
  //
  // Of every matrix in the last two dimensions of contiguous float32 or float64 tensors, in place where one tensor is
  // enough. `info` (int64, one number a matrix) becomes 0, or says what was wrong.
  //
  // a (n, n), of which the lower triangle is read → L with A = L Lᵀ. info: the first pivot, from 1, that is not positive.
  virtual void cholesky(const Tensor& a, const Tensor& info) = 0;
  // a (m, n) → L below the diagonal (its own is 1) and U above, with rows exchanged: row i with row pivots[i] - 1, i = 0,
  // 1, …, min(m, n) - 1. info: the first pivot, from 1, that is zero.
  virtual void lu(const Tensor& a, const Tensor& pivots, const Tensor& info) = 0;
  // b (n, k) → a⁻¹ b for a triangular a (n, n), of which the other triangle, and with `unit` the diagonal, is not read.
  virtual void solve_triangular(const Tensor& b, const Tensor& a, bool upper, bool unit) = 0;
  // a (m, n) → R in the upper triangle, below it the vectors of Householder reflections I - tau v vᵀ, tau (min(m, n),);
  // and q (m, n), which holds k such vectors, → the first n columns of the product of the k reflections in tau (k,).
  virtual void qr(const Tensor& a, const Tensor& tau) = 0;
  virtual void householder_product(const Tensor& q, const Tensor& tau) = 0;
  // Symmetric a (n, n), of which one triangle is read → its eigenvectors as columns (or nothing useful, if not wanted), and
  // values (n,), ascending. info: not 0 if the iteration did not converge.
  virtual void eigh(const Tensor& a, const Tensor& values, bool upper, bool vectors, const Tensor& info) = 0;
  // a (m, n), destroyed → u (m, m or min(m, n)), s (min(m, n),), descending, vh (n or min(m, n), n), with a = u s vh. With
  // undefined u and vh, s only. info as for eigh.
  virtual void svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) = 0;

  // ## Optimisers
  //
  // One step, in place, on contiguous tensors of one shape. `momentum`, Adam's largest v (AMSGrad) and RMSprop's `mean`
  // (centered) may be undefined.
  virtual void sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& options) = 0;
  virtual void adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& largest_v,
                    const AdamStep& options) = 0;
  virtual void adagrad(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradStep& options) = 0;
  virtual void rmsprop(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean,
                       const Tensor& momentum, const RmspropStep& options) = 0;
};

// The backend behind a device. Throws DeviceError if this build or machine has none.
Backend& on(Device device);

// Puts another one there, for tests, and returns the one that was put there before; null brings back the device's own.
Backend* replace(Device device, Backend* backend);

// Throws DeviceError, naming `op` and both devices, unless the tensors are on one.
void check_device(const char* op, const Tensor& x, const Tensor& y);

// Each backend's file makes its own.
std::unique_ptr<Backend> make_cpu();
std::unique_ptr<Backend> make_simt();
std::unique_ptr<Backend> make_cuda();

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
Tensor copy(const Tensor& x, DType dtype, Device device);  // from any device to any other
Tensor gemm(const Tensor& a, const Tensor& b, const GemmOptions& options = {});

}  // namespace cr::backend
