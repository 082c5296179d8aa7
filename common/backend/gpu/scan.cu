// # Scans
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::scan(Scan kind, const Tensor& out, const Tensor& x, int d, bool reverse) {
  on_host({out}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).scan(kind, out[0], in[0], d, reverse); });
}

void Waist::scan_linear(const Tensor& out, const Tensor& factor, const Tensor& x, int d, bool reverse) {
  on_host({out}, {factor, x},
          [&](Tensors out, Tensors in) { on(Device::cpu).scan_linear(out[0], in[0], in[1], d, reverse); });
}

void Waist::scan_extreme(bool largest, const Tensor& values, const Tensor& indices, const Tensor& x, int d) {
  on_host({values, indices}, {x},
          [&](Tensors out, Tensors in) { on(Device::cpu).scan_extreme(largest, out[0], out[1], in[0], d); });
}

}  // namespace cr::backend::CR_GPU
