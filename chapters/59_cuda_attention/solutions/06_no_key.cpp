// The key is the set $(m, \ell, o) = (0, 1, 0)$, so the walk begins with that
// instead of $(-\infty, 0, 0)$. On the way back its value is zero, and it gets part
// of the weight, so the others sum to less than one. $D_i$ stays $dO_i \cdot O_i$,
// because the new term adds $P \cdot dP = 0$ to the sum; and $dS_j = P_j (dP_j -
// D)$ as before, with the smaller $P_j$.
#include <cstdio>

#include "chainrule.hpp"
#include "seen.hpp"

using namespace cr;

int main() {
  Generator random(1);
  const Tensor s = randn({9}, random, DType::float64).requires_grad_(),
               v = randn({9}, random, DType::float64);
  const Tensor with = cat({s, zeros({1}, DType::float64)}),
               values = cat({v, zeros({1}, DType::float64)});
  const Tensor truth = sum(softmax(with, 0) * values), ds = grad(truth, s);

  Seen so_far = {0, 1, 0};
  for (int64_t j = 0; j < 9; ++j)
    so_far = merged(so_far, one_key(s[j].item(), v[j].item()));
  const double o = so_far.o / so_far.l, row_log = so_far.m + std::log(so_far.l);
  double gap = std::abs(o - truth.item());
  for (int64_t j = 0; j < 9; ++j)
    gap =
        std::max(gap, std::abs(std::exp(s[j].item() - row_log) * (v[j].item() - o) -
                               ds[j].item()));
  std::printf("largest gap %.2g\n", gap);
  return gap < 1e-14 ? 0 : 1;
}
