// # Kernels that use CUDA's words, and what the tests call to run them
#pragma once

#include <cstdint>
#include <vector>

namespace words {

// Sum of x over blocks of 256: warps reduce by shuffles, the block by shared memory.
std::vector<float> block_sums(const std::vector<float>& x);
std::vector<unsigned> lane_report();  // what each of 96 threads sees: see words.cu
std::vector<float> groups(const std::vector<float>& x);
std::vector<float> transposed(const std::vector<float>& x, int rows, int columns);

}  // namespace words
