// # Kernels whose memory traffic can be worked out on paper
#pragma once

#include <cstdint>

void run_access_patterns(unsigned blocks);  // counted.cu says which line does what
void run_bank_patterns();
void run_partial_warps();

// C = A B for n x n matrices on Device::simt, in tiles of 16 x 16.
void run_matmul(const float* a, const float* b, float* c, int n);

// Doubles every so-manieth element.
void run_double_strided(float* x, int64_t count, int64_t stride);

// Ends badly in one thread of many; the others wait at a barrier and own a variable that counts how many are alive.
void run_throwing(int* alive, unsigned which);
void run_stack_hungry(int bytes);
void run_nothing(unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x, unsigned threads_y,
                 unsigned threads_z, unsigned long shared_bytes);
void run_nested();
