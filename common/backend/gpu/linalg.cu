// # Factorisations
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::cholesky(const Tensor& a, const Tensor& info) {
  on_host({a, info}, {}, [&](Tensors out, Tensors) { on(Device::cpu).cholesky(out[0], out[1]); });
}

void Waist::lu(const Tensor& a, const Tensor& pivots, const Tensor& info) {
  on_host({a, pivots, info}, {}, [&](Tensors out, Tensors) { on(Device::cpu).lu(out[0], out[1], out[2]); });
}

void Waist::solve_triangular(const Tensor& b, const Tensor& a, bool upper, bool unit) {
  on_host({b}, {a}, [&](Tensors out, Tensors in) { on(Device::cpu).solve_triangular(out[0], in[0], upper, unit); });
}

void Waist::qr(const Tensor& a, const Tensor& tau) {
  on_host({a, tau}, {}, [&](Tensors out, Tensors) { on(Device::cpu).qr(out[0], out[1]); });
}

void Waist::householder_product(const Tensor& q, const Tensor& tau) {
  on_host({q}, {tau}, [&](Tensors out, Tensors in) { on(Device::cpu).householder_product(out[0], in[0]); });
}

void Waist::eigh(const Tensor& a, const Tensor& values, bool upper, bool vectors, const Tensor& info) {
  on_host({a, values, info}, {},
          [&](Tensors out, Tensors) { on(Device::cpu).eigh(out[0], out[1], upper, vectors, out[2]); });
}

void Waist::svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) {
  on_host({a, u, s, vh, info}, {},
          [&](Tensors out, Tensors) { on(Device::cpu).svd(out[0], out[1], out[2], out[3], out[4]); });
}

}  // namespace cr::backend::CR_GPU
