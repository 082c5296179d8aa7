#pragma once

#include <array>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// ### The usual way
//
// The largest score is $m = 3$. Relative to it the exponentials are $e^{-2} =
// 0.1353$, $e^0 = 1$ and $e^{-1} = 0.3679$. Their sum is $\ell = 1.5032$, so the
// weights are 0.0900, 0.6652 and 0.2447, and
//
// $$o = 0.0900 \cdot 10 + 0.6652 \cdot 20 + 0.2447 \cdot 40 = 23.994 .$$
//
// That takes three walks along the scores: one for $m$, one for $\ell$, one for
// $o$.
static void by_hand(Chapter& chapter) {
  chapter.section("By hand: three scores");
  const std::array<double, 3> s = {1, 3, 2}, v = {10, 20, 40};
  chapter.say(
      "Scores 1, 3, 2 with values 10, 20, 40. First the usual way, in three passes.");
  double m = 3, l = 0, o = 0;
  for (double x : s) l += std::exp(x - m);
  for (size_t j = 0; j < 3; ++j) o += std::exp(s[j] - m) / l * v[j];
  Tensor scores = tensor({1, 3, 2}, DType::float64).requires_grad_();
  Tensor values = tensor({10, 20, 40}, DType::float64).requires_grad_();
  Tensor out = sum(softmax(scores, 0) * values);
  chapter.check("o, rounded to 0.001", 23.994, std::round(o * 1000) / 1000);
  chapter.check("o, and the library's", o, out.item());

  // ### One walk
  //
  // Now we may look at each score once, and do not know what comes. We keep the
  // largest score so far, $m$, and the two sums relative to it, $\ell$ and $o$,
  // undivided.
  //
  // - The first score is 1. So $m = 1$, $\ell = 1$, $o = 10$.
  // - The second is 3, and larger. What we summed is relative to 1 and should be
  // relative to 3: all of it is too large by a factor $e^{3 - 1}$. So we multiply
  // it by $e^{1-3} = 0.1353$, and only then add: $\ell = 0.1353 + 1 = 1.1353$, $o =
  // 1.3534 + 20 = 21.3534$.
  // - The third is 2. The maximum stays, nothing is rescaled: $\ell = 1.1353 +
  // 0.3679 = 1.5032$, $o = 21.3534 + 14.7152 = 36.0686$.
  //
  // At the end we divide once: $36.0686 / 1.5032 = 23.994$.
  chapter.say(
      "Now in one pass. After each score: the largest so far, and both sums relative to it.");
  Table table = chapter.table({"score", "value", "m", "keep", "l", "o"});
  const std::array<double, 3> l_paper = {1, 1.1353, 1.5032},
                              o_paper = {10, 21.3534, 36.0686};
  std::array<double, 3> l_found = {}, o_found = {};
  m = -std::numeric_limits<double>::infinity(), l = 0, o = 0;
  for (size_t j = 0; j < 3; ++j) {
    const double m_new = std::max(m, s[j]), keep = std::exp(m - m_new),
                 p = std::exp(s[j] - m_new);
    m = m_new, l = keep * l + p, o = keep * o + p * v[j];
    table.row(s[j], v[j], m, keep, l, o);
    l_found[j] = l, o_found[j] = o;
  }
  for (size_t j = 0; j < 3; ++j) {
    chapter.check("l on paper", l_paper[j], l_found[j], 1e-4);
    chapter.check("o on paper", o_paper[j], o_found[j], 1e-4);
  }
  chapter.check("o / l, and the library's", o / l, out.item());

  // ### And back
  //
  // If $o$ grew a little, the loss would grow by $dO$ times that; take $dO = 1$.
  // Value $j$ enters with its weight, so $dv_j = p_j$. Raising score $j$ pulls the
  // mean toward $v_j$: $ds_j = p_j (v_j - o)$, the derivative of a softmax (chapter
  // 3). So $ds_1 = 0.0900 \cdot (10 - 23.994) = -1.260$, $ds_2 = -2.657$, $ds_3 =
  // 3.917$. They sum to zero: raising all scores together changes nothing.
  //
  // Note what this needs of the way forth: $o$, and for the weights $p_j = e^{s_j -
  // L}$ one number, $L = m + \log \ell = 3.4076$. Not the weights.
  out.backward();
  const double row_log = m + std::log(l);
  const std::array<double, 3> paper = {-1.260, -2.657, 3.917};
  for (int j = 0; j < 3; ++j) {
    const double p = std::exp(s[j] - row_log);
    chapter.check("dv = p", p, values.grad()[j].item());
    chapter.check("ds = p (v - o)", p * (v[j] - 23.994264), scores.grad()[j].item(),
                  1e-6);
    chapter.check("ds on paper", paper[j], scores.grad()[j].item(), 1e-3);
  }
  chapter.check("L on paper", 3.4076, row_log, 1e-4);
}
