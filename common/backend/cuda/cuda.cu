// # The GPU as a backend
//
// The kernels of `gpu/` are the waist; what is left is to wait for them, and to hand products and convolutions to NVIDIA's
// libraries where `--kernels library` asks for it.
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

#include "backend/cuda/host.hpp"
#include "backend/cuda/library.hpp"
#include "backend/functor.hpp"
#include "backend/gpu_options.hpp"

namespace cr::backend::cuda {

void on_host(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
             const std::function<void(Tensors out, Tensors in)>& work) {
  compute_on_host({outputs.begin(), outputs.size()}, {inputs.begin(), inputs.size()}, work);
}

namespace {

class Cuda final : public Waist {
 public:
  void synchronize() override { Runtime::get().synchronize(); }

  std::string machine() const override {
    const std::string version =
        std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
    return Runtime::get().properties().name + (", CUDA " + version);
  }

  void gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) override {
    if (gpu_options().library && library_gemm(c, a, b, options)) return;
    Waist::gemm(c, a, b, options);
  }

  void conv(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Window& window,
            int64_t groups) override {
    if (gpu_options().library && library_conv(Computes::y, x, w, y, window, groups)) return add_bias(y, bias);
    Waist::conv(y, x, w, bias, window, groups);
  }
  void conv_input(const Tensor& dx, const Tensor& dy, const Tensor& w, const Tensor& bias, const Window& window,
                  int64_t groups) override {
    if (gpu_options().library && library_conv(Computes::x, dx, w, dy, window, groups)) return add_bias(dx, bias);
    Waist::conv_input(dx, dy, w, bias, window, groups);
  }
  void conv_weight(const Tensor& dw, const Tensor& x, const Tensor& dy, const Window& window, int64_t groups) override {
    if (gpu_options().library && library_conv(Computes::w, x, dw, dy, window, groups)) return;
    Waist::conv_weight(dw, x, dy, window, groups);
  }

 private:
  // One number for each channel, (channels): as a view, one for each place.
  void add_bias(const Tensor& y, const Tensor& bias) {
    if (!bias.defined()) return;
    Strides strides(y.dim(), 0);
    strides[1] = bias.strides()[0];
    const Operand both[] = {y, window(bias, y.shape(), strides, bias.impl()->offset)};
    map(functor::Maps::index_of<functor::Add>(), y, both);
  }
};

}  // namespace
}  // namespace cr::backend::cuda

namespace cr::backend {
std::unique_ptr<Backend> make_cuda() {
  cuda::Runtime::get();  // no GPU is said at once, not at the first kernel
  return std::make_unique<cuda::Cuda>();
}
}  // namespace cr::backend
