// # Elementwise
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::map(int functor, const Tensor& out, std::span<const Operand> in) {
  std::array<Tensor, 3> x;
  for (size_t k = 0; k < in.size(); ++k) x[k] = in[k].tensor ? *in[k].tensor : Tensor();
  on_host({out}, {x[0], x[1], x[2]}, [&](Tensors o, Tensors host) {
    std::vector<Operand> operands(in.begin(), in.end());
    for (size_t k = 0; k < in.size(); ++k) {
      if (in[k].tensor) operands[k] = Operand(host[k]);
    }
    on(Device::cpu).map(functor, o[0], operands);
  });
}

}  // namespace cr::backend::CR_GPU
