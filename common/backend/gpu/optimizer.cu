// # Optimiser steps
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::sgd(const Tensor& p, const Tensor& g, const Tensor& momentum, const SgdStep& options) {
  on_host({p, momentum}, {g}, [&](Tensors out, Tensors in) { on(Device::cpu).sgd(out[0], in[0], out[1], options); });
}

void Waist::adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& largest_v,
                 const AdamStep& options) {
  on_host({p, m, v, largest_v}, {g},
          [&](Tensors out, Tensors in) { on(Device::cpu).adam(out[0], in[0], out[1], out[2], out[3], options); });
}

void Waist::adagrad(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradStep& options) {
  on_host({p, sum}, {g}, [&](Tensors out, Tensors in) { on(Device::cpu).adagrad(out[0], in[0], out[1], options); });
}

void Waist::rmsprop(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean, const Tensor& momentum,
                    const RmspropStep& options) {
  on_host({p, square, mean, momentum}, {g},
          [&](Tensors out, Tensors in) { on(Device::cpu).rmsprop(out[0], in[0], out[1], out[2], out[3], options); });
}

}  // namespace cr::backend::CR_GPU
