// # Rows to mean 0 and variance 1
//
// The loops of layer norm and its relatives, compiled once per instruction set as those of `kernels.hpp` are, and with the
// same promise: sums run over a fixed number of lanes and nothing is fused, so all tables give the same bits.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

// Rows of n numbers; [0] is float, [1] double.
struct NormKernels {
  // y = (x − mean) / √(var + eps) · weight + bias, where weight and bias may be null. The mean is 0 without `center`.
  void (*forward[2])(int64_t n, void* y, const void* x, const void* weight, const void* bias, double eps, bool center,
                     double* mean, double* var);

  // The gradient dx of one row. What the row adds to the gradients of weight and bias is added to dweight and dbias, each
  // of which may be null.
  void (*backward[2])(int64_t n, void* dx, void* dweight, void* dbias, const void* dy, const void* x,
                      const void* weight, double eps, bool center, double mean, double var);

  // total[i] += x[i], and x[i] = 0: what was added up in T moves on to float64.
  void (*move[2])(int64_t n, double* total, void* x);
};

namespace base {
extern const NormKernels norm_kernels;
}
namespace avx2 {
extern const NormKernels norm_kernels;
}
namespace avx512 {
extern const NormKernels norm_kernels;
}

}  // namespace cr::backend::cpu
