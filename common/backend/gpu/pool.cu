// # Pools
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::max_pool(const Tensor& y, const Tensor& indices, const Tensor& x, std::span<const PoolSpan> spans) {
  on_host({y, indices}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).max_pool(out[0], out[1], in[0], spans); });
}

void Waist::max_pool_backward(const Tensor& dx, const Tensor& dy, const Tensor& indices,
                              std::span<const PoolSpan> spans) {
  on_host({dx}, {dy, indices},
          [&](Tensors out, Tensors in) { on(Device::cpu).max_pool_backward(out[0], in[0], in[1], spans); });
}

void Waist::avg_pool(const Tensor& y, const Tensor& x, std::span<const PoolSpan> spans) {
  on_host({y}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).avg_pool(out[0], in[0], spans); });
}

void Waist::avg_pool_backward(const Tensor& dx, const Tensor& dy, std::span<const PoolSpan> spans) {
  on_host({dx}, {dy}, [&](Tensors out, Tensors in) { on(Device::cpu).avg_pool_backward(out[0], in[0], spans); });
}

}  // namespace cr::backend::CR_GPU
