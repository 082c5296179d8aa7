// The slope half a nudge to the right is about $(f(x + \varepsilon) - f(x)) / \varepsilon$, half a nudge to the left
// $(f(x) - f(x - \varepsilon)) / \varepsilon$. Their difference, divided by the distance $\varepsilon$, is the formula.
//
// It treats both sides alike, so the error of the nudge is proportional to $\varepsilon^2$. The rounding, $u$, is now
// divided by $\varepsilon^2$. Their sum $\varepsilon^2 + u / \varepsilon^2$ is smallest at
// $\varepsilon = \sqrt[4]{u} \approx 10^{-4}$, and is then about $\sqrt u$: half of the digits are lost, however
// one chooses the nudge. (That is the first reason why chapter 8 wants second derivatives from `grad` of `grad`.)
#include <cmath>
#include <cstdio>

int main() {
  double best_nudge = 0, least = 1;
  for (int k = 4; k <= 40; ++k) {
    double nudge = std::pow(10, -k / 4.0);
    double measured =
        (std::sin(1 + nudge) - 2 * std::sin(1.0) + std::sin(1 - nudge)) /
        (nudge * nudge);
    double error =
        std::abs(measured + std::sin(1.0));  // the second derivative of sin is -sin
    if (error < least) least = error, best_nudge = nudge;
  }
  std::printf("best nudge %.1e, error there %.1e\n", best_nudge, least);
  bool good =
      best_nudge > 1e-5 && best_nudge < 1e-3 && least > 1e-12 && least < 1e-7;
  return good ? 0 : 1;
}
