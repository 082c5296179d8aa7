// # Matrix products
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) {
  on_host({c}, {a, b, options.bias ? *options.bias : Tensor()}, [&](Tensors out, Tensors in) {
    GemmOptions host = options;
    if (host.bias) host.bias = &in[2];
    on(Device::cpu).gemm(out[0], in[0], in[1], host);
  });
}

}  // namespace cr::backend::CR_GPU
