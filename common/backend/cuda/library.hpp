// # NVIDIA's products and convolutions
//
// cuBLAS and cuDNN are the measure of our own kernels, and `--kernels library` takes them in their place.
#pragma once

#include "backend/backend.hpp"

namespace cr::backend::cuda {

// Both in the precision that `gpu_options()` says. False, with nothing written, where the library does not serve: whole
// numbers, strides that no BLAS takes. Throw DeviceError if the library is not installed or refuses.

// As `Backend::gemm`; but a product that is to be added as well as to have a bias is not served.
bool library_gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options);

// A convolution y = x ⋆ w, or a gradient of it, without a bias: the one of the three that `computes` says is written.
enum class Computes : uint8_t { y, x, w };
bool library_conv(Computes computes, const Tensor& x, const Tensor& w, const Tensor& y, const Window& window,
                  int64_t groups);

}  // namespace cr::backend::cuda
