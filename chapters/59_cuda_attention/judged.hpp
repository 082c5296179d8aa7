// All rungs of a device against the library in float64, at sizes that fit no tile:
// what a GPU has to pass before it is timed. The test has the emulator pass it too.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "bench.hpp"

struct Judged {
  std::string rung;
  double error = 0, allowed;  // the largest error; NaN if a number was forgotten
  void add(double e) {
    error = e > error || e != e ? e : error;  // a NaN must not be lost in a maximum
  }
  bool right() const { return error <= allowed; }
};

inline std::vector<Judged> judged(const Rungs& rungs, cr::Device device,
                                  const std::vector<int64_t>& lengths,
                                  const std::vector<int64_t>& widths,
                                  uint64_t seed) {
  using Half = cr::BFloat16;
  Judged float32{"1 to 3", 0, 2e-6}, back{"4, back", 0, 5e-6},
      tensor{"5", 0, 0.005}, tensor_back{"5, back", 0, 0.01}, wgmma{"6", 0, 0.005};
  const bool tensor_cores = !rungs.missing(5), hopper = !rungs.missing(6);
  cr::Generator random(seed);
  for (int64_t width : widths)
    for (int64_t queries : lengths)
      for (bool causal : {false, true}) {
        // As many keys as queries or some more, two heads of queries on one of keys.
        const Layer l = make_layer({.heads = 2,
                                    .kv_heads = 1,
                                    .queries = queries,
                                    .keys = queries + 30,
                                    .width = width,
                                    .causal = causal},
                                   random);

        // Where a query sees a single key, dq is zero: errors are relative to the
        // typical number of a gradient, or to a tenth of dv's.
        const std::vector<cr::Tensor> truth = {l.dq, l.dk, l.dv};
        auto typical = [](const cr::Tensor& x) {
          return std::sqrt(mean(square(x)).item());
        };
        auto add_all = [&](Judged& to, const std::vector<cr::Tensor>& found) {
          for (size_t t = 0; t < 3; ++t)
            to.add(typical(found[t] - truth[t]) /
                   std::max(typical(truth[t]), 0.1 * typical(l.dv)));
        };
        if (width <= 128) {
          Bench<float> bench(l, device);
          float32.add(relative_error(bench.forward(rungs.three_passes), l.o));
          float32.add(relative_error(bench.forward(rungs.one_pass), l.o));
          float32.add(relative_error(bench.forward(rungs.flash), l.o));
          add_all(back, bench.backward(rungs.backward));
        }
        Bench<Half> bench(l, device);
        if (tensor_cores) {
          tensor.add(relative_error(bench.forward(rungs.tensor_cores), l.o));
          add_all(tensor_back, bench.backward(rungs.tensor_cores_backward));
        }
        if (hopper) wgmma.add(relative_error(bench.forward(rungs.wgmma), l.o));
      }
  std::vector<Judged> all = {float32, back};
  if (tensor_cores) all.push_back(tensor), all.push_back(tensor_back);
  if (hopper) all.push_back(wgmma);
  return all;
}
