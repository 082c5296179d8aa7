// # Recurrent layers
//
// Step s needs the state of step s − 1. What does not need it, the input's share of all sums and the gradients of the
// weights, is one product over all steps; what does is a product with the rows of the batch, and then one kernel for all
// that happens to a unit: the gates' squashing functions and the new state.
#include "backend/functor.hpp"
#include "backend/gpu/block.cuh"
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/products.hpp"
#include "backend/gpu/scratch.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {
namespace {

struct Layout {
  int64_t steps, batch, in, n;  // n units
  int64_t wide, stored;         // rows of W, numbers kept for a row of the batch: those of a GRU have m besides
  int64_t shared;               // rows of W_hh whose sums are the input's too: all but those for m
  bool gru, lstm, reverse;

  explicit Layout(const RecurrentLayer& l)
      : steps(l.x.shape()[0]),
        batch(l.x.shape()[1]),
        in(l.x.shape()[2]),
        n(l.h.shape()[2]),
        wide(l.w_ih.shape()[0]),
        stored(l.gates.defined() ? 4 * n : n),
        shared(l.kind == Recurrent::gru ? 2 * n : wide),
        gru(l.kind == Recurrent::gru),
        lstm(l.kind == Recurrent::lstm),
        reverse(l.reverse) {}

  // Of step s: where its rows begin in tensors (t, b, …), and among the states (t + 1, b, n) before and after it.
  int64_t now(int64_t s) const { return s * batch; }
  int64_t before(int64_t s) const { return (reverse ? s + 1 : s) * batch; }
  int64_t after(int64_t s) const { return (reverse ? s : s + 1) * batch; }

  template <class F> void each_step(bool back, F&& f) const {
    for (int64_t i = 0; i < steps; ++i) f(reverse != back ? steps - 1 - i : i);
  }
};

// C = [C +] A B [+ bias], where A has contiguous rows and B, or its transpose, too.
template <class T> struct Factor {
  const T* at;
  int64_t row, column;
};
template <class T>
void multiply(Device device, int64_t m, int64_t n, int64_t k, Factor<T> a, Factor<T> b, T* c, int64_t c_row,
              bool accumulate = false, const T* bias = nullptr) {
  Product<T> p{};
  p.m = m, p.n = n, p.k = k;
  p.a = a.at, p.a_row = a.row, p.a_column = a.column;
  p.b = b.at, p.b_row = b.row, p.b_column = b.column;
  p.c = c, p.c_row = c_row;
  p.accumulate = accumulate, p.bias = bias;
  multiply(p, device);
}

// ## One step of a unit
//
// Thread e has unit e % n of row e / n. Gates lie one after another, n numbers each; what they hold, `backend.hpp` says.
template <class T> struct Step {
  int64_t rows, n;
  T *h, *c, *gates;
  const T *h0, *c0;
};

template <class T> __global__ void rnn_kernel(Step<T> s, bool relu) {
  for (int64_t e = first_element(); e < s.rows * s.n; e += all_threads())
    s.h[e] = relu ? functor::Relu{}(s.h[e]) : functor::Tanh{}(s.h[e]);
}

template <class T> __global__ void lstm_kernel(Step<T> s) {
  for (int64_t e = first_element(); e < s.rows * s.n; e += all_threads()) {
    T* gate = s.gates + e / s.n * 4 * s.n + e % s.n;
    const T i = functor::Sigmoid{}(gate[0]), f = functor::Sigmoid{}(gate[s.n]), g = functor::Tanh{}(gate[2 * s.n]),
            o = functor::Sigmoid{}(gate[3 * s.n]);
    const T cell = f * s.c0[e] + i * g;
    gate[0] = i, gate[s.n] = f, gate[2 * s.n] = g, gate[3 * s.n] = o;
    s.c[e] = cell;
    s.h[e] = o * functor::Tanh{}(cell);
  }
}

template <class T> __global__ void gru_kernel(Step<T> s) {
  for (int64_t e = first_element(); e < s.rows * s.n; e += all_threads()) {
    T* gate = s.gates + e / s.n * 4 * s.n + e % s.n;
    const T r = functor::Sigmoid{}(gate[0]), z = functor::Sigmoid{}(gate[s.n]);
    const T candidate = functor::Tanh{}(gate[2 * s.n] + r * gate[3 * s.n]);
    gate[0] = r, gate[s.n] = z, gate[2 * s.n] = candidate;
    s.h[e] = candidate + z * (s.h0[e] - candidate);
  }
}

// ## And back
//
// d = dh + dy is the gradient of the state that the step made; dsums becomes that of the gates' sums.
template <class T> struct StepBack {
  int64_t rows, n;
  T *dsums, *dh, *dc;
  const T *dy, *h = nullptr, *h0 = nullptr, *c = nullptr, *c0 = nullptr, *gates = nullptr;
  __device__ T state(int64_t e) const { return dy ? dh[e] + dy[e] : dh[e]; }
};

template <class T> __global__ void rnn_backward_kernel(StepBack<T> s, bool relu) {
  for (int64_t e = first_element(); e < s.rows * s.n; e += all_threads()) {
    const T d = s.state(e), h = s.h[e];
    s.dsums[e] = relu ? (h <= 0 ? T(0) : d) : d * (1 - h * h);
  }
}

// From h = o tanh c and c = f c₀ + i g; the slope of σ is σ (1 − σ), that of tanh 1 − tanh². dc comes in as the gradient of c
// and goes out as that of c₀.
template <class T> __global__ void lstm_backward_kernel(StepBack<T> s) {
  for (int64_t e = first_element(); e < s.rows * s.n; e += all_threads()) {
    const int64_t at = e / s.n * 4 * s.n + e % s.n;
    const T *gate = s.gates + at, i = gate[0], f = gate[s.n], g = gate[2 * s.n], o = gate[3 * s.n];
    const T t = functor::Tanh{}(s.c[e]), d = s.state(e), dcell = s.dc[e] + d * o * (1 - t * t);
    T* dsum = s.dsums + at;
    dsum[0] = dcell * g * (i * (1 - i));
    dsum[s.n] = dcell * s.c0[e] * (f * (1 - f));
    dsum[2 * s.n] = dcell * i * (1 - g * g);
    dsum[3 * s.n] = d * t * (o * (1 - o));
    s.dc[e] = dcell * f;
  }
}

// From h = n + z (h₀ − n) and n = tanh(… + r m). dh goes out as the direct part of h₀'s gradient, d z.
template <class T> __global__ void gru_backward_kernel(StepBack<T> s) {
  for (int64_t e = first_element(); e < s.rows * s.n; e += all_threads()) {
    const int64_t at = e / s.n * 4 * s.n + e % s.n;
    const T *gate = s.gates + at, r = gate[0], z = gate[s.n], candidate = gate[2 * s.n], m = gate[3 * s.n];
    const T d = s.state(e), dsum = d * (1 - z) * (1 - candidate * candidate);
    T* dgate = s.dsums + at;
    dgate[0] = dsum * m * (r * (1 - r));
    dgate[s.n] = d * (s.h0[e] - candidate) * (z * (1 - z));
    dgate[2 * s.n] = dsum;
    dgate[3 * s.n] = dsum * r;
    s.dh[e] = d * z;
  }
}

// What both biases add to the input's sums: that of m is not among them.
template <class T>
__global__ void add_bias_kernel(T* sum, const T* of_input, const T* of_state, int64_t n, int64_t shared) {
  for (int64_t i = first_element(); i < n; i += all_threads())
    sum[i] = (of_input ? of_input[i] : T(0)) + (of_state && i < shared ? of_state[i] : T(0));
}

// The gradient of a bias: the sums of the columns of d. Of a GRU, those from `direct` on are n further right.
constexpr int kColumns = 32, kThreads = 256;
template <class T>
__global__ void bias_gradient_kernel(T* db, const T* d, int64_t rows, int64_t wide, int64_t stored, int64_t direct) {
  const int64_t i = int64_t{blockIdx.x} * kColumns + threadIdx.x % kColumns;
  const int64_t column = i < direct ? i : i + stored - wide;
  LongSum<T> own;
  for (int64_t row = threadIdx.x / kColumns; row < rows && i < wide; row += kThreads / kColumns)
    own.add(d[row * stored + column]);
  const double sum = block_sum<kThreads>(own.value(), kColumns);
  if (threadIdx.x < kColumns && i < wide) db[i] = static_cast<T>(sum);
}

template <class T> void forward(const RecurrentLayer& l) {
  const Layout s(l);
  const Device device = l.x.device();
  const int64_t n = s.n;
  T *h = elements<T>(l.h), *c = elements<T>(l.c), *gates = elements<T>(l.gates);
  const T *w_ih = elements<T>(l.w_ih), *w_hh = elements<T>(l.w_hh), *b_hh = elements<T>(l.b_hh);
  if (s.batch == 0 || s.steps == 0 || n == 0) return;
  const bool biased = l.b_ih.defined() || l.b_hh.defined();
  const Scratch<T> bias(biased ? s.wide : 0, device);
  if (biased) {
    launch("recurrent_bias", add_bias_kernel<T>, grid_for(s.wide), bias.data(), elements<T>(l.b_ih), b_hh, s.wide,
           s.shared);
  }
  // The sums of a plain layer are made where its states will be.
  T* sums = gates ? gates : h + (s.reverse ? 0 : s.batch * n);
  multiply<T>(device, s.steps * s.batch, s.wide, s.in, {elements<T>(l.x), s.in, 1}, {w_ih, 1, s.in}, sums, s.stored,
              false, bias.data());
  s.each_step(false, [&](int64_t i) {
    const T* h0 = h + s.before(i) * n;
    T* sum = sums + s.now(i) * s.stored;
    multiply<T>(device, s.batch, s.shared, n, {h0, n, 1}, {w_hh, 1, n}, sum, s.stored, true);
    if (s.gru)
      multiply<T>(device, s.batch, n, n, {h0, n, 1}, {w_hh + s.shared * n, 1, n}, sum + 3 * n, s.stored, false,
                  b_hh ? b_hh + s.shared : nullptr);
    Step<T> step{s.batch, n, h + s.after(i) * n, nullptr, sum, h0, nullptr};
    if (s.lstm) step.c = c + s.after(i) * n, step.c0 = c + s.before(i) * n;
    const Grid grid = grid_for(s.batch * n);
    if (s.lstm) launch("lstm", lstm_kernel<T>, grid, step);
    else if (s.gru) launch("gru", gru_kernel<T>, grid, step);
    else launch("rnn", rnn_kernel<T>, grid, step, l.kind == Recurrent::relu);
  });
}

template <class T> void backward(const RecurrentLayer& l, const RecurrentGradients& g) {
  const Layout s(l);
  const Device device = l.x.device();
  const int64_t n = s.n, rows = s.steps * s.batch;
  const T *h = elements<T>(l.h), *c = elements<T>(l.c), *gates = elements<T>(l.gates), *dy = elements<T>(g.dy);
  const T *w_ih = elements<T>(l.w_ih), *w_hh = elements<T>(l.w_hh);
  T* dh = elements<T>(g.dh);
  const Scratch<T> dsums(rows * s.stored, device);
  const T* d = dsums.data();
  if (s.batch > 0 && n > 0) {
    s.each_step(true, [&](int64_t i) {
      T* dsum = dsums.data() + s.now(i) * s.stored;
      StepBack<T> step{s.batch, n, dsum, dh, elements<T>(g.dc), dy ? dy + s.now(i) * n : nullptr};
      step.h = h + s.after(i) * n, step.h0 = h + s.before(i) * n;
      if (s.lstm) step.c = c + s.after(i) * n, step.c0 = c + s.before(i) * n;
      if (gates) step.gates = gates + s.now(i) * s.stored;
      const Grid grid = grid_for(s.batch * n);
      if (s.lstm) launch("lstm_backward", lstm_backward_kernel<T>, grid, step);
      else if (s.gru) launch("gru_backward", gru_backward_kernel<T>, grid, step);
      else launch("rnn_backward", rnn_backward_kernel<T>, grid, step, l.kind == Recurrent::relu);
      // A GRU's state has a direct share of the gradient already.
      multiply<T>(device, s.batch, n, s.shared, {dsum, s.stored, 1}, {w_hh, n, 1}, dh, n, s.gru);
      if (s.gru)
        multiply<T>(device, s.batch, n, n, {dsum + 3 * n, s.stored, 1}, {w_hh + s.shared * n, n, 1}, dh, n, true);
    });
  }

  T *dx = elements<T>(g.dx), *dw_ih = elements<T>(g.dw_ih), *dw_hh = elements<T>(g.dw_hh);
  const Factor<T> x{elements<T>(l.x), s.in, 1}, h0{h + (s.reverse ? s.batch * n : 0), n, 1};
  if (dx) multiply<T>(device, rows, s.in, s.wide, {d, s.stored, 1}, {w_ih, s.in, 1}, dx, s.in);
  if (dw_ih) multiply<T>(device, s.wide, s.in, rows, {d, 1, s.stored}, x, dw_ih, s.in);
  if (dw_hh) multiply<T>(device, s.shared, n, rows, {d, 1, s.stored}, h0, dw_hh, n);
  if (dw_hh && s.gru) multiply<T>(device, n, n, rows, {d + 3 * n, 1, s.stored}, h0, dw_hh + s.shared * n, n);
  auto bias_gradient = [&](const Tensor& db, int64_t direct) {
    if (!db.defined() || s.wide == 0) return;
    launch("recurrent_db", bias_gradient_kernel<T>,
           {.blocks = {static_cast<unsigned>(pieces(s.wide, kColumns))}, .threads = {kThreads}}, elements<T>(db), d,
           rows, s.wide, s.stored, direct);
  };
  bias_gradient(g.db_ih, s.wide);
  bias_gradient(g.db_hh, s.shared);
}

}  // namespace

void Waist::recurrent(const RecurrentLayer& layer) {
  dispatch_floating(layer.x.dtype(), "recurrent", [&](auto zero) { forward<decltype(zero)>(layer); });
}

void Waist::recurrent_backward(const RecurrentLayer& layer, const RecurrentGradients& d) {
  dispatch_floating(layer.x.dtype(), "recurrent", [&](auto zero) { backward<decltype(zero)>(layer, d); });
}

}  // namespace cr::backend::CR_GPU
