#include "backend/simt/counting.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "backend/simt/emulator.hpp"
#include "backend/simt/lines.hpp"

namespace cr::backend::simt {

static thread_local Tallies* tallies = nullptr;
Tallies* tallies_of_this_thread() { return tallies; }

int sectors(const Request& request, unsigned bytes) {
  uintptr_t seen[64];
  int n = 0;
  for (uint32_t rest = request.lanes; rest; rest &= rest - 1) {
    const uintptr_t a = request.address[std::countr_zero(rest)];
    for (uintptr_t sector = a / 32; sector <= (a + bytes - 1) / 32; ++sector) {
      // Neighbours mostly fall into the sector seen last.
      int i = n;
      while (i > 0 && seen[i - 1] != sector) --i;
      if (i == 0) seen[n++] = sector;
    }
  }
  return n;
}

int wavefronts(const Request& request, unsigned bytes, Access kind) {
  const int at_once = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  int sum = 0;
  for (int first = 0; first < 32; first += at_once) {
    // The words that each bank is asked for; the same word for several lanes is one.
    uintptr_t words[32][32];
    int depth[32] = {}, deepest = 0;
    const uint32_t part = at_once == 32 ? ~0u : ((1u << at_once) - 1) << first;
    for (uint32_t rest = request.lanes & part; rest; rest &= rest - 1) {
      const uintptr_t a = request.address[std::countr_zero(rest)];
      for (uintptr_t word = a / 4; word <= (a + bytes - 1) / 4; ++word) {
        const auto bank = static_cast<size_t>(word % 32);
        int i = depth[bank];
        while (i > 0 && (words[bank][i - 1] != word || kind == Access::atomic)) --i;
        if (i == 0) words[bank][depth[bank]++] = word;
        deepest = std::max(deepest, depth[bank]);
      }
    }
    sum += deepest;
  }
  return sum;
}

void Tallies::begin_kernel(const char* name, uint64_t blocks) {
  kernel_ = name;
  here_.clear();
  turns_.clear();
  last_ = nullptr;
  blocks_ = blocks;
  counted_ = 0;
  // A step that shares no factor with the grid's sides comes to every row and every column.
  const auto most = static_cast<uint64_t>(std::max<int64_t>(1, options_.blocks));
  every_ = (blocks_ + most - 1) / most;
  while (std::gcd(every_, blocks_) != 1) ++every_;
}

bool Tallies::begin_block(uint64_t number) {
  if (number % every_ != 0) return false;
  ++counted_;
  return true;
}

void Tallies::access(unsigned thread, bool shared, uintptr_t a, unsigned bytes, Access kind, const void* pc) {
  const uint64_t key = reinterpret_cast<uintptr_t>(pc) << 3 | static_cast<uint64_t>(kind) << 1 | shared;
  if (!last_ || key != last_key_) {
    last_ = &turns_[key];
    last_key_ = key;
  }
  Turn& turn = *last_;
  const unsigned lane = thread % 32;
  const uint32_t n = turn.times[lane]++;
  if (n >= kMostRequests) {
    ++turn.dropped;
    return;
  }
  if (n >= turn.used) {
    if (n == 0) turn.pc = pc, turn.shared = shared, turn.kind = kind;
    turn.bytes = bytes;
    turn.used = n + 1;
    if (turn.requests.size() < turn.used) turn.requests.resize(std::max<size_t>(turn.used, 2 * turn.requests.size()));
    turn.requests[n].lanes = 0;
  }
  turn.requests[n].lanes |= 1u << lane;
  turn.requests[n].address[lane] = a;
}

void Tallies::end_warp(unsigned threads) {
  const uint32_t whole = threads >= 32 ? ~0u : (1u << threads) - 1;
  for (auto& [key, turn] : turns_) {
    if (turn.used == 0) continue;
    LineCounts c;
    int64_t lanes = 0;
    for (size_t i = 0; i < turn.used; ++i) {
      const Request& r = turn.requests[i];
      const int n = std::popcount(r.lanes);
      lanes += n;
      c.divergent += r.lanes != whole;
      if (turn.shared) {
        c.shared_requests += 1;
        c.wavefronts += wavefronts(r, turn.bytes, turn.kind);
        c.ideal_wavefronts += std::max(1, (n * static_cast<int>(turn.bytes) + 127) / 128);
        continue;
      }
      const int s = sectors(r, turn.bytes);
      c.bytes += n * static_cast<int>(turn.bytes);
      c.ideal_sectors += std::min(s, std::max(1, (n * static_cast<int>(turn.bytes) + 31) / 32));
      (turn.kind == Access::read ? c.loads : c.stores) += 1;
      (turn.kind == Access::read ? c.load_sectors : c.store_sectors) += s;
    }
    if (turn.dropped > 0) c = c * (1 + static_cast<double>(turn.dropped) / static_cast<double>(lanes));
    here_[turn.pc] += c;
    std::fill(std::begin(turn.times), std::end(turn.times), 0);
    turn.used = turn.dropped = 0;
  }
}

void Tallies::end_kernel() {
  const double scale = counted_ > 0 ? static_cast<double>(blocks_) / static_cast<double>(counted_) : 1;
  for (const auto& [pc, c] : here_) all_[{kernel_, pc}] += scale == 1 ? c : c * scale;
}

Counts Tallies::counts() const {
  Counts counts{true, options_.operations, {}};
  std::vector<const void*> addresses;
  for (const auto& [key, c] : all_) addresses.push_back(key.second);
  const auto lines = lines_of(addresses);
  std::map<std::tuple<std::string, std::string, int>, LineCounts> sums;
  size_t i = 0;
  for (const auto& [key, c] : all_) {
    const Line& line = lines[i++];
    sums[{key.first, line.file, line.line}] += c;
  }
  for (auto& [key, c] : sums) {
    std::tie(c.kernel, c.file, c.line) = key;
    counts.lines.push_back(c);
  }
  return counts;
}

// A count inside a count is the inner one's alone.
Counts count(const std::function<void()>& f, const CountOptions& options) {
  if (!watch) {
    f();
    return {};
  }
  Tallies mine(options);
  struct Restore {
    Tallies* outer = tallies;
    ~Restore() { tallies = outer; }
  } restore;
  tallies = &mine;
  f();
  return mine.counts();
}

}  // namespace cr::backend::simt
