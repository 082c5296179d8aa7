#include "op_table.hpp"

namespace cr::test {
namespace {

Reduction reduction_named(const std::string& name) {
  if (name == "mean") return Reduction::mean;
  if (name == "sum") return Reduction::sum;
  if (name == "none") return Reduction::none;
  throw Unsupported("no reduction is called " + name);
}

auto simple(Tensor (*f)(const Tensor&, const Tensor&, Reduction)) {
  return [f](Tensor input, Tensor target, std::string reduction) {
    return f(input, target, reduction_named(reduction));
  };
}

}  // namespace

Table loss_ops() {
  return {
      {"mse_loss", "input target reduction=\"mean\"", simple(mse_loss)},
      {"cross_entropy", "input target reduction=\"mean\"", simple(cross_entropy)},
      {"binary_cross_entropy_with_logits", "input target reduction=\"mean\"", simple(binary_cross_entropy_with_logits)},
  };
}

}  // namespace cr::test
