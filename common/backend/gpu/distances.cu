// # Distances
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) {
  on_host({out}, {x, y}, [&](Tensors out, Tensors in) { on(Device::cpu).distances(out[0], in[0], in[1], p); });
}

}  // namespace cr::backend::CR_GPU
