// # Kernels that use CUDA's words, and what the tests call to run them
#pragma once

#include <cstdint>
#include <vector>

namespace words {

// Sum of x over blocks of 256: warps reduce by shuffles, the block by shared memory.
std::vector<float> block_sums(const std::vector<float>& x);
std::vector<unsigned> lane_report();   // what each of 96 threads sees: see words.cu
std::vector<unsigned> more_of_them();  // each of 32
std::vector<float> groups(const std::vector<float>& x);
std::vector<float> transposed(const std::vector<float>& x, int rows, int columns);

// A · B by one warp's `mma`. bfloat16: A, B and C are 16 × 16; A is given by rows and B by columns, so that both have the
// summed index along their rows, or, `turned`, the other way round. TF32: A (16, 8), B (8, 8), C (16, 8), by rows.
std::vector<float> product_bf16(const std::vector<float>& a, const std::vector<float>& b, bool turned);
std::vector<float> product_tf32(const std::vector<float>& a, const std::vector<float>& b);

// 128 numbers by copies of 16 bytes but for numbers 12 … 15, 64 by copies of 8 but for 10 and 11, and 32 that do not exist.
std::vector<float> copied(const std::vector<float>& x);

float rounded_bf16(float x);
float rounded_tf32(float x);

}  // namespace words
