// ## A fair race
//
// How fast is a function? On a machine that others use too, the same call takes 10 ms now
// and 17 ms a minute later. Two times that were taken one after the other cannot be
// compared. Four habits help:
//
// - **in turns**: all contestants run once in each round, so that a slow minute slows them all;
// - **the shortest time counts**: whatever disturbs a run makes it longer, never shorter;
// - **long enough**: what takes microseconds is repeated until the clock has something to measure;
// - **our own time**: the system counts how long a thread has been running. While another
// program has its turn, that clock stands still. It knows only one thread, though; who uses
// several is measured by the clock on the wall.
#pragma once

#include <time.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "book/progress.hpp"

struct Racer {
  template <class Work>
  Racer(Work work, bool uses_threads = false)
      : run(std::move(work)), threads(uses_threads) {}
  std::function<void()> run;
  bool threads;
};

inline double now(bool threads) {
  timespec t;
  clock_gettime(threads ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

inline double seconds(const Racer& racer, int calls) {
  const double start = now(racer.threads);
  for (int call = 0; call < calls; ++call) racer.run();
  return now(racer.threads) - start;
}

// The shortest time of one call of each racer, in seconds. A first round warms up caches,
// memory and clocks; it also says how often each must be called to fill `at_least` seconds.
inline std::vector<double> race(const std::vector<Racer>& racers, int rounds,
                                double at_least = 0.005) {
  std::vector<double> best(racers.size(), INFINITY);
  std::vector<int> calls;
  cr::Progress progress("racing", (1 + rounds) * std::ssize(racers), "runs");
  for (const Racer& racer : racers) {
    calls.push_back(1 + int(at_least / (seconds(racer, 1) + 1e-7)));
    progress.step();
  }
  for (int round = 0; round < rounds; ++round) {
    for (size_t k = 0; k < racers.size(); ++k) {
      best[k] = std::min(best[k], seconds(racers[k], calls[k]) / calls[k]);
      progress.step();
    }
  }
  return best;
}
