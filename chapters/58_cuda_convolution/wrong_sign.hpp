#pragma once

#include <cmath>

#include "book/chapter.hpp"
#include "chainrule.hpp"
#include "winograd.hpp"

using namespace cr;

// One tile, one channel, in float64, with the library beside it. The image is 4 × 4
// and gives 2 × 2 results: a single tile. In row $i$ and column $j$ the result is
// row $i$ of $A^\top$ times $M$ times row $j$ of $A^\top$.
static void wrong_sign(Chapter& chapter) {
  chapter.section("Broken: a wrong sign");
  Generator random(chapter.seed());
  const Tensor x = randn({1, 1, 4, 4}, random, DType::float64),
               w = randn({1, 1, 3, 3}, random, DType::float64);
  const Tensor truth = conv2d(x, w);  // (1, 1, 2, 2)
  double d[4][4], g[3][3], v[4][4], u[4][4], y[2][2];
  for (int i = 0; i < 16; ++i) d[i / 4][i % 4] = x.data<double>()[i];
  for (int i = 0; i < 9; ++i) g[i / 3][i % 3] = w.data<double>()[i];
  transform(Winograd<2>::input(), d, v);
  transform(Winograd<2>::weight(), g, u);
  for (int i = 0; i < 16; ++i) v[i / 4][i % 4] *= u[i / 4][i % 4];
  Matrix<2, 4> output = Winograd<2>::output();
  output.at[1][3] = 1;
  transform(output, v, y);
  int wrong = 0;
  for (int i = 0; i < 4; ++i) {
    const double right = truth.data<double>()[i], got = y[i / 2][i % 2];
    chapter.say("Row {}, column {}: right {:.4f}, with the wrong sign {:.4f}.",
                i / 2, i % 2, right, got);
    wrong += std::abs(right - got) > 1e-9;
  }
  chapter.claim("sign-wrong", "of four results so many are wrong", wrong,
                exactly(3), identity, {.symptom_of = "wrong-sign"});
  chapter.claim("sign-right", "error of the upper left one",
                std::abs(y[0][0] - truth.data<double>()[0]), at_most(1e-12),
                identity, {.symptom_of = "wrong-sign"});
}
