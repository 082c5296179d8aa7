// What the emulator counts when a rung runs, and what we want to know of it. A
// warp's instruction that touches global memory is answered in **sectors** of 32
// bytes. **Bytes per multiply-add** are all sectors, loaded and stored, over the
// multiply-adds that the layer needs. For shared memory the emulator counts
// **wavefronts**: one for every 128 bytes that a warp asks for if all goes well,
// and more if several of its lanes want different words of one bank.
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include "backend/simt/counts.hpp"
#include "shape.hpp"

struct Traffic {
  double bytes = 0;  // in sectors, loaded and stored
  double wavefronts = 0,
         ideal = 0;  // of shared memory; as few as these bytes could take
  double worst = 1;  // wavefronts over ideal, in the kernel's worst line

  double per_mac(const Conv& d) const { return bytes / double(d.macs()); }
  double conflicts() const { return ideal == 0 ? 1 : wavefronts / ideal; }
};

// Of all kernels that run inside f, or of one. A layer's blocks all do the same, so
// a few dozen are counted, and the rest estimated from them.
inline Traffic traffic(const std::function<void()>& f,
                       const std::string& kernel = "") {
  namespace simt = cr::backend::simt;
  const simt::Counts counts = simt::count(f, {.blocks = 64});
  const simt::LineCounts all = counts.total(kernel);
  Traffic t = {32.0 * double(all.load_sectors + all.store_sectors),
               double(all.wavefronts), double(all.ideal_wavefronts)};
  for (const simt::LineCounts& line : counts.lines)
    if (line.ideal_wavefronts > 0 && (kernel.empty() || line.kernel == kernel))
      t.worst = std::max(t.worst,
                         double(line.wavefronts) / double(line.ideal_wavefronts));
  return t;
}

// A build for the sanitizers has an emulator that does not watch.
inline bool watched() {
  return cr::backend::simt::count([] {}).checked;
}
