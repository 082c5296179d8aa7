// # The emulator
//
// `launch` runs a kernel as a GPU would, on one thread of the CPU: block after block, and within a block every thread
// is a **fiber** (`fiber.hpp`), a function with a stack of its own that can pause in the middle and be resumed later.
// At `__syncthreads` a fiber pauses, and it goes on when all the others have arrived. Thread 0 always goes first, so a
// run repeats exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "backend/simt/words.hpp"

namespace cr::backend::simt {

// How many blocks of how many threads, as between CUDA's `<<<` and `>>>`. The limits are CUDA's too: at most 1024
// threads a block, 65 535 blocks along y and z.
struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;
  int needs = 0;  // a GPU's compute capability, times ten; the emulator has them all
};

// A kernel with its arguments, their types forgotten: `call(parameters)` is one thread's run, `scalars(parameters)` a hash of
// the arguments but for the addresses among them. The parameters begin with the kernel's address.
struct Kernel {
  const char* name;
  void (*call)(const void* parameters);
  uint64_t (*scalars)(const void* parameters);
  const void* parameters;
  size_t parameter_bytes;
  uintptr_t function() const { return *static_cast<const uintptr_t*>(parameters); }
};
void run(const Kernel& kernel, const Grid& grid);
uint64_t hash_of_scalars(uint64_t hash, const void* parameter, size_t bytes);

// While one of these lives, the calling thread's kernels run without the watcher: faster, and mistakes go unnoticed.
class Unwatched {
 public:
  Unwatched();
  ~Unwatched();
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;

 private:
  bool before_;
};

// Calls `kernel(args…)` once for each thread; every thread has its own copy of the arguments. Returns when all are
// done; at once if there are no blocks. Launches of several threads of the system wait for each other.
//
// Throws DeviceError, naming kernel, block and thread, when some threads of a block return while others wait at a
// barrier (a GPU would hang, or go on with half-written data), when lanes of a warp wait for one that does not come,
// when a thread repeats an atomic that changes nothing a million times, waiting for another one, when a thread needs more
// than 64 kB of stack, and for a grid beyond the limits. What a thread throws itself arrives here unchanged. After an error
// the emulator can be used again; the threads stay where they were, and what their local variables own is not given back.
//
// Not noticed: `__launch_bounds__` that the launch exceeds; and a loop that waits for another thread by reading alone hangs.
//
// A training run launches the same few kernels thousands of times. Of launches of one kernel with one grid the watcher
// looks at the first sixteen, at the first sixty-four that bring other numbers than all before, and then at every 64th;
// `count` (`counts.hpp`) has it look at all.
template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), const Grid& grid, const A&... args) {
  struct All {
    void (*kernel)(P...);
    std::tuple<P...> arguments;
  } all{kernel, std::tuple<P...>(args...)};
  run({name,
       [](const void* p) { std::apply(static_cast<const All*>(p)->kernel, static_cast<const All*>(p)->arguments); },
       [](const void* p) {
         uint64_t hash = 0;
         std::apply([&](const P&... a) { ((hash = hash_of_scalars(hash, &a, sizeof a)), ...); },
                    static_cast<const All*>(p)->arguments);
         return hash;
       },
       &all, sizeof all},
      grid);
}

}  // namespace cr::backend::simt
