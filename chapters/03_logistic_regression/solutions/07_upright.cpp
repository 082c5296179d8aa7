// With darkness as weight, let $\bar r$, $\bar c$ be the mean row and column of the ink, $v$ the variance of its rows and
// $k$ the covariance of rows and columns. The line through the ink is $c = \bar c + \frac{k}{v} (r - \bar r)$, so row $r$
// is shifted by $\frac{k}{v} (r - \bar r)$, and on the way the whole picture so that its middle is in the middle. A shift
// by a fraction of a pixel mixes two neighbours.
//
// Both are feature transforms that we found by looking, like $x_1 x_2$ for XOR.
#include <cmath>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

// (n, 28, 28) → (n, 28, 28). Without `slant` the middle alone is moved.
static Tensor upright(const Tensor& pictures, bool slant) {
  Tensor out = zeros_like(pictures);
  const float* from = pictures.data<float>();
  float* to = out.mutable_data<float>();
  for (int64_t n = 0; n < pictures.size(0); ++n, from += 784, to += 784) {
    double ink = 0, row = 0, column = 0, v = 0, k = 0;
    for (int64_t i = 0; i < 784; ++i) {
      ink += from[i];
      row += from[i] * static_cast<double>(i / 28);
      column += from[i] * static_cast<double>(i % 28);
    }
    row /= ink;
    column /= ink;
    for (int64_t i = 0; i < 784; ++i) {
      double dr = static_cast<double>(i / 28) - row;
      v += from[i] * dr * dr;
      k += from[i] * dr * (static_cast<double>(i % 28) - column);
    }
    auto pixel = [from](int64_t r, int64_t c) {
      return r < 0 || r > 27 || c < 0 || c > 27
                 ? 0.0
                 : static_cast<double>(from[28 * r + c]);
    };
    for (int64_t r = 0; r < 28; ++r) {
      for (int64_t c = 0; c < 28; ++c) {
        double dr = static_cast<double>(r) - 13.5,
               dc = static_cast<double>(c) - 13.5;
        double at_row = row + dr,
               at_column = column + dc + (slant ? k / v * dr : 0);
        auto r0 = static_cast<int64_t>(std::floor(at_row)),
             c0 = static_cast<int64_t>(std::floor(at_column));
        double fr = at_row - std::floor(at_row),
               fc = at_column - std::floor(at_column);
        double above = (1 - fc) * pixel(r0, c0) + fc * pixel(r0, c0 + 1);
        double below = (1 - fc) * pixel(r0 + 1, c0) + fc * pixel(r0 + 1, c0 + 1);
        to[28 * r + c] = static_cast<float>((1 - fr) * above + fr * below);
      }
    }
  }
  return out;
}

// Ten epochs of the chapter's training; the share of misread test digits.
static double misread(const data::Dataset& train, const data::Dataset& test) {
  Tensor W = zeros({10, 784}), b = zeros({10});
  data::DataLoader batches({train.inputs.flatten(1), train.targets},
                           {.batch_size = 100, .shuffle = true}, Generator(1));
  for (int epoch = 0; epoch < 10; ++epoch) {
    for (auto& [x, y] : batches) {  // (100, 784), (100,)
      Tensor error = softmax(linear(x, W, b), 1) - one_hot(y, 10, DType::float32);
      W.sub_(0.2 * matmul(error.t(), x) / x.size(0));
      b.sub_(0.2 * mean(error, {0}));
    }
  }
  Tensor says = argmax(linear(test.inputs.flatten(1), W, b), 1);  // (n,)
  return mean((says != test.targets).to(DType::float32)).item();
}

int main() {
  data::Dataset train = data::make_digits(10000, Generator(1)),
                test = data::make_digits(4000, Generator(1), 10000);
  auto of = [&](bool slant) {
    return misread({upright(train.inputs, slant), train.targets},
                   {upright(test.inputs, slant), test.targets});
  };
  double drawn = misread(train, test), centred = of(false), straight = of(true);
  std::printf(
      "misread: %.1f %% as drawn, %.1f %% in the middle, %.1f %% in the middle and upright\n",
      100 * drawn, 100 * centred, 100 * straight);
  return straight < 0.7 * centred && centred < 0.8 * drawn ? 0 : 1;
}
