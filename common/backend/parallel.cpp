#include "backend/parallel.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tensor/error.hpp"

#ifndef CHAINRULE_THREADS
#define CHAINRULE_THREADS 1
#endif

#if CHAINRULE_THREADS
#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#endif

namespace cr::backend {
namespace {

constexpr int kMaxThreads = 256;

void check_range(int n) {
  if (n < 0 || n > kMaxThreads)
    throw Error("set_num_threads: " + std::to_string(n) + " threads; expected 1 to 256, or 0 for all processors");
}

}  // namespace

#if !CHAINRULE_THREADS

// Without threads the whole file is a loop.
int num_threads() { return 1; }

void set_num_threads(int n) { check_range(n); }

void detail::run_tiles(int64_t tiles, TileFunction function, void* context) {
  for (int64_t tile = 0; tile < tiles; ++tile) function(context, tile);
}

#else

namespace {

int hardware_threads() { return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads); }

int threads_from_environment() {
  const char* word = std::getenv("CHAINRULE_THREADS");
  if (word == nullptr || *word == '\0') return hardware_threads();
  int n = 0;
  const char* end = word + std::strlen(word);
  const auto parsed = std::from_chars(word, end, n);
  if (parsed.ec != std::errc{} || parsed.ptr != end || n < 0 || n > kMaxThreads)
    throw Error("CHAINRULE_THREADS=" + std::string(word) +
                ": expected a number from 1 to 256, or 0 for all processors");
  return n == 0 ? hardware_threads() : n;
}

// Zero means "not decided yet": the environment is read on first use, so that a bad word becomes an exception that
// somebody can catch, not an abort before `main`.
std::atomic<int> chosen_threads{0};

// True while this thread executes a tile: a `parallel_for` inside it then runs alone.
thread_local bool inside_tile = false;

struct InsideTile {
  InsideTile() { inside_tile = true; }
  ~InsideTile() { inside_tile = false; }
};

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waiting costs: to sleep and be woken takes some 5 to 50 µs, longer than many a kernel runs. So a thread first looks
// at the value again and again for 200 µs, which bridges the gap between two operations of a training step, and then
// sleeps, so that an idle program burns nothing. With more threads than processors looking only steals time from those
// who work.
template <class Ready> void wait_until(const std::atomic<int>& value, Ready ready) {
  static const int processors = hardware_threads();
  if (chosen_threads.load(std::memory_order_relaxed) <= processors) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
    do {
      for (int i = 0; i < 16; ++i) {
        if (ready(value.load(std::memory_order_acquire))) return;
        relax();
      }
    } while (std::chrono::steady_clock::now() < deadline);
  }
  for (int seen = value.load(); !ready(seen); seen = value.load()) value.wait(seen);
}

// ## The pool
//
// One job at a time lies in the pool: a function, its context, and the tiles, dealt out evenly: the first ones to the
// caller, the next ones to the first worker, and so on. A thread that has done its share helps with the next thread's.
//
// Why not one heap of tiles for all? Because operations follow each other on the same numbers: who wrote a tile of the
// last result has it in its own cache, and is the one to read it. Another core would have to be asked for it.
//
// How do workers enter and leave safely? By a number of open **places**. The caller opens as many as it wants helpers.
// A worker that takes a place has joined, and may read the job. When the caller runs out of tiles, it closes the places
// that are still open and waits only for the workers that joined. One that slept through it all finds no place and goes
// back to sleep, without ever having looked at a job that may be gone.
//
// So the caller never waits for a thread that the system has not scheduled. On a loaded machine it does the work
// itself. The same holds in a process after `fork`, where the workers do not exist: nobody takes a place.
class Pool {
 public:
  // False: somebody else is using the pool. The caller then does its tiles itself.
  bool run(int64_t tiles, int threads, detail::TileFunction function, void* context) {
    std::unique_lock only_one(owner_, std::try_to_lock);
    if (!only_one) return false;
    grow(threads - 1);
    const int places = static_cast<int>(std::min<int64_t>({tiles, threads, workers_ + 1}) - 1);

    function_ = function;
    context_ = context;
    shares_ = places + 1;
    for (int i = 0; i < shares_; ++i) {
      share_[i].next.store(tiles * i / shares_, std::memory_order_relaxed);
      share_[i].end = tiles * (i + 1) / shares_;
    }
    finished_.store(0, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    places_.store(places);
    if (places == 1) places_.notify_one();
    if (places > 1) places_.notify_all();

    claim_tiles(0);
    const int joined = places - places_.exchange(0);
    wait_until(finished_, [&](int finished) { return finished == joined; });

    if (failed_.load(std::memory_order_relaxed)) std::rethrow_exception(std::exchange(error_, nullptr));
    return true;
  }

 private:
  // Workers are started when first needed and never ended: those in excess sleep. If the system refuses a thread, there
  // are fewer, and the results are the same.
  void grow(int wanted) {
    try {
      for (; workers_ < wanted; ++workers_) std::thread([this, own = workers_ + 1] { work(own); }).detach();
    } catch (const std::system_error&) {
    }
  }

  void work(int own) {
    for (;;) {
      wait_until(places_, [](int places) { return places > 0; });
      int places = places_.load();
      if (places <= 0 || !places_.compare_exchange_strong(places, places - 1)) continue;
      claim_tiles(own);
      finished_.fetch_add(1);
      finished_.notify_one();
    }
  }

  // Worker number `own` (the caller is 0) begins with its own share. Workers may be more than shares: then two share one.
  void claim_tiles(int own) {
    InsideTile mark;
    try {
      for (int i = 0; i < shares_; ++i) {
        Share& share = share_[(own + i) % shares_];
        for (int64_t tile; (tile = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;)
          function_(context_, tile);
      }
    } catch (...) {
      for (int i = 0; i < shares_; ++i) share_[i].next.store(share_[i].end, std::memory_order_relaxed);
      if (!failed_.exchange(true)) error_ = std::current_exception();
    }
  }

  std::mutex owner_;
  int workers_ = 0;

  detail::TileFunction function_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;

  // Each counter has a cache line (64 bytes, 128 with its neighbour) to itself: a thread that waits on one must not
  // slow down those that count on another.
  struct alignas(128) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  Share share_[kMaxThreads];
  int shares_ = 0;
  alignas(128) std::atomic<int> places_{0};
  alignas(128) std::atomic<int> finished_{0};
  std::atomic<bool> failed_{false};
};

// The pool is never destroyed. Its workers sleep when the program ends and the system takes them away; to join them
// from a static destructor would hang in a forked child, and would pull the pool from under a thread that still
// computes.
Pool& pool() {
  static Pool* the_pool = new Pool;
  return *the_pool;
}

}  // namespace

int num_threads() {
  int n = chosen_threads.load(std::memory_order_relaxed);
  if (n == 0) {
    const int initial = threads_from_environment();
    n = chosen_threads.compare_exchange_strong(n, initial) ? initial : n;
  }
  return n;
}

void set_num_threads(int n) {
  check_range(n);
  chosen_threads.store(n == 0 ? hardware_threads() : n);
}

void detail::run_tiles(int64_t tiles, TileFunction function, void* context) {
  if (tiles > 1 && !inside_tile) {
    const int threads = num_threads();
    if (threads > 1 && pool().run(tiles, threads, function, context)) return;
  }
  for (int64_t tile = 0; tile < tiles; ++tile) function(context, tile);
}

#endif

}  // namespace cr::backend
