// A warp's instruction that touches global memory is answered in **sectors** of 32
// bytes. **Bytes per multiply-add** are all sectors, loaded and stored, over the
// multiply-adds that the layer needs. Of shared memory the emulator counts
// **wavefronts**, one for every 128 bytes that a warp asks for if all goes well, and
// more if its lanes meet in a bank ([chapter
// 57](../57_cuda_matmul/main.cpp#banks-by-hand)).
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include "backend/simt/counts.hpp"
#include "shape.hpp"

struct Traffic {
  double bytes = 0;  // in sectors, loaded and stored
  double wavefronts = 0,
         ideal = 0;   // of shared memory; as few as these bytes could take
  double worst = 1;   // wavefronts over ideal, in the kernel's worst line
  double rounds = 0;  // barriers in the line that has most: rounds of all blocks

  double per_mac(const Conv& d) const { return bytes / double(d.macs()); }
  double conflicts() const { return ideal == 0 ? 1 : wavefronts / ideal; }
};

// Of all kernels that run inside f, or of one.
inline Traffic traffic(const std::function<void()>& f,
                       const std::string& kernel = "") {
  namespace simt = cr::backend::simt;
  const simt::Counts counts = simt::count(f);
  const simt::LineCounts all = counts.total(kernel);
  Traffic t = {32.0 * double(all.load_sectors + all.store_sectors),
               double(all.wavefronts), double(all.ideal_wavefronts)};
  for (const simt::LineCounts& line : counts.lines) {
    if (!kernel.empty() && line.kernel != kernel) continue;
    t.rounds = std::max(t.rounds, double(line.barriers));
    if (line.ideal_wavefronts > 0)
      t.worst = std::max(t.worst,
                         double(line.wavefronts) / double(line.ideal_wavefronts));
  }
  return t;
}

// ## What the counts mean
//
// A multiprocessor of an H100 has limits that we can count against. In each cycle
// its first-level cache hands out four sectors, 128 bytes, or its shared memory
// serves one wavefront (it is the same memory, but we count the two apart). And it
// makes 128 multiply-adds in float32, or 2048 in bfloat16 on its tensor cores. From
// that follows how many cycles a rung needs at least for 1000 multiply-adds of the
// layer.
struct Rung {
  std::string name;
  double global = 0, shared = 0, multiplying = 0;  // cycles
  double extra = 0;  // numbers kept besides x, w and y, over those of x

  double cycles() const { return std::max({global, shared, multiplying}); }
};

// `made`: the multiply-adds that a kernel makes for each of the layer, leftovers of
// its tiles included. A block makes so many in each round.
inline double made(const Traffic& t, const Conv& d, int in_a_round = 64 * 64 * 16) {
  return t.rounds * in_a_round / double(d.macs());
}
inline Rung rung(const std::string& name, const Conv& d, const Traffic& t,
                 double made, double extra = 0, double rate = 128) {
  const double thousands = double(d.macs()) / 1000;
  return {name, t.bytes / 128 / thousands, t.wavefronts / thousands,
          1000 * made / rate, extra};
}

// A build for the sanitizers has an emulator that does not watch.
inline bool watched() {
  return cr::backend::simt::count([] {}).checked;
}
