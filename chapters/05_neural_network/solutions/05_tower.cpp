// A step of steepness $s$ across $x_1$ is $\mathrm{ramp}(s (x_1 - a))$. Four of them, one for each side of the box, are all 1
// inside the box. Outside at least one of them is 0, so their sum is at most 3. A second layer with one more ramp takes 3
// off and clips: $\mathrm{ramp}(\sum_j h_j - 3)$ is 1 inside and 0 outside, but for a rim of width $1/s$.
//
// A sum of such towers, each with its own height, follows any continuous surface: the picture of this chapter, one
// dimension up.
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

static Tensor ramp(const Tensor& z) { return clamp(z, 0, 1); }

// The indicator of left ≤ x₁ ≤ right, bottom ≤ x₂ ≤ top, as a network with 4 + 1 units. (n, 2) → (n,)
static Tensor tower(const Tensor& x, double left, double right, double bottom,
                    double top, double s) {
  Tensor W1 =
      s * tensor({{1, 0}, {-1, 0}, {0, 1}, {0, -1}}, DType::float64);  // (4, 2)
  Tensor b1 = s * tensor({-left, right, -bottom, top}, DType::float64) +
              1.0;                     // (4,): the climb ends at the side
  Tensor H = ramp(linear(x, W1, b1));  // (n, 4)
  return ramp(sum(H, {1}) - 3);        // (n,)
}

// The sides lie between the points of the grid, farther from each than the rim is wide, so every point must come out exact.
int main() {
  Tensor grid = linspace(0, 1, 41, DType::float64);  // (41,)
  Tensor x1 = grid.reshape({41, 1}).expand({41, 41}).reshape({-1, 1}),
         x2 = grid.reshape({1, 41}).expand({41, 41}).reshape({-1, 1});
  Tensor x = cat({x1, x2}, 1);                         // (1681, 2)
  Tensor out = tower(x, 0.21, 0.74, 0.41, 0.59, 400);  // (1681,)
  Tensor inside = (x.select(1, 0) > 0.21).to(DType::float64) *
                  (x.select(1, 0) < 0.74).to(DType::float64) *
                  (x.select(1, 1) > 0.41).to(DType::float64) *
                  (x.select(1, 1) < 0.59).to(DType::float64);
  double gap = amax(abs(out - inside)).item();
  std::printf("a tower over %g of 1681 points: largest gap %.2g\n",
              sum(inside).item(), gap);
  return gap < 1e-9 && sum(inside).item() > 100 ? 0 : 1;
}
