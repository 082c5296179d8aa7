#include "backend/simt/watch.hpp"

#include <algorithm>
#include <cstdio>

#include "backend/simt/memory_map.hpp"

namespace cr::backend::simt {
namespace {

// "reads 4 bytes at 0x7f…"; "reads" alone stands for the rest in a sentence that names the place.
const char* verb(Access kind) {
  constexpr const char* kVerbs[] = {"reads", "writes", "changes"};
  return kVerbs[static_cast<int>(kind)];
}

std::string bytes_text(size_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

bool is_guard(const std::string& symbol) { return symbol.find("cr_shared_guard") != std::string::npos; }
// Function-local statics are mangled as _ZZ; on this side of a kernel only `__shared__` makes one thread_local.
bool is_shared(const std::string& symbol) { return symbol.rfind("_ZZ", 0) == 0 && !is_guard(symbol); }

// "kernel(float*)::tile" -> "tile"
std::string last_name(const std::string& symbol) {
  const std::string name = demangled(symbol);
  const size_t colons = name.rfind("::");
  return colons == std::string::npos ? name : name.substr(colons + 2);
}

}  // namespace

// ## A launch
void Watcher::begin_kernel(const Kernel& kernel, const Grid& grid, void* shared) {
  learn_the_program();
  ++launch_;
  if (clocks_.epoch > 0xf0000000u) {
    clocks_.epoch = 1;
    static_shadow_.clear();
    dynamic_shadow_.clear();
  }
  parameters_.low = reinterpret_cast<uintptr_t>(kernel.parameters);
  parameters_.high = parameters_.low + kernel.parameter_bytes;
  dynamic_.low = reinterpret_cast<uintptr_t>(shared);
  dynamic_.high = dynamic_.low + grid.shared_bytes;
  if (grid.shared_bytes > 0) dynamic_shadow_.cover(dynamic_.low, grid.shared_bytes);
  tallies_ = tallies_of_this_thread();
  if (tallies_) tallies_->begin_kernel(kernel.name, uint64_t{grid.blocks.x} * grid.blocks.y * grid.blocks.z);
}

void Watcher::begin_block(uint64_t number) {
  clocks_.begin_block();
  if (Tallies* all = tallies_of_this_thread()) tallies_ = all->begin_block(number) ? all : nullptr;
}

void Watcher::end_kernel() {
  if (Tallies* all = tallies_of_this_thread()) all->end_kernel();
}

void Watcher::learn_the_program() {
  if (program_known_) return;
  program_known_ = true;
  thread_local_block_ = thread_local_block();
  thread_locals_ = thread_locals();
  static_data_ = static_data();
  code_ = static_data_.empty() ? 0 : static_data_[0].low;
  static_shadow_.cover(thread_local_block_.low, thread_local_block_.high - thread_local_block_.low);
}

// ## Whose memory is this?
void Watcher::look_up(Site& site, uintptr_t a, unsigned bytes, Access kind, const void* pc) {
  auto is = [&](Place place, Range range, Shadow* shadow = nullptr) {
    if (!range.holds(a)) return false;
    if (bytes > range.high - a) outside(a, bytes, kind, pc);
    site = {pc, launch_, place, range.low, range.high - range.low, shadow};
    return true;
  };

  // Shared memory: the launch's, and the variables declared `__shared__`.
  if (is(Place::shared, dynamic_, &dynamic_shadow_)) return;
  if (thread_local_block_.holds(a)) {
    if (thread_locals_.empty()) {  // a stripped program: all of it could be shared memory
      site = {};
      return;
    }
    auto after = std::upper_bound(thread_locals_.begin(), thread_locals_.end(), a,
                                  [](uintptr_t x, const ThreadLocal& v) { return x < v.range.low; });
    if (after == thread_locals_.begin()) outside(a, bytes, kind, pc);
    const ThreadLocal& variable = *--after;
    if (is_guard(variable.symbol)) outside(a, bytes, kind, pc);
    const bool shared = is_shared(variable.symbol);
    if (is(shared ? Place::shared : Place::quiet, variable.range, shared ? &static_shadow_ : nullptr)) return;
    outside(a, bytes, kind, pc);
  }

  // Global memory.
  const MemoryBlock block = live_block(a);
  if (is(Place::global, {block.low, block.low + block.bytes})) return;

  // The kernel's arguments, constants, global variables.
  if (is(Place::quiet, parameters_)) return;
  for (int twice = 0; twice < 2; ++twice) {
    for (const Range& range : static_data_) {
      if (is(Place::quiet, range)) return;
    }
    static_data_ = static_data();  // perhaps a library was loaded since
  }
  outside(a, bytes, kind, pc);
}

std::string Watcher::name_of_shared(uintptr_t a) const {
  if (dynamic_.holds(a)) return "byte " + std::to_string(a - dynamic_.low) + " of dynamic_shared";
  for (const ThreadLocal& v : thread_locals_) {
    if (v.range.holds(a) && is_shared(v.symbol))
      return "byte " + std::to_string(a - v.range.low) + " of __shared__ " + last_name(v.symbol);
  }
  return "shared memory";
}

// ## What was wrong
void Watcher::outside(uintptr_t a, unsigned bytes, Access kind, const void* pc) {
  const std::string does = std::string(" ") + verb(kind) + " " + bytes_text(bytes) + " ";
  const std::string at = " at " + line_of(pc);
  auto past = [&](uintptr_t high, const std::string& what, size_t size) {
    const std::string place = a >= high ? bytes_text(a - high) + " past the end of " : "across the end of ";
    stop_the_kernel(does + place + what + " of " + bytes_text(size) + at);
  };

  // Shared memory's neighbourhood.
  if (a >= dynamic_.low && a - dynamic_.low < (dynamic_.high - dynamic_.low) + 4096 && dynamic_.high > dynamic_.low)
    past(dynamic_.high, "dynamic_shared", dynamic_.high - dynamic_.low);
  if (thread_local_block_.holds(a)) {
    const ThreadLocal *before = nullptr, *after = nullptr;
    for (const ThreadLocal& v : thread_locals_) {
      if (!is_shared(v.symbol)) continue;
      if (v.range.low <= a) before = &v;
      else if (!after) after = &v;
    }
    if (before && (!after || a - before->range.high < after->range.low - a)) {
      past(before->range.high, "__shared__ " + last_name(before->symbol), before->range.high - before->range.low);
    }
    if (after) {
      stop_the_kernel(does + bytes_text(after->range.low - a) + " before the beginning of __shared__ " +
                      last_name(after->symbol) + " of " + bytes_text(after->range.high - after->range.low) + at);
    }
  }

  // Global memory's.
  constexpr size_t kNear = 1 << 20;
  const MemoryBlock before = live_block(a), after = live_block_after(a), freed = freed_block(a);
  if (before.bytes && a - before.low < before.bytes) past(before.low + before.bytes, "a block", before.bytes);
  if (freed.bytes) {
    stop_the_kernel(does + "of global memory that has been freed: byte " + std::to_string(a - freed.low) +
                    " of a block of " + bytes_text(freed.bytes) + at);
  }
  const size_t behind = before.low ? a - (before.low + before.bytes) : SIZE_MAX;
  const size_t ahead = after.low ? after.low - a : SIZE_MAX;
  if (behind < kNear && behind <= ahead) past(before.low + before.bytes, "a block", before.bytes);
  if (ahead < kNear) {
    stop_the_kernel(does + bytes_text(ahead) + " before the beginning of a block of " + bytes_text(after.bytes) + at);
  }
  char address[32];
  std::snprintf(address, sizeof address, "0x%zx", static_cast<size_t>(a));
  stop_the_kernel(does + "at address " + address + ", which is neither device memory nor its own" + at);
}

void Watcher::misaligned(uintptr_t a, unsigned bytes, unsigned alignment, Access kind, const void* pc) {
  stop_the_kernel(std::string(" ") + verb(kind) + " " + bytes_text(bytes) + " at once from an address that is " +
                  bytes_text(a % alignment) + " past a multiple of " + std::to_string(alignment) + " at " +
                  line_of(pc));
}

void Watcher::report(const Conflict& conflict, uintptr_t a, unsigned bytes, Access kind, const void* pc) {
  const std::string does = std::string(" ") + verb(kind) + " " + name_of_shared(a) + " (" + bytes_text(bytes) + ")";
  if (conflict.kind == Conflict::uninitialised) {
    stop_the_kernel(does + ", which nobody in this block has written, at " + line_of(pc));
  }
  const Stamp& earlier = conflict.earlier;
  const unsigned t = earlier.thread();
  const std::string thread = "(" + std::to_string(t % blockDim.x) + ", " + std::to_string(t / blockDim.x % blockDim.y) +
                             ", " + std::to_string(t / blockDim.x / blockDim.y) + ")";
  const std::string from = line_of(reinterpret_cast<const void*>(code_ + earlier.pc));
  stop_the_kernel(does + " at " + line_of(pc) + " in a race with thread " + thread + ", which " +
                  (conflict.earlier_wrote ? "wrote" : "read") + " it at " + from + ": no barrier lies between them");
}

}  // namespace cr::backend::simt
