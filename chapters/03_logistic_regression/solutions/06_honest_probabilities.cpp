// They are honest, to within a few hundredths: cross-entropy is lowest, on average, where the model says how often
// things really happen, and here the true log-odds are of the model's form. With doubled $w$ and $b$ all answers and the
// accuracy stay. But the odds are squared, and where 70 of 100 are of class 1, 7 to 3, the model now says 84 %, 49 to 9.
// It is **overconfident**, and the loss, unlike the accuracy, notices.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

constexpr DType f64 = DType::float64;

struct Points {
  Tensor x, y;
};

static Points clouds(int64_t n, Generator& random) {
  Tensor centre = tensor({1, 0.5}, f64);
  return {cat({randn({n, 2}, random, f64) - centre,
               randn({n, 2}, random, f64) + centre},
              0),
          cat({zeros({n}, f64), ones({n}, f64)}, 0)};
}

// The largest difference between what is said and what happens, over ten bins of the probability.
static double dishonesty(const Tensor& p, const Tensor& y) {
  double worst = 0;
  for (int bin = 0; bin < 10; ++bin) {
    Tensor in = logical_and(p >= bin * 0.1, p < (bin + 1) * 0.1).to(f64);  // (n,)
    double said = (sum(in * p) / sum(in)).item(),
           was = (sum(in * y) / sum(in)).item();
    std::printf("  says %.2f, is %.2f\n", said, was);
    worst = std::max(worst, std::abs(said - was));
  }
  return worst;
}

int main() {
  Generator random(1);
  Points train = clouds(2000, random), test = clouds(10000, random);
  Tensor w = zeros({2}, f64), b = zeros({}, f64);
  for (int step = 0; step < 500; ++step) {
    Tensor dz = (sigmoid(matmul(train.x, w) + b) - train.y) / train.x.size(0);
    w = w - 0.5 * matmul(train.x.t(), dz);
    b = b - 0.5 * sum(dz);
  }
  Tensor z = matmul(test.x, w) + b;  // (20000,)
  double loss = binary_cross_entropy_with_logits(z, test.y).item();
  double loud_loss = binary_cross_entropy_with_logits(2 * z, test.y).item();
  std::printf("as trained, loss %.3f:\n", loss);
  double honest = dishonesty(sigmoid(z), test.y);
  std::printf("doubled, loss %.3f:\n", loud_loss);
  double loud = dishonesty(sigmoid(2 * z), test.y);
  return honest < 0.08 && loud > 0.1 && loud > 2 * honest && loud_loss > loss + 0.02
             ? 0
             : 1;
}
