// # Recurrent layers
//
// The input's share of all steps is one large product, made before we come here. What is left is the chain: step s needs
// the state of step s − 1, so its product, h W, has only as many rows as the batch, and there is nothing to wait for it
// with. Three things make it fast:
//
// - Rows do not know of each other. So a thread takes some of them and runs their **whole sequence**: threads meet once a
//   sequence, not twice a step.
// - The same W serves every step. It is packed into panels once, as `gemm.cpp` would in each step anew, and stays in the
//   second cache.
// - Between two products one pass does all the rest (`isa/recurrent_kernel.cpp`), while the row is in the first cache.
#include <algorithm>

#include "backend/cpu/cpu.hpp"
#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/gemm_kernel.hpp"
#include "backend/cpu/isa/recurrent_kernel.hpp"
#include "backend/parallel.hpp"

namespace cr::backend::cpu {
namespace {

// The loops of the instruction set in use.
template <class T> struct Kernels {
  const GemmKernel<T>& product;
  const RecurrentKernel<T>& step;
};
template <class T> Kernels<T> kernels();

template <> Kernels<float> kernels() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return {avx512::gemm_float, avx512::recurrent_float};
  if (isa() == Isa::avx2) return {avx2::gemm_float, avx2::recurrent_float};
#endif
  return {base::gemm_float, base::recurrent_float};
}

template <> Kernels<double> kernels() {
#if CHAINRULE_X86_DISPATCH
  if (isa() == Isa::avx512) return {avx512::gemm_double, avx512::recurrent_double};
  if (isa() == Isa::avx2) return {avx2::gemm_double, avx2::recurrent_double};
#endif
  return {base::gemm_double, base::recurrent_double};
}

template <class T> T* numbers(const Tensor& x) {
  return x.defined() ? static_cast<T*>(x.impl()->storage->data()) + x.impl()->offset : nullptr;
}

int64_t pieces(int64_t total, int64_t size) { return (total + size - 1) / size; }

// ## The product of every step
//
// C [+]= A B [+ bias] with one B (k, n) for many A. Panels of B are multiplied by one register tile of rows after another,
// which read A where it lies. With few rows packing would not pay: they are multiplied one by one, and B stays in place.
template <class T> class StateProduct {
 public:
  // B(p, j) is b[p * rs + j * cs], of which one stride is 1. `rows` is the whole batch.
  StateProduct(int64_t rows, int64_t k, int64_t n, const T* b, int64_t rs, int64_t cs)
      : kernel_(kernels<T>().product), k_(k), n_(n), b_(b), rs_(rs), cs_(cs), in_place_(rows <= kFewRows) {
    if (in_place_) return;
    const int64_t panels = pieces(n, kernel_.tile_columns), panel = k * kernel_.tile_columns;
    packed_ = empty({panels, panel}, dtype_of<T>);
    T* to = numbers<T>(packed_);
    auto pack = [&](int64_t i) {
      const int64_t j = i * kernel_.tile_columns;
      kernel_.pack_b(to + i * panel, std::min(kernel_.tile_columns, n - j), k, b + j * cs, cs, rs);
    };
    const bool threads = k * n >= kWorthThreads;
    if (threads) parallel_for(panels, pack);
    for (int64_t i = 0; !threads && i < panels; ++i) pack(i);
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
  static constexpr int64_t kFewRows = 4, kWorthThreads = 1 << 16;

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
// Some rows at one step, and the number of the first of them: in the batch, in tensors (t, b, …), and among the states
// (t + 1, b, n) before and after the step.
struct Place {
  int64_t rows, first, now, before, after;
};

struct Sequence {
  int64_t steps, batch, units;
  bool reverse;

  Sequence(const Tensor& h, bool in_reverse)
      : steps(h.shape()[0] - 1), batch(h.shape()[1]), units(h.shape()[2]), reverse(in_reverse) {}

  // Calls `f` for each step of each block of rows, in the order of the states or, on the way back, against it. The blocks
  // follow from the batch alone.
  template <class F> void each_step(bool back, F&& f) const {
    constexpr int64_t kRows = 16, kWorthThreads = 1 << 18;
    const int64_t blocks = pieces(batch, kRows), rows = blocks ? pieces(batch, blocks) : 0;
    auto run = [&](int64_t block) {
      const int64_t first = block * rows;
      for (int64_t i = 0; i < steps; ++i) {
        const int64_t s = reverse != back ? steps - 1 - i : i, before = reverse ? s + 1 : s,
                      after = reverse ? s : s + 1;
        f(Place{std::min(rows, batch - first), first, s * batch + first, before * batch + first,
                after * batch + first});
      }
    };
    if (steps * batch * units * units >= kWorthThreads) return parallel_for(blocks, run);
    for (int64_t block = 0; block < blocks; ++block) run(block);
  }
};

}  // namespace

// ## The plain layer
void Cpu::rnn(const Tensor& h, const Tensor& weight, bool relu, bool reverse) {
  dispatch_floating(h.dtype(), "rnn", [&](auto zero) {
    using T = decltype(zero);
    const RecurrentKernel<T>& step = kernels<T>().step;
    const Sequence sequence(h, reverse);
    const int64_t n = sequence.units;
    const StateProduct<T> product(sequence.batch, n, n, numbers<T>(weight), 1, n);
    T* states = numbers<T>(h);
    sequence.each_step(false, [&](const Place& at) {
      product(at.rows, states + at.before * n, n, states + at.after * n, n, true);
      step.rnn(at.rows * n, relu, states + at.after * n);
    });
  });
}

void Cpu::rnn_backward(const Tensor& dsums, const Tensor& dh, const Tensor& dy, const Tensor& h, const Tensor& weight,
                       bool relu, bool reverse) {
  dispatch_floating(h.dtype(), "rnn", [&](auto zero) {
    using T = decltype(zero);
    const RecurrentKernel<T>& step = kernels<T>().step;
    const Sequence sequence(h, reverse);
    const int64_t n = sequence.units;
    const StateProduct<T> product(sequence.batch, n, n, numbers<T>(weight), n, 1);
    T *dsum = numbers<T>(dsums), *dstate = numbers<T>(dh);
    const T *dout = numbers<T>(dy), *states = numbers<T>(h);
    sequence.each_step(true, [&](const Place& at) {
      step.rnn_backward(at.rows * n, relu, dsum + at.now * n, dstate + at.first * n, dout ? dout + at.now * n : nullptr,
                        states + at.after * n);
      product(at.rows, dsum + at.now * n, n, dstate + at.first * n, n, false);
    });
  });
}

// ## LSTM
void Cpu::lstm(const Tensor& h, const Tensor& c, const Tensor& gates, const Tensor& weight, bool reverse) {
  dispatch_floating(h.dtype(), "lstm", [&](auto zero) {
    using T = decltype(zero);
    const RecurrentKernel<T>& step = kernels<T>().step;
    const Sequence sequence(h, reverse);
    const int64_t n = sequence.units;
    const StateProduct<T> product(sequence.batch, n, 4 * n, numbers<T>(weight), 1, n);
    T *states = numbers<T>(h), *cells = numbers<T>(c), *gate = numbers<T>(gates);
    sequence.each_step(false, [&](const Place& at) {
      product(at.rows, states + at.before * n, n, gate + at.now * 4 * n, 4 * n, true);
      for (int64_t r = 0; r < at.rows; ++r) {
        step.lstm(n, states + (at.after + r) * n, cells + (at.after + r) * n, gate + (at.now + r) * 4 * n,
                  cells + (at.before + r) * n);
      }
    });
  });
}

void Cpu::lstm_backward(const Tensor& dgates, const Tensor& dh, const Tensor& dc, const Tensor& dy, const Tensor& gates,
                        const Tensor& c, const Tensor& weight, bool reverse) {
  dispatch_floating(c.dtype(), "lstm", [&](auto zero) {
    using T = decltype(zero);
    const RecurrentKernel<T>& step = kernels<T>().step;
    const Sequence sequence(c, reverse);
    const int64_t n = sequence.units;
    const StateProduct<T> product(sequence.batch, 4 * n, n, numbers<T>(weight), n, 1);
    T *dgate = numbers<T>(dgates), *dstate = numbers<T>(dh), *dcell = numbers<T>(dc);
    const T *dout = numbers<T>(dy), *gate = numbers<T>(gates), *cells = numbers<T>(c);
    sequence.each_step(true, [&](const Place& at) {
      for (int64_t r = 0; r < at.rows; ++r) {
        step.lstm_backward(n, dgate + (at.now + r) * 4 * n, dcell + (at.first + r) * n, dstate + (at.first + r) * n,
                           dout ? dout + (at.now + r) * n : nullptr, gate + (at.now + r) * 4 * n,
                           cells + (at.after + r) * n, cells + (at.before + r) * n);
      }
      product(at.rows, dgate + at.now * 4 * n, 4 * n, dstate + at.first * n, n, false);
    });
  });
}

// ## GRU
//
// Two products a step: one adds to the sums of r and z, the other makes m, which r multiplies.
void Cpu::gru(const Tensor& h, const Tensor& gates, const Tensor& weight, const Tensor& bias, bool reverse) {
  dispatch_floating(h.dtype(), "gru", [&](auto zero) {
    using T = decltype(zero);
    const RecurrentKernel<T>& step = kernels<T>().step;
    const Sequence sequence(h, reverse);
    const int64_t n = sequence.units;
    const T* w = numbers<T>(weight);
    const StateProduct<T> add_rz(sequence.batch, n, 2 * n, w, 1, n), make_m(sequence.batch, n, n, w + 2 * n * n, 1, n);
    T *states = numbers<T>(h), *gate = numbers<T>(gates);
    sequence.each_step(false, [&](const Place& at) {
      add_rz(at.rows, states + at.before * n, n, gate + at.now * 4 * n, 4 * n, true);
      make_m(at.rows, states + at.before * n, n, gate + at.now * 4 * n + 3 * n, 4 * n, false, numbers<T>(bias));
      for (int64_t r = 0; r < at.rows; ++r) {
        step.gru(n, states + (at.after + r) * n, gate + (at.now + r) * 4 * n, states + (at.before + r) * n);
      }
    });
  });
}

void Cpu::gru_backward(const Tensor& dgates, const Tensor& dh, const Tensor& dy, const Tensor& gates, const Tensor& h,
                       const Tensor& weight, bool reverse) {
  dispatch_floating(h.dtype(), "gru", [&](auto zero) {
    using T = decltype(zero);
    const RecurrentKernel<T>& step = kernels<T>().step;
    const Sequence sequence(h, reverse);
    const int64_t n = sequence.units;
    const T* w = numbers<T>(weight);
    const StateProduct<T> from_rz(sequence.batch, 2 * n, n, w, n, 1), from_m(sequence.batch, n, n, w + 2 * n * n, n, 1);
    T *dgate = numbers<T>(dgates), *dstate = numbers<T>(dh);
    const T *dout = numbers<T>(dy), *gate = numbers<T>(gates), *states = numbers<T>(h);
    sequence.each_step(true, [&](const Place& at) {
      for (int64_t r = 0; r < at.rows; ++r) {
        step.gru_backward(n, dgate + (at.now + r) * 4 * n, dstate + (at.first + r) * n,
                          dout ? dout + (at.now + r) * n : nullptr, gate + (at.now + r) * 4 * n,
                          states + (at.before + r) * n);
      }
      from_rz(at.rows, dgate + at.now * 4 * n, 4 * n, dstate + at.first * n, n, true);
      from_m(at.rows, dgate + at.now * 4 * n + 3 * n, 4 * n, dstate + at.first * n, n, true);
    });
  });
}

}  // namespace cr::backend::cpu
