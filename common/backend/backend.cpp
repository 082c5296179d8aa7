#include "backend/backend.hpp"

#include <array>

namespace cr::backend {

Backend& on(Device device) {
  static const std::array<std::unique_ptr<Backend>, 2> backends = {
    make_cpu(),
#if CHAINRULE_SIMT
    make_simt(),
#endif
  };
  auto i = static_cast<size_t>(device);
  if (i < backends.size() && backends[i]) return *backends[i];
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

Tensor copy(const Tensor& x, DType dtype, Device device) {
  Tensor out = empty(x.shape(), dtype, device);
  on(device == Device::cpu ? x.device() : device).copy(out, x);
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
