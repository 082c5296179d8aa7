// # Races against brute force
//
// Threads of three warps read and write one word, meet in their warps, and cross barriers, all at random. Brute force
// remembers every access and, for each thread, every access that is in order with what it does next. The shadow
// remembers four.
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <set>
#include <vector>

#include "backend/simt/shadow.hpp"
#include "catch.hpp"
#include "tensor/error.hpp"

using namespace cr::backend::simt;

namespace {

constexpr unsigned kThreads = 96;

struct Numbers {
  uint64_t state;
  unsigned below(unsigned n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<unsigned>(state >> 33) % n;
  }
};

struct Past {
  unsigned thread;
  Access kind;
};

// What each thread knows to be over before its next access.
struct BruteForce {
  std::vector<Past> accesses;
  std::vector<std::set<size_t>> knows = std::vector<std::set<size_t>>(kThreads);

  void meet(unsigned first, unsigned lanes) {
    std::set<size_t> all;
    for (unsigned l = 0; l < 32; ++l) {
      if (lanes >> l & 1) all.insert(knows[first + l].begin(), knows[first + l].end());
    }
    for (unsigned l = 0; l < 32; ++l) {
      if (lanes >> l & 1) knows[first + l] = all;
    }
  }
  void barrier() {
    accesses.clear();
    for (auto& k : knows) k.clear();
  }
  // Whether the access races with an earlier one, with the last write, with another warp's access.
  struct Answer {
    bool any = false, last_write = false, other_warp = false;
  };
  Answer access(unsigned thread, Access kind) {
    Answer answer;
    size_t last_write = SIZE_MAX;
    for (size_t i = 0; i < accesses.size(); ++i) {
      if (accesses[i].kind != Access::read) last_write = i;
    }
    for (size_t i = 0; i < accesses.size(); ++i) {
      const Past& p = accesses[i];
      const bool harmless = (p.kind == Access::read && kind == Access::read) ||
                            (p.kind == Access::atomic && kind == Access::atomic) || knows[thread].count(i);
      if (harmless) continue;
      answer.any = true;
      answer.last_write |= i == last_write;
      answer.other_warp |= p.thread / 32 != thread / 32;
    }
    if (answer.any) return answer;
    knows[thread].insert(accesses.size());
    accesses.push_back({thread, kind});
    return answer;
  }
};

}  // namespace

TEST_CASE("the shadow invents no race, and finds those it promises to find", "[simt]") {
  int races = 0, missed = 0, quiet = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Numbers random{seed};
    BruteForce brute;
    Clocks clocks;
    Shadow shadow;
    shadow.cover(0, 8);
    clocks.begin_block();
    const unsigned threads = 1 + random.below(6), meets = random.below(4), reads = 1 + random.below(3);
    unsigned who[6];
    for (unsigned& t : who) t = random.below(kThreads);
    auto access = [&](unsigned t, Access kind) {
      const Stamp now{clocks.epoch, t << 22 | clocks.meetings(t) << 1 | (kind == Access::atomic), 0};
      return shadow.access(clocks, 4, 4, kind, now).kind;
    };
    access(0, Access::write);
    clocks.barrier();
    for (int step = 0; step < 60; ++step) {
      if (random.below(4) < meets) {
        const unsigned first = random.below(3) * 32;
        const unsigned lanes = random.below(2) ? 0xffffffffu : random.below(1u << 31) | random.below(2) << 31;
        clocks.meet(first, lanes);
        brute.meet(first, lanes);
        continue;
      }
      if (random.below(20) == 0) {
        clocks.barrier();
        brute.barrier();
        continue;
      }
      const unsigned t = who[random.below(threads)];
      const Access kind = random.below(4) < reads ? Access::read : random.below(2) ? Access::write : Access::atomic;
      const auto expected = brute.access(t, kind);
      const bool found = access(t, kind) == Conflict::race;
      CAPTURE(seed, step, t, static_cast<int>(kind));
      if (found) REQUIRE(expected.any);
      if (expected.last_write || expected.other_warp) REQUIRE(found);
      if (expected.any) {  // here a kernel would have ended
        ++races;
        missed += !found;
        break;
      }
      ++quiet;
    }
  }
  CHECK(races > 500);
  CHECK(missed < 0.03 * races);
  CHECK(quiet > 5000);
}

TEST_CASE("bytes of one word are apart", "[simt]") {
  Clocks clocks;
  Shadow shadow;
  shadow.cover(100, 64);
  clocks.begin_block();
  auto access = [&](unsigned t, uintptr_t a, unsigned size, Access kind) {
    return shadow.access(clocks, a, size, kind, {clocks.epoch, t << 22 | clocks.meetings(t) << 1, 0}).kind;
  };
  CHECK(access(0, 101, 1, Access::write) == Conflict::none);
  CHECK(access(1, 102, 2, Access::write) == Conflict::none);
  CHECK(access(1, 101, 1, Access::read) == Conflict::race);
  CHECK(access(0, 100, 4, Access::read) == Conflict::uninitialised);
  CHECK(access(2, 103, 8, Access::write) == Conflict::race);
  clocks.barrier();
  CHECK(access(3, 100, 4, Access::write) == Conflict::none);
  CHECK(access(4, 103, 1, Access::read) == Conflict::race);
  CHECK(access(3, 100, 4, Access::read) == Conflict::none);
  CHECK(access(5, 120, 16, Access::write) == Conflict::none);
  CHECK(access(6, 132, 4, Access::atomic) == Conflict::race);
}

TEST_CASE("a copy is in everybody's way until it arrives", "[simt]") {
  Clocks clocks;
  Shadow shadow;
  shadow.cover(96, 64);
  clocks.begin_block();
  auto stamp = [&](unsigned t) { return Stamp{clocks.epoch, t << 22 | clocks.meetings(t) << 1, 0}; };
  auto access = [&](unsigned t, uintptr_t a, unsigned size, Access kind) {
    return shadow.access(clocks, a, size, kind, stamp(t)).kind;
  };
  CHECK(access(3, 101, 1, Access::write) == Conflict::none);
  clocks.barrier();
  CHECK(shadow.order_copy(clocks, 96, 16, stamp(0)).kind == Conflict::none);
  clocks.barrier();
  CHECK(access(1, 108, 4, Access::write) == Conflict::copy);
  CHECK(access(0, 101, 1, Access::read) == Conflict::copy);
  CHECK(shadow.order_copy(clocks, 104, 8, stamp(0)).kind == Conflict::copy);
  CHECK(access(1, 112, 4, Access::write) == Conflict::none);
  shadow.copy_arrives(96, 16);
  CHECK(access(0, 96, 16, Access::write) == Conflict::none);
  CHECK(access(1, 101, 1, Access::read) == Conflict::race);
  clocks.barrier();
  CHECK(access(1, 101, 1, Access::read) == Conflict::none);

  // What was on its way when a block ended is nothing to the next one.
  CHECK(shadow.order_copy(clocks, 96, 16, stamp(1)).kind == Conflict::none);
  clocks.begin_block();
  CHECK(access(0, 96, 4, Access::read) == Conflict::uninitialised);
  CHECK(access(0, 96, 4, Access::write) == Conflict::none);
  CHECK(access(0, 96, 4, Access::read) == Conflict::none);
}
#endif
