// # Rows to mean 0 and variance 1
//
// The loops of layer norm and its relatives, compiled once per instruction set as those of `kernels.hpp` are, and with the
// same promise: sums run over a fixed number of lanes and nothing is fused, so all tables give the same bits.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

// Batch norm takes its sums over many runs of n numbers. A run is a piece of one channel, and the numbers that belong to the
// channel (`mean`, `high` …) are one each; or it is a piece of a row of x (N, C), a channel a number, and they are n.
template <class T> struct BatchKernel {
  // mean and squares = Σ (x − mean)² of `before` runs become those of one run more (Chan, Golub and LeVeque 1979):
  // with the run's mean m and its own squares q, mean += (m − mean) / (before + 1) and
  // squares += q + (m − mean)² · n · before / (before + 1), the mean before it.
  void (*moments)(int64_t n, const T* x, int64_t before, double* mean, double* squares);

  // y = ((x − high) − low) · scale + shift
  void (*apply)(int64_t n, T* y, const T* x, const T* high, const T* low, const T* scale, const T* shift);

  // total += dy and total_x += dy · x̂, with x̂ = ((x − high) − low) · scale;  dx = (dy − level − x̂ · slope) · factor
  void (*backward_sums)(int64_t n, const T* dy, const T* x, const T* high, const T* low, const T* scale, double* total,
                        double* total_x);
  void (*backward)(int64_t n, T* dx, const T* dy, const T* x, const T* high, const T* low, const T* scale,
                   const T* level, const T* slope, const T* factor);
};

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

  // [0]: runs within a channel, [1]: runs across channels.
  BatchKernel<float> batch_float[2];
  BatchKernel<double> batch_double[2];
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
