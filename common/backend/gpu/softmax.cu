// # Softmax and cross-entropy
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::softmax(const Tensor& out, const Tensor& x, bool log) {
  on_host({out}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).softmax(out[0], in[0], log); });
}

void Waist::softmax_backward(const Tensor& dx, const Tensor& y, const Tensor& dy, bool log) {
  on_host({dx}, {y, dy}, [&](Tensors out, Tensors in) { on(Device::cpu).softmax_backward(out[0], in[0], in[1], log); });
}

void Waist::logsumexp(const Tensor& out, const Tensor& x) {
  on_host({out}, {x}, [&](Tensors out, Tensors in) { on(Device::cpu).logsumexp(out[0], in[0]); });
}

void Waist::cross_entropy(const Tensor& loss, const Tensor& logsumexp, const Tensor& x, const Tensor& target) {
  on_host({loss, logsumexp}, {x, target},
          [&](Tensors out, Tensors in) { on(Device::cpu).cross_entropy(out[0], out[1], in[0], in[1]); });
}

void Waist::cross_entropy_backward(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& logsumexp,
                                   const Tensor& dloss) {
  on_host({dx}, {x, target, logsumexp, dloss},
          [&](Tensors out, Tensors in) { on(Device::cpu).cross_entropy_backward(out[0], in[0], in[1], in[2], in[3]); });
}

}  // namespace cr::backend::CR_GPU
