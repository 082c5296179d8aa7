// # Normalisation
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::layer_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                       const Tensor& bias, double eps) {
  on_host({y, mean, var}, {x, weight, bias}, [&](Tensors out, Tensors in) {
    on(Device::cpu).layer_norm(out[0], out[1], out[2], in[0], in[1], in[2], eps);
  });
}

void Waist::layer_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                                const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                                double eps) {
  on_host({dx, dweight, dbias}, {dy, x, weight, mean, var}, [&](Tensors out, Tensors in) {
    on(Device::cpu).layer_norm_backward(out[0], out[1], out[2], in[0], in[1], in[2], in[3], in[4], eps);
  });
}

void Waist::batch_norm(const Tensor& y, const Tensor& mean, const Tensor& var, const Tensor& x, const Tensor& weight,
                       const Tensor& bias, double eps) {
  on_host({y, mean, var}, {x, weight, bias}, [&](Tensors out, Tensors in) {
    on(Device::cpu).batch_norm(out[0], out[1], out[2], in[0], in[1], in[2], eps);
  });
}

void Waist::batch_norm_backward(const Tensor& dx, const Tensor& dweight, const Tensor& dbias, const Tensor& dy,
                                const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& var,
                                double eps) {
  on_host({dx, dweight, dbias}, {dy, x, weight, mean, var}, [&](Tensors out, Tensors in) {
    on(Device::cpu).batch_norm_backward(out[0], out[1], out[2], in[0], in[1], in[2], in[3], in[4], eps);
  });
}

}  // namespace cr::backend::CR_GPU
