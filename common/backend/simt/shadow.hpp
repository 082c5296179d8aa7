// # Who has touched this word of shared memory?
//
// Two threads **race** when both touch a word, one of them writes, and nothing between the two accesses makes one wait
// for the other. The emulator runs threads in a fixed order, so a race does no harm here; on a GPU the order is
// anybody's, and the result with it. To find races without suffering from them we keep, for every word of shared
// memory, a **shadow**: who wrote it last, who read it last, and when.
//
// *When* is told by two clocks. The block's **epoch** grows at every barrier: accesses of different epochs are in order.
// Within an epoch only lanes of one warp can be, by meeting: each thread counts its own meetings, and remembers of
// every other lane of its warp up to which of that lane's meetings it knows (a **vector clock**). An access of lane $a$
// before its meeting number $c$ is in order with lane $b$'s now if $b$ knows $a$ up to $c$.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace cr::backend::simt {

enum class Access : uint8_t { read, write, atomic };

class Clocks {
 public:
  void begin_block() {
    first_epoch = ++epoch;
    if (met_) {
      meetings_.fill(1);
      std::memset(known_.data(), 0, sizeof known_);
      met_ = false;
    }
  }
  void barrier() { ++epoch; }

  // The lanes of the warp whose thread 0 is `first` have met: each now knows what any of them knew.
  void meet(unsigned first, unsigned lanes) {
    met_ = true;
    std::array<uint32_t, 32> joined{};
    for (unsigned a = 0; a < 32; ++a) {
      if (lanes >> a & 1) {
        joined[a] = meetings_[first + a];
        continue;
      }
      for (unsigned rest = lanes; rest; rest &= rest - 1)
        joined[a] = std::max(joined[a], known_[first + static_cast<unsigned>(__builtin_ctz(rest))][a]);
    }
    for (unsigned rest = lanes; rest; rest &= rest - 1) {
      const unsigned thread = first + static_cast<unsigned>(__builtin_ctz(rest));
      known_[thread] = joined;
      if (meetings_[thread] < kMostMeetings) ++meetings_[thread];
    }
  }

  uint32_t meetings(unsigned thread) const { return meetings_[thread]; }

  // Whether what `other` did before its meeting `meeting`, in this epoch, is in order with what `thread` does now.
  bool ordered(unsigned thread, unsigned other, uint32_t meeting) const {
    return thread == other || (thread / 32 == other / 32 && meeting <= known_[thread][other % 32]);
  }

  uint32_t epoch = 1, first_epoch = 1;  // of this block: a word without a write since then has no value

 private:
  static constexpr uint32_t kMostMeetings = (1u << 21) - 1;  // beyond them races may be missed, never invented
  std::array<uint32_t, 1024> meetings_ = [] {
    std::array<uint32_t, 1024> ones;
    ones.fill(1);
    return ones;
  }();
  std::array<std::array<uint32_t, 32>, 1024> known_{};
  bool met_ = false;
};

// One access: epoch, thread, its count of meetings, whether atomic, and from where.
struct Stamp {
  uint32_t epoch = 0, who = 0, pc = 0;
  unsigned thread() const { return who >> 22; }
  uint32_t meeting() const { return who >> 1 & 0x1fffff; }
  bool atomic() const { return who & 1; }
};

// Accesses of which some need not be in order with each other: reads, or writes that were atomic. Kept are the last one and
// one of those before that are not in order with it; of another warp if there is one, because warps are never in order
// within an epoch. What atomics followed on is kept rather than one of them.
struct Latest {
  Stamp last, other;
};

// The shadow of one word of four bytes.
struct Cell {
  Latest write, read;
  uint32_t copy : 1 = 0;    // the last write is a copy that is on its way
  uint32_t bytes : 31 = 0;  // not 0: the word is used byte by byte; the number of its four cells, plus 1
};

struct Conflict {
  enum Kind : uint8_t { none, uninitialised, race, copy } kind = none;
  Stamp earlier;
  bool earlier_wrote = false;
};

// The shadow of a piece of shared memory.
class Shadow {
 public:
  // Covers `bytes` bytes from `low` on, and forgets all.
  void cover(uintptr_t low, size_t bytes) {
    first_word_ = low / 4;
    const size_t words = (low + bytes + 3) / 4 - first_word_;
    if (cells_.size() < words) cells_.resize(words);
  }
  void clear() {
    std::fill(cells_.begin(), cells_.end(), Cell{});
    split_.clear();
  }

  // One thread's access to bytes [a, a + size); `now` is its stamp.
  Conflict access(const Clocks& clocks, uintptr_t a, unsigned size, Access kind, const Stamp& now) {
    if (a % 4 == 0 && size % 4 == 0) {
      for (unsigned i = 0; i < size; i += 4) {
        Cell& cell = cells_[(a + i) / 4 - first_word_];
        const Conflict c = cell.bytes ? access_bytes(clocks, cell, 0, 4, kind, now) : touch(clocks, cell, kind, now);
        if (c.kind == Conflict::uninitialised && size >= 8 && a % 8 == 0 && partly_written(clocks, a + i / 8 * 8))
          continue;
        if (c.kind != Conflict::none) return c;
      }
      return {};
    }
    // Bytes that are not whole words get a cell each.
    for (uintptr_t b = a; b < a + size;) {
      const auto from = static_cast<unsigned>(b % 4);
      const auto to = static_cast<unsigned>(std::min<uintptr_t>(4, from + (a + size - b)));
      Cell& cell = cells_[b / 4 - first_word_];
      if (!cell.bytes) {
        Cell whole = cell;
        split_.push_back({whole, whole, whole, whole});
        cell.bytes = static_cast<uint32_t>(split_.size()) & 0x7fffffffu;
      }
      const Conflict c = access_bytes(clocks, cell, from, to, kind, now);
      if (c.kind != Conflict::none) return c;
      b += to - from;
    }
    return {};
  }

  // A thread orders a copy to whole words. It may come at any time from now until it is waited for: to write, read or order
  // another one in between is a race, for this thread too.
  Conflict order_copy(const Clocks& clocks, uintptr_t a, unsigned size, const Stamp& now) {
    if (const Conflict c = access(clocks, a, size, Access::write, now); c.kind != Conflict::none) return c;
    set_copy(a, size, true);
    return {};
  }
  // It is there; the thread that has waited for it writes it.
  void copy_arrives(uintptr_t a, unsigned size) { set_copy(a, size, false); }

 private:
  void set_copy(uintptr_t a, unsigned size, bool on_its_way) {
    for (uintptr_t word = a / 4; word < (a + size) / 4; ++word) {
      Cell& cell = cells_[word - first_word_];
      cell.copy = on_its_way;
      if (!cell.bytes) continue;
      for (Cell& one : split_[cell.bytes - 1]) one.copy = on_its_way;
    }
  }

  // A struct is copied with its padding, which nobody writes: eight bytes have a value if one of them has.
  bool partly_written(const Clocks& clocks, uintptr_t a) const {
    const auto written = [&](const Cell& cell) { return cell.write.last.epoch >= clocks.first_epoch; };
    for (uintptr_t word = a / 4; word < a / 4 + 2; ++word) {
      const Cell& cell = cells_[word - first_word_];
      if (!cell.bytes) {
        if (written(cell)) return true;
        continue;
      }
      const auto& bytes = split_[cell.bytes - 1];
      if (std::any_of(bytes.begin(), bytes.end(), written)) return true;
    }
    return false;
  }

  Conflict access_bytes(const Clocks& clocks, const Cell& cell, unsigned from, unsigned to, Access kind,
                        const Stamp& now) {
    auto& bytes = split_[cell.bytes - 1];
    for (unsigned i = from; i < to; ++i) {
      if (Conflict c = touch(clocks, bytes[i], kind, now); c.kind != Conflict::none) return c;
    }
    return {};
  }

  static bool races(const Clocks& clocks, const Stamp& earlier, const Stamp& now) {
    return earlier.epoch == now.epoch && !clocks.ordered(now.thread(), earlier.thread(), earlier.meeting());
  }

  // Two atomics are never in a race.
  static bool races(const Clocks& clocks, const Stamp& earlier, Access kind, const Stamp& now) {
    return races(clocks, earlier, now) && !(earlier.atomic() && kind == Access::atomic);
  }
  static const Stamp* racing(const Clocks& clocks, const Latest& all, Access kind, const Stamp& now) {
    if (all.last.epoch != now.epoch) return nullptr;
    if (races(clocks, all.last, kind, now)) return &all.last;
    return races(clocks, all.other, kind, now) ? &all.other : nullptr;
  }

  static void add(const Clocks& clocks, Latest& all, const Stamp& now) {
    if (all.last.epoch != now.epoch) {
      all = {now, {}};
      return;
    }
    const auto plain = [&](const Stamp& s) { return now.atomic() && !s.atomic(); };
    const auto other_warp = [&](const Stamp& s) { return s.thread() / 32 != now.thread() / 32; };
    const bool worth_keeping = all.other.epoch == now.epoch && (plain(all.other) || other_warp(all.other));
    if (plain(all.last)) all.other = all.last;
    else if (!worth_keeping && (other_warp(all.last) || !races(clocks, all.other, now)))
      all.other = races(clocks, all.last, now) ? all.last : Stamp{};
    all.last = now;
  }

  static Conflict touch(const Clocks& clocks, Cell& cell, Access kind, const Stamp& now) {
    const bool written = cell.write.last.epoch >= clocks.first_epoch;
    if (cell.copy && written) return {Conflict::copy, cell.write.last, true};
    if (kind != Access::write && !written) return {Conflict::uninitialised, {}, false};
    if (const Stamp* earlier = racing(clocks, cell.write, kind, now)) return {Conflict::race, *earlier, true};
    if (kind == Access::read) {
      add(clocks, cell.read, now);
      return {};
    }
    if (const Stamp* earlier = racing(clocks, cell.read, kind, now)) return {Conflict::race, *earlier, false};
    if (kind == Access::atomic) {
      add(clocks, cell.write, now);
    } else {
      cell.write = {now, {}};
      cell.copy = false;
    }
    return {};
  }

  uintptr_t first_word_ = 0;
  std::vector<Cell> cells_;
  std::vector<std::array<Cell, 4>> split_;
};

}  // namespace cr::backend::simt
