#include "backend/cuda/host.hpp"

#include <vector>

#include "tensor/device_memory.hpp"

namespace cr::backend {
namespace {

// A tensor's twin on the host. A view keeps its strides: the twin holds everything between its first and last number.
class Twin {
 public:
  explicit Twin(const Tensor& x) : original_(x) {
    if (!x.defined() || x.numel() == 0) {
      host = x.defined() ? empty(x.shape(), x.dtype()) : Tensor();
      return;
    }
    int64_t first = 0, last = 0;
    for (int d = 0; d < x.dim(); ++d) (x.strides()[d] < 0 ? first : last) += (x.shape()[d] - 1) * x.strides()[d];
    Tensor all = empty({last - first + 1}, x.dtype());
    bytes_ = all.numel() * size_of(x.dtype());
    block_ = static_cast<char*>(x.impl()->storage->data()) + (x.impl()->offset + first) * size_of(x.dtype());
    device_memory().to_host(all.impl()->storage->data(), block_, bytes_);
    host = window(all, x.shape(), x.strides(), -first);
  }

  void carry_back() const {
    if (bytes_ > 0) device_memory().to_device(block_, host.impl()->storage->data(), bytes_);
  }

  Tensor host;

 private:
  Tensor original_;  // keeps the block alive
  char* block_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace

void compute_on_host(std::span<const Tensor> outs, std::span<const Tensor> ins, const OnHost& f) {
  std::vector<Twin> twins;
  std::vector<Tensor> host;
  twins.reserve(outs.size() + ins.size());
  for (std::span<const Tensor> tensors : {outs, ins}) {
    for (const Tensor& x : tensors) host.push_back(twins.emplace_back(x).host);
  }
  f(std::span<const Tensor>(host).first(outs.size()), std::span<const Tensor>(host).subspan(outs.size()));
  for (size_t i = 0; i < outs.size(); ++i) twins[i].carry_back();
}

}  // namespace cr::backend
