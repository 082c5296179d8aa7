// # Reading and placing at computed indices
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::gather(const Tensor& out, const Tensor& x, int d, const Tensor& index, const char* op) {
  on_host({out}, {x, index}, [&](Tensors out, Tensors in) { on(Device::cpu).gather(out[0], in[0], d, in[1], op); });
}

void Waist::scatter(const Tensor& out, int d, const Tensor& index, const Tensor& x, Place how, const char* op) {
  on_host({out}, {index, x},
          [&](Tensors out, Tensors in) { on(Device::cpu).scatter(out[0], d, in[0], in[1], how, op); });
}

void Waist::add_overlapping(const Tensor& out, const Tensor& x) {
  on_host({out}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).add_overlapping(out[0], in[0]); });
}

Tensor Waist::nonzero(const Tensor& x) {
  Tensor found;
  on_host({}, {x}, [&](Tensors, Tensors in) { found = on(Device::cpu).nonzero(in[0]); });
  return found.device() == x.device() ? found : backend::copy(found, DType::int64, x.device());
}

}  // namespace cr::backend::CR_GPU
