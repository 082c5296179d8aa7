#include "backend/simt/launch.hpp"

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensor/error.hpp"

// The address sanitizer keeps the bounds of the running stack and has to be told when we leave it for another. The
// thread sanitizer needs nothing: fibers of one thread never run at the same time, and it takes them for that thread.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
static void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
static void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
#endif

namespace cr::backend::simt {
namespace {

using Context = boost::context::fiber;  // code that is paused: its registers and where its stack stands

struct Stopped {};  // thrown at a barrier to unwind a thread whose block has failed

std::string to_string(const dim3& i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

// ## A stack
//
// Stacks grow downwards, so below the 64 kB lies a **canary**: known words that are looked at whenever the fiber
// pauses. The margin below it gives a moderate overflow room to do no harm until then. The odd 32 words make the tops
// of neighbouring stacks fall on different cache lines; were they a multiple of 4096 bytes apart, hundreds of fibers
// would fight for eight.
class Stack {
 public:
  static constexpr size_t kSize = 64 << 10, kMargin = 16 << 10;  // bytes
  Stack() { repair(); }
  void repair() { std::fill_n(canary_, kCanaryWords, kCanary); }
  bool overflown() const {
    return std::any_of(canary_, bottom_, [](uint64_t word) { return word != kCanary; });
  }
  void* bottom() const { return bottom_; }

  // What Boost asks of an allocator.
  struct Lend {
    char* bottom;
    boost::context::stack_context allocate() const {
      boost::context::stack_context c;
      c.size = kSize;
      c.sp = bottom + kSize;
      return c;
    }
    void deallocate(boost::context::stack_context&) const noexcept {}
  };
  Lend lend() const { return {reinterpret_cast<char*>(bottom_)}; }

 private:
  static constexpr uint64_t kCanary = 0xa5a5a5a5a5a5a5a5;
  static constexpr size_t kCanaryWords = 8;
  std::unique_ptr<uint64_t[]> words_{new uint64_t[(kMargin + kSize) / 8 + 32]};
  uint64_t* bottom_ = words_.get() + kMargin / 8;
  uint64_t* canary_ = bottom_ - kCanaryWords;
};

// ## A fiber
//
// It belongs to no kernel. Each time it is resumed outside one it runs the kernel of the day, as thread `thread`, and
// then pauses again; so stacks and fibers are made once and serve every block and every launch.
class Fiber {
 public:
  explicit Fiber(const std::function<void()>*& kernel)
      : context_(std::allocator_arg, stack.lend(),
                 [this, &kernel](Context&& host) { return body(std::move(host), kernel); }) {}
  ~Fiber() {
    quit_ = true;
    resume();
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // On the host's stack: go on with this fiber until it pauses.
  void resume() {
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, stack.bottom(), Stack::kSize);
    context_ = std::move(context_).resume();
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
  }

  // On this fiber's stack: back to the host, until it resumes us.
  void pause() {
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, host_bottom_, host_size_);
    host_ = std::move(host_).resume();
    __sanitizer_finish_switch_fiber(fake_stack, &host_bottom_, &host_size_);
  }

  Stack stack;
  dim3 thread;
  bool inside = false;  // has entered the kernel and not left it: it waits at a barrier
  std::exception_ptr error;

 private:
  Context body(Context&& host, const std::function<void()>*& kernel) {
    host_ = std::move(host);
    __sanitizer_finish_switch_fiber(nullptr, &host_bottom_, &host_size_);
    while (!quit_) {
      inside = true;
      try {
        (*kernel)();
      } catch (const Stopped&) {
      } catch (...) {
        error = std::current_exception();
      }
      inside = false;
      pause();
    }
    __sanitizer_start_switch_fiber(nullptr, host_bottom_, host_size_);
    return std::move(host_);
  }

  Context context_, host_;
  const void* host_bottom_ = nullptr;
  size_t host_size_ = 0;
  bool quit_ = false;
};

// ## A grid
//
// One emulator for each thread of the system that launches kernels.
class Emulator {
 public:
  void run(const char* name, const Grid& grid, const std::function<void()>& kernel) {
    auto [blocks, threads, shared_bytes] = grid;
    if (kernel_) throw DeviceError(std::string(name) + ": a kernel cannot launch a kernel");
    size_t n = size_t{threads.x} * threads.y * threads.z;
    if (n < 1 || n > 1024 || blocks.x - 1 >= 0x7fffffff || blocks.y - 1 >= 65535 || blocks.z - 1 >= 65535) {
      throw DeviceError(std::string(name) + ": cannot launch " + to_string(blocks) + " blocks of " +
                        to_string(threads) + " threads");
    }
    while (fibers_.size() < n) fibers_.push_back(std::make_unique<Fiber>(kernel_));
    for (unsigned t = 0; t < n; ++t)
      fibers_[t]->thread = {t % threads.x, t / threads.x % threads.y, t / threads.x / threads.y};
    gridDim = blocks;
    blockDim = threads;
    kernel_ = &kernel;
    try {
      dim3 b;
      for (b.z = 0; b.z < blocks.z; ++b.z)
        for (b.y = 0; b.y < blocks.y; ++b.y)
          for (b.x = 0; b.x < blocks.x; ++b.x) {
            blockIdx = b;
            shared_.assign(shared_bytes, std::byte{0xff});
            run_block(name, n);
          }
    } catch (...) {
      unwind();
      throw;
    }
    kernel_ = nullptr;
  }

  void barrier() {
    if (!current_) throw DeviceError("__syncthreads: called outside a kernel");
    current_->pause();
    if (stop_) throw Stopped{};
  }

  void* shared() { return shared_.data(); }

 private:
  // Resume every thread once: each runs to its next barrier or to its end. If all of them wait, they all have arrived,
  // and another round takes them over the barrier. If none waits the block is done. Anything between is a mistake.
  void run_block(const char* name, size_t n) {
    size_t waiting;
    do {
      waiting = 0;
      for (size_t t = 0; t < n; ++t) waiting += step(name, *fibers_[t]);
    } while (waiting == n);
    if (waiting == 0) return;

    size_t gone = 0, here = 0;
    while (fibers_[gone]->inside) ++gone;
    while (!fibers_[here]->inside) ++here;
    throw DeviceError(where(name, *fibers_[here]) + " waits at __syncthreads, but thread " +
                      to_string(fibers_[gone]->thread) +
                      " has returned: all threads of a block must reach the same barriers");
  }

  // Runs one thread up to its next pause. True if it waits at a barrier.
  bool step(const char* name, Fiber& fiber) {
    threadIdx = fiber.thread;
    current_ = &fiber;
    fiber.resume();
    current_ = nullptr;
    if (fiber.stack.overflown()) {
      throw DeviceError(where(name, fiber) + " needs more than " + std::to_string(Stack::kSize >> 10) + " kB of stack");
    }
    if (fiber.error) std::rethrow_exception(std::exchange(fiber.error, nullptr));
    return fiber.inside;
  }

  std::string where(const char* name, const Fiber& fiber) const {
    return std::string(name) + ": block " + to_string(blockIdx) + ", thread " + to_string(fiber.thread);
  }

  // Leaves every kernel that is still paused, destroying its local variables.
  void unwind() {
    stop_ = true;
    for (auto& fiber : fibers_) {
      current_ = fiber.get();
      while (fiber->inside) fiber->resume();
      fiber->error = nullptr;
      fiber->stack.repair();
    }
    stop_ = false;
    current_ = nullptr;
    kernel_ = nullptr;
  }

  const std::function<void()>* kernel_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;  // fiber t is thread t of each block
  Fiber* current_ = nullptr;
  bool stop_ = false;
  std::vector<std::byte> shared_;
};

thread_local Emulator emulator;

}  // namespace

void run(const char* name, const Grid& grid, const std::function<void()>& kernel) { emulator.run(name, grid, kernel); }
void __syncthreads() { emulator.barrier(); }
void* dynamic_shared_bytes() { return emulator.shared(); }

}  // namespace cr::backend::simt
