// # Distances, compiled once per instruction set
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

struct DistanceKernels {
  // out[j] = ‖x − y_j‖ in the p-norm for j < n; row j of y begins at y + j k, rows have k numbers. [0] is float, [1] double.
  void (*row[2])(int64_t n, int64_t k, void* out, const void* x, const void* y, double p);
};

namespace base {
extern const DistanceKernels distance_kernels;
}
namespace avx2 {
extern const DistanceKernels distance_kernels;
}
namespace avx512 {
extern const DistanceKernels distance_kernels;
}

}  // namespace cr::backend::cpu
