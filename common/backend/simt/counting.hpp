// # Counting what a warp does at once
//
// On a GPU the 32 lanes of a warp execute a load together. Here they come one after another: lane 0 runs to the next
// barrier, then lane 1. To see what would have been one request, the accesses of a line are numbered for each lane; the
// n-th access of every lane to the same line belong together. When all lanes have had their turn, the addresses of
// each such group tell how many sectors and wavefronts the request takes.
//
// So a line that lanes take in turns, the even ones in the first round of a loop and the odd ones in the second, looks like
// one request where a GPU makes two; and branches that touch no memory are not seen at all.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backend/simt/counts.hpp"
#include "backend/simt/shadow.hpp"

namespace cr::backend::simt {

// One group: which lanes took part, and where.
struct Request {
  uint32_t lanes = 0;
  uintptr_t address[32];
};

// How many sectors of 32 bytes hold these addresses; how many wavefronts the 32 banks of shared memory take, which serve
// 32 lanes at a time if each wants up to 4 bytes, 16 if 8, 8 if 16. Lanes that want one word are served together, but for
// atomics, which come one after the other.
int sectors(const Request& request, unsigned bytes);
int wavefronts(const Request& request, unsigned bytes, Access kind);

class Tallies {
 public:
  explicit Tallies(const CountOptions& options) : options_(options) {}

  void begin_kernel(const char* name, uint64_t blocks);
  bool begin_block(uint64_t number);  // whether this block is one of those that count
  void end_kernel();
  void barrier(const void* pc) { ++here_[pc].barriers; }

  void access(unsigned thread, bool shared, uintptr_t a, unsigned bytes, Access kind, const void* pc);
  void end_warp(unsigned threads);

  Counts counts() const;

 private:
  // The requests of one line of one warp, until its turn ends.
  struct Turn {
    const void* pc = nullptr;
    bool shared = false;
    Access kind = Access::read;
    unsigned bytes = 0;
    uint32_t times[32] = {};
    size_t used = 0, dropped = 0;
    std::vector<Request> requests;
  };
  static constexpr size_t kMostRequests = 1 << 14;  // per line and turn; what comes after is taken to be like them

  CountOptions options_;
  std::string kernel_;
  uint64_t every_ = 1, blocks_ = 0, counted_ = 0;
  std::unordered_map<uint64_t, Turn> turns_;
  uint64_t last_key_ = 0;
  Turn* last_ = nullptr;
  std::map<const void*, LineCounts> here_;                         // of this launch
  std::map<std::pair<std::string, const void*>, LineCounts> all_;  // of all launches
};

// Those of the `count` that this thread of the system is inside of, or null.
Tallies* tallies_of_this_thread();

}  // namespace cr::backend::simt
