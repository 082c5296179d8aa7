#pragma once

#include <set>

#include "bench.hpp"
#include "book/chapter.hpp"
#include "fragments.hpp"

using namespace cr;

// As a framework does it operation by operation: every intermediate result is
// stored in bfloat16.
static Tensor the_usual_way(const Layer& l) {
  auto stored = [](const Tensor& x) {
    return x.to(DType::bfloat16).to(DType::float32);
  };

  // Products themselves are made in float32, as on a tensor core; it is what is
  // stored between them that is rounded.
  Tensor q = l.q.to(DType::float32), k = l.k.to(DType::float32),
         v = l.v.to(DType::float32);
  Tensor scores = stored(l.scale() * stored(matmul(q, k.mT())));
  return stored(matmul(stored(softmax(scores, -1)), v));
}

static void the_error(Chapter& chapter, Bed& bed) {
  chapter.section("Rung 5: tensor cores");
  const Layer& l = bed.layer;
  Bench<BFloat16> bench(l);
  const double flash = relative_error(bench.forward(bed.rungs.tensor_cores), l.o);

  // And the usual way, from the same numbers.
  const double usual = relative_error(the_usual_way(l), l.o);
  chapter.claim("error-flash",
                "bfloat16 on tensor cores: typical error over the typical number",
                flash, at_most(0.005), identity, {.unit = "%"});
  chapter.claim("error-usual",
                "the usual way in bfloat16 errs so many times as much",
                usual / flash, at_least(1.05), found, {.quick = at_least(1)});

  // Errors of the way back start from a rounded output, and add two roundings more.
  const std::vector<Tensor> gradients =
                                bench.backward(bed.rungs.tensor_cores_backward),
                            truth = {l.dq, l.dk, l.dv};

  // The rounded output also enters $D_i = dO_i \cdot O_i$, which is subtracted from
  // numbers of about its own size. So this is where the way back loses most.
  double back = 0;
  for (size_t t = 0; t < 3; ++t)
    back = std::max(back, relative_error(gradients[t], truth[t]));
  chapter.claim("error-back",
                "bfloat16 on tensor cores, back: the largest of three errors", back,
                at_most(0.01), identity, {.unit = "%"});
  chapter.figure("error", "typical error over the typical number, against float64")
      .bar({"three passes", "one pass", "flash", "tensor cores", "usual way, bf16"},
           {bed.steps[0].error, bed.steps[1].error, bed.steps[2].error, flash,
            usual})
      .log_y();

  // Half the bytes per number, and four times as many queries in a block: the bytes
  // per query fall again.
  if (!watched()) return;
  const Traffic moved = traffic(l, [&] { bench.forward(bed.rungs.tensor_cores); });
  bed.steps.push_back({"tensor cores", moved.bytes_per_query, flash});
  chapter.claim("tensor-bytes",
                "so many times fewer bytes per query than flash in float32",
                bed.steps[2].bytes / moved.bytes_per_query, at_least(3), found,
                {.quick = at_least(2)});

  // And the swizzle? Eight lanes of `ldmatrix` name eight rows of one tile. For
  // every tile there is, we count how many different groups of four banks their 16
  // bytes lie in. All eight should differ.
  size_t fewest = 8;
  for (int pieces : {8, 16, 32})
    for (int row = 0; row < 64; row += 8)
      for (int piece = 0; piece < pieces; ++piece) {
        std::set<int> groups;
        for (int r = row; r < row + 8; ++r)
          groups.insert(swizzled(r, piece, pieces) % 8);
        fewest = std::min(fewest, groups.size());
      }
  chapter.claim(
      "tensor-banks",
      "eight rows of a tile lie in so many different groups of banks, at least",
      double(fewest), exactly(8), identity);
}
