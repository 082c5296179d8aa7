// If there are $N$ taxis, every set of five is equally likely, with probability $1 / \binom{N}{5}$, and impossible if one
// of them has a number above $N$. So the likelihood is 0 below 60, highest *at* 60, and falls from there: the estimate is
// the highest number seen, 60.
//
// It is never too large and nearly always too small. Likely is not the same as unbiased. Where is the highest of five?
// Five numbers leave six gaps: before the first, between them, and behind the last. On average all are equally wide,
// $(N - 5) / 6$ numbers, so the highest, $m$, is at $N - (N - 5)/6$ on average. Solve that for $N$: the better estimate
// is $m + m/5 - 1$, here 71.
//
// (In the Second World War the Allies estimated so, from serial numbers, how many tanks were built, and came much closer
// than their spies.)
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <span>
#include <vector>

#include "backend/generator.hpp"

using namespace cr;

int main() {
  const int towns = 20000, taxis = 100, seen = 5;
  Generator random(1);
  std::vector<int> numbers(taxis);
  std::iota(numbers.begin(), numbers.end(), 1);
  double likeliest = 0, better = 0, squares = 0;
  for (int town = 0; town < towns; ++town) {
    random.shuffle(std::span<int>(numbers));
    double highest = *std::max_element(numbers.begin(), numbers.begin() + seen);
    double guess = highest + highest / seen - 1;
    likeliest += highest / towns;
    better += guess / towns;
    squares += (guess - taxis) * (guess - taxis) / towns;
  }
  double bar = std::sqrt(squares / towns);
  std::printf(
      "maximum likelihood says %.2f on average, the better one %.2f ± %.2f, of %d\n",
      likeliest, better, bar, taxis);
  double expected = taxis - (taxis - seen) / 6.0;
  bool good = std::abs(better - taxis) < 5 * bar &&
              std::abs(likeliest - expected) < 5 * bar;
  return good ? 0 : 1;
}
