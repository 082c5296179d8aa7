// The loss of a batch is the mean of its examples' losses, so its gradient is the mean of their gradients. One update with
// the batch's gradient and rate $\eta$ is what 20 updates with rate $\eta / 20$ would do, if all 20 gradients were taken at
// the starting point. They are not: each is taken where the last update arrived. That difference is of the order of
// $\eta^2$, so halving the rate divides it by about 4.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

struct Mlp {
  nn::Linear hidden, out;
  Tensor operator()(const Tensor& x) const { return out(sigmoid(hidden(x))); }
  CR_FIELDS(hidden, out)
};

static void update(const Mlp& model, const data::Dataset& d, double lr) {
  optim::SGD sgd(parameters(model), {.lr = lr});
  cross_entropy(model(d.inputs), d.targets).backward();
  sgd.step();
  sgd.zero_grad();
}

// How far apart do one update of 20 examples and 20 updates of one end?
static double difference(const Mlp& start, const data::Dataset& batch, double lr) {
  Mlp at_once = clone(start), one_by_one = clone(start);
  update(at_once, batch, lr);
  for (int64_t i = 0; i < batch.size(); ++i) {
    update(one_by_one,
           {batch.inputs.narrow(0, i, 1), batch.targets.narrow(0, i, 1)},
           lr / static_cast<double>(batch.size()));
  }
  return std::sqrt(
      sum(square(at_once.hidden.weight - one_by_one.hidden.weight)).item());
}

int main() {
  Generator random(1);
  Mlp model{nn::Linear(784, 16, random), nn::Linear(16, 10, random)};
  data::Dataset batch = data::make_digits(20, Generator(1));
  batch.inputs = batch.inputs.flatten(1);  // (20, 784)

  Tensor of_batch = grad(cross_entropy(model(batch.inputs), batch.targets),
                         model.hidden.weight);  // (16, 784)
  Tensor mean_of_singles = zeros_like(of_batch);
  for (int64_t i = 0; i < batch.size(); ++i) {
    Tensor loss = cross_entropy(model(batch.inputs.narrow(0, i, 1)),
                                batch.targets.narrow(0, i, 1));
    mean_of_singles =
        mean_of_singles + grad(loss, model.hidden.weight) / batch.size();
  }
  double gap = amax(abs(of_batch - mean_of_singles)).item();
  double ratio = difference(model, batch, 0.2) / difference(model, batch, 0.1);
  std::printf(
      "batch gradient against the mean of 20: %.2g; halving the rate divides the difference by %.2f\n",
      gap, ratio);
  return gap < 1e-7 && ratio > 3.5 && ratio < 4.5 ? 0 : 1;
}
