#include "backend/simt/fiber.hpp"

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
#include <sanitizer/common_interface_defs.h>
#else
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

void Stack::repair() { std::fill_n(canary_, kCanaryWords, kCanary); }
bool Stack::overflown() const {
  return std::any_of(canary_, bottom_, [](uint64_t word) { return word != kCanary; });
}

Fiber::Fiber(const Kernel*& kernel) : kernel_(kernel), context_(begin()) {}

Fiber::~Fiber() {
  quit_ = true;
  resume();
}

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
  context_ = begin();
  inside = abandoned = false;
  done = true;
  waits = Waits::nothing;
}

Fiber::Context Fiber::body(Context&& host) {
  host_ = std::move(host);
  __sanitizer_finish_switch_fiber(nullptr, &host_bottom_, &host_size_);
  while (!quit_) {
    inside = true;
    try {
      kernel_->call(kernel_->parameters);
    } catch (const Stopped&) {
    } catch (...) {
      error = std::current_exception();
    }
    inside = false;
    done = true;
    waits = Waits::nothing;
    pause();
  }
  __sanitizer_start_switch_fiber(nullptr, host_bottom_, host_size_);
  return std::move(host_);
}

}  // namespace cr::backend::simt
