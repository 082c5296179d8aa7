#include "backend/simt/launch.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/simt/fiber.hpp"
#include "backend/simt/memory_map.hpp"
#include "backend/simt/watch.hpp"
#include "backend/stop.hpp"
#include "tensor/error.hpp"

namespace cr::backend::simt {
namespace {

std::string to_string(const dim3& i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

std::string hexadecimal(unsigned mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

thread_local bool watch = kChecked;

// ## A grid
//
// One emulator for each thread of the system that launches kernels.
class Emulator {
 public:
  void run(const Kernel& kernel, const Grid& grid) {
    const auto [blocks, threads, shared_bytes, needs] = grid;
    if (kernel_) {
      watching = nullptr;
      throw DeviceError(std::string(kernel.name) + ": a kernel cannot launch a kernel");
    }
    const uint64_t n = uint64_t{threads.x} * threads.y * threads.z;
    if (n < 1 || n > 1024 || threads.x > 1024 || threads.y > 1024 || threads.z > 64 || blocks.x - 1 >= 0x7fffffff ||
        blocks.y - 1 >= 65535 || blocks.z - 1 >= 65535) {
      throw DeviceError(std::string(kernel.name) + ": cannot launch " + to_string(blocks) + " blocks of " +
                        to_string(threads) + " threads");
    }
    if (shared_bytes > kMostShared) {
      throw DeviceError(std::string(kernel.name) + ": " + std::to_string(shared_bytes) +
                        " bytes of shared memory asked for; a block has at most " + std::to_string(kMostShared));
    }
    n_ = static_cast<unsigned>(n);
    while (fibers_.size() < n_) fibers_.push_back(std::make_unique<Fiber>(kernel_));
    for (unsigned t = 0; t < n_; ++t)
      fibers_[t]->thread = {t % threads.x, t / threads.x % threads.y, t / threads.x / threads.y};
    gridDim = blocks;
    blockDim = threads;
    kernel_ = &kernel;
    shared_.resize(shared_bytes);
    watched_ = kChecked && is_watched(kernel, grid) && watch;
    if (watched_) watcher_.begin_kernel(kernel, grid, shared_.data());
    try {
      uint64_t number = 0;
      dim3 b;
      for (b.z = 0; b.z < blocks.z; ++b.z)
        for (b.y = 0; b.y < blocks.y; ++b.y)
          for (b.x = 0; b.x < blocks.x; ++b.x) {
            if (stop_here) stop_here();
            blockIdx = b;
            std::fill(shared_.begin(), shared_.end(), std::byte{0xff});
            if (watched_) watcher_.begin_block(number++);
            run_block();
          }
      if (watched_) watcher_.end_kernel();
    } catch (...) {
      if (kChecked) *launches_of_this_ = 0;  // what was wrong once is looked at again
      unwind();
      throw;
    }
    kernel_ = nullptr;
  }

  // On a fiber: wait for all threads of the block; the sum of what they brought.
  int barrier(const char* word, bool predicate, const void* pc) {
    Fiber& self = running(word);
    self.brings[0] = predicate;
    wait(self, Waits::block, word, pc);
    return votes_;
  }

  // On a fiber: wait for the lanes of `mask`. What each brought is then in `brought` until this lane waits again.
  struct Meeting {
    unsigned lane, mask;     // mask: those who came
    const Brought* brought;  // by lane
  };
  Meeting meet(const char* word, unsigned mask, const Brought& value, const void* pc) {
    Fiber& self = running(word);
    const unsigned lane = current_index_ % 32;
    if (!(mask >> lane & 1)) {
      watching = nullptr;
      throw DeviceError(where(self) + " calls " + word + " with mask " + hexadecimal(mask) +
                        ", in which its own lane " + std::to_string(lane) + " is missing" + at(pc));
    }
    return meet(self, word, mask, value, pc);
  }
  // Likewise with whoever is at the same line when no other lane of the warp can go on.
  Meeting meet_whoever_is_here(const char* word, const void* pc) {
    return meet(running(word), word, kWhoeverIsHere, {}, pc);
  }

  void* shared() { return shared_.data(); }
  unsigned lane(const char* word) { return running(word), current_index_ % 32; }

  // On a fiber: copies under way.
  void begin_copy(const AsyncCopy& copy, const void* pc) {
    Fiber& self = running("copy_async");
    if (watching) LookAway().watcher.copy_begins(reinterpret_cast<uintptr_t>(copy.to), copy.bytes, pc);
    self.copies.push_back({copy, self.batch});
  }
  void close_batch() { ++running("commit_copies").batch; }
  bool next_copy(AsyncCopy& copy, unsigned open) {
    Fiber& self = running("wait_for_copies");
    if (self.copies.empty() || self.batch - self.copies.front().batch <= open) return false;
    copy = self.copies.front().copy;
    self.copies.pop_front();
    return true;
  }

  int thread_with_stack(uintptr_t a) const {
    for (unsigned t = 0; t < n_; ++t) {
      if (a - reinterpret_cast<uintptr_t>(fibers_[t]->stack.bottom()) < Stack::kSize) return static_cast<int>(t);
    }
    return -1;
  }

  // On a fiber, in the middle of anything: gives it up. It cannot be unwound from here, because compilers expect no
  // exception from a load, so it is left as it stands and never resumed.
  [[noreturn]] void stop() {
    current_->abandoned = true;
    current_->pause();
    std::abort();  // nobody resumes it
  }

 private:
  static constexpr size_t kMostShared = 227 << 10;  // an H100's
  static constexpr unsigned kWhoeverIsHere = 0;     // a mask that nobody else can ask for

  Meeting meet(Fiber& self, const char* word, unsigned mask, const Brought& value, const void* pc) {
    self.mask = mask;
    self.brings = value;
    wait(self, Waits::warp, word, pc);
    return {current_index_ % 32, self.mask, brought_};
  }

  Fiber& running(const char* word) {
    if (!current_) throw DeviceError(std::string(word) + ": called outside a kernel");
    return *current_;
  }

  void wait(Fiber& self, Waits what, const char* word, const void* pc) {
    self.waits = what;
    self.word = word;
    self.pc = pc;
    self.pause();
    if (stop_) throw Stopped{};
  }

  // One warp after the other runs until each of its threads waits at the block's barrier or has returned. If all threads
  // of the block wait they have all arrived, and go on to the next one. If none waits the block is done. Anything
  // between is a mistake.
  void run_block() {
    for (unsigned t = 0; t < n_; ++t) {
      fibers_[t]->done = false;
      fibers_[t]->copies.clear();
    }
    do {
      for (unsigned first = 0; first < n_; first += 32) run_warp(first, std::min(n_, first + 32));
    } while (cross_barrier());
  }

  void run_warp(unsigned first, unsigned last) {
    do {
      for (unsigned t = first; t < last; ++t) {
        Fiber& fiber = *fibers_[t];
        if (!fiber.done && fiber.waits == Waits::nothing) step(t);
      }
    } while (hold_meetings(first, last));
    if (watched_) watcher_.end_warp(last - first);
  }

  // Runs one thread up to its next pause.
  void step(unsigned t) {
    Fiber& fiber = *fibers_[t];
    threadIdx = fiber.thread;
    current_ = &fiber;
    current_index_ = t;
    if (watched_) {
      watcher_.begin_step(t, fiber.stack.bottom());
      watching = &watcher_;
    }
    fiber.resume();
    watching = nullptr;
    current_ = nullptr;
    if (fiber.abandoned) {
      fiber.renew();
      throw DeviceError(where(fiber) + watcher_.fault());
    }
    if (fiber.stack.overflown()) {
      throw DeviceError(where(fiber) + Stack::too_small());
    }
    if (fiber.error) std::rethrow_exception(std::exchange(fiber.error, nullptr));
  }

  bool cross_barrier() {
    unsigned waiting = 0;
    votes_ = 0;
    for (unsigned t = 0; t < n_; ++t) {
      if (fibers_[t]->done) continue;
      ++waiting;
      votes_ += static_cast<int>(fibers_[t]->brings[0]);
    }
    if (waiting == 0) return false;
    if (waiting < n_) {
      unsigned gone = 0, here = 0;
      while (!fibers_[gone]->done) ++gone;
      while (fibers_[here]->done) ++here;
      throw DeviceError(where(*fibers_[here]) + " waits at " + fibers_[here]->word + ", but thread " +
                        to_string(fibers_[gone]->thread) +
                        " has returned: all threads of a block must reach the same barriers" + at(*fibers_[here]));
    }
    if (watched_) check_same_barrier();
    for (unsigned t = 0; t < n_; ++t) fibers_[t]->waits = Waits::nothing;
    return true;
  }

  // The first launches of a kernel with a grid, then one of many, and all of them while somebody counts.
  bool is_watched(const Kernel& kernel, const Grid& grid) {
    constexpr unsigned kFirst = 16, kOneOf = 64;
    const auto& [blocks, threads, shared_bytes, needs] = grid;
    const auto function = *static_cast<const uintptr_t*>(kernel.parameters);  // see `launch`
    launches_of_this_ =
        &launches_[{function, blocks.x, blocks.y, blocks.z, threads.x, threads.y, threads.z, shared_bytes}];
    const unsigned before = (*launches_of_this_)++;
    return before < kFirst || before % kOneOf == 0 || tallies_of_this_thread() != nullptr;
  }

  // Everybody waits, but at the same barrier? A compiler may have made two calls of one line.
  void check_same_barrier() {
    const Fiber& one = *fibers_[0];
    for (unsigned t = 1; t < n_; ++t) {
      const Fiber& other = *fibers_[t];
      if (other.pc == one.pc) continue;
      const std::string here = line_of(one.pc), there = line_of(other.pc);
      if (here == there || here.find(':') == std::string::npos || there.find(':') == std::string::npos) continue;
      throw DeviceError(where(one) + " waits at " + one.word + " at " + here + ", but thread " +
                        to_string(other.thread) + " at " + there +
                        ": all threads of a block must reach the same barriers");
    }
    watcher_.barrier(one.pc);
  }

  // Lets go the lanes whose meeting is complete. True if there are any; false if no lane waits for its warp. When lanes
  // wait and none of their meetings can ever be complete, the warp is stuck.
  bool hold_meetings(unsigned first, unsigned last) {
    unsigned waiting = 0, alive = 0;
    for (unsigned t = first; t < last; ++t) {
      if (fibers_[t]->done) continue;
      alive |= 1u << (t - first);
      if (fibers_[t]->waits == Waits::warp) waiting |= 1u << (t - first);
    }
    if (!waiting) return false;
    bool held = false;
    for (unsigned todo = waiting; todo;) {
      const Fiber& caller = *fibers_[first + static_cast<unsigned>(__builtin_ctz(todo))];
      unsigned invited = caller.mask == kWhoeverIsHere ? at_the_same_line(first, waiting, caller) : caller.mask & alive;
      if (all_came(first, waiting, invited, caller)) {
        for (unsigned rest = invited; rest; rest &= rest - 1) {
          const auto lane = static_cast<unsigned>(__builtin_ctz(rest));
          Fiber& fiber = *fibers_[first + lane];
          brought_[lane] = fiber.brings;
          fiber.mask = invited;
          fiber.waits = Waits::nothing;
        }
        if (watched_) watcher_.meet(first, invited);
        held = true;
        todo &= ~invited;
      } else {
        todo &= todo - 1;
      }
    }
    if (!held) stuck(first, waiting, alive);
    return true;
  }

  bool all_came(unsigned first, unsigned waiting, unsigned invited, const Fiber& caller) const {
    if (invited & ~waiting) return false;
    for (unsigned rest = invited; rest; rest &= rest - 1) {
      const Fiber& other = *fibers_[first + static_cast<unsigned>(__builtin_ctz(rest))];
      if (other.waits != Waits::warp || other.mask != caller.mask || other.word != caller.word) return false;
    }
    return true;
  }

  unsigned at_the_same_line(unsigned first, unsigned waiting, const Fiber& caller) const {
    unsigned same = 0;
    for (unsigned rest = waiting; rest; rest &= rest - 1) {
      const auto lane = static_cast<unsigned>(__builtin_ctz(rest));
      const Fiber& other = *fibers_[first + lane];
      if (other.word == caller.word && other.pc == caller.pc) same |= 1u << lane;
    }
    return same;
  }

  [[noreturn]] void stuck(unsigned first, unsigned waiting, unsigned alive) const {
    const Fiber& here = *fibers_[first + static_cast<unsigned>(__builtin_ctz(waiting))];
    for (unsigned rest = here.mask & alive;; rest &= rest - 1) {
      const Fiber& there = *fibers_[first + static_cast<unsigned>(__builtin_ctz(rest))];
      if (there.waits == Waits::warp && there.word == here.word && there.mask == here.mask) continue;
      std::string mask = there.waits == Waits::warp ? " with mask " + hexadecimal(there.mask) : "";
      throw DeviceError(where(here) + " waits at " + here.word + " with mask " + hexadecimal(here.mask) +
                        " for thread " + to_string(there.thread) + ", which waits at " + there.word + mask +
                        ": all lanes of the mask must make the same call" + at(here));
    }
  }

  // Where a fiber waits, in the builds that know lines.
  static std::string at(const Fiber& fiber) { return at(fiber.pc); }
  static std::string at(const void* pc) {
    return kChecked && lines_of({pc})[0].line > 0 ? " (" + line_of(pc) + ")" : "";
  }

  std::string where(const Fiber& fiber) const {
    return std::string(kernel_->name) + ": block " + to_string(blockIdx) + ", thread " + to_string(fiber.thread);
  }

  // Leaves every kernel that is still paused, destroying its local variables.
  void unwind() {
    stop_ = true;
    for (auto& fiber : fibers_) {
      current_ = fiber.get();
      while (fiber->inside) fiber->resume();
      fiber->waits = Waits::nothing;
      fiber->error = nullptr;
      fiber->stack.repair();
    }
    stop_ = false;
    current_ = nullptr;
    kernel_ = nullptr;
  }

  const Kernel* kernel_ = nullptr;
  unsigned n_ = 0;                              // threads of a block
  std::vector<std::unique_ptr<Fiber>> fibers_;  // fiber t is thread t of each block
  Fiber* current_ = nullptr;
  unsigned current_index_ = 0;
  bool stop_ = false;
  int votes_ = 0;
  Brought brought_[32] = {};
  std::vector<std::byte> shared_;
  bool watched_ = false;  // this launch
  Watcher watcher_;
  std::map<std::array<uint64_t, 8>, unsigned> launches_;  // by kernel and grid
  unsigned* launches_of_this_ = nullptr;
};

thread_local Emulator emulator;

}  // namespace

void run(const Kernel& kernel, const Grid& grid) { emulator.run(kernel, grid); }
Unwatched::Unwatched() : before_(std::exchange(watch, false)) {}
Unwatched::~Unwatched() { watch = before_; }

void* dynamic_shared_bytes() { return emulator.shared(); }
int thread_with_stack(uintptr_t a) { return emulator.thread_with_stack(a); }
void stop_the_kernel() { emulator.stop(); }

// ## The words that wait
//
// Where the call came from names its line in an error.
void __syncthreads() { emulator.barrier("__syncthreads", false, __builtin_return_address(0)); }
int __syncthreads_count(int p) { return emulator.barrier("__syncthreads_count", p != 0, __builtin_return_address(0)); }
int __syncthreads_or(int p) { return emulator.barrier("__syncthreads_or", p != 0, __builtin_return_address(0)) != 0; }
int __syncthreads_and(int p) { return emulator.barrier("__syncthreads_and", p == 0, __builtin_return_address(0)) == 0; }

void __syncwarp(unsigned mask) { emulator.meet("__syncwarp", mask, {}, __builtin_return_address(0)); }
unsigned __activemask() { return emulator.meet_whoever_is_here("__activemask", __builtin_return_address(0)).mask; }

static unsigned lanes_with(const Emulator::Meeting& m, bool predicate) {
  unsigned lanes = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (m.mask >> lane & 1 && (m.brought[lane][0] != 0) == predicate) lanes |= 1u << lane;
  }
  return lanes;
}
unsigned __ballot_sync(unsigned mask, int p) {
  return lanes_with(emulator.meet("__ballot_sync", mask, {p != 0}, __builtin_return_address(0)), true);
}
int __any_sync(unsigned mask, int p) {
  return lanes_with(emulator.meet("__any_sync", mask, {p != 0}, __builtin_return_address(0)), true) != 0;
}
int __all_sync(unsigned mask, int p) {
  return lanes_with(emulator.meet("__all_sync", mask, {p != 0}, __builtin_return_address(0)), false) == 0;
}

uint64_t warp_shuffle(Shuffle kind, unsigned mask, uint64_t bits, int source, int width) {
  constexpr const char* kWords[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
  const auto m = emulator.meet(kWords[static_cast<int>(kind)], mask, {bits}, __builtin_return_address(0));
  const int lane = static_cast<int>(m.lane), first = lane & ~(width - 1);
  int from = lane;
  switch (kind) {
    case Shuffle::index: from = first + (source & (width - 1)); break;
    case Shuffle::up: from = lane - source < first ? lane : lane - source; break;
    case Shuffle::down: from = lane + source >= first + width ? lane : lane + source; break;
    case Shuffle::exclusive_or: from = (lane ^ source) >= first + width ? lane : lane ^ source; break;
  }
  return m.mask >> from & 1 ? m.brought[from][0] : ~uint64_t{0};
}

unsigned warp_combine(Combine kind, unsigned mask, unsigned value) {
  constexpr const char* kWords[] = {"__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync",
                                    "__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync",
                                    "__reduce_and_sync", "__reduce_or_sync",  "__reduce_xor_sync"};
  const auto m = emulator.meet(kWords[static_cast<int>(kind)], mask, {value}, __builtin_return_address(0));
  unsigned result = 0;
  bool begun = false;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(m.mask >> lane & 1)) continue;
    const auto v = static_cast<unsigned>(m.brought[lane][0]);
    const int signed_v = static_cast<int>(v), signed_result = static_cast<int>(result);
    if (!std::exchange(begun, true)) {
      result = v;
      continue;
    }
    switch (kind) {
      case Combine::add_int:
      case Combine::add_unsigned: result += v; break;
      case Combine::min_int: result = static_cast<unsigned>(std::min(signed_result, signed_v)); break;
      case Combine::max_int: result = static_cast<unsigned>(std::max(signed_result, signed_v)); break;
      case Combine::min_unsigned: result = std::min(result, v); break;
      case Combine::max_unsigned: result = std::max(result, v); break;
      case Combine::bit_and: result &= v; break;
      case Combine::bit_or: result |= v; break;
      case Combine::bit_xor: result ^= v; break;
    }
  }
  return result;
}

// ## Copies under way
void begin_copy(const AsyncCopy& copy) { emulator.begin_copy(copy, __builtin_return_address(0)); }
void close_batch() { emulator.close_batch(); }
bool next_copy(AsyncCopy& copy, unsigned open) { return emulator.next_copy(copy, open); }

// ## What stands for a tensor core
//
// A lane's four sums lie in two rows of A and two columns of B, and those lie with four lanes each.
unsigned lane_index() { return emulator.lane("lane_index"); }

void warp_gather(uint64_t mine, uint64_t (&all)[32]) {
  const auto m = emulator.meet("warp_gather", ~0u, {mine}, __builtin_return_address(0));
  for (unsigned lane = 0; lane < 32; ++lane) all[lane] = m.brought[lane][0];
}

// `part(word, p)`: number p of those that a register of 64 bits, two of the lane's, holds: 0 and 1 in the lower, 2 and 3 in
// the upper half, or 0 and 1 of 32 bits.
template <unsigned kNumbers, class Part>
static void multiply_fragments(const char* word, float* c, const uint32_t* a, uint32_t b0, uint32_t b1, const void* pc,
                               Part part) {
  const auto pair = [](uint32_t low, uint32_t high) { return low | uint64_t{high} << 32; };
  const auto m = emulator.meet(word, ~0u, {pair(a[0], a[2]), pair(a[1], a[3]), pair(b0, b1)}, pc);
  const unsigned row = m.lane / 4 * 4, column = m.lane % 4 * 8;
  for (unsigned half = 0; half < 2; ++half) {
    for (unsigned lane = 0; lane < 4; ++lane) {
      for (unsigned p = half * kNumbers; p < (half + 1) * kNumbers; ++p) {
        for (unsigned r = 0; r < 4; ++r)
          c[r] += part(m.brought[row + lane][r / 2], p) * part(m.brought[column + r % 2 * 4 + lane][2], p);
      }
    }
  }
}
void warp_mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  multiply_fragments<2>("mma_bf16", c, a, b0, b1, __builtin_return_address(0), [](uint64_t pairs, unsigned p) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(pairs >> 16 * p) << 16);
  });
}
void warp_mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  multiply_fragments<1>("mma_tf32", c, a, b0, b1, __builtin_return_address(0), [](uint64_t pair, unsigned p) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(pair >> 32 * p) & 0xffffe000u);
  });
}

}  // namespace cr::backend::simt
