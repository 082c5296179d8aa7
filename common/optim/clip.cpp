#include "optim/clip.hpp"

#include <cmath>

#include "ops/ops.hpp"

namespace cr::optim {

double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type,
                       bool error_if_nonfinite) {
  if (!(norm_type > 0)) throw Error("clip_grad_norm_: norm_type must be positive");
  if (!(max_norm >= 0)) throw Error("clip_grad_norm_: max_norm must not be negative");
  NoGrad off;
  bool largest = std::isinf(norm_type);
  double total = 0;
  for (const Tensor& p : parameters) {
    Tensor g = p.grad();
    if (!g.defined() || g.numel() == 0) continue;
    double part = largest          ? amax(abs(g)).item()
                  : norm_type == 2 ? sum(square(g)).item()
                                   : sum(pow(abs(g), norm_type)).item();
    total = largest ? (part > total || std::isnan(part) ? part : total) : total + part;
  }
  double norm = largest ? total : std::pow(total, 1 / norm_type);
  if (error_if_nonfinite && !std::isfinite(norm))
    throw Error("clip_grad_norm_: the gradients' norm is " + std::to_string(norm));
  double factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return norm;
  for (const Tensor& p : parameters) {
    if (Tensor g = p.grad(); g.defined()) g.mul_(factor);
  }
  return norm;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value) {
  if (!(clip_value >= 0)) throw Error("clip_grad_value_: clip_value must not be negative");
  NoGrad off;
  for (const Tensor& p : parameters) {
    if (Tensor g = p.grad(); g.defined()) g.copy_(clamp(g, -clip_value, clip_value));
  }
}

}  // namespace cr::optim
