// # Random numbers
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::random(const Tensor& out, Random kind, const RandomState& from, int64_t lo, int64_t hi) {
  on_host({out}, {}, [&](Tensors out, Tensors) { on(Device::cpu).random(out[0], kind, from, lo, hi); });
}

}  // namespace cr::backend::CR_GPU
