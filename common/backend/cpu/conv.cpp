#include "backend/cpu/cpu.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cpu {

void Cpu::conv(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Window&, int64_t) {
  throw Error("conv: to be written");
}
void Cpu::conv_input(const Tensor&, const Tensor&, const Tensor&, const Window&, int64_t) {
  throw Error("conv_input: to be written");
}
void Cpu::conv_weight(const Tensor&, const Tensor&, const Tensor&, const Window&, int64_t) {
  throw Error("conv_weight: to be written");
}

}  // namespace cr::backend::cpu
