// # What a profiler would say
//
// `count(f)` runs f and counts what the kernels launched inside do to memory. A **request** is one instruction of one
// warp: up to 32 addresses at once. Global memory answers in **sectors** of 32 bytes, so a warp that reads 32
// neighbouring floats costs 4 sectors and one that strides costs 32: that ratio is **coalescing**. Shared memory has 32
// **banks**, each one word of 4 bytes wide; a request whose addresses fall on different words of one bank is served in
// as many **wavefronts**: that is a **bank conflict**.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace cr::backend::simt {

struct LineCounts {
  std::string kernel, file;
  int line = 0;
  int64_t loads = 0, load_sectors = 0;              // global memory
  int64_t stores = 0, store_sectors = 0;            //
  int64_t shared_requests = 0, wavefronts = 0;      // shared memory
  int64_t ideal_sectors = 0, ideal_wavefronts = 0;  // if the same bytes lay as they should
  int64_t barriers = 0;                             // times a block passed one here
  int64_t divergent = 0;                            // requests in which not all threads of the warp took part
  int64_t bytes = 0;                                // asked of global memory by all threads together

  LineCounts& operator+=(const LineCounts& other);
  LineCounts operator*(double scale) const;  // rounded
};

struct Counts {
  bool checked = false;           // false in a build without the watcher and under Unwatched: then nothing was counted
  double operations = 0;          // what `count` was told
  std::vector<LineCounts> lines;  // by kernel, file and line

  // The sum over a kernel's lines; over all with "".
  LineCounts total(const std::string& kernel = "") const;
  // The sum over one line of files whose name ends so.
  LineCounts at(const std::string& file, int line) const;
  // **Arithmetic intensity**: operations per byte of the sectors that moved between the kernels and global memory.
  double intensity() const;
};

// Runs f. Only one thread's launches are counted: the caller's. Every launch is run as always; of grids of more than
// `blocks` blocks at most so many are counted, every so-manieth of the grid, and the counts scaled up. How many additions and
// multiplications f makes nobody sees; a caller who knows says so in `operations`.
struct CountOptions {
  int64_t blocks = 1 << 30;
  double operations = 0;
};
Counts count(const std::function<void()>& f, const CountOptions& options = {});

// A table, one row a line; and the arithmetic intensity, if the operations are known.
std::string to_string(const Counts& counts);

}  // namespace cr::backend::simt
