// # Recurrent layers
//
// Step s needs the state of step s − 1: a chain, whose products have only as many rows as the batch. What makes it fast:
//
// - Rows do not know of each other. So a thread takes some of them and runs their **whole sequence**, forward and back:
//   threads meet once a layer, not twice a step.
// - The same W serves every step. It is packed into panels once, as `gemm.cpp` would in each step anew, and stays in the
//   second cache.
// - Between two products one pass does all the rest (`isa/recurrent_kernel.cpp`), while the row is in the first cache.
// - The gradient of the weights is added up some steps at a time, before the gates' gradients leave the second cache.
#include <algorithm>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/gemm.hpp"
#include "backend/cpu/isa/kernels.hpp"
#include "backend/cpu/isa/recurrent_kernel.hpp"
#include "backend/cpu/tiles.hpp"

namespace cr::backend::cpu {
namespace {

// The loops of the instruction set in use.
template <class T> struct Loops {
  const RecurrentKernel<T>& step;
  void (*sum_columns)(int64_t rows, int64_t columns, const void* x, int64_t stride, void* totals);
};
template <class T> Loops<T> loops();
constexpr size_t kSum = functor::Reductions::index_of<functor::Sum>();

template <> Loops<float> loops() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return {avx512::recurrent_float, avx512::kernels.reduce_columns[kSum][2]};
  if (isa() == Isa::avx2) return {avx2::recurrent_float, avx2::kernels.reduce_columns[kSum][2]};
#endif
  return {base::recurrent_float, base::kernels.reduce_columns[kSum][2]};
}

template <> Loops<double> loops() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return {avx512::recurrent_double, avx512::kernels.reduce_columns[kSum][3]};
  if (isa() == Isa::avx2) return {avx2::recurrent_double, avx2::kernels.reduce_columns[kSum][3]};
#endif
  return {base::recurrent_double, base::kernels.reduce_columns[kSum][3]};
}

template <class T> T* numbers(const Tensor& x) {
  return x.defined() ? static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset : nullptr;
}

// A batch of so few rows is multiplied row by row; so many numbers are worth a second thread that packs or adds.
constexpr int64_t kFewRows = 4, kWorthPacking = 1 << 16;

// ## The product of every step
//
// C [+]= A B [+ bias] with one B (k, n) for many A. Panels of B are multiplied by one register tile of rows after another,
// which read A where it lies. With few rows packing would not pay: they are multiplied one by one, and B stays in place.
template <class T> class StateProduct {
 public:
  // B(p, j) is b[p * rs + j * cs], of which one stride is 1. `rows` is the whole batch.
  StateProduct(int64_t rows, int64_t k, int64_t n, const T* b, int64_t rs, int64_t cs)
      : kernel_(gemm_kernel<T>()), k_(k), n_(n), b_(b), rs_(rs), cs_(cs), in_place_(rows <= kFewRows) {
    if (!in_place_) packed_ = empty({panels(), k * kernel_.tile_columns}, dtype_of<T>);
  }

  // Packs several at once: threads meet once.
  static void pack(std::initializer_list<StateProduct*> products) {
    int64_t total = 0, panels = 0;
    for (const StateProduct* p : products)
      total += p->packed_.defined() ? p->packed_.numel() : 0, panels += p->panels();
    if (total == 0) return;
    for_tiles(panels, total >= kWorthPacking, [&](int64_t panel) {
      for (StateProduct* p : products) {
        if (panel >= 0 && panel < p->panels()) p->pack_panel(panel);
        panel -= p->panels();
      }
    });
  }

  void operator()(int64_t rows, const T* a, int64_t a_rs, T* c, int64_t c_rs, bool accumulate,
                  const T* bias = nullptr) const {
    if (in_place_) return one_by_one(rows, a, a_rs, c, c_rs, accumulate, bias);
    // Rows are shared out evenly: 16 are 8 + 8, not 14 + 2, since a tile of two rows keeps few multipliers busy.
    const int64_t groups = pieces(rows, kernel_.tile_rows), together = pieces(rows, groups);
    for (int64_t j = 0; j < n_; j += kernel_.tile_columns) {
      GemmTile<T> t{};
      t.columns = std::min(kernel_.tile_columns, n_ - j);
      t.k = k_;
      t.a_row = a_rs, t.a_step = 1;
      t.b = numbers<T>(packed_) + j * k_, t.b_step = kernel_.tile_columns;
      t.c_step = c_rs;
      t.accumulate = accumulate;
      t.bias = bias ? bias + j : nullptr;
      for (int64_t i = 0; i < rows; i += together) {
        t.rows = std::min(together, rows - i);
        t.a = a + i * a_rs;
        t.c = c + i * c_rs + j;
        kernel_.tile(t);
      }
    }
  }

 private:
  int64_t panels() const { return in_place_ ? 0 : pieces(n_, kernel_.tile_columns); }

  void pack_panel(int64_t panel) {
    const int64_t j = panel * kernel_.tile_columns;
    kernel_.pack_b(numbers<T>(packed_) + j * k_, std::min(kernel_.tile_columns, n_ - j), k_, b_ + j * cs_, cs_, rs_);
  }

  void one_by_one(int64_t rows, const T* a, int64_t a_rs, T* c, int64_t c_rs, bool accumulate, const T* bias) const {
    const bool dots = rs_ == 1;
    for (int64_t i = 0; i < rows; ++i) {
      GemmRow<T> row{};
      row.columns = n_, row.k = k_;
      row.x = a + i * a_rs, row.x_step = 1;
      row.b = b_, row.b_step = dots ? cs_ : rs_;
      row.y = c + i * c_rs, row.y_step = 1;
      row.accumulate = accumulate;
      row.bias = bias, row.bias_step = 1;
      (dots ? kernel_.dots : kernel_.row)(row);
    }
  }

  const GemmKernel<T>& kernel_;
  int64_t k_, n_;
  const T* b_;
  int64_t rs_, cs_;
  bool in_place_;
  Tensor packed_;  // panels of tile_columns columns, one after another
};

// ## Through the sequence
//
// Some rows at one step, and the number of the first of them: in tensors (t, b, …), and among the states (t + 1, b, n)
// before and after the step.
struct Place {
  int64_t block, rows, first, now, before, after;
  bool last;
};

struct Layout {
  int64_t steps, batch, in, n;  // n units
  int64_t wide, stored;         // rows of W, numbers kept for a row of the batch: those of a GRU have m besides
  int64_t shared;               // rows of W_hh whose sums are the input's too: all but those for m
  int64_t blocks, rows;         // blocks of so many rows, or fewer
  bool gru, reverse;
  bool small;    // all weights fit a cache: a thread makes the input's products for its rows too
  bool by_rows;  // and there are steps enough: it adds up the weights' gradients for its rows

  explicit Layout(const RecurrentLayer& l)
      : steps(l.x.shape()[0]),
        batch(l.x.shape()[1]),
        in(l.x.shape()[2]),
        n(l.h.shape()[2]),
        wide(l.w_ih.shape()[0]),
        stored(l.gates.defined() ? 4 * n : n),
        gru(l.kind == Recurrent::gru),
        reverse(l.reverse) {
    // The blocks follow from the batch alone. Each has a sum of its own for the weights' gradients, so there are few.
    constexpr int64_t kRows = 16, kMostBlocks = 16, kSmallWeights = 1 << 20;
    shared = gru ? 2 * n : wide;
    blocks = std::min(pieces(batch, kRows), kMostBlocks);
    rows = blocks ? pieces(batch, blocks) : 0;
    blocks = blocks ? pieces(batch, rows) : 0;
    small = batch > kFewRows && wide * (in + n) * size_of(l.x.dtype()) <= kSmallWeights;
    by_rows = small && steps >= 4;
  }

  // Calls `f` for each step of each block of rows, in the order of the states or, on the way back, against it.
  template <class F> void each_step(bool back, F&& f) const {
    auto run = [&](int64_t block) {
      const int64_t first = block * rows;
      for (int64_t i = 0; i < steps; ++i) {
        const int64_t s = reverse != back ? steps - 1 - i : i;
        const int64_t before = reverse ? s + 1 : s, after = reverse ? s : s + 1;
        f(Place{block, std::min(rows, batch - first), first, s * batch + first, before * batch + first,
                after * batch + first, i + 1 == steps});
      }
    };
    const double work = static_cast<double>(steps * batch) * static_cast<double>(wide * (in + n));
    for_tiles(blocks, work >= kWorthThreads, run);
  }
};

// What both biases add to the input's sums; m has its own.
template <class T> Tensor summed_bias(const RecurrentLayer& l, const Layout& s) {
  if (!l.b_ih.defined() && !l.b_hh.defined()) return {};
  Tensor sum = empty({s.wide}, dtype_of<T>);
  const T *of_input = numbers<T>(l.b_ih), *of_state = numbers<T>(l.b_hh);
  for (int64_t i = 0; i < s.wide; ++i) {
    numbers<T>(sum)[i] = (of_input ? of_input[i] : 0) + (of_state && i < s.shared ? of_state[i] : 0);
  }
  return sum;
}

// One product over all rows of all steps, with all threads. A and B may be transposed.
template <class T> struct Factor {
  const T* data;
  int64_t rs, cs;
};
template <class T>
void multiply(int64_t m, int64_t n, int64_t k, const Factor<T>& a, const Factor<T>& b, T* c, int64_t c_rs,
              bool accumulate = false, const T* bias = nullptr) {
  Gemm<T> g;
  g.m = m, g.n = n, g.k = k;
  g.a = a.data, g.a_rs = a.rs, g.a_cs = a.cs;
  g.b = b.data, g.b_rs = b.rs, g.b_cs = b.cs;
  g.c = c, g.c_rs = c_rs;
  g.accumulate = accumulate, g.bias = bias;
  gemm(g);
}

// ## Forward
template <class T> void forward(const RecurrentLayer& l) {
  const Layout s(l);
  const int64_t n = s.n;
  const RecurrentKernel<T>& step = loops<T>().step;
  T *h = numbers<T>(l.h), *c = numbers<T>(l.c), *gates = numbers<T>(l.gates);
  const T *x = numbers<T>(l.x), *w_ih = numbers<T>(l.w_ih), *w_hh = numbers<T>(l.w_hh);
  const T* bias_m = s.gru && l.b_hh.defined() ? numbers<T>(l.b_hh) + 2 * n : nullptr;
  const Tensor summed = summed_bias<T>(l, s);
  const T* bias = numbers<T>(summed);
  // The sums of a plain layer are made where its states will be.
  T* sums = gates ? gates : h + (s.reverse ? 0 : s.batch * n);

  StateProduct<T> from_input(s.batch, s.in, s.small ? s.wide : 0, w_ih, 1, s.in);
  StateProduct<T> from_state(s.batch, n, s.shared, w_hh, 1, n);
  StateProduct<T> to_m(s.batch, n, s.wide - s.shared, w_hh + s.shared * n, 1, n);
  StateProduct<T>::pack({&from_input, &from_state, &to_m});
  if (!s.small)
    multiply<T>(s.steps * s.batch, s.wide, s.in, {x, s.in, 1}, {w_ih, 1, s.in}, sums, s.stored, false, bias);
  s.each_step(false, [&](const Place& at) {
    const T* before = h + at.before * n;
    T *after = h + at.after * n, *sum = sums + at.now * s.stored;
    if (s.small) from_input(at.rows, x + at.now * s.in, s.in, sum, s.stored, false, bias);
    from_state(at.rows, before, n, sum, s.stored, true);
    if (s.gru) to_m(at.rows, before, n, sum + 3 * n, s.stored, false, bias_m);
    for (int64_t r = 0; r < at.rows; ++r) {
      T *state = after + r * n, *gate = sum + r * s.stored;
      if (l.kind == Recurrent::lstm) step.lstm(n, state, c + (at.after + r) * n, gate, c + (at.before + r) * n);
      else if (s.gru) step.gru(n, state, gate, before + r * n);
      else step.rnn(n, l.kind == Recurrent::relu, state);
    }
  });
}

// ## The gradients of the weights
//
// $dW_{ih} = \sum d^\top x$ and $dW_{hh} = \sum d^\top h_0$ over all rows of all steps, d being the gradients of the sums. Large
// weights: d is kept for all of them, and each sum is one product in the end. Small ones (`by_rows`): a block keeps d for
// some steps, as many as fit its cache, beside copies of what they belong to, x and h₀ in one row; then one product adds
// to the block's own sum. In the end the blocks' sums are added, in order.
template <class T> class WeightGradients {
 public:
  WeightGradients(const RecurrentLayer& layer, const RecurrentGradients& wanted)
      : l_(layer), wanted_(wanted), s_(layer), weights_(wanted.dw_ih.defined() || wanted.dw_hh.defined()) {
    const DType type = dtype_of<T>;
    bias_ = empty({s_.blocks, s_.stored}, DType::float64);
    std::fill_n(numbers<double>(bias_), bias_.numel(), 0.0);
    if (s_.by_rows) {
      constexpr int64_t kTogether = 256;
      const int64_t chunks = pieces(s_.steps * s_.rows, std::max(kTogether, s_.rows));
      together_ = pieces(s_.steps, chunks) * s_.rows;
      if (weights_) sums_ = empty({s_.blocks, s_.stored, width()}, type);
      if (weights_) beside_ = empty({s_.blocks, together_, width()}, type);
    }
    d_ = empty({s_.by_rows ? s_.blocks * together_ : s_.steps * s_.batch, s_.stored}, type);
    filled_.resize(static_cast<int>(s_.blocks));
    begun_.resize(static_cast<int>(s_.blocks));
    std::fill_n(filled_.begin(), s_.blocks, 0);
    std::fill_n(begun_.begin(), s_.blocks, 0);
  }

  // Where the gradients of these rows' sums are to be written.
  T* room(const Place& at) const {
    return numbers<T>(d_) + (s_.by_rows ? at.block * together_ + filled(at) : at.now) * s_.stored;
  }

  // They have been written.
  void add(const Place& at) {
    if (wanted_.db_ih.defined() || wanted_.db_hh.defined()) {
      loops<T>().sum_columns(at.rows, s_.stored, room(at), s_.stored, numbers<double>(bias_) + at.block * s_.stored);
    }
    if (!s_.by_rows || !weights_) return;
    T* to = numbers<T>(beside_) + (at.block * together_ + filled(at)) * width();
    for (int64_t r = 0; r < at.rows; ++r, to += width()) {
      std::copy_n(numbers<T>(l_.x) + (at.now + r) * s_.in, s_.in, to);
      std::copy_n(numbers<T>(l_.h) + (at.before + r) * s_.n, s_.n, to + s_.in);
    }
    filled(at) += at.rows;
    if (filled(at) + at.rows > together_ || at.last) multiply_block(at);
  }

  void finish() {
    if (weights_ && s_.by_rows) meet();
    if (weights_ && !s_.by_rows) multiply_all();
    if (wanted_.db_ih.defined()) meet_bias(wanted_.db_ih, s_.wide);
    if (wanted_.db_hh.defined()) meet_bias(wanted_.db_hh, s_.shared);
  }

 private:
  int64_t width() const { return s_.in + s_.n; }
  int64_t& filled(const Place& at) const { return filled_[static_cast<int>(at.block)]; }

  void multiply_block(const Place& at) {
    const T *d = numbers<T>(d_) + at.block * together_ * s_.stored,
            *beside = numbers<T>(beside_) + at.block * together_ * width();
    T* sum = numbers<T>(sums_) + at.block * s_.stored * width();
    auto part = [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
      multiply<T>(rows, columns, filled(at), {d + row, 1, s_.stored}, {beside + column, width(), 1},
                  sum + row * width() + column, width(), begun_[static_cast<int>(at.block)]);
    };
    part(0, s_.shared, 0, width());
    if (s_.gru) part(s_.shared, s_.n, 0, s_.in), part(3 * s_.n, s_.n, s_.in, s_.n);
    filled(at) = 0;
    begun_[static_cast<int>(at.block)] = 1;
  }

  // Row i of W_hh belongs to sum i, but those for m to the last ones.
  int64_t sum_of(int64_t i, bool state) const { return state && i >= s_.shared ? i + s_.n : i; }

  void meet() const {
    constexpr int64_t kRows = 32;
    for_tiles(pieces(s_.wide, kRows), s_.wide * width() >= kWorthPacking, [&](int64_t tile) {
      for (int64_t i = tile * kRows; i < std::min(s_.wide, (tile + 1) * kRows); ++i) {
        for (bool state : {false, true}) {
          T* out = numbers<T>(state ? wanted_.dw_hh : wanted_.dw_ih);
          const int64_t columns = state ? s_.n : s_.in;
          for (int64_t block = 0; out && block < s_.blocks; ++block) {
            const T* sum = numbers<T>(sums_) + (block * s_.stored + sum_of(i, state)) * width() + (state ? s_.in : 0);
            if (block) loops<T>().step.add(columns, out + i * columns, sum);
            else std::copy_n(sum, columns, out + i * columns);
          }
        }
      }
    });
  }

  void multiply_all() const {
    const int64_t rows = s_.steps * s_.batch;
    const T *d = numbers<T>(d_), *h0 = numbers<T>(l_.h) + (s_.reverse ? s_.batch * s_.n : 0);
    const Factor<T> x{numbers<T>(l_.x), s_.in, 1}, before{h0, s_.n, 1};
    T *dw_ih = numbers<T>(wanted_.dw_ih), *dw_hh = numbers<T>(wanted_.dw_hh);
    if (dw_ih) multiply<T>(s_.wide, s_.in, rows, {d, 1, s_.stored}, x, dw_ih, s_.in);
    if (dw_hh) multiply<T>(s_.shared, s_.n, rows, {d, 1, s_.stored}, before, dw_hh, s_.n);
    if (dw_hh && s_.gru)
      multiply<T>(s_.n, s_.n, rows, {d + 3 * s_.n, 1, s_.stored}, before, dw_hh + s_.shared * s_.n, s_.n);
  }

  void meet_bias(const Tensor& out, int64_t direct) const {
    for (int64_t i = 0; i < s_.wide; ++i) {
      double sum = 0;
      for (int64_t block = 0; block < s_.blocks; ++block)
        sum += numbers<double>(bias_)[block * s_.stored + (i < direct ? i : i + s_.n)];
      numbers<T>(out)[i] = static_cast<T>(sum);
    }
  }

  const RecurrentLayer& l_;
  const RecurrentGradients& wanted_;
  const Layout s_;
  bool weights_;
  int64_t together_ = 0;  // rows of a block that are multiplied at once
  Tensor d_, beside_, sums_, bias_;
  mutable InlineVector<int64_t, 16> filled_, begun_;
};

// ## Backward
template <class T> void backward(const RecurrentLayer& l, const RecurrentGradients& d) {
  const Layout s(l);
  const int64_t n = s.n;
  const RecurrentKernel<T>& step = loops<T>().step;
  const T *h = numbers<T>(l.h), *c = numbers<T>(l.c), *gates = numbers<T>(l.gates), *dy = numbers<T>(d.dy);
  const T *w_ih = numbers<T>(l.w_ih), *w_hh = numbers<T>(l.w_hh);
  T *dh = numbers<T>(d.dh), *dc = numbers<T>(d.dc), *dx = numbers<T>(d.dx);
  StateProduct<T> to_state(s.batch, s.shared, n, w_hh, n, 1);
  StateProduct<T> from_m(s.batch, s.wide - s.shared, n, w_hh + s.shared * n, n, 1);
  StateProduct<T> to_input(s.batch, s.wide, dx ? s.in : 0, w_ih, s.in, 1);
  StateProduct<T>::pack({&to_state, &from_m, &to_input});
  WeightGradients<T> weights(l, d);
  s.each_step(true, [&](const Place& at) {
    T* dsums = weights.room(at);
    for (int64_t r = 0; r < at.rows; ++r) {
      T *dsum = dsums + r * s.stored, *dstate = dh + (at.first + r) * n;
      const T *dout = dy ? dy + (at.now + r) * n : nullptr, *gate = gates ? gates + (at.now + r) * s.stored : nullptr;
      const int64_t before = (at.before + r) * n, after = (at.after + r) * n;
      if (l.kind == Recurrent::lstm)
        step.lstm_backward(n, dsum, dc + (at.first + r) * n, dstate, dout, gate, c + after, c + before);
      else if (s.gru) step.gru_backward(n, dsum, dstate, dout, gate, h + before);
      else step.rnn_backward(n, l.kind == Recurrent::relu, dsum, dstate, dout, h + after);
    }
    // A GRU's state has a direct share of the gradient already.
    to_state(at.rows, dsums, s.stored, dh + at.first * n, n, s.gru);
    if (s.gru) from_m(at.rows, dsums + 3 * n, s.stored, dh + at.first * n, n, true);
    if (dx) to_input(at.rows, dsums, s.stored, dx + at.now * s.in, s.in, false);
    weights.add(at);
  });
  weights.finish();
}

}  // namespace

void Cpu::recurrent(const RecurrentLayer& layer) {
  dispatch_floating(layer.x.dtype(), "recurrent", [&](auto zero) { forward<decltype(zero)>(layer); });
}

void Cpu::recurrent_backward(const RecurrentLayer& layer, const RecurrentGradients& d) {
  dispatch_floating(layer.x.dtype(), "recurrent", [&](auto zero) { backward<decltype(zero)>(layer, d); });
}

}  // namespace cr::backend::cpu
