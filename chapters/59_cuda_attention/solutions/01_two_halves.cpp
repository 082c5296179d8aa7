// The first half: $m = 2$, $\ell = 1 + e^{-2} = 1.1353$, $o = 1 + 2 e^{-2} =
// 1.2707$. The second: $m = 5$, $\ell = 1 + e^{-4} = 1.0183$, $o = 3 + 4 e^{-4} =
// 3.0733$. Together $m = 5$. The first is scaled by $e^{-3} = 0.0498$, the second
// by 1: $\ell = 1.0748$, $o = 3.1365$, and the answer is 2.918.
#include <cstdio>

#include "chainrule.hpp"
#include "seen.hpp"

using namespace cr;

int main() {
  const Seen a = merged(one_key(2, 1), one_key(0, 2)),
             b = merged(one_key(5, 3), one_key(1, 4)), both = merged(a, b);
  const Tensor s = tensor({2, 0, 5, 1}, DType::float64),
               v = tensor({1, 2, 3, 4}, DType::float64);
  const double truth = sum(softmax(s, 0) * v).item();
  std::printf("a: %.4f %.4f %.4f, b: %.4f %.4f %.4f, together %.4f, softmax %.4f\n",
              a.m, a.l, a.o, b.m, b.l, b.o, both.o / both.l, truth);
  const bool paper =
      std::abs(a.l - 1.1353) < 1e-4 && std::abs(a.o - 1.2707) < 1e-4 &&
      std::abs(b.l - 1.0183) < 1e-4 && std::abs(b.o - 3.0733) < 1e-4 &&
      std::abs(both.l - 1.0748) < 1e-4 && std::abs(both.o - 3.1365) < 1e-4;
  return paper && std::abs(both.o / both.l - truth) < 1e-14 ? 0 : 1;
}
