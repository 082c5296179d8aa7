// # The emulated GPU as a backend
//
// Every primitive is a kernel of `backend/gpu/`, or goes by way of the host. The emulator's memory is the host's, so that way
// is short.
#include "backend/gpu/waist.hpp"

namespace cr::backend::simt {
namespace {

class Simt final : public Waist {
 public:
  void copy(const Tensor& out, const Tensor& x) override {
    if (out.device() == x.device()) Waist::copy(out, x);
    else on(Device::cpu).copy(out, x);
  }
};

}  // namespace

void on_host(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
             const std::function<void(Tensors out, Tensors in)>& work) {
  work({outputs.begin(), outputs.size()}, {inputs.begin(), inputs.size()});
}

}  // namespace cr::backend::simt

namespace cr::backend {
std::unique_ptr<Backend> make_simt() { return std::make_unique<simt::Simt>(); }
}  // namespace cr::backend
