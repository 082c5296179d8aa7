// ## Who computes what
//
// From here on all kernels are one kernel. A block of 256 threads makes 128 × 128 numbers
// of C, and a thread has 8 × 8 of them, in four groups of 4 × 4. What differs is which:
// where thread $t$'s groups begin, and how far apart the rows of A's tile lie in shared
// memory. A **layout** is the answer to these questions. It is plain arithmetic, so the
// processor can ask as well, and count bank conflicts on paper before anything runs.
#pragma once

#include <algorithm>
#include <array>
#include <set>
#include <vector>

inline constexpr int kSide = 128, kThreads = 256;

// The eight rows and columns of a thread follow each other, as in rung 5: 16 threads side
// by side, 16 one below the other.
struct Neighbours {
  static constexpr int kStep = kSide;
  static constexpr int row(int t, int half) { return t / 16 * 8 + half * 4; }
  static constexpr int column(int t, int half) { return t % 16 * 8 + half * 4; }
};

// The second four lie half a tile away, and each row of A's tile is four numbers longer
// than it has to be.
struct Spread {
  static constexpr int kStep = kSide + 4;
  static constexpr int row(int t, int half) { return t / 16 * 4 + half * 64; }
  static constexpr int column(int t, int half) { return t % 16 * 4 + half * 64; }
};

// Each of the eight warps has 32 rows by 64 columns for itself, its lanes standing in four
// rows of eight.
struct Warps {
  static constexpr int kStep = kSide + 4;
  static constexpr int row(int t, int half) {
    return t / 32 / 2 * 32 + t % 32 / 8 * 4 + half * 16;
  }
  static constexpr int column(int t, int half) {
    return t / 32 % 2 * 64 + t % 8 * 4 + half * 32;
  }
};

// ## Banks on paper
//
// Shared memory lies in 32 **banks**: word $w$ of 4 bytes in bank $w \bmod 32$. In one pass,
// called a **wavefront**, each bank gives one word, to any number of lanes. So a request
// takes as many wavefronts as the busiest bank has different words to give.
inline int wavefronts(const std::vector<int>& words) {
  std::array<std::set<int>, 32> bank;
  for (int word : words) bank[size_t(word % 32)].insert(word);
  size_t most = 1;
  for (const std::set<int>& b : bank) most = std::max(most, b.size());
  return int(most);
}

// For one $p$ a warp makes four requests of four words for each lane: two for A, two for B.
// This is what they take, for warp `w`.
template <class Layout> int wavefronts_of_a_step(int w) {
  int sum = 0;
  for (int half : {0, 1}) {
    std::vector<int> a, b;
    for (int t = 32 * w; t < 32 * w + 32; ++t)
      for (int e = 0; e < 4; ++e) {
        a.push_back(Layout::row(t, half) + e);
        b.push_back(Layout::column(t, half) + e);
      }
    sum += wavefronts(a) + wavefronts(b);
  }
  return sum;
}
