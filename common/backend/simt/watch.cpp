#include "backend/simt/watch.hpp"

#include <algorithm>
#include <cstdio>

#include "backend/simt/fiber.hpp"
#include "backend/simt/memory_map.hpp"

namespace cr::backend::simt {
namespace {

// "reads 4 bytes at 0x7f…"; "reads" alone stands for the rest in a sentence that names the place.
const char* verb(Access kind) {
  constexpr const char* kVerbs[] = {"reads", "writes", "changes"};
  return kVerbs[static_cast<int>(kind)];
}

// "(3, 0, 0)" for number 3.
std::string thread_text(unsigned t) {
  return "(" + std::to_string(t % blockDim.x) + ", " + std::to_string(t / blockDim.x % blockDim.y) + ", " +
         std::to_string(t / blockDim.x / blockDim.y) + ")";
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

void Watcher::copy_begins(uintptr_t a, unsigned bytes, const void* pc) {
  Site site;
  look_up(site, a, bytes, Access::write, pc);
  if (a % bytes != 0) stop({Fault::misaligned, a, bytes, bytes, Access::write, pc, {}});
  if (site.place != Place::shared) return;
  const Stamp now = stamp(Access::read, pc);
  const Conflict conflict = site.shadow->empty(clocks_, a, bytes, now);
  if (conflict.kind != Conflict::none) stop({Fault::conflict, a, bytes, bytes, Access::write, pc, conflict});
}

// ## Whose memory is this?
void Watcher::look_up(Site& site, uintptr_t a, unsigned bytes, Access kind, const void* pc) {
  auto is = [&](Place place, Range range, Shadow* shadow = nullptr) {
    if (!range.holds(a)) return false;
    if (bytes > range.high - a) stop({Fault::outside, a, bytes, 1, kind, pc, {}});
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
    if (after == thread_locals_.begin()) stop({Fault::outside, a, bytes, 1, kind, pc, {}});
    const ThreadLocal& variable = *--after;
    if (is_guard(variable.symbol)) stop({Fault::outside, a, bytes, 1, kind, pc, {}});
    const bool shared = is_shared(variable.symbol);
    if (is(shared ? Place::shared : Place::quiet, variable.range, shared ? &static_shadow_ : nullptr)) return;
    stop({Fault::outside, a, bytes, 1, kind, pc, {}});
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
  stop({Fault::outside, a, bytes, 1, kind, pc, {}});
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
void Watcher::stop(const Fault& fault) {
  fault_ = fault;
  stop_the_kernel();
}

std::string Watcher::fault() const {
  const Fault& f = fault_;
  if (f.kind == Fault::outside) return outside(f);
  if (f.kind == Fault::conflict) return conflict(f);
  return std::string(" ") + verb(f.access) + " " + bytes_text(f.bytes) + " at once from an address that is " +
         bytes_text(f.a % f.alignment) + " past a multiple of " + std::to_string(f.alignment) + " at " + line_of(f.pc);
}

std::string Watcher::outside(const Fault& f) const {
  const uintptr_t a = f.a;
  if (stack_ - a <= Stack::kMargin) return Stack::too_small();
  const std::string does = std::string(" ") + verb(f.access) + " " + bytes_text(f.bytes) + " ";
  const std::string at = " at " + line_of(f.pc);
  auto past = [&](const Range& range, const std::string& what) {
    const std::string place = a >= range.high ? bytes_text(a - range.high) + " past the end of " : "across the end of ";
    return does + place + what + " of " + bytes_text(range.high - range.low) + at;
  };
  auto ahead_of = [&](const Range& range, const std::string& what) {
    return does + bytes_text(range.low - a) + " before the beginning of " + what + " of " +
           bytes_text(range.high - range.low) + at;
  };

  // Shared memory's neighbourhood.
  if (dynamic_.high > dynamic_.low && a >= dynamic_.low && a < dynamic_.high + 4096)
    return past(dynamic_, "dynamic_shared");
  if (thread_local_block_.holds(a)) {
    const ThreadLocal *before = nullptr, *after = nullptr;
    for (const ThreadLocal& v : thread_locals_) {
      if (!is_shared(v.symbol)) continue;
      if (v.range.low <= a) before = &v;
      else if (!after) after = &v;
    }
    if (before && (!after || a - before->range.high < after->range.low - a))
      return past(before->range, "__shared__ " + last_name(before->symbol));
    if (after) return ahead_of(after->range, "__shared__ " + last_name(after->symbol));
  }

  if (const int owner = thread_with_stack(a); owner >= 0)
    return does + "of a local variable of thread " + thread_text(static_cast<unsigned>(owner)) + at;

  // Global memory's.
  constexpr size_t kNear = 64 << 10;
  auto range = [](const MemoryBlock& b) { return Range{b.low, b.low + b.bytes}; };
  const MemoryBlock before = live_block(a), after = live_block_after(a), freed = freed_block(a);
  if (range(before).holds(a)) return past(range(before), "a block");
  if (range(freed).holds(a)) {
    return does + "of global memory that has been freed: byte " + std::to_string(a - freed.low) + " of a block of " +
           bytes_text(freed.bytes) + at;
  }
  const size_t behind = before.low ? a - range(before).high : SIZE_MAX, ahead = after.low ? after.low - a : SIZE_MAX;
  if (behind < kNear && behind <= ahead) return past(range(before), "a block");
  if (ahead < kNear) return ahead_of(range(after), "a block");
  char address[32];
  std::snprintf(address, sizeof address, "0x%zx", static_cast<size_t>(a));
  return does + "at address " + address + ", which is neither device memory nor its own" + at;
}

std::string Watcher::conflict(const Fault& f) const {
  const std::string does =
      std::string(" ") + verb(f.access) + " " + name_of_shared(f.a) + " (" + bytes_text(f.bytes) + ")";
  const Conflict& c = f.conflict_with;
  if (c.kind == Conflict::uninitialised)
    return does + ", which nobody in this block has written yet, at " + line_of(f.pc);
  const std::string from = line_of(reinterpret_cast<const void*>(code_ + c.earlier.pc));
  return does + " at " + line_of(f.pc) + " in a race with thread " + thread_text(c.earlier.thread()) + ", which " +
         (c.earlier_wrote ? "wrote" : "read") + " it at " + from + ": no barrier lies between them";
}

}  // namespace cr::backend::simt
