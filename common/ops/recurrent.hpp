// # Recurrent layers
//
// A sequence is read from front to back; at each step a **state** h (and, in an LSTM, a **cell** c) is made of the step's
// input and the state before. All steps of a layer are one node of the graph. `nn/recurrent.hpp` has the layers that own
// their weights.
//
// Sizes: t steps, batch b, `in` inputs, n units, G gates: 1 for a plain RNN, 4 for LSTM (in the order i, f, g, o), 3 for GRU
// (r, z, n). Input is (t, b, in), with `batch_first` (b, t, in), or (t, in) for a sequence alone; the output is the state
// after each step, (…, directions · n), and states are (layers · directions, b, n), without b for a sequence alone.
// `params` lists w_ih (G n, in), w_hh (G n, n), b_ih (G n,), b_hh (G n,) for each layer and in it for each direction; without
// `has_biases` the last two are missing. All are float32, or all float64. An undefined initial state is zero.
//
// **Sequences of different lengths** are padded at their end to one length. No state depends on what comes after it, so
// outputs within a sequence's length are right; leave the others out of the loss, and take the last state from the output
// at length − 1 (`gather`). Where the state itself must stand still, a loop of cells says so:
// `h = where(step < lengths, gru_cell(x[step], h, …), h)`. The reverse direction begins at a sequence's end: reverse each one
// within its length, run forward, and reverse the result likewise.
//
// All throw ShapeError for sizes that do not fit (no steps at all, too), DTypeError and DeviceError for tensors of different
// types or devices.
#pragma once

#include <utility>
#include <vector>

#include "backend/generator.hpp"
#include "tensor/tensor.hpp"

namespace cr {

struct RecurrentOptions {
  bool has_biases = true;
  int64_t num_layers = 1;  // each reads the output of the one before
  double dropout = 0;      // of the output of every layer but the last, when `train`
  bool train = false;
  bool bidirectional = false;  // a second run from back to front, with weights of its own, beside the first
  bool batch_first = false;
  Generator* generator = nullptr;  // for dropout
};

// ## LSTM
//
// With $(i, f, g, o) = W_{ih} x + b_{ih} + W_{hh} h_0 + b_{hh}$,
//
// $$c = \sigma(f)\, c_0 + \sigma(i) \tanh g, \qquad h = \sigma(o) \tanh c$$
//
// (Hochreiter and Schmidhuber 1997; the forget gate is of Gers et al. 2000). With one more of `params` in each direction,
// w_hr (p, n), the state is projected to p numbers, $h = W_{hr} (\sigma(o) \tanh c)$, and w_hh is (G n, p).
struct LstmState {
  Tensor h, c;
};
struct LstmResult {
  Tensor output;
  LstmState state;
};
LstmResult lstm(const Tensor& input, const LstmState& hx, const std::vector<Tensor>& params,
                const RecurrentOptions& options = {});

// ## GRU
//
// $$r = \sigma(W_{ir} x + b_{ir} + W_{hr} h_0 + b_{hr}), \qquad z \text{ likewise}, \qquad
//   n = \tanh(W_{in} x + b_{in} + r\, (W_{hn} h_0 + b_{hn})), \qquad h = (1 - z)\, n + z\, h_0$$
//
// (Cho et al. 2014; as in PyTorch, r multiplies after the product). Returns output and last state.
std::pair<Tensor, Tensor> gru(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params,
                              const RecurrentOptions& options = {});

// ## Plain
//
// $h = \tanh(W_{ih} x + b_{ih} + W_{hh} h_0 + b_{hh})$ (Elman 1990), or relu instead of tanh. Output and last state.
std::pair<Tensor, Tensor> rnn_tanh(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params,
                                   const RecurrentOptions& options = {});
std::pair<Tensor, Tensor> rnn_relu(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params,
                                   const RecurrentOptions& options = {});

// ## One step
//
// For loops in which the next input depends on the state. Input (b, in) and states (b, n), or (in,) and (n,).
LstmState lstm_cell(const Tensor& input, const LstmState& hx, const Tensor& w_ih, const Tensor& w_hh,
                    const Tensor& b_ih = {}, const Tensor& b_hh = {});
Tensor gru_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih = {},
                const Tensor& b_hh = {});
Tensor rnn_tanh_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh,
                     const Tensor& b_ih = {}, const Tensor& b_hh = {});
Tensor rnn_relu_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh,
                     const Tensor& b_ih = {}, const Tensor& b_hh = {});

}  // namespace cr
