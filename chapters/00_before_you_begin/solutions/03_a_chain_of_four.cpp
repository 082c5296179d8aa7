// $x \to a = x^2 \to b = \sin a \to c = 1 + e^b \to f = \ln c$. The slopes are $2x$, $\cos a$, $e^b$ and $1/c$, each
// taken at the number that arrives there, and the slope from end to end is their product.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

static double f(double x) { return std::log(1 + std::exp(std::sin(x * x))); }

int main() {
  Generator random(1);
  double from_nudge = 0, from_grad = 0;
  for (int i = 0; i < 100; ++i) {
    double x = 4 * random.uniform_double() - 2;
    double a = x * x, b = std::sin(a), c = 1 + std::exp(b);
    double product = 2 * x * std::cos(a) * std::exp(b) / c;
    double nudged = (f(x + 1e-5) - f(x - 1e-5)) / 2e-5;
    Tensor t = tensor(x, DType::float64).requires_grad_();
    double library = grad(log(1.0 + exp(sin(square(t)))), t).item();
    from_nudge = std::max(from_nudge, std::abs(product - nudged));
    from_grad = std::max(from_grad, std::abs(product - library));
  }
  std::printf("largest gap to a nudge %.1e, to grad %.1e\n", from_nudge, from_grad);
  return from_nudge < 1e-7 && from_grad < 1e-13 ? 0 : 1;
}
