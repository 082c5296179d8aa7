// # Windows over a plane
//
// The loops of pools, compiled once per instruction set as those of `kernels.hpp` are, and with the same promise: nothing is
// fused and sums have one order, so all tables give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cr::backend::cpu {

// One dimension of a plane: window i looks at begin[i], begin[i] + step, … before end[i]. Where `stride` is not 0, windows lie
// so far apart, have `taps` numbers each, and may hang over the edges.
struct PoolAxis {
  int64_t places, outputs, step, stride, taps;
  const int64_t *begin, *end, *size;
};

// A plane of x has the places of three axes (depth, rows, columns), a plane of y their outputs.
template <class T> struct PoolKernel {
  // `at`, which may be null, is where in the plane the largest number lies.
  void (*max)(const PoolAxis* axes, T* y, int64_t* at, const T* x);
  void (*max_backward)(const PoolAxis* axes, T* dx, const T* dy, const int64_t* at);
  void (*avg)(const PoolAxis* axes, T* y, const T* x);
  void (*avg_backward)(const PoolAxis* axes, T* dx, const T* dy);
};

struct PoolKernels {
  PoolKernel<float> of_float;
  PoolKernel<double> of_double;
  PoolKernel<int64_t> of_int64;
};

namespace base {
extern const PoolKernels pool_kernels;
}
namespace avx2 {
extern const PoolKernels pool_kernels;
}
namespace avx512 {
extern const PoolKernels pool_kernels;
}

}  // namespace cr::backend::cpu
