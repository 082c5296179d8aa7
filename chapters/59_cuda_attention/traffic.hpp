// What the emulator counts while a rung runs. A warp's instruction that touches
// memory is answered in **sectors** of 32 bytes; we divide all of them, loads and
// stores, by the number of queries. On a GPU a cache answers part of them. What the
// caches leave is less, and how fast they answer is limited too, so this is the
// number to bring down. Of shared memory we want to know the **wavefronts**: how many
// times it has to answer, and how many times the same bytes would take if they lay
// as they should.
#pragma once

#include <functional>
#include <string>

#include "backend/simt/counts.hpp"
#include "the_call.hpp"

struct Traffic {
  double bytes_per_query = 0, wavefronts = 0, fewest_wavefronts = 0;
};

// Of all kernels that run inside `f`. At most 64 blocks of each are counted, spread
// evenly, and stand for the others.
inline Traffic traffic(const AttentionSizes& s, const std::function<void()>& f) {
  namespace simt = cr::backend::simt;

  // The emulator counts by kernel and by line; here we want the sum.
  const simt::LineCounts all = simt::count(f, {.blocks = 64}).total();
  const double queries = double(s.batch * s.heads * s.queries);
  return {32.0 * double(all.load_sectors + all.store_sectors) / queries,
          double(all.wavefronts), double(all.ideal_wavefronts)};
}

// The line of a kernel whose requests to shared memory take the most wavefronts,
// and how many each takes.
struct WorstLine {
  std::string where = "no line";
  double wavefronts = 0;
};

inline WorstLine worst_line(const std::function<void()>& f) {
  namespace simt = cr::backend::simt;

  // Line by line, as a profiler lists them.
  WorstLine worst;
  for (const simt::LineCounts& line : simt::count(f, {.blocks = 64}).lines) {
    if (line.shared_requests == 0) continue;
    const double each = double(line.wavefronts) / double(line.shared_requests);
    if (each > worst.wavefronts)
      worst = {line.file + ":" + std::to_string(line.line), each};
  }
  return worst;
}

// A build for the sanitizers has an emulator that does not watch.
inline bool watched() {
  return cr::backend::simt::count([] {}).checked;
}
