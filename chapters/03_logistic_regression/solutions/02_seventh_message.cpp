// The border stays between 3 and 4. The message with 30 capitals has a large logit with the right sign, its $\hat y - y$
// is almost zero, and so it hardly pulls.
//
// But $w$ does not come to rest. All seven messages lie on the right side, and then $2w$ and $2b$ give each of them a
// higher probability than $w$ and $b$ did: there is no best $w$. The gradient dies out as the probabilities near 1, so
// the growth slows down to that of a logarithm: every ten times as many steps add about the same. On the way the border
// moves to the middle of the gap, 3.5. (Chapter 1's ridge would hold the weights back.)
#include <cmath>
#include <cstdio>
#include <vector>

int main() {
  const std::vector<double> x = {1, 2, 3, 4, 5, 6, 30}, y = {0, 0, 0, 1, 1, 1, 1};
  double w = 0, b = 0;
  std::vector<double> at, border;
  for (int step = 1; step <= 1000000; ++step) {
    double dw = 0, db = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double error = 1 / (1 + std::exp(-(w * x[i] + b))) - y[i];
      dw += error * x[i] / 7;
      db += error / 7;
    }
    w -= 0.1 * dw;
    b -= 0.1 * db;
    if (step != 1000 && step != 10000 && step != 100000 && step != 1000000)
      continue;
    at.push_back(w);
    border.push_back(-b / w);
    std::printf("%7d steps: w = %5.2f, b = %6.2f, border %.3f\n", step, w, b,
                -b / w);
  }
  bool between = true, grows = true;
  for (double place : border) between = between && place > 3 && place < 4;
  for (size_t i = 1; i < at.size(); ++i) grows = grows && at[i] > at[i - 1] + 1;
  return between && grows && std::abs(border.back() - 3.5) < 0.05 ? 0 : 1;
}
