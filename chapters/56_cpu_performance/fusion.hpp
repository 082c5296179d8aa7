#pragma once

#include "skinny.hpp"

static void fusion(Chapter& chapter, std::vector<Dot>& dots) {
  chapter.section("A chain of operations");
  // The cache on paper has 64 lines, and an array a thousand: what one pass leaves behind is
  // gone before the next pass begins.
  const int64_t few = 1 << 14;
  auto passes = [&](const std::vector<std::vector<int64_t>>& all) {
    PaperCache cache(1, 64);
    for (const std::vector<int64_t>& arrays : all)
      for (int64_t i = 0; i < few; ++i)
        for (int64_t array : arrays) cache.touch(4 * (array * few + i));
    return double(cache.misses);
  };
  enum { kA, kB, kT, kU, kY };
  chapter.claim(
      "fusion-misses", "on paper, misses of three passes over those of one",
      passes({{kA, kB, kT}, {kT, kA, kU}, {kU, kY}}) / passes({{kA, kB, kY}}),
      near(8.0 / 3, 1e-6), identity);

  // `fused` takes the formula as a lambda, and the compiler makes one loop of it.
  Generator random(chapter.seed());
  const int64_t n = chapter.pick(1 << 16, 1 << 22, 1 << 22);
  Tensor A = randn({n}, random), B = randn({n}, random);  // (n,)
  auto formula = [](auto x, auto w) { return relu(x * w + x); };
  NoGrad no_grad;
  const double gap = amax(abs(relu(A * B + A) - cr::fused(formula, A, B))).item();
  chapter.claim("fusion-right", "three passes and one: largest gap", gap,
                exactly(0), identity);
  const int before = backend::num_threads();
  backend::set_num_threads(1);
  const std::vector<double> times =
      race({[&] { relu(A * B + A); }, [&] { cr::fused(formula, A, B); }}, 7);
  backend::set_num_threads(before);
  chapter.say("Three passes: {:.1f} ms. One pass: {:.1f} ms.", 1e3 * times[0],
              1e3 * times[1]);
  chapter.claim("fusion", "one pass is so many times as fast as three",
                times[0] / times[1], at_least(1.2), found);
  // Three operations for each number. Three passes move eight arrays, 32 bytes a number; one
  // pass moves three arrays, 12 bytes. So the same work stands at two places of the
  // roofline, and the way from one to the other is all that fusion does.
  dots.push_back({"three passes", 3.0 / 32, 3e-9 * double(n) / times[0]});
  dots.push_back({"fused", 3.0 / 12, 3e-9 * double(n) / times[1]});
}
