// # Recurrent layers
//
// The operations of `ops/recurrent.hpp` with weights of their own, whose names are PyTorch's, so that its checkpoints load:
// `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, then `…_l0_reverse`, `…_l1` and so on. All begin uniform between
// ±1/√hidden. Constructors throw ShapeError for sizes below 1, Error for options that make no sense.
//
//     nn::LSTM lstm(64, 128, generator, {.num_layers = 2, .batch_first = true});
//     auto [output, state] = lstm(x);     // (b, t, 64) → (b, t, 128), and h and c, (2, b, 128)
//     output = lstm(more, state).output;  // goes on where the first one ended
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/fields.hpp"
#include "nn/init.hpp"
#include "ops/ops.hpp"

namespace cr::nn {

struct RecurrentLayerOptions {
  int64_t num_layers = 1;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;  // of every layer's output but the last's, in training
  bool bidirectional = false;
  Nonlinearity nonlinearity = Nonlinearity::tanh;  // of an RNN: tanh or relu
  int64_t proj_size = 0;                           // of an LSTM: project its state to so many numbers
};

// The weights of one layer in one direction, or of a cell: for n units and G gates.
struct RecurrentWeights {
  Tensor weight_ih, weight_hh;  // (G n, in), (G n, n)
  Tensor bias_ih, bias_hh;      // (G n,), undefined without bias
  Tensor weight_hr;             // (projected, n), of an LSTM that projects
  CR_FIELDS(weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
};

// What all layers share. The fields of run i carry its name: "weight_ih" becomes "weight_ih_l1_reverse".
struct RecurrentLayer {
  std::vector<RecurrentWeights> runs;  // layer by layer, each forward and then, if bidirectional, in reverse
  RecurrentLayerOptions options;
  mutable Generator generator;  // for dropout, as in `nn::Dropout`
  bool training = true;

  template <class Visit> void visit_fields(Visit&& visit) { visit_each(*this, visit); }
  template <class Visit> void visit_fields(Visit&& visit) const { visit_each(*this, visit); }

 protected:
  RecurrentLayer() = default;
  RecurrentLayer(const char* name, int64_t gates, int64_t in, int64_t hidden, Generator& g,
                 const RecurrentLayerOptions& options);
  std::vector<Tensor> params() const;  // as the operations take them
  RecurrentOptions call_options() const;

 private:
  template <class Self, class Visit> static void visit_each(Self& self, Visit&& visit) {
    const size_t directions = self.options.bidirectional ? 2 : 1;
    for (size_t i = 0; i < self.runs.size(); ++i) {
      const std::string suffix = "_l" + std::to_string(i / directions) + (i % directions ? "_reverse" : "");
      self.runs[i].visit_fields([&](const std::string& name, auto& tensor) { visit(name + suffix, tensor); });
    }
    visit(std::string("training"), self.training);
    visit(std::string("generator"), self.generator);
  }
};

// (t, b, in), or (b, t, in) with `batch_first`, or (t, in) → (…, directions · hidden), and the last states.
struct LSTM : RecurrentLayer {
  LSTM() = default;
  LSTM(int64_t in, int64_t hidden, Generator& g, const RecurrentLayerOptions& options = {});
  LstmResult operator()(const Tensor& x, const LstmState& state = {}) const {
    return lstm(x, state, params(), call_options());
  }
};

struct GRU : RecurrentLayer {
  GRU() = default;
  GRU(int64_t in, int64_t hidden, Generator& g, const RecurrentLayerOptions& options = {});
  std::pair<Tensor, Tensor> operator()(const Tensor& x, const Tensor& state = {}) const {
    return gru(x, state, params(), call_options());
  }
};

struct RNN : RecurrentLayer {
  RNN() = default;
  RNN(int64_t in, int64_t hidden, Generator& g, const RecurrentLayerOptions& options = {});
  std::pair<Tensor, Tensor> operator()(const Tensor& x, const Tensor& state = {}) const {
    return (options.nonlinearity == Nonlinearity::relu ? rnn_relu : rnn_tanh)(x, state, params(), call_options());
  }
};

// ## Cells
//
// One step: x (b, in) and the state (b, hidden), or (in,) and (hidden,), → the next state. Their tensors are called
// `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`.
struct LSTMCell : RecurrentWeights {
  LSTMCell() = default;
  LSTMCell(int64_t in, int64_t hidden, Generator& g, bool bias = true);
  LstmState operator()(const Tensor& x, const LstmState& state = {}) const {
    return lstm_cell(x, state, weight_ih, weight_hh, bias_ih, bias_hh);
  }
};

struct GRUCell : RecurrentWeights {
  GRUCell() = default;
  GRUCell(int64_t in, int64_t hidden, Generator& g, bool bias = true);
  Tensor operator()(const Tensor& x, const Tensor& state = {}) const {
    return gru_cell(x, state, weight_ih, weight_hh, bias_ih, bias_hh);
  }
};

struct RNNCell : RecurrentWeights {
  Nonlinearity nonlinearity = Nonlinearity::tanh;
  RNNCell() = default;
  RNNCell(int64_t in, int64_t hidden, Generator& g, bool bias = true, Nonlinearity nonlinearity = Nonlinearity::tanh);
  Tensor operator()(const Tensor& x, const Tensor& state = {}) const {
    return (nonlinearity == Nonlinearity::relu ? rnn_relu_cell : rnn_tanh_cell)(x, state, weight_ih, weight_hh, bias_ih,
                                                                                bias_hh);
  }
};

}  // namespace cr::nn
