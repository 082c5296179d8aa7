// If $C$ is wrong, $D = C - AB$ is not zero, and $D x = 0$ holds only for $x$ on a plane. A random $x$ misses that plane
// almost surely; with $x$ of zeros and ones, as in Freivalds's paper, it lies on it in at most half of the cases,
// and ten such vectors leave a chance of $2^{-10}$. With rounding the question is not "zero or not" but "larger than
// rounding": an error hides if it is smaller than what rounding does to $C x$. In float64 that is very little.
//
// Three products with a vector are $3 n^2$ multiply-adds instead of $n^3$.
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

// The largest entry of $C x - A (B x)$, relative to the largest of $C x$.
static double suspicion(const Tensor& a, const Tensor& b, const Tensor& c,
                        Generator& random) {
  Tensor x = randn({c.size(1)}, random, DType::float64);  // (n,)
  Tensor claimed = matmul(c, x);                          // (m,)
  return (amax(abs(claimed - matmul(a, matmul(b, x)))) / amax(abs(claimed))).item();
}

int main() {
  Generator random(1);
  const int64_t n = 1000;
  Tensor a = randn({n, n}, random).to(DType::float64),
         b = randn({n, n}, random).to(DType::float64);
  Tensor c = matmul(a, b);
  double honest = 0, caught = 1e9;
  for (int round = 0; round < 10; ++round) {
    honest = std::max(honest, suspicion(a, b, c, random));
    // One number of a million is off by a thousandth part of its usual size, which is about 32.
    Tensor wrong = c.clone();
    Tensor place = randint(0, n, {2}, random);
    Tensor one = wrong[{place[0].item<int64_t>(), place[1].item<int64_t>()}];
    one.copy_(one + 0.03);
    caught = std::min(caught, suspicion(a, b, wrong, random));
  }
  std::printf("right: %.2g; one number wrong: at least %.2g\n", honest, caught);
  return honest < 1e-12 && caught > 1e-9 ? 0 : 1;
}
