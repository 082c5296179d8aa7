// # A fiber
//
// One thread of a block: code with a stack of its own that pauses in the middle and is resumed later. It belongs to no
// kernel. Each time it is resumed outside one it runs the kernel of the day and then pauses again; so stacks and fibers
// are made once and serve every block and every launch.
#pragma once

#include <array>
#include <boost/context/fiber.hpp>
#include <cstdint>
#include <deque>
#include <exception>
#include <string>

#include "backend/simt/copies.hpp"
#include "backend/simt/launch.hpp"

namespace cr::backend::simt {

// ## Its stack
//
// Stacks grow downwards, so below the 64 kB lies a **canary**: known words that are looked at whenever the fiber
// pauses. The margin below it gives an overflow room to do no harm until then, and the page below the margin may not be
// touched. Memory that nobody touches costs only addresses.
class Stack {
 public:
  static constexpr size_t kSize = 64 << 10, kMargin = 256 << 10;  // bytes
  Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  void repair();
  bool overflown() const;
  static std::string too_small() { return " needs more than " + std::to_string(kSize >> 10) + " kB of stack"; }
  char* bottom() const { return reinterpret_cast<char*>(bottom_); }

 private:
  static constexpr size_t kCanaryWords = 8;
  uint64_t *bottom_, *canary_;
};

// What a lane brings to a meeting.
using Brought = std::array<uint64_t, 3>;

// What a paused fiber waits for: nothing (it has returned, or not begun), all threads of its block, some of its warp.
enum class Waits : uint8_t { nothing, block, warp };

class Fiber {
 public:
  explicit Fiber(const Kernel*& kernel);
  ~Fiber() = delete;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // On the host's stack: go on with this fiber until it pauses.
  void resume();
  // On this fiber's stack: back to the host, until it resumes us.
  void pause();
  // On the host's stack: forget that the fiber is inside a kernel. What it had on its stack is not destroyed.
  void renew();

  Stack stack;
  dim3 thread;
  bool inside = false;     // has entered the kernel and not left it
  bool done = true;        // has left it, in this block
  bool abandoned = false;  // to be renewed
  std::string why;         // where the watcher does not know it
  std::exception_ptr error;

  // Where it waits, and what it brings: for a meeting of lanes the mask and up to three numbers, for a block's vote yes or
  // no.
  Waits waits = Waits::nothing;
  const char* call = "";  // "__syncthreads"
  const void* pc = nullptr;
  unsigned mask = 0;
  bool orders_memory = false;
  Brought brings{};

  // Its copies under way, oldest first, each with the number of its batch.
  struct OnItsWay {
    AsyncCopy copy;
    unsigned batch;
  };
  std::deque<OnItsWay> copies;
  unsigned batch = 0;

 private:
  using Context = boost::context::fiber;  // code that is paused: its registers and where its stack stands
  Context begin();
  Context body(Context&& host);

  const Kernel*& kernel_;
  Context context_, host_;
  const void* host_bottom_ = nullptr;
  size_t host_size_ = 0;
};

}  // namespace cr::backend::simt
