// The three matrices lie one behind the other in memory, row by row; `number` is how many
// bytes one number takes.
#pragma once

#include <cstdint>

#include "cache.hpp"

struct Layout {
  int64_t n, number = 4;
  int64_t a(int64_t i, int64_t p) const { return (i * n + p) * number; }
  int64_t b(int64_t p, int64_t j) const { return a(n + p, j); }
  int64_t c(int64_t i, int64_t j) const { return a(2 * n + i, j); }
};

// Which bytes the two orders touch, for the rows of C from `begin` to `end`.
inline void count_columns(PaperCache& cache, const Layout& at, int64_t begin,
                          int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    for (int64_t j = 0; j < at.n; ++j) {
      for (int64_t p = 0; p < at.n; ++p) {
        cache.touch(at.a(i, p));
        cache.touch(at.b(p, j));
      }
      cache.touch(at.c(i, j));
    }
}

inline void count_rows(PaperCache& cache, const Layout& at, int64_t begin,
                       int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    for (int64_t p = 0; p < at.n; ++p) {
      cache.touch(at.a(i, p));
      for (int64_t j = 0; j < at.n; ++j) {
        cache.touch(at.b(p, j));
        cache.touch(at.c(i, j));
      }
    }
}

// And in blocks of b × b: what one block of each matrix needs is fetched, used up, and
// forgotten.
inline void count_blocks(PaperCache& cache, const Layout& at, int64_t b) {
  for (int64_t i0 = 0; i0 < at.n; i0 += b)
    for (int64_t j0 = 0; j0 < at.n; j0 += b)
      for (int64_t p0 = 0; p0 < at.n; p0 += b)
        for (int64_t i = i0; i < i0 + b; ++i)
          for (int64_t p = p0; p < p0 + b; ++p)
            for (int64_t j = j0; j < j0 + b; ++j) {
              cache.touch(at.a(i, p));
              cache.touch(at.b(p, j));
              cache.touch(at.c(i, j));
            }
}

// The misses while one row of C is computed. The row before it warms the cache up.
template <class Count>
double misses_of_a_row(PaperCache cache, const Count& count, int64_t n) {
  count(cache, Layout{n}, 0, 1);
  const int64_t before = cache.misses;
  count(cache, Layout{n}, 1, 2);
  return double(cache.misses - before);
}
