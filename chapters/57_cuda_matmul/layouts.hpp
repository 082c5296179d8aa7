// ## Who computes what
//
// From here on all kernels are one kernel. A block of 256 threads makes 128 ×
// 128 numbers of C, and a thread has 8 × 8 of them, in four groups of 4 × 4.
// What differs is which: where thread $t$'s groups begin, and how far apart
// the rows of A's tile lie in shared memory. A **layout** is the answer to
// these questions. It is plain arithmetic, so the processor can ask as well,
// and count bank conflicts on paper before anything runs.
#pragma once

#include <algorithm>
#include <array>
#include <set>
#include <vector>

inline constexpr int kSide = 128, kThreads = 256;

// The eight rows and columns of a thread follow each other, as in rung 5: 16
// threads side by side, 16 one below the other.
struct Neighbours {
  static constexpr int kStep = kSide;
  static constexpr int row(int t, int half) { return t / 16 * 8 + half * 4; }
  static constexpr int column(int t, int half) { return t % 16 * 8 + half * 4; }
};

// The second four lie half a tile away, and each row of A's tile is four
// numbers longer than it has to be.
struct Spread {
  static constexpr int kStep = kSide + 4;
  static constexpr int row(int t, int half) { return t / 16 * 4 + half * 64; }
  static constexpr int column(int t, int half) { return t % 16 * 4 + half * 64; }
};

// Each of the eight warps has 32 rows by 64 columns for itself. Its lanes
// stand in four rows of eight, in a woven order: lanes 0 and 1 are side by
// side, lanes 2 and 3 below them, and so on.
struct Warps {
  static constexpr int kStep = kSide + 4;
  static constexpr int row(int t, int half) {
    const int down = t / 2 % 2 + t / 16 % 2 * 2;  // bits 1 and 4 of the lane
    return t / 64 * 32 + down * 4 + half * 16;
  }
  static constexpr int column(int t, int half) {
    const int right = t % 2 + t / 4 % 4 * 2;  // bits 0, 2 and 3
    return t / 32 % 2 * 64 + right * 4 + half * 32;
  }
};

// ## Banks on paper
//
// In one wavefront each bank gives one word, to any number of lanes. So it
// takes as many as the busiest bank has different words to give.
inline int wavefronts(const std::vector<int>& words) {
  std::array<std::set<int>, 32> bank;
  for (int word : words) bank[size_t(word % 32)].insert(word);
  size_t most = 1;
  for (const std::set<int>& b : bank) most = std::max(most, b.size());
  return int(most);
}

// A wavefront also brings 128 bytes at most to the lanes. A request for four
// words in each of 32 lanes is 512 bytes, and is served in quarters, eight
// lanes at a time. There is one way around it, says NVIDIA of its GPUs since
// 2017: if lanes 0 and 1 ask for the same, 2 and 3, and so on through the
// warp, or else 0 and 2, 1 and 3, 4 and 6, then it is served in halves.
// `first` gives the first of the four words for each lane.
template <class First> int wavefronts_of_four(const First& first, bool pairs) {
  // Is there a way around?
  bool twins = true, cousins = true;
  for (int lane = 0; lane < 32; ++lane) {
    twins = twins && first(lane) == first(lane ^ 1);
    cousins = cousins && first(lane) == first(lane ^ 2);
  }
  const int together = pairs && (twins || cousins) ? 16 : 8;
  // Quarter by quarter, or half by half.
  int sum = 0;
  for (int begin = 0; begin < 32; begin += together) {
    std::vector<int> words;
    for (int lane = begin; lane < begin + together; ++lane)
      for (int e = 0; e < 4; ++e) words.push_back(first(lane) + e);
    sum += wavefronts(words);
  }
  return sum;
}

// For one $p$ a warp makes four such requests, two for A and two for B. The
// emulator counts without the way around.
template <class Layout> int wavefronts_of_a_step(int warp, bool pairs = false) {
  int sum = 0;
  for (int half : {0, 1}) {
    auto row = [&](int lane) { return Layout::row(warp * 32 + lane, half); };
    auto column = [&](int lane) { return Layout::column(warp * 32 + lane, half); };
    sum += wavefronts_of_four(row, pairs) + wavefronts_of_four(column, pairs);
  }
  return sum;
}
