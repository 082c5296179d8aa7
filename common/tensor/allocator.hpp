// # The caching allocator
//
// A training step makes and drops the same few dozen tensors every time. Giving their memory back to the system and
// asking for it again costs more than many of the operations, so freed blocks are kept, sorted by size, and handed out
// again. After the first steps a training loop asks the system for nothing.
#pragma once

#include <cstdint>

namespace cr::allocator {

// A block of at least `bytes` bytes, aligned to 64. Any thread. Throws OutOfMemory, after giving cached blocks back to
// the system and trying once more.
void* allocate(int64_t bytes);

// Takes a block back. `bytes` must be what `allocate` was asked for. Any thread, not only the one that allocated.
void free(void* block, int64_t bytes) noexcept;

struct Stats {
  int64_t system_allocations;  // how often the system was asked since the program began
  int64_t reserved_bytes;      // held from the system now: in use or cached
};
Stats stats();

// Returns the blocks cached for all threads, and those of the calling thread, to the system.
void release_cached();

// False in address-sanitizer builds, where every block comes from the system so that a use after free is found.
bool caches();

}  // namespace cr::allocator
