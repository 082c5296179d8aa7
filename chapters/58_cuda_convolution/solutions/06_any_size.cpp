// Multiplying polynomials $g$ (three coefficients) and $h$ ($m$ coefficients) gives $s = g h$ with $m + 2$ coefficients. Take
// points $a_0 \dots a_m$: then
//
// $$s(x) = \sum_j g(a_j)\, h(a_j)\, \frac{N_j(x)}{N_j(a_j)} + g_2 h_{m-1}\, M(x), \qquad
//   N_j(x) = \prod_{l \ne j} (x - a_l), \quad M(x) = \prod_l (x - a_l),$$
//
// since both sides have the same leading coefficient and agree at all points. That is $s = C\,[(G g) \odot (E h)]$ with $m +
// 2$ multiplications. A filter that slides is the transpose of this in $h$: $y = E^\top [(G g) \odot (C^\top d)]$.
//
// From $m = 2$ to 4 the error grows sixfold, to 6 twofold again, thanks to the points ±1/2. With ±3 in their place it is larger:
// the powers of the points are the entries.
#include <cmath>
#include <cstdio>
#include <vector>

#include "chainrule.hpp"
#include "winograd.hpp"

using namespace cr;
using Rows = std::vector<std::vector<double>>;

struct Any {
  size_t m;
  Rows input, weight, output;  // Bᵀ, G, Aᵀ

  explicit Any(const std::vector<double>& points) : m(points.size() - 1) {
    const size_t n = points.size();
    input.assign(n + 1, std::vector<double>(n + 1));
    weight.assign(n + 1, std::vector<double>(3));
    output.assign(m, std::vector<double>(n + 1));
    for (size_t j = 0; j < n; ++j) {
      double scale = 1;
      for (size_t l = 0; l < n; ++l)
        if (l != j) scale *= points[j] - points[l];
      for (size_t k = 0; k < 3; ++k)
        weight[j][k] = std::pow(points[j], double(k)) / scale;
      for (size_t i = 0; i < m; ++i) output[i][j] = std::pow(points[j], double(i));
      input[j] = coefficients(points, j);
    }
    input[n] = coefficients(points, n);
    weight[n][2] = 1;
    output[m - 1][n] = 1;
  }

  // Of the product of (x - a) over all points but number `without`.
  static std::vector<double> coefficients(const std::vector<double>& points,
                                          size_t without) {
    std::vector<double> c(points.size() + 1);
    c[0] = 1;
    for (size_t l = 0; l < points.size(); ++l) {
      if (l == without) continue;
      for (size_t k = c.size(); k-- > 0;)
        c[k] = (k > 0 ? c[k - 1] : 0) - points[l] * c[k];
    }
    return c;
  }
};

// Rows of numbers in two dimensions: M X Mᵀ.
template <class T>
static std::vector<std::vector<T>> both_ways(const Rows& matrix,
                                             const std::vector<std::vector<T>>& x) {
  const size_t rows = matrix.size(), columns = x.size();
  std::vector<std::vector<T>> half(rows, std::vector<T>(columns)),
      out(rows, std::vector<T>(rows));
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j)
      for (size_t k = 0; k < columns; ++k) half[i][j] += T(matrix[i][k]) * x[k][j];
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < rows; ++j)
      for (size_t k = 0; k < columns; ++k)
        out[i][j] += T(matrix[j][k]) * half[i][k];
  return out;
}

// Typical error of one tile in T, summed over 64 channels, against the sum in float64.
template <class T> static double error(const Any& f, uint64_t seed) {
  Generator random(seed);
  const size_t a = f.m + 2;
  double wrong = 0, size = 0;
  for (int tile = 0; tile < 20; ++tile) {
    std::vector<std::vector<T>> sum(a, std::vector<T>(a));
    Rows truth(f.m, std::vector<double>(f.m));
    for (int channel = 0; channel < 64; ++channel) {
      Rows d(a, std::vector<double>(a)), g(3, std::vector<double>(3));
      std::vector<std::vector<T>> dt(a, std::vector<T>(a)),
          gt(3, std::vector<T>(3));
      for (size_t i = 0; i < a; ++i)
        for (size_t j = 0; j < a; ++j)
          d[i][j] = float(random.normal_double()), dt[i][j] = T(d[i][j]);
      for (size_t i = 0; i < 3; ++i)
        for (size_t j = 0; j < 3; ++j)
          g[i][j] = float(random.normal_double()), gt[i][j] = T(g[i][j]);
      const auto v = both_ways(f.input, dt), u = both_ways(f.weight, gt);
      for (size_t i = 0; i < a; ++i)
        for (size_t j = 0; j < a; ++j) sum[i][j] += u[i][j] * v[i][j];
      for (size_t i = 0; i < f.m; ++i)
        for (size_t j = 0; j < f.m; ++j)
          for (size_t r = 0; r < 3; ++r)
            for (size_t s = 0; s < 3; ++s) truth[i][j] += d[i + r][j + s] * g[r][s];
    }
    const auto y = both_ways(f.output, sum);
    for (size_t i = 0; i < f.m; ++i)
      for (size_t j = 0; j < f.m; ++j) {
        wrong += std::pow(double(y[i][j]) - truth[i][j], 2);
        size += truth[i][j] * truth[i][j];
      }
  }
  return std::sqrt(wrong / size);
}

// Row j of input, row j of weight and column j of output may be scaled, as long as the three factors make 1: what counts is
// their product.
template <size_t m> static bool same_as_the_chapter(const Any& f) {
  const auto input = Winograd<m>::input();
  const auto weight = Winograd<m>::weight();
  const auto output = Winograd<m>::output();
  for (size_t j = 0; j < m + 2; ++j)
    for (size_t k = 0; k < m + 2; ++k)
      for (size_t r = 0; r < 3; ++r)
        for (size_t i = 0; i < m; ++i)
          if (std::abs(f.input[j][k] * f.weight[j][r] * f.output[i][j] -
                       input.at[j][k] * weight.at[j][r] * output.at[i][j]) > 1e-12)
            return false;
  return true;
}

int main() {
  const Any two({0, 1, -1}), four({0, 1, -1, 2, -2}),
      six({0, 1, -1, 2, -2, 0.5, -0.5}), large({0, 1, -1, 2, -2, 3, -3});
  bool good = error<double>(two, 1) < 1e-14 && error<double>(six, 1) < 1e-12;
  const double e2 = error<float>(two, 1), e4 = error<float>(four, 1),
               e6 = error<float>(six, 1), worse = error<float>(large, 1);
  std::printf(
      "float32: F(2,3) %.2g, F(4,3) %.2g, F(6,3) %.2g; with 3 for 1/2: %.2g\n", e2,
      e4, e6, worse);
  std::printf("the chapter's matrices: F(2,3) %d, F(4,3) %d\n",
              same_as_the_chapter<2>(two), same_as_the_chapter<4>(four));
  good = good && e4 > 2 * e2 && e6 > 1.5 * e4 && worse > e6;
  return good && same_as_the_chapter<2>(two) && same_as_the_chapter<4>(four) ? 0
                                                                             : 1;
}
