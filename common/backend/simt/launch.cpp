#include "backend/simt/launch.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include "backend/simt/emulator.hpp"
#include "backend/simt/memory_map.hpp"
#include "backend/stop.hpp"
#include "tensor/error.hpp"

namespace cr::backend::simt {
namespace {

constexpr size_t kMostShared = 227 << 10;  // an H100's
constexpr unsigned kWholeWarp = 0xffffffffu;
constexpr unsigned kWhoeverIsHere = 0;  // a mask that nobody else can ask for

std::string to_string(const dim3& i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

std::string hexadecimal(unsigned mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

// Where a call was made, in the builds that know lines.
std::string at(const void* pc) { return kChecked && lines_of({pc})[0].line > 0 ? " (" + line_of(pc) + ")" : ""; }

}  // namespace

// What runs when a kernel ends the program is no part of the kernel.
Emulator& emulator() {
  static Emulator* the_emulator = [] {
    std::atexit([] { watching = nullptr; });
    return new Emulator;
  }();
  return *the_emulator;
}

// ## A grid
void Emulator::run(const Kernel& kernel, const Grid& grid) {
  const auto [blocks, threads, shared_bytes, needs] = grid;
  const uint64_t n = uint64_t{threads.x} * threads.y * threads.z;
  if (n < 1 || n > 1024 || threads.x > 1024 || threads.y > 1024 || threads.z > 64 || blocks.x > 0x7fffffff ||
      blocks.y > 65535 || blocks.z > 65535) {
    throw DeviceError(std::string(kernel.name) + ": cannot launch " + to_string(blocks) + " blocks of " +
                      to_string(threads) + " threads");
  }
  if (shared_bytes > kMostShared) {
    throw DeviceError(std::string(kernel.name) + ": " + std::to_string(shared_bytes) +
                      " bytes of shared memory asked for; a block has at most " + std::to_string(kMostShared));
  }
  n_ = static_cast<unsigned>(n);
  while (fibers_.size() < n_) {
    fibers_.reserve(1024);
    fibers_.push_back(new Fiber(kernel_));
  }
  for (unsigned t = 0; t < n_; ++t)
    fibers_[t]->thread = {t % threads.x, t / threads.x % threads.y, t / threads.x / threads.y};
  gridDim = blocks;
  blockDim = threads;
  shared_.resize(shared_bytes);
  watched_ = kChecked && is_watched(kernel, grid) && watch;
  if (watched_) watcher_.begin_kernel(kernel, grid, shared_.data());
  kernel_ = &kernel;
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
    abandon_all();
    throw;
  }
  kernel_ = nullptr;
}

// The first launches of a kernel with a grid, those that bring new numbers, then one of many, and all of them while somebody
// counts. Some kernels get a new number each time: then that says nothing.
bool Emulator::is_watched(const Kernel& kernel, const Grid& grid) {
  constexpr unsigned kFirst = 16, kOneOf = 64;
  constexpr size_t kMostScalars = 64, kMostLaunches = 1024;
  const auto& [blocks, threads, shared_bytes, needs] = grid;
  if (launches_.size() > kMostLaunches) launches_.clear();
  Launches& launches =
      launches_[{kernel.function(), blocks.x, blocks.y, blocks.z, threads.x, threads.y, threads.z, shared_bytes}];
  launches_of_this_ = &launches.number;
  const unsigned before = launches.number++;
  bool is_new = false;
  if (launches.scalars.size() < kMostScalars) {
    const uint64_t scalars = kernel.scalars(kernel.parameters);
    is_new = std::find(launches.scalars.begin(), launches.scalars.end(), scalars) == launches.scalars.end();
    if (is_new) launches.scalars.push_back(scalars);
  }
  return is_new || before < kFirst || before % kOneOf == 0 || tallies_of_this_thread() != nullptr;
}

// The hash of a parameter but for the addresses in it.
uint64_t hash_of_scalars(uint64_t hash, const void* parameter, size_t bytes) {
  for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, static_cast<const char*>(parameter) + i, std::min(sizeof word, bytes - i));
    const bool like_an_address = word >> 16 && !(word >> 47);
    if (like_an_address) {
      const MemoryBlock block = live_block(word);
      if (word - block.low <= block.bytes) continue;
    }
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

// One warp after the other runs until each of its threads waits at the block's barrier or has returned. If all threads
// of the block wait they have all arrived, and go on to the next one. If none waits the block is done. Anything
// between is a mistake.
void Emulator::run_block() {
  for (unsigned t = 0; t < n_; ++t) {
    fibers_[t]->done = false;
    fibers_[t]->copies.clear();
  }
  do {
    for (unsigned first = 0; first < n_; first += 32) run_warp(first, std::min(n_, first + 32));
  } while (cross_barrier());
}

void Emulator::run_warp(unsigned first, unsigned last) {
  do {
    for (unsigned t = first; t < last; ++t) {
      Fiber& fiber = *fibers_[t];
      if (!fiber.done && fiber.waits == Waits::nothing) step(t);
    }
  } while (hold_meetings(first, last));
  if (watched_) watcher_.end_warp(last - first);
}

// Runs one thread up to its next pause.
void Emulator::step(unsigned t) {
  Fiber& fiber = *fibers_[t];
  threadIdx = fiber.thread;
  current_ = &fiber;
  current_index_ = t;
  times_unchanged_ = 0;
  if (watched_) {
    watcher_.begin_step(t, fiber.stack.bottom());
    watching = &watcher_;
  }
  fiber.resume();
  watching = nullptr;
  current_ = nullptr;
  if (fiber.abandoned) {
    fiber.renew();
    throw DeviceError(fiber.why.empty() ? where(fiber) + watcher_.fault()
                                        : std::exchange(fiber.why, {}) + at(fiber.pc));
  }
  if (fiber.stack.overflown()) {
    throw DeviceError(where(fiber) + Stack::too_small());
  }
  if (fiber.error) std::rethrow_exception(std::exchange(fiber.error, nullptr));
}

bool Emulator::cross_barrier() {
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
    throw DeviceError(where(*fibers_[here]) + " waits at " + fibers_[here]->call + ", but thread " +
                      to_string(fibers_[gone]->thread) +
                      " has returned: all threads of a block must reach the same barriers" + at(fibers_[here]->pc));
  }
  if (watched_) check_same_barrier();
  for (unsigned t = 0; t < n_; ++t) fibers_[t]->waits = Waits::nothing;
  return true;
}

// Everybody waits, but at the same barrier? A compiler may have made two calls of one line.
void Emulator::check_same_barrier() {
  const Fiber& one = *fibers_[0];
  const void* accepted = one.pc;
  for (unsigned t = 1; t < n_; ++t) {
    const Fiber& other = *fibers_[t];
    if (other.pc == one.pc || other.pc == accepted) continue;
    accepted = other.pc;
    const std::string here = line_of(one.pc), there = line_of(other.pc);
    if (here == there || here.find(':') == std::string::npos || there.find(':') == std::string::npos) continue;
    throw DeviceError(where(one) + " waits at " + one.call + " at " + here + ", but thread " + to_string(other.thread) +
                      " at " + there + ": all threads of a block must reach the same barriers");
  }
  watcher_.barrier(one.pc);
}

// Lets go the lanes whose meeting is complete. True if there are any; false if no lane waits for its warp. When lanes
// wait and none of their meetings can ever be complete, the warp is stuck.
bool Emulator::hold_meetings(unsigned first, unsigned last) {
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
      if (watched_ && caller.orders_memory) watcher_.meet(first, invited);
      held = true;
      todo &= ~invited;
    } else {
      todo &= todo - 1;
    }
  }
  if (!held) stuck(first, waiting, alive);
  return true;
}

bool Emulator::all_came(unsigned first, unsigned waiting, unsigned invited, const Fiber& caller) const {
  if (invited & ~waiting) return false;
  for (unsigned rest = invited; rest; rest &= rest - 1) {
    const Fiber& other = *fibers_[first + static_cast<unsigned>(__builtin_ctz(rest))];
    if (other.waits != Waits::warp || other.mask != caller.mask || other.call != caller.call) return false;
  }
  return true;
}

unsigned Emulator::at_the_same_line(unsigned first, unsigned waiting, const Fiber& caller) const {
  unsigned same = 0;
  for (unsigned rest = waiting; rest; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(rest));
    const Fiber& other = *fibers_[first + lane];
    if (other.call == caller.call && other.pc == caller.pc) same |= 1u << lane;
  }
  return same;
}

void Emulator::stuck(unsigned first, unsigned waiting, unsigned alive) const {
  const Fiber& here = *fibers_[first + static_cast<unsigned>(__builtin_ctz(waiting))];
  for (unsigned rest = here.mask & alive;; rest &= rest - 1) {
    const Fiber& there = *fibers_[first + static_cast<unsigned>(__builtin_ctz(rest))];
    if (there.waits == Waits::warp && there.call == here.call && there.mask == here.mask) continue;
    std::string mask = there.waits == Waits::warp ? " with mask " + hexadecimal(there.mask) : "";
    throw DeviceError(where(here) + " waits at " + here.call + " with mask " + hexadecimal(here.mask) + " for thread " +
                      to_string(there.thread) + ", which waits at " + there.call + mask +
                      ": all lanes of the mask must make the same call" + at(here.pc));
  }
}

std::string Emulator::where(const Fiber& fiber) const {
  return std::string(kernel_->name) + ": block " + to_string(blockIdx) + ", thread " + to_string(fiber.thread);
}

// Leaves every kernel that is still paused where it stands. What its threads own is not destroyed: a thread that waits in
// a function that may not throw could not be made to.
void Emulator::abandon_all() {
  for (Fiber* fiber : fibers_) {
    if (fiber->inside) fiber->renew();
    fiber->error = nullptr;
    fiber->stack.repair();
  }
  kernel_ = nullptr;
}

// ## On a fiber
Fiber& Emulator::running(const char* call) {
  if (!launching || !current_) throw DeviceError(std::string(call) + ": called outside a kernel");
  return *current_;
}

void Emulator::wait(Fiber& self, Waits what, const char* call, const void* pc) {
  self.waits = what;
  self.call = call;
  self.pc = pc;
  self.pause();
}

int Emulator::barrier(const char* call, bool predicate, const void* pc) {
  Fiber& self = running(call);
  self.brings[0] = predicate;
  wait(self, Waits::block, call, pc);
  return votes_;
}

Emulator::Meeting Emulator::meet(Fiber& self, const char* call, unsigned mask, const Brought& value, const void* pc,
                                 bool orders_memory) {
  self.mask = mask;
  self.brings = value;
  self.orders_memory = orders_memory;
  wait(self, Waits::warp, call, pc);
  return {current_index_ % 32, self.mask, brought_};
}

Emulator::Meeting Emulator::meet(const char* call, unsigned mask, const Brought& value, const void* pc,
                                 bool orders_memory) {
  Fiber& self = running(call);
  const unsigned lane = current_index_ % 32;
  if (!(mask >> lane & 1)) {
    stop(std::string(" calls ") + call + " with mask " + hexadecimal(mask) + ", in which its own lane " +
             std::to_string(lane) + " is missing",
         pc);
  }
  return meet(self, call, mask, value, pc, orders_memory);
}

Emulator::Meeting Emulator::meet_whoever_is_here(const char* call, const void* pc) {
  return meet(running(call), call, kWhoeverIsHere, {}, pc, false);
}

Emulator::Meeting Emulator::meet_whole_warp(const char* call, const Brought& value, const void* pc) {
  const Meeting m = meet(running(call), call, kWholeWarp, value, pc, false);
  if (m.mask != kWholeWarp) {
    stop(std::string(" calls ") + call + " with " + std::to_string(__builtin_popcount(m.mask)) +
             " lanes of its warp; it takes all 32",
         pc);
  }
  return m;
}

unsigned Emulator::lane(const char* call) {
  running(call);
  return current_index_ % 32;
}

void Emulator::begin_copy(const AsyncCopy& copy, const void* pc) {
  Fiber& self = running("copy_async");
  if (watching) LookAway().watcher.copy_begins(reinterpret_cast<uintptr_t>(copy.to), copy.bytes, pc);
  self.copies.push_back({copy, self.batch});
}

void Emulator::close_batch() { ++running("commit_copies").batch; }

bool Emulator::next_copy(AsyncCopy& copy, unsigned open) {
  Fiber& self = running("wait_for_copies");
  if (self.copies.empty() || self.batch - self.copies.front().batch <= open) return false;
  copy = self.copies.front().copy;
  self.copies.pop_front();
  if (watching) LookAway().watcher.copy_arrives(reinterpret_cast<uintptr_t>(copy.to), copy.bytes);
  return true;
}

void Emulator::changed_nothing(const void* p, const void* pc) {
  constexpr unsigned kPatience = 1 << 20;
  if (!launching || !current_) return;
  if (p != unchanged_) times_unchanged_ = 0;
  unchanged_ = p;
  if (++times_unchanged_ < kPatience) return;
  stop(" waits in a loop for what another thread is to write; here one thread runs until it waits at a barrier", pc);
}

void Emulator::stop() {
  current_->abandoned = true;
  current_->pause();
  std::abort();  // nobody resumes it
}

// No string may be left on the fiber's stack, where nobody destroys it.
void Emulator::stop(std::string why, const void* pc) {
  current_->why = where(*current_) + std::exchange(why, {});
  current_->pc = pc;
  stop();
}

void Emulator::stop_without_place(std::string why) {
  current_->why = std::exchange(why, {});
  current_->pc = nullptr;
  stop();
}

int Emulator::thread_with_stack(uintptr_t a) const {
  for (unsigned t = 0; t < n_; ++t) {
    if (a - reinterpret_cast<uintptr_t>(fibers_[t]->stack.bottom()) < Stack::kSize) return static_cast<int>(t);
  }
  return -1;
}

// ## What others call
void run(const Kernel& kernel, const Grid& grid) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  static std::mutex one_at_a_time;
  if (launching) emulator().stop_without_place(std::string(kernel.name) + ": a kernel cannot launch a kernel");
  std::lock_guard lock(one_at_a_time);
  launching = true;
  struct Launched {
    ~Launched() { launching = false; }
  } launched;
  emulator().run(kernel, grid);
}

Unwatched::Unwatched() : before_(std::exchange(watch, false)) {}
Unwatched::~Unwatched() { watch = before_; }

int thread_with_stack(uintptr_t a) { return emulator().thread_with_stack(a); }
void stop_the_kernel() { emulator().stop(); }

}  // namespace cr::backend::simt
