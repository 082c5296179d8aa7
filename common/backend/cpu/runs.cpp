#include "backend/runs.hpp"

#include <stdexcept>

#include "backend/cpu/nest.hpp"

namespace cr::backend {

template <int N>
static void walk(const Shape& shape, std::span<const Tensor* const> operands, Run run, const void* context) {
  std::array<const Tensor*, N> all{};
  std::copy(operands.begin(), operands.end(), all.begin());
  cpu::Nest<N>(shape, all).parallel([&](int64_t n, const auto& offset, const auto& step) {
    run(context, n, offset.data(), step.data());
  });
}

// Operands beyond those given stand still, which costs an addition a run.
void for_each_run(const Shape& shape, std::span<const Tensor* const> operands, Run run, const void* context) {
  if (operands.size() > kMaxRunOperands) throw std::logic_error("for_each_run: too many operands");
  if (operands.size() <= 4) walk<4>(shape, operands, run, context);
  else walk<kMaxRunOperands>(shape, operands, run, context);
}

}  // namespace cr::backend
