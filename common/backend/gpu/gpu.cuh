// # One source for two machines
//
// A kernel file includes this header and no other of its kind. Compiled by nvcc it is CUDA, and its namespace `CR_GPU`
// is `cuda`; compiled by any other compiler it is a program for the emulator, and the namespace is `simt`. In both:
//
//     namespace cr::backend::CR_GPU {
//       __global__ void scale_kernel(const float* x, float* y, int64_t n) { ... }
//       launch("scale", scale_kernel, {.blocks = {4}, .threads = {256}}, x, y, n);
//     }
//
// `dynamic_shared<T>()` is the shared memory that a launch asks for by `.shared_bytes`. CR_CAPABILITY is the compute capability
// that nvcc compiles for, times ten: 80 for 8.0.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda_runtime.h>
#define CR_GPU cuda
#if defined(__CUDA_ARCH__)
#define CR_CAPABILITY (__CUDA_ARCH__ / 10)
#else
#define CR_CAPABILITY 9999  // the host's half of the file
#endif
#include "backend/cuda/launch.hpp"
#else
#define CR_GPU simt
#include "backend/simt/launch.hpp"
#include "backend/simt/words.hpp"
#endif
