// The three matrices of F(m, 3), for one dimension: $m$ results at a time, from
// $m + 2$ inputs and 3 weights, with $m + 2$ multiplications,
//
// $$y = A^\top \big[ (G\,g) \odot (B^\top d) \big] .$$
//
// For $m = 2$ they are the rows that we have just derived. For $m = 4$ they come
// about in the same way (exercise 6 builds them for any $m$). A product of two
// polynomials is known once its values at enough points are, and there it takes one
// multiplication for each. So evaluate both factors, multiply, interpolate. $G$
// evaluates the three taps, up to a factor for each point: for $m = 2$ at 0, 1, -1
// and "at infinity", which is the leading coefficient, for $m = 4$ at 2 and -2 as
// well. $A$ evaluates too, $B$ interpolates; both stand here transposed, because a
// sliding filter is the transpose of multiplying polynomials. The points 0, 1, -1
// cost additions only. Beyond them one needs 2 and 4 and 8, and fractions of 24, and
// those are the price.
#pragma once

#include "shape.hpp"

template <int kRows, int kColumns> struct Matrix { double at[kRows][kColumns]; };

template <int m> struct Winograd;

template <> struct Winograd<2> {
  static constexpr Matrix<4, 4> input() {  // Bᵀ
    return {{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}};
  }
  static constexpr Matrix<4, 3> weight() {  // G
    return {{{1, 0, 0},
             {1. / 2, 1. / 2, 1. / 2},
             {1. / 2, -1. / 2, 1. / 2},
             {0, 0, 1}}};
  }
  static constexpr Matrix<2, 4> output() {  // Aᵀ
    return {{{1, 1, 1, 0}, {0, 1, -1, -1}}};
  }
};

template <> struct Winograd<4> {
  static constexpr Matrix<6, 6> input() {
    return {{{4, 0, -5, 0, 1, 0},
             {0, -4, -4, 1, 1, 0},
             {0, 4, -4, -1, 1, 0},
             {0, -2, -1, 2, 1, 0},
             {0, 2, -1, -2, 1, 0},
             {0, 4, 0, -5, 0, 1}}};
  }
  static constexpr Matrix<6, 3> weight() {
    return {{{1. / 4, 0, 0},
             {-1. / 6, -1. / 6, -1. / 6},
             {-1. / 6, 1. / 6, -1. / 6},
             {1. / 24, 1. / 12, 1. / 6},
             {1. / 24, -1. / 12, 1. / 6},
             {0, 0, 1}}};
  }
  static constexpr Matrix<4, 6> output() {
    return {{{1, 1, 1, 1, 1, 0},
             {0, 1, -1, 2, -2, 0},
             {0, 1, 1, 4, 4, 0},
             {0, 1, -1, 8, -8, 1}}};
  }
};

// In two dimensions the rule is applied to the columns of a tile and then to its
// rows: $M X M^\top$. A tile of the input has $(m+2)^2$ numbers, the weights have
// $3^2$ and the output has $m^2$. Entries of 0 and ±1 are known to the compiler,
// which leaves the multiplications out.
template <int kRows, int kColumns, class T>
constexpr void transform(const Matrix<kRows, kColumns>& matrix,
                         const T (&x)[kColumns][kColumns], T (&out)[kRows][kRows]) {
  T half[kRows][kColumns] = {};
#pragma unroll
  for (int i = 0; i < kRows; ++i)
#pragma unroll
    for (int j = 0; j < kColumns; ++j)
#pragma unroll
      for (int k = 0; k < kColumns; ++k)
        if (matrix.at[i][k] != 0)
          half[i][j] += static_cast<T>(matrix.at[i][k]) * x[k][j];
#pragma unroll
  for (int i = 0; i < kRows; ++i)
#pragma unroll
    for (int j = 0; j < kRows; ++j) {
      T sum = 0;
#pragma unroll
      for (int k = 0; k < kColumns; ++k)
        if (matrix.at[j][k] != 0)
          sum += static_cast<T>(matrix.at[j][k]) * half[i][k];
      out[i][j] = sum;
    }
}

// ## How far can a rounding grow?
//
// Suppose all weights and all pixels are at most 1. A result of three taps is then
// at most 3. But on the way to it Winograd's rule meets larger numbers:
// $(B^\top d)_e$ can be as large as the sum of the sizes in row $e$ of $B^\top$,
// $(G g)_e$ likewise, and result $i$ is made of them with the entries of row $i$ of
// $A^\top$. What is rounded on the way is rounded in proportion to these numbers,
// and not to the result. So the ratio
//
// $$\max_i \frac{1}{3} \sum_e |A^\top_{ie}| \sum_k |G_{ek}| \sum_k |B^\top_{ek}|$$
//
// says how much larger than with three plain products a rounding error can be. For
// F(2,3) it is $(2 + 3 + 3)/3 = 8/3$: try it on the rows above. In two dimensions
// it is squared.
template <int m> constexpr double growth() {
  const auto input = Winograd<m>::input();
  const auto weight = Winograd<m>::weight();
  const auto output = Winograd<m>::output();
  auto size = [](double x) { return x < 0 ? -x : x; };
  double largest = 0;
  for (int i = 0; i < m; ++i) {
    double sum = 0;
    for (int e = 0; e < m + 2; ++e) {
      double pixels = 0, weights = 0;
      for (int k = 0; k < m + 2; ++k) pixels += size(input.at[e][k]);
      for (int k = 0; k < 3; ++k) weights += size(weight.at[e][k]);
      sum += size(output.at[i][e]) * weights * pixels;
    }
    largest = largest < sum / 3 ? sum / 3 : largest;
  }
  return largest * largest;
}

// ## How many fewer?
//
// A tile of $m^2$ results needs $(m+2)^2$ multiplications for each channel and
// filter, and in the old way $9 m^2$. For endless tiles the factor would go to 9:
// one multiplication for each result.
constexpr double winograd_saving(int m) {
  return 9.0 * m * m / ((m + 2.0) * (m + 2.0));
}

// ## How much more memory?
//
// Tiles cover the output; where it is no multiple of $m$ the last ones reach beyond
// it. All weights, all tiles of the input and all of the output are kept, as
// $(m+2)^2$ numbers each. So for F(2,3) the image takes four times its memory, 16
// numbers for each tile of 2 × 2 pixels, and for F(4,3) 36 / 16 = 2.25 times.
constexpr int tiles_of(const Conv& d, int m) {
  return d.n * ((d.out_h() + m - 1) / m) * ((d.out_w() + m - 1) / m);
}
constexpr int64_t winograd_space(const Conv& d, int m) {
  return (m + 2) * (m + 2) *
         (int64_t{d.o} * d.c + (int64_t{d.o} + d.c) * tiles_of(d, m));
}
