#include "backend/simt/memory.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include "backend/simt/memory_map.hpp"
#include "backend/simt/watch.hpp"
#include "tensor/allocator.hpp"
#include "tensor/storage.hpp"

namespace cr::backend::simt {
namespace {

// All live blocks, by their first byte, and the last thousand that were freed. Any thread may make a tensor.
struct Map {
  std::mutex mutex;
  struct Live {
    size_t bytes = 0;
    int times = 0;
  };
  std::map<uintptr_t, Live> live;
  MemoryBlock freed[1024] = {};
  size_t next_freed = 0;
};
Map& map() {
  static auto* the_map = new Map;  // tensors may be freed after main(): it must outlive them
  return *the_map;
}

// Blocks of the caching allocator can lie side by side. The margins keep one's end from being the next one's beginning.
constexpr int64_t kMargin = kChecked ? 64 : 0;

void* allocate_device_memory(int64_t bytes) {
  if (bytes > INT64_MAX - 2 * kMargin)
    throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes asked for");
  auto* data = static_cast<char*>(allocator::allocate(bytes + 2 * kMargin)) + kMargin;
  announce(data, static_cast<size_t>(bytes));
  return data;
}

void free_device_memory(void* data, int64_t bytes) {
  forget(data);
  allocator::free(static_cast<char*>(data) - kMargin, bytes + 2 * kMargin);
}

}  // namespace

void announce(const void* data, size_t bytes) {
  if (!kChecked) return;
  Map& m = map();
  std::lock_guard lock(m.mutex);
  Map::Live& block = m.live[reinterpret_cast<uintptr_t>(data)];
  block.bytes = std::max(block.bytes, bytes);
  ++block.times;
}

void forget(const void* data) {
  Map& m = map();
  std::lock_guard lock(m.mutex);
  auto block = m.live.find(reinterpret_cast<uintptr_t>(data));
  if (block == m.live.end() || --block->second.times > 0) return;
  m.freed[m.next_freed++ % std::size(m.freed)] = {block->first, block->second.bytes};
  m.live.erase(block);
}

// Before main(), so that no tensor can be earlier.
[[maybe_unused]] static const bool installed = [] {
  Storage::set_memory(Device::simt, {allocate_device_memory, free_device_memory});
  return true;
}();

MemoryBlock live_block(uintptr_t address) {
  Map& m = map();
  std::lock_guard lock(m.mutex);
  auto after = m.live.upper_bound(address);
  if (after == m.live.begin()) return {};
  --after;
  return {after->first, after->second.bytes};
}

MemoryBlock live_block_after(uintptr_t address) {
  Map& m = map();
  std::lock_guard lock(m.mutex);
  auto after = m.live.upper_bound(address);
  return after == m.live.end() ? MemoryBlock{} : MemoryBlock{after->first, after->second.bytes};
}

MemoryBlock freed_block(uintptr_t address) {
  Map& m = map();
  std::lock_guard lock(m.mutex);
  for (size_t age = 1; age <= std::size(m.freed); ++age) {
    const MemoryBlock& b = m.freed[(m.next_freed - age) % std::size(m.freed)];
    if (address - b.low >= b.bytes) continue;
    // Where a younger block lives the address is said to lie beside that.
    auto after = m.live.lower_bound(b.low + b.bytes);
    const bool reused = after != m.live.begin() && (--after, after->first + after->second.bytes > b.low);
    return reused ? MemoryBlock{} : b;
  }
  return {};
}

}  // namespace cr::backend::simt
