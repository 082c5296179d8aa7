#include "func/fused.hpp"

#include "ops/create.hpp"

namespace cr::detail {

// 0-d tensors give way to larger ones, as everywhere.
DType fused_type(std::span<const Tensor* const> tensors) {
  bool any_larger = false;
  for (const Tensor* x : tensors) any_larger = any_larger || x->dim() > 0;
  DType type = DType::float32;
  for (size_t i = 0; i < tensors.size(); ++i) {
    DType own = tensors[i]->dtype();
    if (own != DType::float32 && own != DType::float64) {
      throw DTypeError("fused: tensor " + std::to_string(i) + " is " + name(own) +
                       "; it takes float32 and float64, convert with to()");
    }
    if (tensors[i]->device() != tensors[0]->device()) {
      throw DeviceError("fused: tensor " + std::to_string(i) + " is on " + name(tensors[i]->device()) +
                        ", tensor 0 on " + name(tensors[0]->device()));
    }
    if (tensors[i]->dim() > 0 || !any_larger) type = promote(type, own);
  }
  return type;
}

Grads fused_composed(Backward& b, int count, Tensor (*f)(const Tensor*, Backward&)) {
  EnableGrad on;
  Tensor dy = b.dy();
  std::vector<Tensor> x, wanted;
  for (int k = 0; k < count; ++k) {
    Tensor saved = b[k];
    x.push_back(b.needs(k) ? saved.expand(saved.shape()) : saved.detach());
    if (b.needs(k)) wanted.push_back(x.back());
  }
  Tensor y = f(x.data(), b);
  std::vector<Tensor> g(wanted.size());
  if (y.requires_grad()) {
    y = y.to(dy.dtype()).expand(dy.shape());
    g = grad({y}, wanted, {.grad_outputs = {dy}, .create_graph = true, .allow_unused = true});
  }
  Grads grads;
  grads.resize(count);
  for (int k = 0, i = 0; k < count; ++k) {
    if (!b.needs(k)) continue;
    grads[k] =
        g[static_cast<size_t>(i)].defined() ? g[static_cast<size_t>(i)] : zeros_like(wanted[static_cast<size_t>(i)]);
    ++i;
  }
  return grads;
}

}  // namespace cr::detail
