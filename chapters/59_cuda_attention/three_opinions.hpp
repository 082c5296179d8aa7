#pragma once

#include "bench.hpp"
#include "book/chapter.hpp"

using namespace cr;

// Five queries, seven keys, two heads of queries on one of keys: small enough to do
// often, odd enough to go wrong.
static void three_opinions(Chapter& chapter, const Rungs& rungs) {
  chapter.section("Rung 4: the way back");
  Generator random(chapter.seed());
  double library = 0, composed = 0, differences = 0;
  for (bool causal : {false, true}) {
    // The kernels' answer, and the library's.
    Layer l = make_layer({.batch = 1,
                          .heads = 2,
                          .kv_heads = 1,
                          .queries = 5,
                          .keys = 7,
                          .width = 32,
                          .causal = causal},
                         random);
    Bench<double> bench(l);
    bench.forward(rungs.flash_64);
    const std::vector<Tensor> found = bench.backward(rungs.backward_64),
                              truth = {l.dq, l.dk, l.dv};

    // The formula, composed. Both heads use the same keys, so they are repeated;
    // the chain rule adds their gradients up.
    std::vector<Tensor> x = {l.q.clone().requires_grad_(),
                             l.k.clone().requires_grad_(),
                             l.v.clone().requires_grad_()};
    Tensor scores =
        l.scale() * matmul(x[0], x[1].expand({1, 2, 7, 32}).mT());  // (1, 2, 5, 7)
    if (causal) scores = masked_fill(scores, triu(ones({5, 7}), 1) != 0, -1e300);
    Tensor out =
        matmul(softmax(scores, -1), x[2].expand({1, 2, 7, 32}));  // (1, 2, 5, 32)
    const std::vector<Tensor> by_rule = grad(sum(out * l.d_o), x);

    for (size_t t = 0; t < 3; ++t) {
      library = std::max(library, largest_gap(found[t], truth[t]));
      composed = std::max(composed, largest_gap(found[t], by_rule[t]));

      // Finite differences: the slope along a direction, by moving both ways.
      for (int trial = 0; trial < 4; ++trial) {
        const Tensor direction = randn(truth[t].shape(), random, DType::float64);
        auto loss = [&](double step) {
          // Move one of the three, run the kernel again, and look at the sum.
          Layer moved = l;
          (t == 0   ? moved.q
           : t == 1 ? moved.k
                    : moved.v) = (t == 0   ? l.q
                                  : t == 1 ? l.k
                                           : l.v) +
                                 step * direction;
          return sum(Bench<double>(moved).forward(rungs.flash_64) * l.d_o).item();
        };
        const double h = 1e-4, slope = (loss(h) - loss(-h)) / (2 * h),
                     ours = sum(found[t] * direction).item();
        differences = std::max(
            differences, std::abs(slope - ours) / std::max(1.0, std::abs(slope)));
      }
    }
  }

  // The first two agree to the last digits. Finite differences have an error of
  // their own, of the order of the step's square.
  chapter.claim("back-right", "gradients in float64: largest gap to the library's",
                library, at_most(1e-12), identity);
  chapter.claim("composed",
                "gradients in float64: largest gap to the composed rule", composed,
                at_most(1e-12), identity);
  chapter.claim("differences",
                "gradients in float64: relative gap to finite differences",
                differences, at_most(1e-6), identity);
}
