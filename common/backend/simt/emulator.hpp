// # The machine behind `launch`
//
// There is one: kernels of several threads of the system are run one after the other. Within a block, thread after thread
// runs up to its next pause.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backend/simt/copies.hpp"
#include "backend/simt/fiber.hpp"
#include "backend/simt/launch.hpp"
#include "backend/simt/watch.hpp"

namespace cr::backend::simt {

class Emulator {
 public:
  // On the host.
  void run(const Kernel& kernel, const Grid& grid);

  // ## On a fiber
  //
  // Each names CUDA's function that was called and where that returns to, for messages.
  //
  // Waits for all threads of the block; the sum of what they brought.
  int barrier(const char* call, bool predicate, const void* pc);

  // Waits for the lanes of `mask`. What each brought is then in `brought` until this lane waits again. A meeting that orders
  // memory is one after which a lane may read what the others wrote before.
  struct Meeting {
    unsigned lane, mask;     // mask: those who came
    const Brought* brought;  // by lane
  };
  Meeting meet(const char* call, unsigned mask, const Brought& value, const void* pc, bool orders_memory = false);
  // Likewise with whoever is at the same line when no other lane of the warp can go on.
  Meeting meet_whoever_is_here(const char* call, const void* pc);
  // Likewise with all 32.
  Meeting meet_whole_warp(const char* call, const Brought& value, const void* pc);

  void* shared() { return shared_.data(); }
  unsigned lane(const char* call);

  // Copies under way.
  void begin_copy(const AsyncCopy& copy, const void* pc);
  void close_batch();
  bool next_copy(AsyncCopy& copy, unsigned open);

  // An atomic of the running thread found at `p` what it wanted to leave there. A thread that does nothing else waits for
  // another one, which does not run meanwhile.
  void changed_nothing(const void* p, const void* pc);

  // In the middle of anything: gives up the kernel. The fiber cannot be unwound from here, because compilers expect no
  // exception from a load, so it is left as it stands and never resumed. The watcher knows the fault; or it is `why`, which
  // begins after kernel, block and thread, at the line that `pc` returns to.
  [[noreturn]] void stop();
  [[noreturn]] void stop(std::string why, const void* pc);
  [[noreturn]] void stop_without_place(std::string why);

  int thread_with_stack(uintptr_t a) const;

 private:
  Meeting meet(Fiber& self, const char* call, unsigned mask, const Brought& value, const void* pc, bool orders_memory);
  Fiber& running(const char* call);
  void wait(Fiber& self, Waits what, const char* call, const void* pc);

  void run_block();
  void run_warp(unsigned first, unsigned last);
  void step(unsigned t);
  bool cross_barrier();
  void check_same_barrier();
  bool hold_meetings(unsigned first, unsigned last);
  bool all_came(unsigned first, unsigned waiting, unsigned invited, const Fiber& caller) const;
  unsigned at_the_same_line(unsigned first, unsigned waiting, const Fiber& caller) const;
  [[noreturn]] void stuck(unsigned first, unsigned waiting, unsigned alive) const;

  bool is_watched(const Kernel& kernel, const Grid& grid);
  std::string where(const Fiber& fiber) const;
  void abandon_all();

  const Kernel* kernel_ = nullptr;
  unsigned n_ = 0;              // threads of a block
  std::vector<Fiber*> fibers_;  // fiber t is thread t of each block; like the emulator they last as long as the program
  Fiber* current_ = nullptr;
  unsigned current_index_ = 0;
  int votes_ = 0;
  Brought brought_[32] = {};
  std::vector<std::byte> shared_;

  const void* unchanged_ = nullptr;  // see changed_nothing
  unsigned times_unchanged_ = 0;

  bool watched_ = false;  // this launch
  Watcher watcher_;
  struct Launches {
    unsigned number = 0;
    std::vector<uint64_t> scalars;  // hashes of those seen
  };
  std::map<std::array<uint64_t, 8>, Launches> launches_;  // by kernel and grid
  unsigned* launches_of_this_ = nullptr;
};

// The only one. It is never destroyed: a kernel may call `exit`.
Emulator& emulator();

// Whether this thread of the system is in a launch; whether what it launches may be watched.
inline constinit thread_local bool launching = false, watch = kChecked;

}  // namespace cr::backend::simt
