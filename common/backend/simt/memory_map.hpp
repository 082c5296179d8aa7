// # The watcher's map of device memory
#pragma once

#include <cstddef>
#include <cstdint>

namespace cr::backend::simt {

struct MemoryBlock {
  uintptr_t low = 0;
  size_t bytes = 0;
};

// The announced block that begins at `address` or, among those before it, nearest to it; the first one after it.
MemoryBlock live_block(uintptr_t address);
MemoryBlock live_block_after(uintptr_t address);
// The freed block that had this address, if it is among the last thousand.
MemoryBlock freed_block(uintptr_t address);

}  // namespace cr::backend::simt
