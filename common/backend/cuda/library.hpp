// # NVIDIA's matrix product
//
// cuBLAS is the measure of our own kernels, and `--kernels library` takes it in their place. It is looked for when the first
// product asks for it, so a program that never does needs none.
#pragma once

#include "backend/backend.hpp"

namespace cr::backend::cuda {

// C = [C +] A B of float32 or float64 matrices by cuBLAS, in the precision that `gpu_options()` says. False, with nothing
// written, where it does not serve: whole numbers, a bias or relu to be fused, strides that no BLAS takes. Throws
// DeviceError if cuBLAS is not installed.
bool library_gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options);

}  // namespace cr::backend::cuda
