#include "backend/cpu/cpu.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cpu {

void Cpu::attention(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, double,
                    bool) {
  throw Error("attention: to be written");
}
void Cpu::attention_backward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                             const Tensor&, const Tensor&, const Tensor&, const Tensor&, double, bool) {
  throw Error("attention_backward: to be written");
}

}  // namespace cr::backend::cpu
