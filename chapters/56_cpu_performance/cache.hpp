// ## A cache on paper
//
// How often does a program miss the cache? The processor counts it, but not every machine
// lets us read the counter, and other programs disturb it. So here is a cache of our own.
// It stores no data, only which **cache lines** it would hold, and counts. What it says is
// exact, and the same on every machine.
//
// A line is a run of neighbouring bytes, 64 of them in nearly every processor: memory is
// fetched line by line, never byte by byte. A line may lie only in one **set** of the
// cache, the set whose number is the line's number modulo the number of sets. Each set has
// room for a few lines, as many as the cache has **ways**. When a set is full, the line
// goes that has not been used for longest (**LRU**, *least recently used*). Real processors
// come close to that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

class PaperCache {
 public:
  // `sets` times `ways` lines of `line` bytes each. With one set any lines can be together:
  // such a cache is called **fully associative**.
  PaperCache(int64_t sets, int64_t ways, int64_t line = 64)
      : line_(line), ways_(static_cast<size_t>(ways)) {
    sets_.resize(static_cast<size_t>(sets));
  }

  // Uses the byte at `address`. The lines of a set stand in the order of their last use,
  // the latest in front.
  void touch(int64_t address) {
    const int64_t line = address / line_;
    std::vector<int64_t>& set = sets_[static_cast<size_t>(line) % sets_.size()];
    auto found = std::find(set.begin(), set.end(), line);
    if (found == set.end()) {
      ++misses;
      if (set.size() < ways_) set.push_back(line);
      found = set.end() - 1;
      *found = line;
    }
    std::rotate(set.begin(), found, found + 1);
  }

  int64_t misses = 0;

 private:
  int64_t line_;
  size_t ways_;
  std::vector<std::vector<int64_t>> sets_;
};
