// Each level replaces eight products of half the size by seven: after $l$ levels $(7/8)^l$ of the multiply-adds are left, and a
// product of $n \times n$ takes about $n^{2.81}$ of them. The price: 18 additions of blocks for each level, which wait for
// memory, and an error that grows with each level, because large sums are formed whose parts cancel later.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "chainrule.hpp"

using namespace cr;

static int64_t multiply_adds;

static Tensor strassen(const Tensor& a, const Tensor& b, int levels) {
  const int64_t n = a.size(0), h = n / 2;
  if (levels == 0) {
    multiply_adds += n * n * n;
    return matmul(a, b);
  }
  auto part = [&](const Tensor& x, int64_t i, int64_t j) {
    return x.narrow(0, i * h, h).narrow(1, j * h, h).contiguous();  // (h, h)
  };
  Tensor a11 = part(a, 0, 0), a12 = part(a, 0, 1), a21 = part(a, 1, 0),
         a22 = part(a, 1, 1);
  Tensor b11 = part(b, 0, 0), b12 = part(b, 0, 1), b21 = part(b, 1, 0),
         b22 = part(b, 1, 1);
  auto product = [&](const Tensor& x, const Tensor& y) {
    return strassen(x, y, levels - 1);
  };
  Tensor m1 = product(a11 + a22, b11 + b22), m2 = product(a21 + a22, b11),
         m3 = product(a11, b12 - b22), m4 = product(a22, b21 - b11),
         m5 = product(a11 + a12, b22), m6 = product(a21 - a11, b11 + b12),
         m7 = product(a12 - a22, b21 + b22);
  Tensor top = cat({m1 + m4 - m5 + m7, m3 + m5}, 1);     // (h, n)
  Tensor bottom = cat({m2 + m4, m1 - m2 + m3 + m6}, 1);  // (h, n)
  return cat({top, bottom}, 0);
}

// The errors are held against the product in float64.
int main() {
  Generator random(1);
  const int64_t n = 512;
  Tensor a = randn({n, n}, random), b = randn({n, n}, random);
  Tensor exact = matmul(a.to(DType::float64), b.to(DType::float64));
  bool good = true;
  double plain = 0;
  for (int levels = 0; levels <= 3; ++levels) {
    multiply_adds = 0;
    Tensor c = strassen(a, b, levels);
    const double error =
        std::sqrt(mean(square(c.to(DType::float64) - exact)).item());
    const double left = double(multiply_adds) / double(n * n * n);
    if (levels == 0) plain = error;
    std::printf("%d levels: %.3f of the multiply-adds, %.1f times the error\n",
                levels, left, error / plain);
    good = good && std::abs(left - std::pow(7.0 / 8, levels)) < 1e-12 &&
           error < 100 * plain && (levels == 0 || error > plain);
  }
  return good ? 0 : 1;
}
