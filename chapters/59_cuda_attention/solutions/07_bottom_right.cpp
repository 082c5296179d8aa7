// Query $i$ of $n$ sees the keys $0 \dots i + m - n$ of $m$: the last query sees all.
// Only `seen_by` changes, and what is derived from it follows: the tiles a tile of
// queries visits still go by its last query, the mask by its first. The way back
// begins at query `key - (m - n)`. With more queries than keys the first see nothing.
// Their maximum stays $-\infty$, so they need a guard: weights 0 instead of $\infty -
// \infty$, and an output of zeros.
#include <algorithm>
#include <cstdio>

#include "the_call.hpp"

static int64_t seen(const AttentionSizes& s, int64_t i) {
  return std::clamp<int64_t>(i + 1 + s.keys - s.queries, 0, s.keys);
}
static int64_t key_tiles(const AttentionSizes& s, int64_t begin, int64_t rows,
                         int64_t columns) {
  return tiles(seen(s, std::min(begin + rows, s.queries) - 1), columns);
}
static int64_t first_query_tile(const AttentionSizes& s, int64_t key,
                                int64_t rows) {
  return std::max<int64_t>(0, key - (s.keys - s.queries)) / rows;
}

int main() {
  int64_t wrong = 0, blind = 0;
  for (int64_t queries = 1; queries <= 12; ++queries)
    for (int64_t keys = 1; keys <= 12; ++keys)
      for (int64_t rows : {1, 2, 3, 4, 8})
        for (int64_t columns : {1, 2, 3, 4, 8}) {
          AttentionSizes s;
          s.queries = queries, s.keys = keys, s.width = 64, s.causal = true;
          for (int64_t i = 0; i < queries; ++i) blind += seen(s, i) == 0;
          for (int64_t i0 = 0; i0 < queries; i0 += rows)
            for (int64_t j0 = 0; j0 < keys; j0 += columns) {
              bool any = false, all = true;
              for (int64_t i = i0; i < std::min(i0 + rows, queries); ++i)
                for (int64_t j = j0; j < j0 + columns; ++j) {
                  const bool one = j < keys && j - keys <= i - queries;
                  any |= one, all &= one;
                }
              wrong += any != (j0 / columns < key_tiles(s, i0, rows, columns));
              wrong += all != (j0 + columns <= seen(s, i0));  // no mask
              if (any) wrong += i0 / rows < first_query_tile(s, j0, rows);
            }
        }
  std::printf("wrong: %ld; queries that see nothing: %ld\n", long(wrong),
              long(blind));
  return wrong == 0 && blind > 0 ? 0 : 1;
}
