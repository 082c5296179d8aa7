// A linear classifier from 784 pixels to 10 digits has $784 \cdot 10 + 10 = 7850$ parameters. A network of width $h$ has
// $784 h + h$ before the bend and $10 h + 10$ behind it, $795 h + 10$ in all: 101 770 for the chapter's 128 units, 636 010 for
// the 800 that read MNIST. Width 9 is the last with fewer than 7850. It reads about as well as the linear classifier. Width 16
// has 12 730 and leaves half of the errors.
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

struct Mlp {
  nn::Linear hidden, out;
  Tensor operator()(const Tensor& x) const { return out(relu(hidden(x))); }
  CR_FIELDS(hidden, out)
};

template <class Model> static int64_t count(const Model& model) {
  int64_t numbers = 0;
  for (const Tensor& p : parameters(model)) numbers += p.numel();
  return numbers;
}

// Ten epochs of batches of 50, as in the chapter; the share of misread test digits.
template <class Model>
static double misread(const Model& model, const data::Dataset& train,
                      const data::Dataset& test) {
  data::DataLoader batches(train, {.batch_size = 50, .shuffle = true},
                           Generator(1));
  optim::SGD sgd(parameters(model), {.lr = 0.3});
  for (int epoch = 0; epoch < 10; ++epoch) {
    for (auto& [x, y] : batches) {  // (50, 784), (50,)
      Tensor loss = cross_entropy(model(x), y);
      sgd.zero_grad();
      loss.backward();
      sgd.step();
    }
  }
  NoGrad no_grad;
  return mean((argmax(model(test.inputs), 1) != test.targets).to(DType::float32))
      .item();
}

// Fewer parameters, no worse: all ten classes share the hidden units, and none of them has to describe a whole digit.
int main() {
  Generator random(1);
  nn::Linear linear(784, 10, random);
  Mlp nine{nn::Linear(784, 9, random), nn::Linear(9, 10, random)},
      sixteen{nn::Linear(784, 16, random), nn::Linear(16, 10, random)};
  data::Dataset train = data::make_digits(20000, Generator(1)),
                test = data::make_digits(5000, Generator(1), 20000);
  train.inputs = train.inputs.flatten(1);  // (20000, 784)
  test.inputs = test.inputs.flatten(1);    // (5000, 784)
  double by_line = misread(linear, train, test),
         by_nine = misread(nine, train, test),
         by_sixteen = misread(sixteen, train, test);
  std::printf("linear     %5ld parameters, misreads %.1f %%\n", long(count(linear)),
              100 * by_line);
  std::printf("784-9-10   %5ld parameters, misreads %.1f %%\n", long(count(nine)),
              100 * by_nine);
  std::printf("784-16-10  %5ld parameters, misreads %.1f %%\n",
              long(count(sixteen)), 100 * by_sixteen);
  bool counts =
      count(linear) == 7850 && count(nine) == 7165 && count(sixteen) == 12730;
  return counts && by_nine < by_line + 0.03 && by_sixteen < 0.67 * by_line ? 0 : 1;
}
