// # The watcher
//
// It sees every load and store of a kernel. How: kernel sources are compiled with `-fsanitize=thread`, which makes the
// compiler call a function, `__tsan_read4` and its like, before each access. Usually they come with the thread
// sanitizer; here they are ours (`hooks.cpp`) and bring the address, the number of bytes, and, by where they return to,
// the line.
//
// For each access it asks: is this memory that the thread may touch, is the address a multiple of what it must be, and, for
// shared memory, did somebody write there, and is everybody in order (`shadow.hpp`)? While somebody counts it also
// keeps the addresses of a warp (`counting.hpp`). An answer that is wrong ends the kernel with a DeviceError.
//
// What it cannot see: an array's end where another variable begins at once, among `__device__` and `__constant__` ones, two
// `__shared__` ones of one declaration, or, compiled by clang, behind a file's last one; that a pointer is to a global
// variable of the host; and, compiled by clang, that a struct is copied from an address that its type does not allow,
// because clang copies it in pieces of one byte's alignment.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/simt/counting.hpp"
#include "backend/simt/fiber.hpp"
#include "backend/simt/launch.hpp"
#include "backend/simt/lines.hpp"
#include "backend/simt/shadow.hpp"

namespace cr::backend::simt {

#if CHAINRULE_SIMT_CHECKS
inline constexpr bool kChecked = true;
#else
inline constexpr bool kChecked = false;  // kernels are compiled without hooks, so there is nothing to watch
#endif

class Watcher {
 public:
  // ## What the emulator tells it
  void begin_kernel(const Kernel& kernel, const Grid& grid, void* shared);
  void begin_block(uint64_t number);
  void begin_step(unsigned thread, const char* stack_bottom) {
    thread_ = thread;
    stack_ = reinterpret_cast<uintptr_t>(stack_bottom);
  }
  void meet(unsigned first, unsigned lanes) { clocks_.meet(first, lanes); }
  void end_warp(unsigned threads) {
    if (tallies_) tallies_->end_warp(threads);
  }
  void barrier(const void* pc) {
    clocks_.barrier();
    if (tallies_) tallies_->barrier(pc);
  }
  void end_kernel();

  // ## What the hooks tell it
  //
  // The access that the running thread is about to make. `alignment` is what its type asks for. Does not return if the
  // access is wrong: the thread stays behind where it is.
  void access(uintptr_t a, unsigned bytes, unsigned alignment, Access kind, const void* pc) {
    if (a - stack_ < Stack::kSize) {  // its own local variables
      if (a & (alignment - 1)) stop({Fault::misaligned, a, bytes, alignment, kind, pc, {}});
      return;
    }
    Site& site = sites_[hash(pc)];
    if (site.pc != pc || site.launch != launch_ || a - site.low >= site.bytes || bytes > site.bytes - (a - site.low))
      look_up(site, a, bytes, kind, pc);
    if (a & (alignment - 1)) stop({Fault::misaligned, a, bytes, alignment, kind, pc, {}});
    if (site.place == Place::quiet) return;
    if (tallies_) tallies_->access(thread_, site.place == Place::shared, a, bytes, kind, pc);
    if (site.place != Place::shared) return;
    const Conflict conflict = site.shadow->access(clocks_, a, bytes, kind, stamp(kind, pc));
    if (conflict.kind != Conflict::none) [[unlikely]]
      stop({Fault::conflict, a, bytes, alignment, kind, pc, conflict});
  }

  // It enters a function, and the hook's frame begins here. Calls can use up a stack without one load or store.
  void enter(uintptr_t frame, const void* pc) {
    if (frame < stack_) stop({Fault::outside, frame, 0, 1, Access::write, pc, {}});
  }

  // The running thread orders a copy to shared memory; and it is about to write there what has arrived.
  void copy_begins(uintptr_t a, unsigned bytes, const void* pc);
  void copy_arrives(uintptr_t a, unsigned bytes);

  // What was wrong, in words that follow "matmul: block (0, 0, 0), thread (3, 0, 0)". On the host's stack: a fiber's may
  // be too full for it.
  std::string fault() const;

 private:
  // Most lines of a program keep to one array. Each remembers where it was last.
  enum class Place : uint8_t { quiet, global, shared };
  struct Site {
    const void* pc = nullptr;
    uint32_t launch = 0;
    Place place = Place::quiet;
    uintptr_t low = 0;
    size_t bytes = 0;
    Shadow* shadow = nullptr;
  };
  Stamp stamp(Access kind, const void* pc) const {
    return {clocks_.epoch, thread_ << 22 | clocks_.meetings(thread_) << 1 | (kind == Access::atomic),
            static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pc) - module_.base)};
  }
  static size_t hash(const void* pc) { return reinterpret_cast<uintptr_t>(pc) * 0x9e3779b97f4a7c15u >> 52; }

  void learn_the_program(uintptr_t kernel);
  const SharedVariable* shared_variable(uintptr_t a) const;
  void look_up(Site& site, uintptr_t a, unsigned bytes, Access kind, const void* pc);

  struct Fault {
    enum Kind : uint8_t { outside, misaligned, conflict, too_much_shared } kind = outside;
    uintptr_t a = 0;
    unsigned bytes = 0, alignment = 1;
    Access access = Access::read;
    const void* pc = nullptr;
    Conflict conflict_with;
  };
  [[noreturn]] void stop(const Fault& fault);
  std::string outside(const Fault& f) const;
  std::string conflict(const Fault& f) const;
  std::string name_of_shared(uintptr_t a) const;

  std::vector<Site> sites_ = std::vector<Site>(4096);
  uint32_t launch_ = 0;
  unsigned thread_ = 0;
  uintptr_t stack_ = 0;
  Clocks clocks_;
  Range parameters_, dynamic_;
  Shadow dynamic_shadow_, static_shadow_;
  Tallies* tallies_ = nullptr;  // while somebody counts
  Fault fault_;

  // The program or library that this launch's kernel belongs to.
  Module module_;
  Symbols symbols_;
  Range statically_shared_;           // from the first variable to the last
  std::vector<uint32_t> touched_in_;  // for each shared variable, the last launch that touched it
  size_t shared_bytes_ = 0;           // of those touched in this launch
};

// The watcher of the kernel that this thread of the system is in right now. Outside a kernel there is none, and the
// hooks do nothing.
inline constinit thread_local Watcher* watching = nullptr;

// Nobody watches the watcher: a library's function that it calls may be one that was compiled in a kernel file.
class LookAway {
 public:
  Watcher& watcher = *watching;
  LookAway() { watching = nullptr; }
  ~LookAway() { watching = &watcher; }
  LookAway(const LookAway&) = delete;
  LookAway& operator=(const LookAway&) = delete;
};

// Gives up the running thread of the running kernel, and the kernel with it: `launch` throws a DeviceError.
[[noreturn]] void stop_the_kernel();

// The number of the thread whose stack this address lies in; -1 if it is no thread's.
int thread_with_stack(uintptr_t a);

}  // namespace cr::backend::simt
