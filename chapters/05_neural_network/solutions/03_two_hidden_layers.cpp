// One more layer, one more line of the same kind: $\delta_l = (\delta_{l+1} W_{l+1}) \odot [Z_l > 0]$. It begins at the logits
// with $\delta_3 = (P - Y)/n$, and each layer's gradients are $\delta_l^\top$ times what came in, and the sum of $\delta_l$.
#include <algorithm>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

static double gap(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item();
}

int main() {
  Generator random(1);
  const int64_t n = 20, d = 7, h1 = 6, h2 = 5, k = 4;
  auto normal = [&](const Shape& shape) {
    return nn::normal(shape, 0, 0.5, random, DType::float64).requires_grad_();
  };
  Tensor X = randn({n, d}, random, DType::float64),
         labels = randint(0, k, {n}, random);
  Tensor W1 = normal({h1, d}), W2 = normal({h2, h1}), W3 = normal({k, h2}),
         b1 = normal({h1}), b2 = normal({h2}), b3 = normal({k});
  Tensor Z1 = linear(X, W1, b1), H1 = relu(Z1);   // (n, h1)
  Tensor Z2 = linear(H1, W2, b2), H2 = relu(Z2);  // (n, h2)
  Tensor Z3 = linear(H2, W3, b3);                 // (n, k)

  Tensor delta3 =
      (softmax(Z3, 1) - one_hot(labels, k, DType::float64)) / n;     // (n, k)
  Tensor delta2 = matmul(delta3, W3) * (Z2 > 0).to(DType::float64);  // (n, h2)
  Tensor delta1 = matmul(delta2, W2) * (Z1 > 0).to(DType::float64);  // (n, h1)
  std::vector<Tensor> ours = {matmul(delta1.t(), X),  sum(delta1, {0}),
                              matmul(delta2.t(), H1), sum(delta2, {0}),
                              matmul(delta3.t(), H2), sum(delta3, {0})};
  std::vector<Tensor> theirs =
      grad(cross_entropy(Z3, labels), {W1, b1, W2, b2, W3, b3});
  double worst = 0;
  for (size_t i = 0; i < ours.size(); ++i)
    worst = std::max(worst, gap(ours[i], theirs[i]));
  std::printf("six gradients by hand against the library's: largest gap %.2g\n",
              worst);
  return worst < 1e-10 ? 0 : 1;
}
