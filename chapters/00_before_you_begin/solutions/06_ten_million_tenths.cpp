// Far off: about 1 087 937 instead of 1 000 000. When the sum is near a million the grid of `float` is 1/16 wide there. A
// tenth is 1.6 such steps and is rounded to two. (From 262 144 to 524 288 it is 3.2 steps, and is rounded to three.)
// Between two powers of two every rounding leans the same way, and they add up, like a scale that is set wrong.
//
// Kahan's remedy: after each addition ask what has really been added, and put the rest aside for the next turn. The sum
// is then as good as one in twice as many digits. (What should come out is ten million times the `float` next to 0.1. The
// exact product is 1 000 000.015; the nearest `float` is 1 000 000.)
#include <cmath>
#include <cstdio>

int main() {
  float plain = 0, sum = 0, rest = 0;
  for (int i = 0; i < 10000000; ++i) {
    plain += 0.1f;
    float term = 0.1f - rest;
    float next = sum + term;
    rest = (next - sum) - term;  // what was added, less what should have been
    sum = next;
  }
  double exact = 1e7 * double(0.1f);
  std::printf("plain %.1f, Kahan's %.4f, exact %.4f\n", plain, sum, exact);
  bool good = std::abs(plain - exact) > 50000 && sum == float(exact);
  return good ? 0 : 1;
}
