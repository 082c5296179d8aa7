#include "ops/recurrent.hpp"

#include <array>

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/activation.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/join.hpp"
#include "ops/product.hpp"
#include "ops/view.hpp"

namespace cr {
namespace {

using backend::Recurrent;
constexpr int64_t gates_of(Recurrent kind) { return kind == Recurrent::lstm ? 4 : kind == Recurrent::gru ? 3 : 1; }

// One layer in one direction. Biases may be undefined, and w_hr is but for an LSTM that projects its state.
struct Weights {
  Tensor w_ih, w_hh, b_ih, b_hh, w_hr;
  int64_t units(Recurrent kind) const { return w_hh.shape()[0] / gates_of(kind); }
};
using State = LstmState;  // c is an LSTM's only
struct Result {
  Tensor y;     // (t, b, n); undefined for a single step
  State state;  // (b, n), after the last step
};

// ## The formulas
//
// One step as the books have it, in operations that can be differentiated to any order. `sums` is the input's share.
State plain_step(Recurrent kind, const Tensor& sums, const State& before, const Weights& w) {
  Tensor own = linear(before.h, w.w_hh, w.b_hh);
  if (kind == Recurrent::lstm) {
    std::vector<Tensor> gate = chunk(sums + own, 4, -1);
    Tensor c = sigmoid(gate[1]) * before.c + sigmoid(gate[0]) * tanh(gate[2]);
    Tensor h = sigmoid(gate[3]) * tanh(c);
    return {w.w_hr.defined() ? linear(h, w.w_hr) : h, c};
  }
  if (kind == Recurrent::gru) {
    std::vector<Tensor> x = chunk(sums, 3, -1), m = chunk(own, 3, -1);
    Tensor r = sigmoid(x[0] + m[0]), z = sigmoid(x[1] + m[1]), n = tanh(x[2] + r * m[2]);
    return {n + z * (before.h - n), {}};
  }
  return {kind == Recurrent::tanh ? tanh(sums + own) : relu(sums + own), {}};
}

// x is (t, b, in), or (b, in) for a single step.
Result plain(Recurrent kind, const Tensor& x, State state, const Weights& w, bool reverse) {
  Tensor sums = linear(x, w.w_ih, w.b_ih);
  const int64_t batch = x.shape()[x.dim() - 2];
  if (!state.h.defined()) state.h = new_zeros(x, {batch, w.w_hh.shape()[1]});
  if (kind == Recurrent::lstm && !state.c.defined()) state.c = new_zeros(x, {batch, w.units(kind)});
  if (x.dim() == 2) return {{}, plain_step(kind, sums, state, w)};
  const int64_t steps = x.shape()[0];
  std::vector<Tensor> states(static_cast<size_t>(steps));
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t s = reverse ? steps - 1 - i : i;
    state = plain_step(kind, sums.select(0, s), state, w);
    states[static_cast<size_t>(s)] = state.h;
  }
  return {stack(states), state};
}

// ## The same, fast
//
// All steps are one call through the waist. What it leaves behind is kept for the way back: the states, the squashed gates
// and the cells.

// Room for t + 1 states, of which the one before the first step is written.
Tensor states_from(const Tensor& initial, int64_t steps, int64_t batch, int64_t units, const Tensor& like,
                   bool reverse) {
  Tensor states = empty({steps + 1, batch, units}, like.dtype(), like.device());
  Tensor first = window(states, {batch, units}, {units, 1}, reverse ? steps * batch * units : 0);
  if (initial.defined()) backend::on(like.device()).copy(first, initial);
  else backend::on(like.device()).fill(first, 0);
  return states;
}

// A single step (b, in) as a sequence of one.
Tensor as_sequence(const Tensor& x) {
  if (x.dim() == 3) return x;
  return window(x, {1, x.shape()[0], x.shape()[1]}, contiguous_strides({1, x.shape()[0], x.shape()[1]}),
                x.impl()->offset);
}

// The states after each step, and the last of them.
Tensor states_made(const Tensor& states, bool reverse) {
  const Shape& s = states.shape();
  return window(states, {s[0] - 1, s[1], s[2]}, states.strides(), states.impl()->offset + (reverse ? 0 : s[1] * s[2]));
}
Tensor last_state(const Tensor& states, bool reverse) {
  const Shape& s = states.shape();
  return window(states, {s[1], s[2]}, {s[2], 1}, states.impl()->offset + (reverse ? 0 : (s[0] - 1) * s[1] * s[2]));
}

// The inputs of the node; those that are not there are stood in for by x without its history.
enum Input { kX, kH, kC, kWih, kWhh, kBih, kBhh, kInputs, kStates = kInputs, kGates, kCells };
enum Number { kKind, kReverse, kAbsent };  // attributes; kAbsent has a bit for each input that is not there

Grads rule(Backward& b);

Result fused_run(Recurrent kind, const char* op, const Tensor& input, const State& given, const Weights& weights,
                 bool reverse) {
  auto dense = [](const Tensor& t) { return t.defined() ? t.contiguous() : t; };
  const Tensor x = dense(input);
  const State initial{dense(given.h), dense(given.c)};
  const Weights w{dense(weights.w_ih), dense(weights.w_hh), dense(weights.b_ih), dense(weights.b_hh), {}};
  const bool one_step = x.dim() == 2;
  const int64_t steps = one_step ? 1 : x.shape()[0], batch = x.shape()[x.dim() - 2], units = w.units(kind);
  Tensor h = states_from(initial.h, steps, batch, units, x, reverse), c, gates;
  if (kind == Recurrent::lstm) c = states_from(initial.c, steps, batch, units, x, reverse);
  if (kind == Recurrent::lstm || kind == Recurrent::gru)
    gates = empty({steps, batch, 4 * units}, x.dtype(), x.device());
  backend::on(x.device()).recurrent({kind, reverse, as_sequence(x), w.w_ih, w.w_hh, w.b_ih, w.b_hh, h, c, gates});

  // The last state is a copy: whoever writes to it leaves alone the output, and what is kept for the way back.
  auto last = [&](const Tensor& states) { return backend::copy(last_state(states, reverse), x.dtype(), x.device()); };
  Result result{one_step ? Tensor() : states_made(h, reverse), {last(h), c.defined() ? last(c) : Tensor()}};
  std::array<Tensor*, 3> outputs;
  size_t count = 0;
  for (Tensor* t : {&result.y, &result.state.h, &result.state.c}) {
    if (t->defined()) outputs[count++] = t;
  }
  const Tensor none = x.detach();
  int64_t absent = 0;
  auto there = [&](const Tensor& t, Input which) -> const Tensor& {
    if (!t.defined()) absent |= int64_t{1} << which;
    return t.defined() ? t : none;
  };
  const Tensor &h0 = there(initial.h, kH), &c0 = there(initial.c, kC), &b_ih = there(w.b_ih, kBih),
               &b_hh = there(w.b_hh, kBhh);
  record(op, std::span<Tensor* const>(outputs.data(), count), inputs(x, h0, c0, w.w_ih, w.w_hh, b_ih, b_hh),
         saved(x, h0, c0, w.w_ih, w.w_hh, b_ih, b_hh, constant(h), constant(gates.defined() ? gates : none),
               constant(c.defined() ? c : none)),
         attributes(static_cast<int64_t>(kind), int64_t{reverse}, absent), rule);
  return result;
}

// ## The way back
//
// When the gradient is to be differentiated again, the formulas are run again on stand-ins for the inputs, each with a
// place of its own in the graph, and differentiated.
Grads composed(Backward& b) {
  EnableGrad on;
  const int64_t absent = b.integer(kAbsent);
  std::array<Tensor, kInputs> x;
  std::vector<Tensor> wanted;
  for (int k = 0; k < kInputs; ++k) {
    if (absent >> k & 1) continue;
    Tensor kept = b[k];
    x[static_cast<size_t>(k)] = b.needs(k) ? kept.expand(kept.shape()) : kept.detach();
    if (b.needs(k)) wanted.push_back(x[static_cast<size_t>(k)]);
  }
  Result r = plain(static_cast<Recurrent>(b.integer(kKind)), x[kX], {x[kH], x[kC]},
                   {x[kWih], x[kWhh], x[kBih], x[kBhh], {}}, b.integer(kReverse));
  std::vector<Tensor> ys, dys;
  int j = 0;
  for (const Tensor& y : {r.y, r.state.h, r.state.c}) {
    if (!y.defined()) continue;
    if (b.has_dy(j)) ys.push_back(y), dys.push_back(b.dy(j));
    ++j;
  }
  std::vector<Tensor> g = grad(ys, wanted, {.grad_outputs = dys, .create_graph = true, .allow_unused = true});
  Grads grads;
  grads.resize(kInputs);
  for (int k = 0, i = 0; k < kInputs; ++k) {
    if (b.needs(k)) grads[k] = g[static_cast<size_t>(i++)];
  }
  return grads;
}

Grads rule(Backward& b) {
  if (b.create_graph()) return composed(b);
  const Recurrent kind = static_cast<Recurrent>(b.integer(kKind));
  const int64_t absent = b.integer(kAbsent);
  const Tensor x = b[kX], h = b[kStates];
  const bool one_step = x.dim() == 2, is_lstm = kind == Recurrent::lstm, gated = is_lstm || kind == Recurrent::gru;
  auto if_there = [&](Input k) { return absent >> k & 1 ? Tensor() : b[k]; };
  const backend::RecurrentLayer layer{kind,
                                      bool(b.integer(kReverse)),
                                      as_sequence(x),
                                      b[kWih],
                                      b[kWhh],
                                      if_there(kBih),
                                      if_there(kBhh),
                                      h,
                                      is_lstm ? b[kCells] : Tensor(),
                                      gated ? b[kGates] : Tensor()};

  // The gradient of the last state lies in memory of our own: it becomes that of the first.
  auto of_state = [&](int output) {
    if (b.has_dy(output)) return backend::copy(b.dy(output), x.dtype(), x.device());
    return backend::full({h.shape()[1], h.shape()[2]}, 0, x.dtype(), x.device());
  };
  auto of_input = [&](Input k) { return b.needs(k) ? empty(b.shape(k), x.dtype(), x.device()) : Tensor(); };
  backend::RecurrentGradients d;
  if (!one_step && b.has_dy(0)) d.dy = b.dy(0).contiguous();
  d.dh = of_state(one_step ? 0 : 1);
  if (is_lstm) d.dc = of_state(one_step ? 1 : 2);
  Tensor dx = of_input(kX);
  if (dx.defined()) d.dx = as_sequence(dx);
  d.dw_ih = of_input(kWih), d.dw_hh = of_input(kWhh), d.db_ih = of_input(kBih), d.db_hh = of_input(kBhh);
  backend::on(x.device()).recurrent_backward(layer, d);
  return {dx, b.needs(kH) ? d.dh : Tensor(), b.needs(kC) ? d.dc : Tensor(), d.dw_ih, d.dw_hh, d.db_ih, d.db_hh};
}

Result run(Recurrent kind, const char* op, const Tensor& x, const State& initial, const Weights& w, bool reverse) {
  return w.w_hr.defined() ? plain(kind, x, initial, w, reverse) : fused_run(kind, op, x, initial, w, reverse);
}

// ## What fits
void check_same(const char* op, const char* what, const Tensor& x, const Tensor& t) {
  if (t.dtype() != x.dtype()) {
    throw DTypeError(std::string(op) + ": input is " + name(x.dtype()) + ", " + what + " " + name(t.dtype()));
  }
  backend::check_device(op, x, t);
}

void check_shape(const char* op, const std::string& what, const Tensor& t, const Shape& wanted) {
  if (t.shape() == wanted) return;
  throw ShapeError(std::string(op) + ": " + what + " is " + to_string(t.shape()) + ", not " + to_string(wanted));
}

void check_input(const char* op, const Tensor& x) {
  if (x.dtype() != DType::float32 && x.dtype() != DType::float64) {
    throw DTypeError(std::string(op) + ": needs float32 or float64, got " + name(x.dtype()));
  }
}

// `where` says which layer it is, for messages.
void check_weights(Recurrent kind, const char* op, const Tensor& x, int64_t in, const Weights& w,
                   const std::string& where) {
  const int64_t gates = gates_of(kind);
  for (const Tensor& t : {w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr}) {
    if (t.defined()) check_same(op, "a weight is", x, t);
  }
  if (!w.w_ih.defined() || !w.w_hh.defined() || w.w_hh.dim() != 2 || w.w_hh.shape()[0] % gates != 0) {
    throw ShapeError(std::string(op) + ": " + where + "w_hh must be (" + std::to_string(gates) + " n, n), got " +
                     (w.w_hh.defined() ? to_string(w.w_hh.shape()) : "none"));
  }
  const int64_t units = w.units(kind), rows = gates * units, state = w.w_hr.defined() ? w.w_hr.shape()[0] : units;
  check_shape(op, where + "w_ih", w.w_ih, {rows, in});
  check_shape(op, where + "w_hh", w.w_hh, {rows, state});
  if (w.b_ih.defined()) check_shape(op, where + "b_ih", w.b_ih, {rows});
  if (w.b_hh.defined()) check_shape(op, where + "b_hh", w.b_hh, {rows});
  if (w.w_hr.defined()) check_shape(op, where + "w_hr", w.w_hr, {state, units});
}

std::vector<Weights> unpack(Recurrent kind, const char* op, const std::vector<Tensor>& params,
                            const RecurrentOptions& o) {
  const int64_t runs = o.num_layers * (o.bidirectional ? 2 : 1), each = o.has_biases ? 4 : 2;
  const auto given = static_cast<int64_t>(params.size());
  const bool projects = kind == Recurrent::lstm && given == runs * (each + 1);
  if (o.num_layers < 1 || (given != runs * each && !projects)) {
    throw ShapeError(std::string(op) + ": " + std::to_string(o.num_layers) + " layers" +
                     (o.bidirectional ? " in two directions" : "") + " take " + std::to_string(each) +
                     " tensors each, got " + std::to_string(given));
  }
  std::vector<Weights> list;
  for (auto p = params.begin(); p != params.end();) {
    Weights& w = list.emplace_back();
    w.w_ih = *p++, w.w_hh = *p++;
    if (o.has_biases) w.b_ih = *p++, w.b_hh = *p++;
    if (projects) w.w_hr = *p++;
  }
  return list;
}

// ## Layers on layers
LstmResult layers(Recurrent kind, const char* op, const Tensor& input, const State& hx,
                  const std::vector<Tensor>& params, const RecurrentOptions& o) {
  check_input(op, input);
  if (input.dim() != 2 && input.dim() != 3) {
    throw ShapeError(std::string(op) + ": input must be " + (o.batch_first ? "(b, t, in)" : "(t, b, in)") +
                     ", or (t, in) for one sequence, got " + to_string(input.shape()));
  }
  const bool alone = input.dim() == 2, swapped = o.batch_first && !alone;
  Tensor x = alone ? input.unsqueeze(1) : swapped ? input.transpose(0, 1) : input;  // (t, b, in)
  const int64_t batch = x.shape()[1], directions = o.bidirectional ? 2 : 1;
  if (x.shape()[0] == 0) throw ShapeError(std::string(op) + ": input " + to_string(input.shape()) + " has no steps");

  const std::vector<Weights> weights = unpack(kind, op, params, o);
  const auto runs = static_cast<int64_t>(weights.size());
  int64_t in = x.shape()[2];
  for (int64_t i = 0; i < runs; ++i) {
    const Weights& w = weights[static_cast<size_t>(i)];
    check_weights(kind, op, x, in, w,
                  "layer " + std::to_string(i / directions) + (i % directions ? ", reverse: " : ": "));
    check_shape(op, "w_hh", w.w_hh, weights[0].w_hh.shape());
    if (i % directions == directions - 1) in = w.w_hh.shape()[1] * directions;
  }
  auto check_state = [&](const char* what, const Tensor& t, int64_t n) {
    if (!t.defined()) return;
    check_same(op, what, x, t);
    check_shape(op, what, t, alone ? Shape{runs, n} : Shape{runs, batch, n});
  };
  check_state("the initial state", hx.h, weights[0].w_hh.shape()[1]);
  if (kind == Recurrent::lstm) check_state("the initial cell", hx.c, weights[0].units(kind));
  const bool drops = o.train && o.dropout > 0 && o.num_layers > 1;
  if (drops && !o.generator) throw Error(std::string(op) + ": dropout needs a generator");

  auto part = [&](const Tensor& states, int64_t i) {
    if (!states.defined()) return states;
    return alone ? states.narrow(0, i, 1) : states.select(0, i);  // (b, n)
  };
  std::vector<Tensor> h, c;
  for (int64_t layer = 0; layer < o.num_layers; ++layer) {
    std::array<Tensor, 2> y;
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t i = layer * directions + d;
      Result r = run(kind, op, x, {part(hx.h, i), part(hx.c, i)}, weights[static_cast<size_t>(i)], d == 1);
      y[static_cast<size_t>(d)] = r.y;
      h.push_back(r.state.h);
      if (kind == Recurrent::lstm) c.push_back(r.state.c);
    }
    x = o.bidirectional ? cat({y[0], y[1]}, -1) : y[0];
    if (drops && layer + 1 < o.num_layers) x = dropout(x, o.dropout, true, *o.generator);
  }
  auto together = [&](const std::vector<Tensor>& states) {
    if (states.empty()) return Tensor();
    if (alone) return states.size() == 1 ? states[0] : cat(states, 0);
    return states.size() == 1 ? states[0].unsqueeze(0) : stack(states);
  };
  return {alone ? x.squeeze(1) : swapped ? x.transpose(0, 1) : x, {together(h), together(c)}};
}

State cell(Recurrent kind, const char* op, const Tensor& input, const State& hx, const Weights& w) {
  check_input(op, input);
  if (input.dim() != 1 && input.dim() != 2) {
    throw ShapeError(std::string(op) + ": input must be (b, in) or (in,), got " + to_string(input.shape()));
  }
  const bool alone = input.dim() == 1;
  const Tensor x = alone ? input.unsqueeze(0) : input;
  check_weights(kind, op, x, x.shape()[1], w, "");
  auto state = [&](const char* what, const Tensor& t) {
    if (!t.defined()) return t;
    const int64_t n = w.units(kind);
    check_same(op, what, x, t);
    check_shape(op, what, t, alone ? Shape{n} : Shape{x.shape()[0], n});
    return alone ? t.unsqueeze(0) : t;
  };
  State after = run(kind, op, x, {state("the state before", hx.h), state("the cell before", hx.c)}, w, false).state;
  if (!alone) return after;
  return {after.h.squeeze(0), after.c.defined() ? after.c.squeeze(0) : Tensor()};
}

}  // namespace

LstmResult lstm(const Tensor& input, const LstmState& hx, const std::vector<Tensor>& params,
                const RecurrentOptions& options) {
  return layers(Recurrent::lstm, "lstm", input, hx, params, options);
}
std::pair<Tensor, Tensor> gru(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params,
                              const RecurrentOptions& options) {
  LstmResult r = layers(Recurrent::gru, "gru", input, {hx, {}}, params, options);
  return {r.output, r.state.h};
}
std::pair<Tensor, Tensor> rnn_tanh(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params,
                                   const RecurrentOptions& options) {
  LstmResult r = layers(Recurrent::tanh, "rnn_tanh", input, {hx, {}}, params, options);
  return {r.output, r.state.h};
}
std::pair<Tensor, Tensor> rnn_relu(const Tensor& input, const Tensor& hx, const std::vector<Tensor>& params,
                                   const RecurrentOptions& options) {
  LstmResult r = layers(Recurrent::relu, "rnn_relu", input, {hx, {}}, params, options);
  return {r.output, r.state.h};
}

LstmState lstm_cell(const Tensor& input, const LstmState& hx, const Tensor& w_ih, const Tensor& w_hh,
                    const Tensor& b_ih, const Tensor& b_hh) {
  return cell(Recurrent::lstm, "lstm_cell", input, hx, {w_ih, w_hh, b_ih, b_hh, {}});
}
Tensor gru_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                const Tensor& b_hh) {
  return cell(Recurrent::gru, "gru_cell", input, {hx, {}}, {w_ih, w_hh, b_ih, b_hh, {}}).h;
}
Tensor rnn_tanh_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                     const Tensor& b_hh) {
  return cell(Recurrent::tanh, "rnn_tanh_cell", input, {hx, {}}, {w_ih, w_hh, b_ih, b_hh, {}}).h;
}
Tensor rnn_relu_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                     const Tensor& b_hh) {
  return cell(Recurrent::relu, "rnn_relu_cell", input, {hx, {}}, {w_ih, w_hh, b_ih, b_hh, {}}).h;
}

}  // namespace cr
