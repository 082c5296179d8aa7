// # Searching in order
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::search_sorted(const Tensor& out, const Tensor& sorted, const Tensor& x, bool right) {
  on_host({out}, {sorted, x},
          [&](Tensors out, Tensors in) { on(Device::cpu).search_sorted(out[0], in[0], in[1], right); });
}

}  // namespace cr::backend::CR_GPU
