// # Attention
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::attention(const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k, const Tensor& v,
                      const Tensor& bias, double scale, bool causal) {
  on_host({out, normalizer}, {q, k, v, bias}, [&](Tensors out, Tensors in) {
    on(Device::cpu).attention(out[0], out[1], in[0], in[1], in[2], in[3], scale, causal);
  });
}

void Waist::attention_backward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                               const Tensor& out, const Tensor& normalizer, const Tensor& q, const Tensor& k,
                               const Tensor& v, const Tensor& bias, double scale, bool causal) {
  on_host({dq, dk, dv}, {dout, out, normalizer, q, k, v, bias}, [&](Tensors out, Tensors in) {
    on(Device::cpu)
        .attention_backward(out[0], out[1], out[2], in[0], in[1], in[2], in[3], in[4], in[5], in[6], scale, causal);
  });
}

}  // namespace cr::backend::CR_GPU
