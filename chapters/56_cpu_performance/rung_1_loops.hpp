// The library describes a product by a struct, `Gemm`: sizes, pointers, and how far apart
// rows and columns lie. All our rungs take that struct, as the library's kernel at the top
// of the ladder does, so that they can be exchanged for one another. They read A and B row
// by row: `a_rs`, `b_rs` and `c_rs` say how many numbers lie between two rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/cpu/gemm.hpp"
#include "tensor/tensor.hpp"

using Product = cr::backend::cpu::Gemm<float>;

// The product of two matrices that lie in one piece: A (m, k) times B (k, n), into C (m,
// n).
inline Product product_of(const cr::Tensor& a, const cr::Tensor& b,
                          const cr::Tensor& c) {
  Product g;
  g.m = c.size(0), g.n = c.size(1), g.k = a.size(1);
  g.a = a.data<float>(), g.a_rs = g.k, g.a_cs = 1;
  g.b = b.data<float>(), g.b_rs = g.n, g.b_cs = 1;
  g.c = c.mutable_data<float>(), g.c_rs = g.n;
  return g;
}

// **Rung 1, three loops.** The definition, $C_{ij} = \sum_p A_{ip} B_{pj}$, and nothing
// else.
inline void three_loops(const Product& g) {
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      float sum = 0;
      for (int64_t p = 0; p < g.k; ++p)
        sum += g.a[i * g.a_rs + p] * g.b[p * g.b_rs + j];
      g.c[i * g.c_rs + j] = sum;
    }
  }
}

// All further rungs add to C, so it begins with zeros.
inline void clear(const Product& g) {
  for (int64_t i = 0; i < g.m; ++i) std::fill_n(g.c + i * g.c_rs, g.n, 0.0f);
}

// **Rung 2, loop order.** The loops over $j$ and $p$ change places. The innermost one now
// walks along a row of B and a row of C.
inline void loop_order(const Product& g) {
  clear(g);
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t p = 0; p < g.k; ++p) {
      const float x = g.a[i * g.a_rs + p];
      for (int64_t j = 0; j < g.n; ++j)
        g.c[i * g.c_rs + j] += x * g.b[p * g.b_rs + j];
    }
  }
}

// **Rung 3, vectors.** The innermost loop once more, but we tell the compiler what it
// cannot know: `__restrict` says that writing to C never changes B, and the constant 64
// that there are many steps. Now it packs four of them into one instruction on a 128-bit
// **vector register** (**SIMD**: *single instruction, multiple data*).
inline void add_row(float* __restrict c, float x, const float* __restrict b,
                    int64_t n) {
  constexpr int64_t kStrip = 64;
  int64_t j = 0;
  for (; j + kStrip <= n; j += kStrip)
    for (int64_t s = 0; s < kStrip; ++s) c[j + s] += x * b[j + s];
  for (; j < n; ++j) c[j] += x * b[j];
}

// **Rung 4, cache blocks.** Two more loops outside cut B into blocks. Each block meets all
// rows of A before the next one is touched. With one block as large as B it is rung 3.
inline void multiply_blocks(const Product& g, int64_t depth, int64_t width) {
  clear(g);
  for (int64_t j = 0; j < g.n; j += width) {
    for (int64_t p0 = 0; p0 < g.k; p0 += depth) {
      const int64_t columns = std::min(width, g.n - j);
      for (int64_t i = 0; i < g.m; ++i)
        for (int64_t p = p0; p < std::min(p0 + depth, g.k); ++p)
          add_row(g.c + i * g.c_rs + j, g.a[i * g.a_rs + p], g.b + p * g.b_rs + j,
                  columns);
    }
  }
}

inline void vectors(const Product& g) { multiply_blocks(g, g.k, g.n); }

// A block of 64 rows by 256 numbers takes 64 KB, which stay in the second cache; the 1 KB
// of C stays in the first.
inline void cache_blocks(const Product& g) { multiply_blocks(g, 64, 256); }
