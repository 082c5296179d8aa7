#include "backend/backend.hpp"

#include <array>
#include <atomic>

#include "tensor/device_memory.hpp"

namespace cr::backend {

static std::array<std::atomic<Backend*>, 3> replaced{};
Backend* replace(Device device, Backend* backend) { return replaced[static_cast<size_t>(device)].exchange(backend); }

// Each is made when it is first asked for. A GPU that cannot be used is looked for again the next time.
Backend& on(Device device) {
  if (Backend* other = replaced[static_cast<size_t>(device)].load(std::memory_order_relaxed)) return *other;
  switch (device) {
    case Device::cpu: {
      static const std::unique_ptr<Backend> cpu = make_cpu();
      return *cpu;
    }
#if CHAINRULE_SIMT
    case Device::simt: {
      static const std::unique_ptr<Backend> simt = make_simt();
      return *simt;
    }
#endif
#if CHAINRULE_CUDA
    case Device::cuda: {
      static const std::unique_ptr<Backend> cuda = make_cuda();
      return *cuda;
    }
#endif
    default: break;
  }
  throw DeviceError(std::string("this build has no ") + name(device) + " backend: use --device cpu");
}

void check_device(const char* op, const Tensor& x, const Tensor& y) {
  if (x.device() == y.device()) return;
  throw DeviceError(std::string(op) + ": operands on " + name(x.device()) + " and " + name(y.device()));
}

// What a result looks like is decided here, once for all devices.
Tensor map_numbered(int functor, std::span<const Operand> in) {
  const Tensor* first = nullptr;
  const Shape* shape = nullptr;
  Shape broadcast;
  for (const Operand& operand : in) {
    const Tensor* t = operand.tensor;
    if (!t) continue;
    if (!first) {
      first = t;
      shape = &t->shape();
      continue;
    }
    check_device(functor::Maps::names[functor], *first, *t);
    if (!(t->shape() == *shape)) {
      broadcast = broadcast_shapes(*shape, t->shape(), functor::Maps::names[functor]);
      shape = &broadcast;
    }
  }
  Tensor out = empty(*shape, functor::Maps::is_predicate(functor) ? DType::boolean : first->dtype(), first->device());
  on(first->device()).map(functor, out, in);
  return out;
}

Tensor reduce_numbered(int functor, const Tensor& x, const Dims& dims, bool keepdim) {
  Shape kept = x.shape();
  for (int64_t d : dims) kept[static_cast<int>(d)] = 1;
  bool counts = functor == functor::Reductions::index_of<functor::Sum>() ||
                functor == functor::Reductions::index_of<functor::Prod>();
  DType type = x.dtype() == DType::boolean && counts ? DType::int64 : x.dtype();
  Tensor out = empty(kept, type, x.device());
  on(x.device()).reduce(functor, out, x, dims);
  if (keepdim) return out;
  for (int i = dims.size() - 1; i >= 0; --i) kept.erase(static_cast<int>(dims[i]));
  return window(out, kept, contiguous_strides(kept), 0);
}

Tensor full(const Shape& shape, Scalar number, DType dtype, Device device) {
  Tensor out = empty(shape, dtype, device);
  on(device).fill(out, number);
  return out;
}

// What shares the host's memory copies by itself. Between that and a GPU bytes travel as they are: the side that has the
// numbers lays them out and converts them first.
Tensor copy(const Tensor& x, DType dtype, Device device) {
  if (is_host(x.device()) == is_host(device)) {
    Tensor out = empty(x.shape(), dtype, device);
    on(device == Device::cpu ? x.device() : device).copy(out, x);
    return out;
  }
  if (x.dtype() != dtype || !x.is_contiguous()) return copy(copy(x, dtype, x.device()), dtype, device);
  Tensor out = empty(x.shape(), dtype, device);
  const int64_t bytes = x.numel() * size_of(dtype);
  char* from = static_cast<char*>(x.impl()->storage->data()) + x.impl()->offset * size_of(dtype);
  if (bytes == 0) return out;
  if (is_host(device)) device_memory().to_host(out.impl()->storage->data(), from, bytes);
  else device_memory().to_device(out.impl()->storage->data(), from, bytes);
  return out;
}

Tensor gemm(const Tensor& a, const Tensor& b, const GemmOptions& options) {
  Shape shape = a.shape();
  shape[a.dim() - 1] = b.shape().back();
  Tensor c = empty(shape, a.dtype(), a.device());
  on(a.device()).gemm(c, a, b, options);
  return c;
}

}  // namespace cr::backend

namespace cr {
Tensor to_host(const Tensor& x) { return is_host(x.device()) ? x : backend::copy(x, x.dtype(), Device::cpu); }
}  // namespace cr
