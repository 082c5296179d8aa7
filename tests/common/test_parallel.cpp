// # The thread pool
//
// Every tile runs exactly once, whoever runs it; exceptions come back; callers may nest and collide.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/parallel.hpp"
#include "catch.hpp"
#include "machine.hpp"
#include "tensor/error.hpp"

#if CHAINRULE_THREADS
#include <thread>
#endif

using namespace cr;
using cr::backend::num_threads;
using cr::backend::parallel_for;
using cr::backend::set_num_threads;

namespace {

// How often each of `tiles` tiles ran. A plain int per tile: if two threads ran the same one, the thread sanitizer
// would say so.
std::vector<int> runs_of_each(int64_t tiles) {
  std::vector<int> runs(static_cast<size_t>(tiles), 0);
  parallel_for(tiles, [&](int64_t tile) { ++runs[static_cast<size_t>(tile)]; });
  return runs;
}

bool all_once(const std::vector<int>& runs) {
  return std::all_of(runs.begin(), runs.end(), [](int n) { return n == 1; });
}

}  // namespace

TEST_CASE("every tile runs exactly once", "[parallel]") {
  const Threads restore;
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    for (const int64_t tiles : {0, 1, 2, 3, 7, 64, 1000})
      for (int repeat = 0; repeat < 20; ++repeat) {
        const std::vector<int> runs = runs_of_each(tiles);
        if (!all_once(runs)) FAIL(threads << " threads, " << tiles << " tiles");
      }
  }
  SUCCEED();
}

TEST_CASE("what the tiles wrote is seen by the caller", "[parallel]") {
  const Threads restore;
  set_num_threads(4);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    int64_t values[8] = {};
    parallel_for(8, [&](int64_t tile) { values[tile] = tile + repeat; });
    int64_t sum = 0;
    for (const int64_t value : values) sum += value;
    if (sum != 28 + 8 * repeat) FAIL("sum " << sum << " in round " << repeat);
  }
  SUCCEED();
}

TEST_CASE("a tile's exception reaches the caller, and the pool works on", "[parallel]") {
  const Threads restore;
  for (const int threads : {1, 2, 4}) {
    set_num_threads(threads);
    for (int repeat = 0; repeat < 50; ++repeat) {
      std::atomic<int> begun{0};
      std::string message;
      try {
        parallel_for(100, [&](int64_t tile) {
          ++begun;
          if (tile == 13) throw std::runtime_error("thirteen");
        });
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      if (message != "thirteen" || begun < 1 || begun > 100) FAIL("message '" << message << "', " << begun << " begun");
      if (!all_once(runs_of_each(10))) FAIL("the next job was not complete");
    }
  }
  SUCCEED();
}

TEST_CASE("when every tile throws, one exception arrives", "[parallel]") {
  const Threads restore;
  set_num_threads(4);
  for (int repeat = 0; repeat < 50; ++repeat)
    CHECK_THROWS_AS(parallel_for(8, [](int64_t tile) { throw std::out_of_range(std::to_string(tile)); }),
                    std::out_of_range);
}

TEST_CASE("a loop inside a tile runs in that tile", "[parallel]") {
  const Threads restore;
  set_num_threads(3);
  std::vector<int> runs(20 * 30, 0);
  parallel_for(20, [&](int64_t outer) {
    parallel_for(30, [&](int64_t inner) { ++runs[static_cast<size_t>(outer * 30 + inner)]; });
  });
  CHECK(all_once(runs));
}

TEST_CASE("the number of threads is checked and kept", "[parallel]") {
  const Threads restore;
  for (const int bad : {-1, 257, 1000000}) CHECK_THROWS_AS(set_num_threads(bad), Error);
  set_num_threads(0);
  CHECK(num_threads() >= 1);
  set_num_threads(1);
  CHECK(num_threads() == 1);
#if CHAINRULE_THREADS
  for (const int n : {2, 64, 256}) {
    set_num_threads(n);
    CHECK(num_threads() == n);
  }
#endif
}

TEST_CASE("the number of threads may grow and shrink between loops", "[parallel]") {
  const Threads restore;
  for (const int threads : {2, 1, 5, 3, 8, 2, 1, 4}) {
    set_num_threads(threads);
    CHECK(all_once(runs_of_each(50)));
  }
}

#if CHAINRULE_THREADS
TEST_CASE("several threads of a program may call at once, also while the number changes", "[parallel]") {
  const Threads restore;
  set_num_threads(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller)
    callers.emplace_back([&wrong] {
      for (int repeat = 0; repeat < 300; ++repeat)
        if (!all_once(runs_of_each(17))) ++wrong;
    });
  for (int n = 1; n < 100; ++n) set_num_threads(1 + n % 4);
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("two threads really take part", "[parallel]") {
  const Threads restore;
  set_num_threads(2);
  // The first tile waits until the second has begun, which only another thread can do. Should none come within a
  // hundred million looks, the test fails instead of hanging.
  std::atomic<bool> begun{false};
  bool together = false;
  parallel_for(2, [&](int64_t tile) {
    if (tile == 1) begun = true;
    for (int64_t look = 0; tile == 0 && !together && look < 100'000'000; ++look) together = begun;
  });
  CHECK(together);
}
#endif
