#pragma once

#include "bench.hpp"
#include "book/chapter.hpp"

using namespace cr;

// In float32, errors relative to the typical number of each result. Three rungs
// forward, and the way back.
static void all_shapes(Chapter& chapter, const Rungs& rungs) {
  chapter.section("Any length, shared heads");
  Generator random(chapter.seed());

  // One query and one key. One more and one less than a tile. Two heads for each of
  // two. Several texts. All widths.
  std::vector<AttentionSizes> all = {
      {1, 1, 1, 1, 1, 64},   {1, 1, 1, 33, 31, 32},  {1, 4, 2, 40, 70, 64},
      {2, 2, 1, 65, 20, 32}, {1, 1, 1, 17, 50, 128}, {1, 1, 1, 35, 33, 256}};
  if (!chapter.quick())
    all.insert(
        all.end(),
        {{1, 6, 2, 100, 97, 64}, {3, 2, 2, 5, 129, 128}, {1, 8, 1, 31, 64, 32}});
  Table table = chapter.table(
      {"batch", "heads", "on", "queries", "keys", "width", "forward", "backward"});
  double worst = 0, worst_back = 0;
  for (AttentionSizes s : all) {
    double forward = 0, backward = 0;
    for (bool causal : {false, true}) {
      s.causal = causal;

      // Each shape with and without the triangle. The truth is the library's, in
      // float64.
      const Layer l = make_layer(s, random);
      Bench<float> bench(l);
      forward =
          std::max(forward, relative_error(bench.forward(rungs.three_passes), l.o));
      forward =
          std::max(forward, relative_error(bench.forward(rungs.one_pass), l.o));
      forward = std::max(forward, relative_error(bench.forward(rungs.flash), l.o));
      const std::vector<Tensor> found = bench.backward(rungs.backward),
                                truth = {l.dq, l.dk, l.dv};

      // With one key a softmax has nothing to choose, so dq and dk are zero; their
      // error is relative to dv.
      for (size_t t = 0; t < 3; ++t) {
        const double error = std::sqrt(mean(square(found[t] - truth[t])).item());
        backward = std::max(
            backward,
            error / std::sqrt(
                        mean(square(s.keys > 1 && s.queries > 1 ? truth[t] : l.dv))
                            .item()));
      }
    }

    // What went worst in each shape, of three rungs and three gradients.
    table.row(s.batch, s.heads, s.kv_heads, s.queries, s.keys, s.width, forward,
              backward);
    worst = std::max(worst, forward), worst_back = std::max(worst_back, backward);
  }
  chapter.claim("all-shapes",
                "any length, shared heads: largest error of three rungs", worst,
                at_most(1e-6), identity);
  chapter.claim("all-shapes-back",
                "any length, shared heads: largest error of the way back",
                worst_back, at_most(3e-6), identity);
}
