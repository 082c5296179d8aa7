// # Convolution
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Window& window,
                 int64_t groups) {
  on_host({y}, {x, w, bias},
          [&](Tensors out, Tensors in) { on(Device::cpu).conv(out[0], in[0], in[1], in[2], window, groups); });
}

void Waist::conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& bias, const Window& window,
                       int64_t groups) {
  on_host({dx}, {dy, w, bias},
          [&](Tensors out, Tensors in) { on(Device::cpu).conv_input(out[0], in[0], in[1], in[2], window, groups); });
}

void Waist::conv_weight(const Tensor& dw, const Tensor& x, const Tensor& dy, const Window& window, int64_t groups) {
  on_host({dw}, {x, dy},
          [&](Tensors out, Tensors in) { on(Device::cpu).conv_weight(out[0], in[0], in[1], window, groups); });
}

}  // namespace cr::backend::CR_GPU
