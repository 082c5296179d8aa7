#include "op_table.hpp"

namespace cr::test {
namespace {

// What falls is random, unless nothing or everything does.
RecurrentOptions options(bool has_biases, int64_t num_layers, double dropout, bool train, bool bidirectional,
                         bool batch_first) {
  static Generator generator(1);
  if (train && dropout > 0 && dropout < 1) throw Unsupported("dropout with 0 < p < 1 is random");
  return {has_biases, num_layers, dropout, train, bidirectional, batch_first, &generator};
}

LstmState state_of(const std::vector<Tensor>& hx) {
  if (hx.empty()) return {};
  if (hx.size() != 2) throw Unsupported("an LSTM's state is a list of two tensors");
  return {hx[0], hx[1]};
}

using Sequence = std::pair<Tensor, Tensor> (*)(const Tensor&, const Tensor&, const std::vector<Tensor>&,
                                               const RecurrentOptions&);
auto sequence(Sequence f) {
  return [f](Tensor input, Tensor hx, std::vector<Tensor> params, bool has_biases, int64_t num_layers, double dropout,
             bool train, bool bidirectional, bool batch_first) {
    return f(input, hx, params, options(has_biases, num_layers, dropout, train, bidirectional, batch_first));
  };
}

constexpr const char* kSequence = "input hx params has_biases num_layers dropout train bidirectional batch_first";
constexpr const char* kCell = "input hx w_ih w_hh b_ih=null b_hh=null";

// ## Layers
//
// A layer gets the case's tensors by PyTorch's names.
template <class Layer>
void give(Layer& layer, const std::vector<std::string>& names, const std::vector<Tensor>& tensors) {
  NamedTensors given;
  for (size_t i = 0; i < names.size(); ++i) given[names[i]] = tensors.at(i);
  nn::visit_tensors("", layer, [&](const std::string& name, Tensor& t) {
    if (!t.defined()) return;
    if (!given.count(name)) throw Error("no tensor is called " + name);
    t = given[name];
    given.erase(name);
  });
  if (!given.empty()) throw Error("the layer has no tensor called " + given.begin()->first);
}

nn::Nonlinearity nonlinearity(const std::string& name) {
  if (name != "tanh" && name != "relu") throw Unsupported("no nonlinearity is called " + name);
  return name == "relu" ? nn::Nonlinearity::relu : nn::Nonlinearity::tanh;
}

Outputs flat(const LstmResult& r) { return {r.output, r.state.h, r.state.c}; }
Outputs flat(const LstmState& s) { return {s.h, s.c}; }
Outputs flat(const std::pair<Tensor, Tensor>& r) { return {r.first, r.second}; }
Outputs flat(const Tensor& h) { return {h}; }

template <class Layer> auto layer() {
  return [](Tensor input, std::vector<Tensor> hx, std::vector<Tensor> tensors, std::vector<std::string> names,
            int64_t hidden, int64_t num_layers, bool bias, bool batch_first, bool bidirectional, std::string f,
            int64_t proj_size) {
    Generator g(1);
    Layer made(input.size(-1), hidden, g,
               {.num_layers = num_layers,
                .bias = bias,
                .batch_first = batch_first,
                .bidirectional = bidirectional,
                .nonlinearity = nonlinearity(f),
                .proj_size = proj_size});
    give(made, names, tensors);
    if constexpr (std::is_same_v<Layer, nn::LSTM>) return flat(made(input, state_of(hx)));
    else return flat(made(input, hx.empty() ? Tensor() : hx[0]));
  };
}

template <class Cell> auto cell() {
  return [](Tensor input, std::vector<Tensor> hx, std::vector<Tensor> tensors, std::vector<std::string> names,
            int64_t hidden, bool bias, std::string f) {
    Generator g(1);
    Cell made;
    if constexpr (std::is_same_v<Cell, nn::RNNCell>) made = Cell(input.size(-1), hidden, g, bias, nonlinearity(f));
    else made = Cell(input.size(-1), hidden, g, bias);
    give(made, names, tensors);
    if constexpr (std::is_same_v<Cell, nn::LSTMCell>) return flat(made(input, state_of(hx)));
    else return flat(made(input, hx.empty() ? Tensor() : hx[0]));
  };
}

constexpr const char* kLayer =
    "input hx tensors names hidden num_layers=1 bias=true batch_first=false bidirectional=false nonlinearity=\"tanh\" "
    "proj_size=0";
constexpr const char* kLayerCell = "input hx tensors names hidden bias=true nonlinearity=\"tanh\"";

}  // namespace

Table recurrent_ops() {
  return {
      {"lstm", kSequence,
       [](Tensor input, std::vector<Tensor> hx, std::vector<Tensor> params, bool has_biases, int64_t num_layers,
          double dropout, bool train, bool bidirectional, bool batch_first) {
         return flat(lstm(input, state_of(hx), params,
                          options(has_biases, num_layers, dropout, train, bidirectional, batch_first)));
       }},
      {"gru", kSequence, sequence(gru)},
      {"rnn_tanh", kSequence, sequence(rnn_tanh)},
      {"rnn_relu", kSequence, sequence(rnn_relu)},
      {"lstm_cell", kCell,
       [](Tensor input, std::vector<Tensor> hx, Tensor w_ih, Tensor w_hh, Tensor b_ih, Tensor b_hh) {
         return flat(lstm_cell(input, state_of(hx), w_ih, w_hh, b_ih, b_hh));
       }},
      {"gru_cell", kCell, gru_cell},
      {"rnn_tanh_cell", kCell, rnn_tanh_cell},
      {"rnn_relu_cell", kCell, rnn_relu_cell},
      {"nn.LSTM", kLayer, layer<nn::LSTM>()},
      {"nn.GRU", kLayer, layer<nn::GRU>()},
      {"nn.RNN", kLayer, layer<nn::RNN>()},
      {"nn.LSTMCell", kLayerCell, cell<nn::LSTMCell>()},
      {"nn.GRUCell", kLayerCell, cell<nn::GRUCell>()},
      {"nn.RNNCell", kLayerCell, cell<nn::RNNCell>()},
  };
}

}  // namespace cr::test
