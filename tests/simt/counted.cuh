// # Kernels whose memory traffic can be worked out on paper
#pragma once

#include <cstddef>
#include <cstdint>

void run_access_patterns(unsigned blocks);  // counted.cu says which line does what
void run_bank_patterns();
void run_partial_warps();

// C = A B for n x n matrices on Device::simt, in tiles of 16 x 16.
void run_matmul(const float* a, const float* b, float* c, int n);

// Doubles every so-manieth element.
void run_double_strided(float* x, int64_t count, int64_t stride);

void run_copies_and_atomics();
void run_uneven_columns();

// Ends badly in one thread of many, while the others wait at a barrier; calls itself so deep; writes `n` numbers to `size`;
// ends the program.
void run_throwing(unsigned which);
void run_stack_hungry(int bytes);
void run_recursion(int depth);
void run_fill(size_t size, int n);
void run_exiting(int code);
void run_nothing(unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x, unsigned threads_y,
                 unsigned threads_z, unsigned long shared_bytes);
void run_nested();
