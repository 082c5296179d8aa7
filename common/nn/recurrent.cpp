#include "nn/recurrent.hpp"

#include <cmath>

namespace cr::nn {
namespace {

void check_size(const char* name, const char* what, int64_t size) {
  if (size >= 1) return;
  throw ShapeError(std::string(name) + ": " + what + " must be at least 1, got " + std::to_string(size));
}

void check_nonlinearity(const char* name, Nonlinearity f) {
  if (f == Nonlinearity::tanh || f == Nonlinearity::relu) return;
  throw Error(std::string(name) + ": its nonlinearity is tanh or relu");
}

RecurrentWeights weights(const char* name, int64_t gates, int64_t in, int64_t hidden, Generator& g, bool bias,
                         int64_t projected = 0) {
  check_size(name, "the number of inputs", in);
  check_size(name, "hidden", hidden);
  int64_t rows;
  if (__builtin_mul_overflow(gates, hidden, &rows)) {
    throw ShapeError(std::string(name) + ": hidden = " + std::to_string(hidden) + " is too large");
  }
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  auto draw = [&](const Shape& shape) { return uniform(shape, -bound, bound, g).requires_grad_(); };
  RecurrentWeights w;
  w.weight_ih = draw({rows, in});
  w.weight_hh = draw({rows, projected ? projected : hidden});
  if (bias) w.bias_ih = draw({rows}), w.bias_hh = draw({rows});
  if (projected) w.weight_hr = draw({projected, hidden});
  return w;
}

}  // namespace

RecurrentLayer::RecurrentLayer(const char* name, int64_t gates, int64_t in, int64_t hidden, Generator& g,
                               const RecurrentLayerOptions& o)
    : options(o), generator(g.next64()) {
  check_size(name, "num_layers", o.num_layers);
  check_nonlinearity(name, o.nonlinearity);
  if (!(o.dropout >= 0 && o.dropout <= 1)) {
    throw Error(std::string(name) + ": dropout must lie in [0, 1], got " + std::to_string(o.dropout));
  }
  if (o.proj_size && gates != 4) throw Error(std::string(name) + ": only an LSTM has a proj_size");
  if (o.proj_size < 0 || (o.proj_size && o.proj_size >= hidden)) {
    throw ShapeError(std::string(name) + ": proj_size " + std::to_string(o.proj_size) +
                     " must be less than hidden = " + std::to_string(hidden));
  }
  const int64_t directions = o.bidirectional ? 2 : 1, state = o.proj_size ? o.proj_size : hidden;
  for (int64_t layer = 0; layer < o.num_layers; ++layer) {
    for (int64_t d = 0; d < directions; ++d) {
      runs.push_back(weights(name, gates, layer ? state * directions : in, hidden, g, o.bias, o.proj_size));
    }
  }
}

std::vector<Tensor> RecurrentLayer::params() const {
  std::vector<Tensor> list;
  for (const RecurrentWeights& w : runs) {
    w.visit_fields([&](const std::string&, const Tensor& t) {
      if (t.defined()) list.push_back(t);
    });
  }
  return list;
}

RecurrentOptions RecurrentLayer::call_options() const {
  return {.has_biases = options.bias,
          .num_layers = options.num_layers,
          .dropout = options.dropout,
          .train = training,
          .bidirectional = options.bidirectional,
          .batch_first = options.batch_first,
          .generator = &generator};
}

LSTM::LSTM(int64_t in, int64_t hidden, Generator& g, const RecurrentLayerOptions& o)
    : RecurrentLayer("LSTM", 4, in, hidden, g, o) {}
GRU::GRU(int64_t in, int64_t hidden, Generator& g, const RecurrentLayerOptions& o)
    : RecurrentLayer("GRU", 3, in, hidden, g, o) {}
RNN::RNN(int64_t in, int64_t hidden, Generator& g, const RecurrentLayerOptions& o)
    : RecurrentLayer("RNN", 1, in, hidden, g, o) {}

LSTMCell::LSTMCell(int64_t in, int64_t hidden, Generator& g, bool bias)
    : RecurrentWeights(weights("LSTMCell", 4, in, hidden, g, bias)) {}
GRUCell::GRUCell(int64_t in, int64_t hidden, Generator& g, bool bias)
    : RecurrentWeights(weights("GRUCell", 3, in, hidden, g, bias)) {}
RNNCell::RNNCell(int64_t in, int64_t hidden, Generator& g, bool bias, Nonlinearity f)
    : RecurrentWeights(weights("RNNCell", 1, in, hidden, g, bias)), nonlinearity(f) {
  check_nonlinearity("RNNCell", f);
}

}  // namespace cr::nn
