// ## A fair race
//
// How fast is a function? On a machine that others use too, the same call takes 10 ms now and 17 ms a minute later. Two
// times that were taken one after the other cannot be compared. Three habits help:
//
// - **in turns**: all contestants run once in each round, so that a slow minute slows them all;
// - **the shortest time counts**: whatever disturbs a run makes it longer, never shorter;
// - **long enough**: what takes microseconds is repeated until the clock has something to measure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <vector>

inline double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - start;
  return passed.count();
}

// The shortest time of each contestant, in seconds. A first round warms up caches, memory and clocks; it also says how
// often each must be called to fill `at_least` seconds.
inline std::vector<double> race(
    const std::vector<std::function<void()>>& contestants, int rounds,
    double at_least = 0.005) {
  std::vector<double> best(contestants.size(), INFINITY);
  std::vector<int> calls;
  for (const auto& work : contestants) {
    const double once = seconds(work);
    calls.push_back(1 + static_cast<int>(at_least / (once + 1e-7)));
  }
  for (int round = 0; round < rounds; ++round) {
    for (size_t k = 0; k < contestants.size(); ++k) {
      const double all = seconds([&] {
        for (int call = 0; call < calls[k]; ++call) contestants[k]();
      });
      best[k] = std::min(best[k], all / calls[k]);
    }
  }
  return best;
}
