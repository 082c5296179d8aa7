#include "backend/simt/fiber.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>

// The address sanitizer keeps the bounds of the running stack and has to be told when we leave it for another. The
// thread sanitizer needs nothing: fibers of one thread never run at the same time, and it takes them for that thread.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
static void __asan_unpoison_memory_region(const volatile void*, size_t) {}
static void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
static void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
#endif

namespace cr::backend::simt {
namespace {

constexpr uint64_t kCanary = 0xa5a5a5a5a5a5a5a5;

// What Boost asks of an allocator.
struct Lend {
  char* bottom;
  boost::context::stack_context allocate() const {
    boost::context::stack_context c;
    c.size = Stack::kSize;
    c.sp = bottom + Stack::kSize;
    return c;
  }
  void deallocate(boost::context::stack_context&) const noexcept {}
};

}  // namespace

// The tops of neighbouring stacks shall fall on different cache lines; were they a multiple of 4096 bytes apart, hundreds
// of fibers would fight for eight.
Stack::Stack() {
  constexpr size_t kPage = 4096, kApart = 256;
  static size_t number = 0;
  const size_t bytes = kPage + kMargin + kSize + kPage;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kPage, PROT_NONE);
  bottom_ = static_cast<uint64_t*>(memory) + (kPage + kMargin + number++ * kApart % kPage) / sizeof(uint64_t);
  canary_ = bottom_ - kCanaryWords;
  repair();
}

void Stack::repair() { std::fill_n(canary_, kCanaryWords, kCanary); }
bool Stack::overflown() const {
  return std::any_of(canary_, bottom_, [](uint64_t word) { return word != kCanary; });
}

Fiber::Fiber(const Kernel*& kernel) : kernel_(kernel), context_(begin()) {}

Fiber::Context Fiber::begin() {
  return Context(std::allocator_arg, Lend{stack.bottom()}, [this](Context&& host) { return body(std::move(host)); });
}

void Fiber::resume() {
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack.bottom(), Stack::kSize);
  context_ = std::move(context_).resume();
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}

void Fiber::pause() {
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, host_bottom_, host_size_);
  host_ = std::move(host_).resume();
  __sanitizer_finish_switch_fiber(fake_stack, &host_bottom_, &host_size_);
}

void Fiber::renew() {
  // Boost would unwind the fiber when its context is destroyed, so that context is moved where nothing destroys it.
  alignas(Context) std::byte grave[sizeof(Context)];
  new (grave) Context(std::move(context_));
  __asan_unpoison_memory_region(stack.bottom(), Stack::kSize);
  context_ = begin();
  inside = abandoned = false;
  done = true;
  waits = Waits::nothing;
}

Fiber::Context Fiber::body(Context&& host) {
  host_ = std::move(host);
  __sanitizer_finish_switch_fiber(nullptr, &host_bottom_, &host_size_);
  for (;;) {
    inside = true;
    try {
      kernel_->call(kernel_->parameters);
    } catch (...) {
      error = std::current_exception();
    }
    inside = false;
    done = true;
    waits = Waits::nothing;
    pause();
  }
}

}  // namespace cr::backend::simt
