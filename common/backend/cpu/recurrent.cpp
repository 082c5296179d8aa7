#include "backend/cpu/cpu.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cpu {

void Cpu::lstm_cell(const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
  throw Error("lstm_cell: to be written");
}
void Cpu::lstm_cell_backward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
  throw Error("lstm_cell_backward: to be written");
}
void Cpu::gru_cell(const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
  throw Error("gru_cell: to be written");
}
void Cpu::gru_cell_backward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                            const Tensor&) {
  throw Error("gru_cell_backward: to be written");
}

}  // namespace cr::backend::cpu
