// What the emulator counts when a rung runs, and what we want to know of it. A warp's
// instruction that touches global memory is answered in **sectors** of 32 bytes. **Bytes per
// multiply-add** are all sectors, loaded and stored, over the multiply-adds that the layer
// needs. For shared memory the emulator counts **wavefronts**: one for each instruction of a
// warp if all goes well, and more if several of its lanes want different words of one bank.
#pragma once

#include <functional>
#include <string>

#include "backend/simt/counts.hpp"
#include "shape.hpp"

struct Traffic {
  double bytes = 0, loaded = 0;         // in sectors; `loaded` without the stores
  double requests = 0, wavefronts = 0;  // of shared memory

  double per_mac(const Conv& d) const {
    return bytes / static_cast<double>(d.macs());
  }
  double conflicts() const { return requests == 0 ? 0 : wavefronts / requests; }
};

// Of all kernels that run inside f, or of one. A layer's blocks all do the same, so a few
// dozen are counted, and the rest estimated from them.
inline Traffic traffic(const std::function<void()>& f,
                       const std::string& kernel = "") {
  namespace simt = cr::backend::simt;
  const simt::LineCounts all = simt::count(f, {.blocks = 64}).total(kernel);
  return {32.0 * static_cast<double>(all.load_sectors + all.store_sectors),
          32.0 * static_cast<double>(all.load_sectors),
          static_cast<double>(all.shared_requests),
          static_cast<double>(all.wavefronts)};
}

// A build for the sanitizers has an emulator that does not watch.
inline bool watched() {
  return cr::backend::simt::count([] {}).checked;
}
