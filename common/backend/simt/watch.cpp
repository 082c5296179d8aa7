#include "backend/simt/watch.hpp"

#include <algorithm>
#include <cstdio>

#include "backend/simt/memory_map.hpp"
#include "tensor/error.hpp"

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

constexpr size_t kMostStaticallyShared = 48 << 10;  // on every GPU

std::string bytes_text(size_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

// "kernel(float*)::tile" -> "tile". clang appends .0, .1 … to the parts of a struct that it splits.
std::string last_name(const std::string& symbol) {
  const std::string name = demangled(symbol.substr(0, symbol.find('.')));
  const size_t colons = name.rfind("::");
  return colons == std::string::npos ? name : name.substr(colons + 2);
}

}  // namespace

// ## A launch
void Watcher::begin_kernel(const Kernel& kernel, const Grid& grid, void* shared) {
  learn_the_program(kernel.function());
  // An error in the middle of a constructor would leave it begun for ever: none is let begin.
  for (const SharedVariable& v : symbols_.shared) {
    if (v.constructed)
      throw DeviceError(std::string(kernel.name) + ": this program declares __shared__ " + last_name(v.symbol) +
                        ", which has a constructor or a destructor: a GPU runs neither");
  }
  ++launch_;
  shared_bytes_ = 0;
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

void Watcher::learn_the_program(uintptr_t kernel) {
  if (module_.holds(kernel)) return;
  module_ = module_of(kernel);
  symbols_ = symbols_of(module_);
  touched_in_.assign(symbols_.shared.size(), 0);
  statically_shared_ = {};
  if (symbols_.shared.empty()) return;
  statically_shared_ = {symbols_.shared.front().range.low, symbols_.shared.back().range.high};
  static_shadow_.cover(statically_shared_.low, statically_shared_.high - statically_shared_.low);
}

void Watcher::copy_begins(uintptr_t a, unsigned bytes, const void* pc) {
  Site site;
  look_up(site, a, bytes, Access::write, pc);
  if (a % bytes != 0) stop({Fault::misaligned, a, bytes, bytes, Access::write, pc, {}});
  if (site.place != Place::shared) return;
  const Conflict conflict = site.shadow->order_copy(clocks_, a, bytes, stamp(Access::write, pc));
  if (conflict.kind != Conflict::none) stop({Fault::conflict, a, bytes, bytes, Access::write, pc, conflict});
}

void Watcher::copy_arrives(uintptr_t a, unsigned bytes) {
  if (dynamic_.holds(a)) dynamic_shadow_.copy_arrives(a, bytes);
  else if (statically_shared_.holds(a)) static_shadow_.copy_arrives(a, bytes);
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
  const auto fail = [&](Fault::Kind fault) { stop({fault, a, bytes, 1, kind, pc, {}}); };
  if (is(Place::shared, dynamic_, &dynamic_shadow_)) return;
  if (const SharedVariable* variable = shared_variable(a)) {
    if (variable->gap) fail(Fault::outside);
    uint32_t& touched_in = touched_in_[static_cast<size_t>(variable - symbols_.shared.data())];
    if (touched_in != launch_) shared_bytes_ += variable->range.high - variable->range.low;
    touched_in = launch_;
    if (shared_bytes_ > kMostStaticallyShared) fail(Fault::too_much_shared);
    is(Place::shared, variable->range, &static_shadow_);
    return;
  }

  // Global memory.
  const MemoryBlock block = live_block(a);
  if (is(Place::global, {block.low, block.low + block.bytes})) return;

  // The kernel's arguments, constants, global variables. A constant may have no name.
  if (is(Place::quiet, parameters_)) return;
  for (const Module::Segment& segment : module_.segments) {
    if (!segment.range.holds(a)) continue;
    if (kind != Access::read && !segment.writable) break;
    auto after = std::upper_bound(symbols_.variables.begin(), symbols_.variables.end(), a,
                                  [](uintptr_t x, const Range& r) { return x < r.low; });
    if (after != symbols_.variables.begin() && is(Place::quiet, *--after)) return;
    if (segment.writable && !symbols_.variables.empty()) break;
    is(Place::quiet, segment.range);
    return;
  }
  fail(Fault::outside);
}

// The variable or gap with this address.
const SharedVariable* Watcher::shared_variable(uintptr_t a) const {
  if (!statically_shared_.holds(a)) return nullptr;
  auto after = std::upper_bound(symbols_.shared.begin(), symbols_.shared.end(), a,
                                [](uintptr_t x, const SharedVariable& v) { return x < v.range.low; });
  return (--after)->range.holds(a) ? &*after : nullptr;
}

std::string Watcher::name_of_shared(uintptr_t a) const {
  if (dynamic_.holds(a)) return "byte " + std::to_string(a - dynamic_.low) + " of dynamic_shared";
  if (const SharedVariable* v = shared_variable(a))
    return "byte " + std::to_string(a - v->range.low) + " of __shared__ " + last_name(v->symbol);
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
  if (f.kind == Fault::too_much_shared) {
    return std::string(" ") + verb(f.access) + " " + name_of_shared(f.a) + " at " + line_of(f.pc) +
           ": the variables declared __shared__ that it uses have " + std::to_string(shared_bytes_) +
           " bytes, a block has at most " + std::to_string(kMostStaticallyShared) + " for them";
  }
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
  if (statically_shared_.holds(a)) {
    const SharedVariable *before = nullptr, *after = nullptr;
    for (const SharedVariable& v : symbols_.shared) {
      if (v.gap) continue;
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
  for (const Module::Segment& segment : module_.segments) {
    if (segment.range.holds(a) && !segment.writable) return does + "of a constant" + at;
  }
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
  const std::string from = line_of(reinterpret_cast<const void*>(module_.base + c.earlier.pc));
  if (c.kind == Conflict::copy) {
    return does + " at " + line_of(f.pc) + ", to which a copy is on its way that thread " +
           thread_text(c.earlier.thread()) + " has ordered at " + from + " and not waited for";
  }
  return does + " at " + line_of(f.pc) + " in a race with thread " + thread_text(c.earlier.thread()) + ", which " +
         (c.earlier_wrote ? "wrote" : "read") + " it at " + from + ": no barrier lies between them";
}

}  // namespace cr::backend::simt
