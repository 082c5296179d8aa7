// The first network of Rumelhart, Hinton and Williams's paper: is a row of six bits its own mirror image? One unit cannot
// tell, two hidden units can. We use their recipe: sigmoids, the gradient of all 64 patterns at once, rate 0.1, momentum 0.9
// (chapter 9 explains momentum; without it the same solution takes some ten times as long), small random weights.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

struct Net {
  nn::Linear hidden, out;
  Tensor operator()(const Tensor& x) const {
    return sigmoid(out(sigmoid(hidden(x))));
  }  // (64, 6) → (64, 2) → (64, 1)
  CR_FIELDS(hidden, out)
};

int main() {
  Tensor x = zeros({64, 6}), y = zeros({64, 1});
  for (int64_t p = 0; p < 64; ++p) {
    auto bit = [&](int64_t b) { return (p >> b) & 1; };
    for (int64_t b = 0; b < 6; ++b) x[{p, b}] = bit(b);
    y[p] = bit(0) == bit(5) && bit(1) == bit(4) && bit(2) == bit(3);
  }
  Generator random(5);
  Net net{nn::Linear(6, 2, random), nn::Linear(2, 1, random)};
  {
    NoGrad no_grad;
    for (const Tensor& p : parameters(net))
      p.copy_(nn::uniform(p.shape(), -0.3, 0.3, random));
  }
  optim::SGD sgd(parameters(net), {.lr = 0.1, .momentum = 0.9});
  int sweeps = 0;
  for (double worst = 1; worst > 0.1 && sweeps < 20000; ++sweeps) {
    Tensor error = net(x) - y;  // (64, 1)
    sgd.zero_grad();
    (0.5 * sum(square(error))).backward();
    sgd.step();
    worst = amax(abs(error.detach())).item();
  }

  // Into each hidden unit, opposite places have opposite weights, so that a mirror image adds up to nothing. And the three
  // sizes are as 1 to 2 to 4, so that no pattern without the symmetry adds up to nothing by accident. (1, 3 and 5 would do
  // too; but 1, 2 and 4 keep all sums the same distance apart.)
  bool solved = sweeps < 20000;
  for (int64_t unit = 0; unit < 2; ++unit) {
    std::vector<double> size;
    double lopsided = 0;
    for (int64_t b = 0; b < 3; ++b) {
      double left = net.hidden.weight[{unit, b}].item(),
             right = net.hidden.weight[{unit, 5 - b}].item();
      size.push_back(std::abs(left));
      lopsided = std::max(lopsided, std::abs(left + right));
      std::printf("unit %ld: %6.2f and %6.2f\n", long(unit + 1), left, right);
    }
    std::sort(size.begin(), size.end());
    solved = solved && lopsided < 0.1 * size[0] &&
             std::abs(size[1] / size[0] - 2) < 0.2 &&
             std::abs(size[2] / size[0] - 4) < 0.4;
  }
  std::printf("all 64 patterns to within 0.1 after %d sweeps\n", sweeps);
  return solved ? 0 : 1;
}
