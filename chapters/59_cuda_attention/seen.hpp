// The three numbers as a struct. One value stands for a row of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

struct Seen {
  double m = -std::numeric_limits<double>::infinity(), l = 0, o = 0;
};

// A single key.
inline Seen one_key(double score, double value) { return {score, 1, value}; }

// Two sets of keys. Nothing has been seen where $m = -\infty$, and then the other
// set is the answer: $\infty - \infty$ would be no number.
inline Seen merged(const Seen& a, const Seen& b) {
  const double m = std::max(a.m, b.m);
  const double keep_a = a.l == 0 ? 0 : std::exp(a.m - m),
               keep_b = b.l == 0 ? 0 : std::exp(b.m - m);
  return {m, keep_a * a.l + keep_b * b.l, keep_a * a.o + keep_b * b.o};
}
