#include "tensor/allocator.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>

#include "tensor/error.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace cr::allocator {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCache = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kCache = false;
#else
constexpr bool kCache = true;
#endif
#else
constexpr bool kCache = true;
#endif

// Blocks come in size classes: four to each power of two, so that at most a quarter of a block is unused. Class 0 is
// 64 bytes; class 4k is 64 · 2ᵏ bytes, and classes 4k+1 … 4k+3 lie evenly between that and the next power.
constexpr int kClasses = 4 * 48;

int class_of(int64_t bytes) {
  if (bytes <= 64) return 0;
  auto units = static_cast<uint64_t>(bytes + 15) / 16;             // 16-byte quarters of the smallest step
  int power = std::bit_width(units - 1) - 1;                       // 2^power < units <= 2^(power + 1)
  int quarter = static_cast<int>((units - 1) >> (power - 2)) - 4;  // 0 … 3
  return 4 * (power - 2) + quarter + 1;
}

int64_t class_bytes(int c) { return (int64_t{64} << (c / 4)) / 4 * (4 + c % 4); }

// A free block's own first bytes link it to the next one.
struct Block {
  Block* next;
};

struct List {
  Block* head = nullptr;
  int count = 0;
  void push(Block* b) {
    b->next = head;
    head = b;
    ++count;
  }
  Block* pop() {
    Block* b = head;
    if (b) {
      head = b->next;
      --count;
    }
    return b;
  }
};

std::atomic<int64_t> system_allocations{0}, reserved_bytes{0};

// What all threads share: eight lists of each class, to which threads are dealt out in turn. A thread puts a block into its
// own list, since its core's cache may still hold it, and looks there first; from another core each line would have to be
// fetched. Never destroyed: tensors in static variables may outlive any order of destruction.
constexpr int kDealt = 8;
struct Shared {
  std::mutex mutex;
  std::array<std::array<List, kClasses>, kDealt> lists;
};
Shared& shared() {
  static Shared* s = new Shared;
  return *s;
}
size_t my_deal() {
  static std::atomic<unsigned> threads{0};
  thread_local const unsigned mine = threads.fetch_add(1, std::memory_order_relaxed) % kDealt;
  return mine;
}

// Each thread keeps a few small blocks for itself, so that the usual allocation takes no lock. What exceeds this goes to
// the shared lists: a loader thread allocates what the training thread frees, and must be able to get it back.
constexpr int kLocalClasses = 4 * 7;  // blocks under 8 KB
constexpr int kLocalBlocks = 64;

struct Local {
  std::array<List, kLocalClasses> lists;
  ~Local();
};
thread_local Local* local = nullptr;  // null before the first use and after the thread's end
thread_local bool local_gone = false;

Local::~Local() {
  std::scoped_lock lock(shared().mutex);
  for (int c = 0; c < kLocalClasses; ++c) {
    while (Block* b = lists[static_cast<size_t>(c)].pop()) shared().lists[my_deal()][static_cast<size_t>(c)].push(b);
  }
  local = nullptr;
  local_gone = true;
}

Local* local_lists() {
  if (local || local_gone) return local;
  thread_local Local lists;
  return local = &lists;
}

// The system hands memory out in pages of 4 kB, and a processor remembers where some two thousand of them are: 8 MB.
// Large blocks ask for **huge pages**, of 2 MB, where the system has them.
constexpr int64_t kHugePage = 2 << 20;

void* from_system(int64_t bytes) {
  const int64_t alignment = bytes >= kHugePage ? kHugePage : 64;
  void* block = std::aligned_alloc(static_cast<size_t>(alignment),
                                   static_cast<size_t>((bytes + alignment - 1) / alignment * alignment));
  if (block) {
#if defined(MADV_HUGEPAGE)
    if (bytes >= kHugePage) ::madvise(block, static_cast<size_t>(bytes / kHugePage * kHugePage), MADV_HUGEPAGE);
#endif
    system_allocations.fetch_add(1, std::memory_order_relaxed);
    reserved_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  return block;
}

void to_system(void* block, int64_t bytes) {
  std::free(block);
  reserved_bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace

void* allocate(int64_t bytes) {
  if (bytes > (int64_t{1} << 46)) throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes asked for");
  int c = class_of(bytes);
  auto i = static_cast<size_t>(c);
  if (kCache) {
    if (Local* mine = c < kLocalClasses ? local_lists() : nullptr) {
      if (Block* b = mine->lists[i].pop()) return b;
    }
    std::scoped_lock lock(shared().mutex);
    for (size_t other = 0; other < kDealt; ++other)
      if (Block* b = shared().lists[(my_deal() + other) % kDealt][i].pop()) return b;
  }
  void* block = from_system(class_bytes(c));
  if (!block) {
    release_cached();
    block = from_system(class_bytes(c));
  }
  if (!block) throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes asked for");
  return block;
}

void free(void* block, int64_t bytes) noexcept {
  int c = class_of(bytes);
  auto i = static_cast<size_t>(c);
  if (!kCache) return to_system(block, class_bytes(c));
  Local* mine = c < kLocalClasses ? local_lists() : nullptr;
  if (mine && mine->lists[i].count < kLocalBlocks) return mine->lists[i].push(static_cast<Block*>(block));
  std::scoped_lock lock(shared().mutex);
  shared().lists[my_deal()][i].push(static_cast<Block*>(block));
}

Stats stats() { return {system_allocations.load(), reserved_bytes.load()}; }

void release_cached() {
  auto drain = [](auto& lists) {
    for (size_t c = 0; c < lists.size(); ++c) {
      while (Block* b = lists[c].pop()) to_system(b, class_bytes(static_cast<int>(c)));
    }
  };
  if (Local* mine = local_lists()) drain(mine->lists);
  std::scoped_lock lock(shared().mutex);
  for (auto& lists : shared().lists) drain(lists);
}

bool caches() { return kCache; }

}  // namespace cr::allocator
