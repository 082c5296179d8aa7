// $\hat y_i$ depends on $w$ through $z_i = w \cdot x_i + b$, with the slope $\hat y_i (1 - \hat y_i)\, x_i$. So
//
// $$H = \frac1n \sum_i \hat y_i (1 - \hat y_i)\, x_i x_i^\top .$$
//
// (Give every $x_i$ a third coordinate, 1, and $b$ is one of the weights.) In a direction $u$ the curvature is
// $u^\top H u = \frac1n \sum_i \hat y_i (1 - \hat y_i)\, (u \cdot x_i)^2$: squares with factors above zero. It is never
// negative, so the loss is convex. It is flat along $u$ only if all $u \cdot x_i$ are zero, as for a pixel that never has
// ink; for the clouds and for the four corners of XOR no such $u$ exists, and a lowest point is the only one. (There need
// not be one: in exercise 2 the bowl goes down for ever.)
//
// Newton's method goes where the bowl with this curvature has its lowest point. Close to the end every step doubles the
// number of right digits. It pays with a system of equations in each step: fine for 3 weights, hopeless for 7850 and
// more.
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

constexpr DType f64 = DType::float64;

static Tensor gradient(const Tensor& X, const Tensor& y, const Tensor& w) {
  return matmul(X.t(), sigmoid(matmul(X, w)) - y) / X.size(0);  // (3,)
}

static Tensor curvature(const Tensor& X, const Tensor& w) {
  Tensor p = sigmoid(matmul(X, w));                                      // (n,)
  return matmul(X.t(), (p * (1 - p)).reshape({-1, 1}) * X) / X.size(0);  // (3, 3)
}

int main() {
  Generator random(1);
  Tensor centre = tensor({1, 0.5}, f64);
  Tensor points = cat({randn({1000, 2}, random, f64) - centre,
                       randn({1000, 2}, random, f64) + centre},
                      0);
  Tensor X = cat({points, ones({2000, 1}, f64)}, 1);           // (2000, 3)
  Tensor y = cat({zeros({1000}, f64), ones({1000}, f64)}, 0);  // (2000,)

  // The formula, held against the library's second derivatives at a random place.
  Tensor anywhere = randn({3}, random, f64);
  auto loss = [&](const Tensor& w) {
    return binary_cross_entropy_with_logits(matmul(X, w), y);
  };
  double gap = amax(abs(curvature(X, anywhere) - hessian(loss, anywhere))).item();

  const double enough = 1e-10;
  int newton = 0, descent = 0;
  Tensor w = zeros({3}, f64), v = zeros({3}, f64);
  while (amax(abs(gradient(X, y, w))).item() > enough && newton < 100) {
    w = w - linalg::solve(curvature(X, w), gradient(X, y, w));
    ++newton;
  }
  while (amax(abs(gradient(X, y, v))).item() > enough && descent < 20000) {
    v = v - 0.5 * gradient(X, y, v);
    ++descent;
  }
  std::printf(
      "formula against hessian(): %.2g; Newton %d steps, gradient descent %d, apart by %.2g\n",
      gap, newton, descent, amax(abs(w - v)).item());
  return gap < 1e-12 && newton <= 10 && descent > 20 * newton &&
                 amax(abs(w - v)).item() < 1e-8
             ? 0
             : 1;
}
