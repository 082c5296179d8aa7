// # The GPU as a backend
//
// The kernels of `gpu/` are the waist; what is left is to wait for them, and to hand products to NVIDIA's library where
// `--kernels library` asks for it.
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

#include "backend/cuda/host.hpp"
#include "backend/cuda/library.hpp"
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
};

}  // namespace
}  // namespace cr::backend::cuda

namespace cr::backend {
std::unique_ptr<Backend> make_cuda() {
  cuda::Runtime::get();  // no GPU is said at once, not at the first kernel
  return std::make_unique<cuda::Cuda>();
}
}  // namespace cr::backend
