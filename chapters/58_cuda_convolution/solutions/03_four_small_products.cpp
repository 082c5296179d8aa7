// With stride 2 and padding 1, tap $r$ sees pixel $2y - 1 + r$ from place $y$. So an even row was seen through tap 1 only,
// and an odd one through taps 0 and 2. In two dimensions the classes have 1, 2, 2 and 4 taps. A class's gradient is a
// convolution of the gradient from above with its own taps: for odd rows pixel $2 a + 1$ was seen from place $a$ through
// tap 2 and from place $a + 1$ through tap 0.
//
// All four together make $1 + 2 + 2 + 4 = 9$ multiplications for every four pixels, a filter and a channel: a quarter of the 36.
#include <cmath>
#include <cstdio>
#include <vector>

#include "chainrule.hpp"

using namespace cr;

int main() {
  Generator random(1);
  const int64_t c = 3, o = 5, size = 12, half = size / 2;
  Tensor x = randn({1, c, size, size}, random, DType::float64).requires_grad_();
  Tensor w = randn({o, c, 3, 3}, random, DType::float64);
  Tensor dy = randn({1, o, half, half}, random, DType::float64);
  sum(conv2d(x, w, {}, {.stride = 2, .padding = 1}) * dy).backward();

  // dy with a row and a column of zeros behind it, for the place a + 1 that does not exist.
  Tensor wide = zeros({1, o, half + 1, half + 1}, DType::float64);
  wide[{Slice{}, Slice{}, Slice{0, half}, Slice{0, half}}] = dy;

  // The taps that a class sees: of the even rows {1}, of the odd ones {2, 0}.
  const std::vector<std::vector<int64_t>> taps = {{1}, {2, 0}};
  double products = 0, worst = 0;
  for (size_t p = 0; p < 2; ++p)
    for (size_t q = 0; q < 2; ++q) {
      Tensor small = zeros({c, o, int64_t(taps[p].size()), int64_t(taps[q].size())},
                           DType::float64);
      for (size_t r = 0; r < taps[p].size(); ++r)
        for (size_t s = 0; s < taps[q].size(); ++s)
          small[{Slice{}, Slice{}, int64_t(r), int64_t(s)}] =
              w[{Slice{}, Slice{}, taps[p][r], taps[q][s]}].t();
      Tensor part = conv2d(wide, small)[{Slice{}, Slice{}, Slice{0, half},
                                         Slice{0, half}}];  // (1, c, half, half)
      Tensor truth = x.grad()[{Slice{}, Slice{}, Slice{int64_t(p), size, 2},
                               Slice{int64_t(q), size, 2}}];
      worst = std::max(worst, amax(abs(part - truth)).item());
      products += double(taps[p].size() * taps[q].size()) * half * half * c * o;
    }
  const double all = 9.0 * size * size * c * o;
  std::printf("largest gap %.2g; %.0f multiplications instead of %.0f\n", worst,
              products, all);
  return worst < 1e-12 && products == all / 4 ? 0 : 1;
}
