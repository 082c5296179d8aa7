// # Cutting work into tiles
#pragma once

#include <cstdint>

#include "backend/parallel.hpp"

namespace cr::backend::cpu {

inline int64_t pieces(int64_t total, int64_t size) { return (total + size - 1) / size; }
inline int64_t multiple(int64_t total, int64_t of) { return pieces(total, of) * of; }  // the next one

// To hand work to another thread takes half a microsecond while it is awake, and many when it sleeps. A core does some
// 100 000 multiply-adds in a microsecond. What has fewer than this stays on one thread: the same tiles in the same order,
// hence the same bits.
inline constexpr double kWorthThreads = 1e6;

template <class F> void for_tiles(int64_t tiles, bool threads, F&& f) {
  if (threads) return parallel_for(tiles, f);
  for (int64_t tile = 0; tile < tiles; ++tile) f(tile);
}

}  // namespace cr::backend::cpu
