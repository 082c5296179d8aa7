// # Filling and copying
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::fill(const Tensor& out, Scalar number) {
  on_host({out}, {}, [&](Tensors out, Tensors) { on(Device::cpu).fill(out[0], number); });
}

void Waist::copy(const Tensor& out, const Tensor& x) {
  on_host({out}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).copy(out[0], in[0]); });
}

void Waist::arange(const Tensor& out, Scalar start, Scalar step) {
  on_host({out}, {}, [&](Tensors out, Tensors) { on(Device::cpu).arange(out[0], start, step); });
}

}  // namespace cr::backend::CR_GPU
