#pragma once

#include "bench.hpp"
#include "book/chapter.hpp"

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
  Tensor o;
  const Traffic moved =
      traffic(l, [&] { o = bench.forward(bed.rungs.tensor_cores); });
  const double flash = relative_error(o, l.o);

  // And the usual way, from the same numbers.
  const double usual = relative_error(the_usual_way(l), l.o);
  chapter.claim("error-flash",
                "bfloat16 on tensor cores: typical error over the typical number",
                flash, at_most(0.005), identity, {.unit = "%"});
  chapter.claim("error-usual",
                "the usual way in bfloat16 errs so many times as much",
                usual / flash, at_least(1.05), found, {.quick = at_least(1)});

  // On the way back $dS$ is rounded before it meets $K$ and $Q$, and the result is
  // rounded: the two cost about the same. $D_i$ comes from a rounded output, but is
  // small beside the $dP$ that it is subtracted from, and costs a fifth of either.
  std::vector<Tensor> gradients;
  const Traffic back_moved = traffic(
      l, [&] { gradients = bench.backward(bed.rungs.tensor_cores_backward); });
  const double back = largest_error(gradients, {l.dq, l.dk, l.dv});
  chapter.claim("error-back",
                "bfloat16 on tensor cores, back: the largest of three errors", back,
                at_most(0.01), identity, {.unit = "%"});
  std::vector<double> rungs = {1, 2, 3, 5}, errors;
  for (const Bed::Step& step : bed.steps) errors.push_back(step.error);
  errors.push_back(flash);
  chapter.figure("error", "typical error over the typical number, against float64")
      .scatter(rungs, errors, "rungs 1, 2, 3 and 5")
      .scatter(std::vector<double>{5}, std::vector<double>{usual},
               "the usual way, bfloat16")
      .log_y()
      .xlim(0.5, 5.5)
      .axes("rung", "error");

  // Half the bytes per number, and four times as many queries in a block: of what
  // passes by, an eighth of flash's bytes is left. The query itself, its output and
  // $L_i$ only become half.
  if (!watched()) return;
  bed.steps.push_back({"5: tensor cores", moved.bytes_per_query, flash});
  const double row = 2 * double(l.width), blocks = double(tiles(l.queries, 128));
  chapter.claim("tensor-bytes",
                "tensor cores: bytes per query, over 2 N rows / 128 + 2 rows + 4",
                moved.bytes_per_query / (2 * row * blocks + 2 * row + 4),
                near(1, 1e-6), identity);

  // And the swizzle? Every request to shared memory should take as few wavefronts as
  // its bytes need.
  chapter.claim("tensor-banks",
                "swizzled: wavefronts, over the fewest that the same bytes take",
                moved.wavefronts / moved.fewest_wavefronts, exactly(1), identity);

  // What we counted on paper for the loop, with what comes on top: a tile of keys and
  // one of values are copied to shared memory, 128 wavefronts; a block's queries too,
  // and its output goes out by the same way. An A100's tensor cores need 256 cycles
  // for each of the four warps.
  const double visits = blocks * double(tiles(l.keys, 64));
  chapter.claim("shared-busy",
                "cycles of shared memory for each of an A100's tensor cores",
                moved.wavefronts / (visits * 4 * 256),
                near((visits * (4 * 160 + 128) + blocks * 256 + double(l.queries)) /
                         (visits * 4 * 256),
                     1e-6),
                identity);

  // The way back: four matrices pass by blocks of 64 rows, and with the queries their
  // $L_i$ and $D_i$, which every warp reads for itself.
  bed.back.push_back({"5: tensor cores", back_moved.bytes_per_query, back});
  const double keys = double(tiles(l.keys, 64)),
               queries = double(tiles(l.queries, 64));
  chapter.claim(
      "tensor-back-bytes",
      "tensor cores, back: bytes per query, over 4 N rows / 64 + N + 9 rows + 40",
      back_moved.bytes_per_query /
          (2 * row * (keys + queries) + 64 * keys + 9 * row + 40),
      near(1, 1e-6), identity);
}
