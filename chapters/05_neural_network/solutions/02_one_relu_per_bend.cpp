// Follow the curve from the left. It starts with slope $s_0$; at each place $x_k$ the slope changes from $s_{k-1}$ to $s_k$,
// and one ReLU that starts there and climbs by the difference makes the change:
//
// $$\hat f(x) = f(x_0) + s_0\, \mathrm{relu}(x - x_0) + \sum_{k=1}^{n-1} (s_k - s_{k-1})\, \mathrm{relu}(x - x_k) .$$
//
// That is $n$ ReLUs for $n$ pieces, where $n$ ramps took $2n$.
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

static Tensor curve(const Tensor& x) { return sin(3.0 * x) + 0.5 * x; }

int main() {
  const int64_t pieces = 8;
  Tensor place = linspace(-2, 2, pieces + 1, DType::float64);           // (n + 1,)
  Tensor height = curve(place);                                         // (n + 1,)
  Tensor start = place[Slice{0, -1}], width = place[Slice{1}] - start;  // (n,)
  Tensor climb = height[Slice{1}] - height[Slice{0, -1}];               // (n,)
  Tensor slope = climb / width;                                         // (n,)
  Tensor change = slope.clone();                                        // (n,)
  change[Slice{1}] = slope[Slice{1}] - slope[Slice{0, -1}];

  Tensor x = linspace(-2, 2, 1001, DType::float64).reshape({-1, 1});  // (m, 1)
  Tensor relus =
      height[0] + matmul(relu(x - start), change);  // (m, 1) - (n,) → (m, n) → (m,)
  Tensor ramps =
      height[0] + matmul(clamp((x - start) / width, 0, 1), climb);  // (m,)
  double gap = amax(abs(relus - ramps)).item();
  std::printf("%ld ReLUs against %ld ramps: largest gap %.2g\n", long(pieces),
              long(pieces), gap);
  return gap < 1e-12 ? 0 : 1;
}
