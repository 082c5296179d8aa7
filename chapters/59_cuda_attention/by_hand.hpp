#pragma once

#include <array>

#include "book/chapter.hpp"
#include "chainrule.hpp"

using namespace cr;

// ### The usual way
//
// The largest score is $m = 3$. Relative to it the exponentials are $e^{-2} =
// 0.13534$, $e^0 = 1$ and $e^{-1} = 0.36788$. Their sum is $\ell = 1.50321$ (of more
// digits), so the weights are 0.09003, 0.66524 and 0.24473, and
//
// $$o = 0.09003 \cdot 10 + 0.66524 \cdot 20 + 0.24473 \cdot 40 = 23.9943 .$$
//
// That takes three walks along the scores: one for $m$, one for $\ell$, one for
// $o$.
static void by_hand(Chapter& chapter) {
  chapter.section("By hand: three scores");
  const std::array<double, 3> s = {1, 3, 2}, v = {10, 20, 40};
  chapter.say(
      "Scores 1, 3, 2 with values 10, 20, 40. First the usual way, in three passes.");
  Tensor scores = tensor({1, 3, 2}, DType::float64).requires_grad_();
  Tensor values = tensor({10, 20, 40}, DType::float64).requires_grad_();
  Tensor weights = softmax(scores, 0), out = sum(weights * values);
  chapter.check("weights", tensor({0.09003, 0.66524, 0.24473}, DType::float64),
                weights.detach(), 1e-5);
  chapter.check("o", 23.9943, out.item(), 1e-5);

  // ### One walk
  //
  // Now we may look at each score once, and do not know what comes. We keep the
  // largest score so far, $m$, and the two sums relative to it, $\ell$ and $o$,
  // undivided.
  //
  // - The first score is 1. So $m = 1$, $\ell = 1$, $o = 10$.
  // - The second is 3, and larger. What we summed is relative to 1 and should be
  // relative to 3: all of it is too large by a factor $e^{3 - 1}$. So we multiply
  // it by $e^{1-3} = 0.13534$, and only then add: $\ell = 0.13534 + 1 = 1.13534$, $o
  // = 1.35335 + 20 = 21.35335$.
  // - The third is 2. The maximum stays, nothing is rescaled: $\ell = 1.13534 +
  // 0.36788 = 1.50321$, $o = 21.35335 + 14.71518 = 36.06853$.
  //
  // At the end we divide once: $36.06853 / 1.50321 = 23.9943$.
  chapter.say(
      "Now in one pass. After each score: the largest so far, and both sums relative to it.");
  Table table = chapter.table({"score", "value", "m", "keep", "l", "o"});
  const std::array<double, 3> l_paper = {1, 1.13534, 1.50321},
                              o_paper = {10, 21.35335, 36.06853};
  double m = -std::numeric_limits<double>::infinity(), l = 0, o = 0;
  std::array<double, 3> l_found = {}, o_found = {};
  for (size_t j = 0; j < 3; ++j) {
    const double m_new = std::max(m, s[j]), keep = std::exp(m - m_new),
                 p = std::exp(s[j] - m_new);
    m = m_new, l = keep * l + p, o = keep * o + p * v[j];
    table.row(s[j], v[j], m, keep, l, o);
    l_found[j] = l, o_found[j] = o;
  }
  for (size_t j = 0; j < 3; ++j) {
    chapter.check("l", l_paper[j], l_found[j], 1e-5);
    chapter.check("o", o_paper[j], o_found[j], 1e-5);
  }

  // ### And back
  //
  // If $o$ grew a little, the loss would grow by $dO$ times that; take $dO = 1$.
  // Value $j$ enters with its weight, so $dv_j = p_j$. Raising score $j$ pulls the
  // mean toward $v_j$: $ds_j = p_j (v_j - o)$, which rung 4 derives. So $ds_1 =
  // 0.09003 \cdot (10 - 23.9943) = -1.260$, $ds_2 = -2.657$, $ds_3 = 3.917$. They sum
  // to zero: raising all scores together changes nothing.
  //
  // Note what this needs of the way forth: $o$, and for the weights $p_j = e^{s_j -
  // L}$ one number, $L = m + \log \ell = 3.4076$. Not the weights.
  out.backward();
  chapter.check("dv = p", tensor({0.09003, 0.66524, 0.24473}, DType::float64),
                values.grad(), 1e-5);
  chapter.check("ds = p (v - o)", tensor({-1.260, -2.657, 3.917}, DType::float64),
                scores.grad(), 1e-4);
  chapter.check("L", 3.4076, m + std::log(l), 1e-4);
}
