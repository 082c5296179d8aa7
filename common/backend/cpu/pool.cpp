#include "backend/cpu/cpu.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cpu {

void Cpu::max_pool(const Tensor&, const Tensor&, const Tensor&, std::span<const PoolSpan>) {
  throw Error("max_pool: to be written");
}
void Cpu::max_pool_backward(const Tensor&, const Tensor&, const Tensor&) {
  throw Error("max_pool_backward: to be written");
}
void Cpu::avg_pool(const Tensor&, const Tensor&, std::span<const PoolSpan>) { throw Error("avg_pool: to be written"); }
void Cpu::avg_pool_backward(const Tensor&, const Tensor&, std::span<const PoolSpan>) {
  throw Error("avg_pool_backward: to be written");
}

}  // namespace cr::backend::cpu
