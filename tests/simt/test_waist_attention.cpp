// Attention and recurrent layers of odd sizes, on the emulator.
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include "agree.hpp"

using namespace cr;
using namespace cr::test;
using backend::Recurrent;
using backend::RecurrentGradients;
using backend::RecurrentLayer;

namespace {

double bound_of(DType type) { return type == DType::float32 ? 2e-5 : 1e-12; }

struct Heads {
  Shape lead;
  int64_t queries, keys, width, depth;
  bool causal, biased;
};

Shape with(Shape lead, int64_t rows, int64_t columns) {
  lead.push_back(rows), lead.push_back(columns);
  return lead;
}

void check(const Heads& c, DType type) {
  INFO(to_string(with(c.lead, c.queries, c.width))
       << " to " << c.keys << " keys, " << c.depth << (c.causal ? ", causal" : "") << (c.biased ? ", biased" : ""));
  const Tensor q = numbers_of(with(c.lead, c.queries, c.width), type, 1),
               k = numbers_of(with(c.lead, c.keys, c.width), type, 2);
  const Tensor v = numbers_of(with(c.lead, c.keys, c.depth), type, 3),
               dout = numbers_of(with(c.lead, c.queries, c.depth), type, 4);
  Tensor bias;
  if (c.biased) {  // one for all heads, in which the first query sees nothing
    bias = numbers_of({c.queries, c.keys}, type, 5);
    for (int64_t j = 0; j < c.keys && type == DType::float32; ++j)
      static_cast<float*>(bias.impl()->storage->data())[j] = -INFINITY;
    Strides strides(c.lead.size(), 0);
    strides.push_back(c.keys), strides.push_back(1);
    bias = window(bias, with(c.lead, c.queries, c.keys), strides, 0);
  }
  const Tensor out = numbers_of(dout.shape(), type, 6), normalizer = numbers_of(with(c.lead, c.queries, 2), type, 7);
  const double scale = 0.7;
  agree({out}, {q, k, v, bias}, bound_of(type), [&](auto& b, auto& o, auto& in) {
    Tensor own = empty(normalizer.shape(), type, o[0].device());
    b.attention(o[0], own, in[0], in[1], in[2], in[3], scale, c.causal);
  });
  backend::on(Device::cpu).attention(out, normalizer, q, k, v, bias, scale, c.causal);
  agree({q, k, v}, {dout, out, normalizer, q, k, v, bias}, bound_of(type), [&](auto& b, auto& o, auto& in) {
    b.attention_backward(o[0], o[1], o[2], in[0], in[1], in[2], in[3], in[4], in[5], in[6], scale, c.causal);
  });
}

}  // namespace

TEST_CASE("simt: attention") {
  const Heads cases[] = {
      {{1}, 1, 1, 1, 1, false, false}, {{2, 3}, 5, 7, 4, 6, false, true},   {{2}, 33, 31, 33, 65, true, false},
      {{2}, 31, 33, 8, 3, true, true}, {{1}, 70, 66, 70, 130, false, true}, {{3}, 0, 4, 5, 5, false, false},
      {{3}, 4, 0, 5, 5, false, false}, {{0}, 4, 4, 5, 5, true, false},      {{}, 9, 9, 5, 5, true, false},
  };
  for (DType type : {DType::float32, DType::float64}) {
    for (const Heads& c : cases) check(c, type);
  }
}

TEST_CASE("simt: attention in large tiles") {
  check({{64}, 65, 66, 3, 5, true, false}, DType::float32);
  check({{128}, 33, 34, 2, 66, false, true}, DType::float32);
}

TEST_CASE("simt: heads side by side in a row, scores far from 0") {
  const Tensor x = numbers_of({6, 2, 3, 5});  // (rows, heads, q k v, width)
  agree({numbers_of({2, 6, 5})}, {x}, 2e-5, [&](auto& b, auto& out, auto& in) {
    auto own = [&](int64_t i) { return window(in[0], {2, 6, 5}, {15, 30, 1}, 5 * i); };
    b.attention(out[0], empty({2, 6, 2}, DType::float32, out[0].device()), own(0), own(1), own(2), {}, 1e4, false);
  });
}

TEST_CASE("simt: recurrent layers") {
  for (DType type : {DType::float32, DType::float64}) {
    for (Recurrent kind : {Recurrent::tanh, Recurrent::relu, Recurrent::lstm, Recurrent::gru}) {
      for (bool reverse : {false, true}) {
        for (const auto& [t, b, in, n] :
             {std::array<int64_t, 4>{1, 1, 1, 1}, {5, 3, 4, 7}, {3, 37, 33, 34}, {2, 0, 3, 4}}) {
          const bool lstm = kind == Recurrent::lstm, gru = kind == Recurrent::gru;
          const int64_t wide = (lstm ? 4 : gru ? 3 : 1) * n;
          INFO("kind " << static_cast<int>(kind) << ", " << t << " steps of " << b << " rows, " << in << " to " << n);
          const Tensor x = numbers_of({t, b, in}, type, 1), w_ih = numbers_of({wide, in}, type, 2),
                       w_hh = numbers_of({wide, n}, type, 3), h = numbers_of({t + 1, b, n}, type, 6);
          const Tensor b_ih = reverse ? Tensor() : numbers_of({wide}, type, 4), b_hh = numbers_of({wide}, type, 5);
          const Tensor c = lstm ? numbers_of({t + 1, b, n}, type, 7) : Tensor();
          const Tensor gates = lstm || gru ? numbers_of({t, b, 4 * n}, type, 8) : Tensor();
          agree({h, c, gates}, {x, w_ih, w_hh, b_ih, b_hh}, bound_of(type), [&](auto& on, auto& o, auto& i) {
            on.recurrent({kind, reverse, i[0], i[1], i[2], i[3], i[4], o[0], o[1], o[2]});
          });
          backend::on(Device::cpu).recurrent({kind, reverse, x, w_ih, w_hh, b_ih, b_hh, h, c, gates});
          const Tensor dy = reverse ? numbers_of({t, b, n}, type, 9) : Tensor(), dh = numbers_of({b, n}, type, 10);
          const Tensor dc = lstm ? numbers_of({b, n}, type, 11) : Tensor();
          agree({dh, dc, x, w_ih, w_hh, b_ih, b_hh}, {x, w_ih, w_hh, b_ih, b_hh, h, c, gates, dy}, 10 * bound_of(type),
                [&](auto& on, auto& o, auto& i) {
                  const RecurrentLayer layer{kind, reverse, i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7]};
                  on.recurrent_backward(layer, RecurrentGradients{i[8], o[0], o[1], o[2], o[3], o[4], o[5], o[6]});
                });
        }
      }
    }
  }
}
#endif
