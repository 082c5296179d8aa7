#pragma once

#include "the_ladder.hpp"

static void stack_array(Chapter& chapter, Ladder& ladder) {
  chapter.section("Broken: sums on the stack");
  if (!has(Isa::avx2))
    return chapter.say("Not on this machine, which has no AVX2.");
  // Nothing is wrong with its results. Only, the number of rows comes from the struct and no
  // longer from the template, and that is enough.
  chapter.say("The register tile of rung 6, and one whose loops run to t.rows.");
  const double slower =
      1 / ladder.step(chapter, {{"constant height", ::register_tile},
                                {"variable height", sums_in_memory}});
  chapter
      .figure("stack-array", "one number of rows that the compiler does not know")
      .bar({"constant height", "variable height"}, {slower, 1});
  chapter.claim("stack-right", "largest error of both, in units of its bound",
                ladder.worst, at_most(1), identity, {.symptom_of = "stack-array"});
  chapter.claim("stack-slow", "the constant height is so many times as fast",
                slower, at_least(1.3), found, {.symptom_of = "stack-array"});
}

// **A cut by threads.** Rung 8 cuts C into tiles. One can cut $p$ as well, as many slices
// as there are threads, and add up what they found. It balances perfectly, and every run
// gives the right result.
//
// ? Each thread sums a slice of $p$, then the slices are added. How do two threads' results compare to three's?
// - [ ] they are equal: a sum does not depend on its order; in float32 it does
// - [x] most numbers differ a little: other slices mean another order of additions, and each order rounds in its own way
// - [ ] they are wrong for three, since 1000 is not a multiple of three: the slices are 333, 333 and 334
static void cut(Chapter& chapter, Ladder& ladder) {
  chapter.section("Broken: cut by threads");
  chapter.say("The same product with p cut into one slice, two, three and four.");
  Tensor one;
  double worst = 0;
  std::vector<double> unlike;
  for (int count : {1, 2, 3, 4}) {
    cut_by_threads(ladder.square.product(), count);
    const Tensor result = ladder.square.result().clone();
    if (count == 1) one = result;
    unlike.push_back(mean((result != one).to(DType::float64)).item());
    worst = std::max(worst, ladder.square.error());
  }
  chapter
      .figure("cut-by-threads", "share of the numbers that differ from one slice's")
      .bar({"1 slice", "2 slices", "3 slices", "4 slices"}, unlike);
  chapter.claim("cut-right", "largest error, in units of its bound", worst,
                at_most(1), identity, {.symptom_of = "cut-by-threads"});
  chapter.claim("cut-unlike", "so many numbers change when a second thread helps",
                unlike[1], at_least(0.2), found,
                {.symptom_of = "cut-by-threads", .unit = "%"});
}
