// A block has a tile of queries and visits tiles of keys. In the causal case about
// half of all pairs of tiles lie wholly above the diagonal: they are never visited.
// Of those visited only the ones that the diagonal, or the last key, cuts through
// have to be masked element by element.
//
// This arithmetic decides what a kernel reads, and an error of one in it makes a
// model that sees the future. So it stands in functions which the kernels call and
// the test calls too, for every small size.
#pragma once

#include "the_call.hpp"

constexpr int64_t tiles(int64_t count, int64_t tile) {
  return (count + tile - 1) / tile;
}

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

// On the way back a block has a tile of keys and visits tiles of queries, from the
// first that sees one of its keys.
constexpr int64_t first_query_tile(const AttentionSizes& s, int64_t key,
                                   int64_t rows) {
  return s.causal ? key / rows : 0;
}

// In the causal case the last tiles of queries have most to do. Blocks start in the
// order of their number, so we number the tiles from behind: what starts last
// should be short.
constexpr int64_t longest_first(const AttentionSizes& s, int64_t block,
                                int64_t blocks) {
  return s.causal ? blocks - 1 - block : block;
}

// Group `g` of query heads shares one head of keys and values.
constexpr int64_t kv_head_of(const AttentionSizes& s,
                             int64_t head) {  // both count through the batch
  return head / s.heads * s.kv_heads + head % s.heads / (s.heads / s.kv_heads);
}
