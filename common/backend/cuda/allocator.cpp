#include "backend/cuda/allocator.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>

#include "tensor/error.hpp"

namespace cr::backend::cuda {
namespace {

// ## Size classes
//
// Four to each power of two, from 1 kB on: class 4k + q has 1024 · 2ᵏ · (1 + q / 4) bytes, so that at most a fifth of
// a block is unused.
constexpr int64_t kSmallest = 1024;

int class_of(int64_t bytes) {
  if (bytes <= kSmallest) return 0;
  const auto quarters = static_cast<uint64_t>((bytes + kSmallest / 4 - 1) / (kSmallest / 4));  // > 4
  const int power = std::bit_width(quarters - 1) - 1;  // 2^power < quarters ≤ 2^(power + 1)
  const auto step = static_cast<int64_t>(uint64_t{1} << (power - 2));
  return 4 * (power - 2) + static_cast<int>((static_cast<int64_t>(quarters) + step - 1) / step) - 4;
}
int64_t class_bytes(int c) { return kSmallest * (4 + c % 4) / 4 << (c / 4); }

// The driver deals in pages of 2 MB. Small blocks are cut from such a **slab**, all of one class.
constexpr int64_t kSlab = 2 << 20, kSmall = kSlab / 8;

}  // namespace

std::string size_in_words(int64_t bytes) {
  const auto b = static_cast<double>(bytes);
  char text[32];
  if (b >= 1e9) std::snprintf(text, sizeof text, "%.1f GB", b / 1e9);
  else if (b >= 1e6) std::snprintf(text, sizeof text, "%.1f MB", b / 1e6);
  else std::snprintf(text, sizeof text, "%lld bytes", static_cast<long long>(bytes));
  return text;
}

void* CachingAllocator::allocate(int64_t bytes) {
  std::scoped_lock lock(mutex_);
  if (bytes > int64_t{1} << 46) throw OutOfMemory("out of memory on the GPU: " + size_in_words(bytes) + " asked for");
  const int c = class_of(bytes);
  std::vector<void*>& waiting = free_[static_cast<size_t>(c)];
  void* block = nullptr;
  if (!waiting.empty()) {
    block = waiting.back();
    waiting.pop_back();
  } else {
    block = class_bytes(c) <= kSmall ? small_block(c) : from_driver(class_bytes(c));
  }
  if (!block) {
    throw OutOfMemory("out of memory on the GPU: " + size_in_words(bytes) + " asked for, tensors hold " +
                      size_in_words(stats_.used) + ", and of its " + size_in_words(source_.total_bytes()) + " " +
                      size_in_words(source_.free_bytes()) + " are free; a smaller batch needs less");
  }
  live_.emplace(block, c);
  stats_.used += class_bytes(c);
  stats_.most_used = std::max(stats_.most_used, stats_.used);
  return block;
}

void CachingAllocator::free(void* block) noexcept {
  std::scoped_lock lock(mutex_);
  auto found = live_.find(block);
  if (found == live_.end()) return;
  const int size_class = found->second;
  live_.erase(found);
  stats_.used -= class_bytes(size_class);
  free_[static_cast<size_t>(size_class)].push_back(block);
}

void* CachingAllocator::from_driver(int64_t bytes) {
  void* block = source_.take(bytes);
  if (!block) {
    release();
    block = source_.take(bytes);
  }
  if (block) {
    stats_.reserved += bytes;
    ++stats_.driver_allocations;
  }
  return block;
}

// Cuts a slab, returns its first block and keeps the others.
void* CachingAllocator::small_block(int size_class) {
  auto* slab = static_cast<char*>(from_driver(kSlab));
  if (!slab) return nullptr;
  slabs_.emplace(slab, size_class);
  const int64_t size = class_bytes(size_class);
  for (int64_t at = kSlab / size - 1; at > 0; --at) free_[static_cast<size_t>(size_class)].push_back(slab + at * size);
  return slab;
}

// Large blocks go back one by one, a slab when all its blocks are free.
void CachingAllocator::release() noexcept {
  for (int c = 0; c < kClasses; ++c) {
    if (class_bytes(c) <= kSmall) continue;
    for (void* block : free_[static_cast<size_t>(c)]) {
      source_.give(block);
      stats_.reserved -= class_bytes(c);
    }
    free_[static_cast<size_t>(c)].clear();
  }
  for (auto slab = slabs_.begin(); slab != slabs_.end();) {
    char* base = slab->first;
    auto inside = [base](void* block) { return block >= base && block < base + kSlab; };
    if (std::any_of(live_.begin(), live_.end(), [&](const auto& l) { return inside(l.first); })) {
      ++slab;
      continue;
    }
    std::erase_if(free_[static_cast<size_t>(slab->second)], inside);
    source_.give(base);
    stats_.reserved -= kSlab;
    slab = slabs_.erase(slab);
  }
}

void CachingAllocator::release_cached() noexcept {
  std::scoped_lock lock(mutex_);
  release();
}

CachingAllocator::Stats CachingAllocator::stats() const {
  std::scoped_lock lock(mutex_);
  return stats_;
}

}  // namespace cr::backend::cuda
