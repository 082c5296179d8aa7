#pragma once

#include <vector>

#include "by_hand.hpp"
#include "seen.hpp"

// Try it: 64 random scores around 200, where $e^s$ alone would overflow a float32,
// cut into single keys, the pieces merged in random order.
static void merging(Chapter& chapter) {
  chapter.section("Why it is the same");
  Generator random(chapter.seed());
  const int64_t n = 64;
  const Tensor s = 3 * randn({n}, random, DType::float64) + 200,
               v = randn({n}, random, DType::float64);
  const double truth = sum(softmax(s, 0) * v).item();
  double worst = 0;
  for (int trial = 0; trial < 100; ++trial) {
    // Begin with 64 sets of one key each. As long as there are two, take two at
    // random and merge them.
    std::vector<Seen> pieces;
    for (int64_t j = 0; j < n; ++j)
      pieces.push_back(one_key(s[j].item(), v[j].item()));
    while (pieces.size() > 1) {
      std::swap(pieces[size_t(random.uniform_double() * double(pieces.size()))],
                pieces.back());
      const Seen last = pieces.back();
      pieces.pop_back();
      Seen& other = pieces[size_t(random.uniform_double() * double(pieces.size()))];
      other = merged(other, last);
    }
    worst = std::max(worst, std::abs(pieces[0].o / pieces[0].l - truth));
  }
  chapter.say("64 scores, merged in 100 random orders.");

  // Only rounding may differ.
  chapter.claim("same-sum", "in any order: largest gap to the softmax", worst,
                at_most(1e-12), identity);

  // Here is one walk, key by key. On the left the scores and the largest so far. On
  // the right what we hold at each moment: $o / \ell$ is always the right answer
  // for the keys seen until then. At the end it is the answer.
  Tensor calm = randn({48}, random, DType::float64),
         values = randn({48}, random, DType::float64);
  std::vector<double> place, score, largest, sum_so_far, answer;
  Seen so_far;
  for (int64_t j = 0; j < 48; ++j) {
    so_far = merged(so_far, one_key(2 * calm[j].item(), values[j].item()));
    place.push_back(double(j)), score.push_back(2 * calm[j].item()),
        largest.push_back(so_far.m);
    sum_so_far.push_back(so_far.l), answer.push_back(so_far.o / so_far.l);
  }
  chapter
      .figure(
          "rescaling",
          "one pass over 48 scores: whenever the maximum rises, the sum so far is scaled down, then 1 is added")
      .size(760, 320)
      .panel("scores")
      .scatter(place, score, "score")
      .line(place, largest, "m, the largest so far")
      .axes("key", "")
      .panel("what is kept")
      .line(place, sum_so_far, "l")
      .line(place, answer, "o / l")
      .axes("key", "");
}
