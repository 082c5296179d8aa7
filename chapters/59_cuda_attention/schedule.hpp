// In the causal case about half of all pairs of tiles lie wholly above the diagonal:
// they are never visited. Of the others only those that the diagonal, or the last
// key, cuts through have to be masked element by element.
//
// This arithmetic decides what a kernel reads, and an error of one in it makes a
// model that sees the future. So it stands in functions which the kernels call and
// the test calls too, for every small size.
#pragma once

#include "the_call.hpp"

// The queries of a tile, from `begin` on, visit the tiles of keys 0, 1, …, as many
// as the last of them sees.
constexpr int64_t key_tiles(const AttentionSizes& s, int64_t begin, int64_t rows,
                            int64_t columns) {
  // The last query that exists in this tile sees the most.
  const int64_t end = begin + rows < s.queries ? begin + rows : s.queries;
  return end > begin ? tiles(seen_by(s, end - 1), columns) : 0;
}

// Is there a pair in this tile that must not be seen? Its first query sees the
// least.
constexpr bool is_cut(const AttentionSizes& s, int64_t query, int64_t key,
                      int64_t columns) {
  return key + columns > seen_by(s, query);
}

// The last tiles of queries have most to do, and a GPU starts blocks in the order of
// their number: what starts last should be short, or everybody waits for it. So
// tiles are numbered from behind. That holds within a head. Heads follow each other,
// so that the blocks at work at the same time read the same keys.
constexpr int64_t longest_first(const AttentionSizes& s, int64_t block,
                                int64_t blocks) {
  return s.causal ? blocks - 1 - block : block;
}

// On the way back (rung 4) a block has a tile of keys and visits tiles of queries,
// from the first that sees one of its keys.
constexpr int64_t first_query_tile(const AttentionSizes& s, int64_t key,
                                   int64_t rows) {
  return s.causal ? key / rows : 0;
}
