#include "backend/cuda/host.hpp"

#include <algorithm>
#include <vector>

#include "tensor/device_memory.hpp"

namespace cr::backend {
namespace {

// A block's twin on the host: everything between the first and the last number that some tensor of the call looks at.
// Tensors that share a block share its twin, so what is written through one is not undone by another.
struct Twin {
  Storage* block;
  int64_t first, last;  // in bytes
  bool written;
  Ref<Storage> host = nullptr;
};

Twin* twin_of(std::vector<Twin>& twins, const Tensor& x) {
  auto found =
      std::find_if(twins.begin(), twins.end(), [&](const Twin& t) { return t.block == x.impl()->storage.get(); });
  return found == twins.end() ? nullptr : &*found;
}

void note(std::vector<Twin>& twins, const Tensor& x, bool written) {
  if (!x.defined() || x.numel() == 0) return;
  int64_t first = x.impl()->offset, last = first;
  for (int d = 0; d < x.dim(); ++d) (x.strides()[d] < 0 ? first : last) += (x.shape()[d] - 1) * x.strides()[d];
  const int64_t size = size_of(x.dtype());
  first *= size, last = (last + 1) * size;
  if (Twin* twin = twin_of(twins, x)) {
    twin->first = std::min(twin->first, first), twin->last = std::max(twin->last, last);
    twin->written |= written;
  } else {
    twins.push_back({x.impl()->storage.get(), first, last, written});
  }
}

Tensor on_twin(std::vector<Twin>& twins, const Tensor& x) {
  if (!x.defined() || x.numel() == 0) return x.defined() ? empty(x.shape(), x.dtype()) : x;
  const Twin& twin = *twin_of(twins, x);
  return window(from_storage(twin.host, {0}, x.dtype()), x.shape(), x.strides(),
                x.impl()->offset - twin.first / size_of(x.dtype()));
}

char* device_bytes(const Twin& twin) { return static_cast<char*>(twin.block->data()) + twin.first; }

}  // namespace

void compute_on_host(std::span<const Tensor> outs, std::span<const Tensor> ins, const OnHost& f) {
  std::vector<Twin> twins;
  for (const Tensor& x : outs) note(twins, x, true);
  for (const Tensor& x : ins) note(twins, x, false);
  for (Twin& twin : twins) {
    twin.host = Storage::allocate(twin.last - twin.first, Device::cpu);
    device_memory().to_host(twin.host->data(), device_bytes(twin), twin.last - twin.first);
  }
  std::vector<Tensor> host_outs, host_ins;
  for (const Tensor& x : outs) host_outs.push_back(on_twin(twins, x));
  for (const Tensor& x : ins) host_ins.push_back(on_twin(twins, x));
  f(host_outs, host_ins);
  for (const Twin& twin : twins) {
    if (twin.written) device_memory().to_device(device_bytes(twin), twin.host->data(), twin.last - twin.first);
  }
}

}  // namespace cr::backend
