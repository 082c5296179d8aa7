// # The GPU's caching allocator
//
// Asking the driver for memory stops the GPU until all its work is done, and a training step would ask hundreds of times. So
// blocks are kept, as on the host (`tensor/allocator.hpp`), and handed out again.
//
// A GPU works behind the program's back: when a tensor dies, the kernel that reads it may not even have begun. Its block
// can be handed out again all the same: all work is queued in one **stream**, and what is queued later runs later. That is
// what *stream-ordered* means.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace cr::backend::cuda {

// What lies beneath: the driver, or in tests a page of arithmetic.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  virtual void* take(int64_t bytes) = 0;        // aligned to 256 bytes; null if there is no room
  virtual void give(void* block) noexcept = 0;  // waits until no kernel uses it
  virtual int64_t free_bytes() = 0;             // what the device has left,
  virtual int64_t total_bytes() = 0;            // and what it had at first
};

class CachingAllocator {
 public:
  explicit CachingAllocator(BlockSource& source) : source_(source) {}

  // A block of at least `bytes` bytes. Where the driver has no room, all cached blocks go back to it
  // and it is asked once more; then throws OutOfMemory, which says how much was asked for, used and there.
  void* allocate(int64_t bytes);

  // Takes a block back. Any thread, while work that is queued may still use it.
  void free(void* block) noexcept;

  // Returns to the driver what no tensor uses.
  void release_cached() noexcept;

  struct Stats {
    int64_t used, reserved;      // bytes in tensors; bytes held from the driver, in use or cached
    int64_t most_used;           // since the program began
    int64_t driver_allocations;  // how often the driver was asked
  };
  Stats stats() const;

 private:
  static constexpr int kClasses = 4 * 40;
  void* from_driver(int64_t bytes);
  void* small_block(int size_class);
  void release() noexcept;

  BlockSource& source_;
  mutable std::mutex mutex_;
  std::array<std::vector<void*>, kClasses> free_;
  std::unordered_map<void*, int> live_;  // what tensors use, and its class
  std::map<char*, int> slabs_;           // each slab and the class it was cut for
  Stats stats_{};
};

// "1.5 GB", for messages.
std::string size_in_words(int64_t bytes);

}  // namespace cr::backend::cuda
