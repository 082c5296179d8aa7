// **Rung 5, packing.** A **tile** is a small rectangle of C, here 6 rows by 16 columns,
// whose sums are all in work at the same time. For each step of $p$ it takes 6 numbers of A
// and 16 of B and makes 96 multiply-adds of them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/parallel.hpp"
#include "ops/create.hpp"
#include "rung_1_loops.hpp"

// What a tile multiplies. A's numbers lie in the order in which they are needed: for each
// $p$ the few of all rows. B's row $p$ begins at `b + p * b_step`. The result is added to
// C.
struct Tile {
  int64_t k;
  const float* a;
  const float* b;
  int64_t b_step;
  float* c;
  int64_t c_row;
  int64_t rows;  // that lie inside C; the others may be computed for nothing
};

// A **kernel** is a function that multiplies one tile, and the tile's size.
struct Kernel {
  int64_t rows, columns;
  void (*multiply)(const Tile&);
};

// The plain kernel. The compiler turns the loop over 16 columns into four vector
// instructions.
inline void plain_tile(const Tile& t) {
  float sum[6][16] = {};
  for (int64_t p = 0; p < t.k; ++p)
    for (int64_t i = 0; i < 6; ++i)
      for (int64_t j = 0; j < 16; ++j)
        sum[i][j] += t.a[p * 6 + i] * t.b[p * t.b_step + j];
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 16; ++j) t.c[i * t.c_row + j] += sum[i][j];
}
inline constexpr Kernel kPlain = {6, 16, plain_tile};

// A tile walks down a strip of B that is 16 numbers wide, one row of B after the other: 64
// bytes here, the next 64 bytes 4000 bytes further on. **Packing** copies the strip once
// into a **panel**, in the order in which the tile will read it:
//
//     B  b00 … b0,15 | b0,16 …        panel 0   b00 … b0,15 b10 … b1,15 b20 …
//        b10 … b1,15 | b1,16 …        panel 1   b0,16 …
//
// It helps twice. The tile then reads its panel from front to back, so every line is used
// whole and prefetched. And it touches fewer pages: memory comes in **pages** of 4 KB, and
// where a page lies the processor has to look up in a table, whose last few dozen answers
// it keeps (the **TLB**, *translation lookaside buffer*). 256 rows of a strip lie on about
// 250 pages, 256 rows of a panel on four.
//
// A panel of A holds 6 rows, and turns them: the 6 numbers of one step lie side by side.
// What is missing at an edge becomes zero, so that every tile is a whole one.
inline void pack_a(float* panel, const float* a, int64_t a_rs, int64_t rows,
                   int64_t depth, int64_t tile_rows) {
  for (int64_t i = 0; i < tile_rows; ++i)
    for (int64_t p = 0; p < depth; ++p)
      panel[p * tile_rows + i] = i < rows ? a[i * a_rs + p] : 0.0f;
}

inline void pack_b(float* panel, const float* b, int64_t b_rs, int64_t columns,
                   int64_t depth, int64_t tile_columns) {
  for (int64_t p = 0; p < depth; ++p, panel += tile_columns) {
    std::copy_n(b + p * b_rs, columns, panel);
    std::fill_n(panel + columns, tile_columns - columns, 0.0f);
  }
}

// How large the blocks are, whether B's are packed (A's always are), and whether several
// threads work.
struct Scheme {
  int64_t rows = 168, columns = 2048, depth = 256;
  bool pack_b = true, threads = false;
};

// Does `work(0)`, `work(1)`, …, one after the other or on all threads.
template <class F> void for_each(bool threads, int64_t count, const F& work) {
  if (threads) return cr::backend::parallel_for(count, work);
  for (int64_t k = 0; k < count; ++k) work(k);
}

// The whole scheme is Goto's and van de Geijn's of 2008: five loops around a kernel. From
// the outside in, each level of memory gets the block that it can hold, with room to spare
// for what passes by. Our rungs take these (the library takes others, see the ladder):
//
// - 256 rows by 2048 columns of B, packed, 2 MB, for the third cache;
// - 168 rows by 256 of A, packed, 172 KB, for the second;
// - one panel of B, 256 by 16, 16 KB, for the first;
// - one tile of C, 6 by 16, for the registers, if the compiler can be brought to it.
class FiveLoops {
 public:
  FiveLoops(const Product& g, const Kernel& kernel, const Scheme& scheme)
      : g_(g),
        kernel_(kernel),
        s_(scheme),
        packed_a_(room(std::min(s_.rows, g.m), kernel.rows)),
        packed_b_(room(std::min(s_.columns, g.n), kernel.columns)) {}

  void run() {
    clear(g_);
    for (int64_t j = 0; j < g_.n; j += s_.columns) {
      for (int64_t p = 0; p < g_.k; p += s_.depth) {
        columns_ = std::min(s_.columns, g_.n - j);
        depth_ = std::min(s_.depth, g_.k - p);
        pack_block_of_b(p, j);
        for (int64_t i = 0; i < g_.m; i += s_.rows) {
          rows_ = std::min(s_.rows, g_.m - i);
          pack_block_of_a(i, p);
          multiply_block(i, j, p);
        }
      }
    }
  }

 private:
  static int64_t pieces(int64_t total, int64_t size) {
    return (total + size - 1) / size;
  }
  cr::Tensor room(int64_t lanes, int64_t tile) const {
    const int64_t depth = std::min(s_.depth, g_.k);
    return cr::empty({pieces(lanes, tile) * tile * depth});
  }
  float* panel_of_a(int64_t k) {
    return packed_a_.mutable_data<float>() + k * kernel_.rows * depth_;
  }
  float* panel_of_b(int64_t k) {
    return packed_b_.mutable_data<float>() + k * kernel_.columns * depth_;
  }

  // Without packing, only a last strip that does not fill a tile is copied.
  bool is_packed(int64_t k) const {
    return s_.pack_b || (k + 1) * kernel_.columns > columns_;
  }

  void pack_block_of_a(int64_t i, int64_t p) {
    for_each(s_.threads, pieces(rows_, kernel_.rows), [&](int64_t k) {
      const int64_t first = k * kernel_.rows;
      pack_a(panel_of_a(k), g_.a + (i + first) * g_.a_rs + p, g_.a_rs,
             std::min(kernel_.rows, rows_ - first), depth_, kernel_.rows);
    });
  }

  void pack_block_of_b(int64_t p, int64_t j) {
    for_each(s_.threads, pieces(columns_, kernel_.columns), [&](int64_t k) {
      const int64_t first = k * kernel_.columns;
      if (is_packed(k))
        pack_b(panel_of_b(k), g_.b + p * g_.b_rs + j + first, g_.b_rs,
               std::min(kernel_.columns, columns_ - first), depth_,
               kernel_.columns);
    });
  }

  // The two innermost loops: one panel of B stays in the first cache while all panels of A
  // in the block pass by.
  void multiply_block(int64_t i, int64_t j, int64_t p) {
    for_each(s_.threads, pieces(columns_, kernel_.columns), [&](int64_t b) {
      for (int64_t a = 0; a < pieces(rows_, kernel_.rows); ++a)
        multiply_tile(a, b, i + a * kernel_.rows, j + b * kernel_.columns, p);
    });
  }

  // A tile that hangs over the edge of C is computed beside it, and what belongs to C is
  // copied.
  void multiply_tile(int64_t a, int64_t b, int64_t i, int64_t j, int64_t p) {
    const int64_t rows = std::min(kernel_.rows, g_.m - i),
                  columns = std::min(kernel_.columns, g_.n - j);
    Tile t = {depth_,  panel_of_a(a),          g_.b + p * g_.b_rs + j,
              g_.b_rs, g_.c + i * g_.c_rs + j, g_.c_rs,
              rows};
    if (is_packed(b)) t.b = panel_of_b(b), t.b_step = kernel_.columns;
    if (rows == kernel_.rows && columns == kernel_.columns)
      return kernel_.multiply(t);
    float beside[32 * 64] = {};
    float* c = t.c;
    t.c = beside, t.c_row = kernel_.columns;
    kernel_.multiply(t);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t q = 0; q < columns; ++q)
        c[r * g_.c_rs + q] += beside[r * t.c_row + q];
  }

  const Product& g_;
  const Kernel kernel_;
  const Scheme s_;
  cr::Tensor packed_a_, packed_b_;
  int64_t rows_ = 0, columns_ = 0, depth_ = 0;
};

inline void five_loops(const Product& g, const Kernel& kernel,
                       const Scheme& scheme = {}) {
  FiveLoops(g, kernel, scheme).run();
}

inline void packing(const Product& g) { five_loops(g, kPlain); }
