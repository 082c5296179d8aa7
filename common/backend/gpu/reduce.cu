// # Reductions
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::reduce(int functor, const Tensor& out, const Tensor& x, const Dims& dims) {
  on_host({out}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).reduce(functor, out[0], in[0], dims); });
}

void Waist::arg_reduce(bool largest, const Tensor& out, const Tensor& x, int d) {
  on_host({out}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).arg_reduce(largest, out[0], in[0], d); });
}

}  // namespace cr::backend::CR_GPU
