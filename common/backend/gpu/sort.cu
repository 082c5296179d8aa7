// # Sorting and picking
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::sort(const Tensor& values, const Tensor& indices, const Tensor& x, int d, bool descending) {
  on_host({values, indices}, {x},
          [&](Tensors out, Tensors in) { on(Device::cpu).sort(out[0], out[1], in[0], d, descending); });
}

void Waist::pick(Pick what, const Tensor& values, const Tensor& indices, const Tensor& x, int d, int64_t k) {
  on_host({values, indices}, {x},
          [&](Tensors out, Tensors in) { on(Device::cpu).pick(what, out[0], out[1], in[0], d, k); });
}

}  // namespace cr::backend::CR_GPU
