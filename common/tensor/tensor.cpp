#include "tensor/tensor.hpp"

#include "tensor/allocator.hpp"

namespace cr {

void TensorImpl::destroy(TensorImpl* impl) { delete impl; }
void* TensorImpl::operator new(size_t size) { return allocator::allocate(static_cast<int64_t>(size)); }
void TensorImpl::operator delete(void* p, size_t size) { allocator::free(p, static_cast<int64_t>(size)); }

Tensor from_storage(Ref<Storage> storage, const Shape& shape, DType dtype) {
  auto impl = Ref<TensorImpl>::adopt(new TensorImpl);
  impl->storage = std::move(storage);
  impl->shape = shape;
  impl->strides = contiguous_strides(shape);
  impl->numel = numel(shape);
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

Tensor empty(const Shape& shape, DType dtype, Device device) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(numel(shape), size_of(dtype), &bytes)) {
    throw ShapeError("shape " + to_string(shape) + ": more elements than memory can address");
  }
  return from_storage(Storage::allocate(bytes, device), shape, dtype);
}

Tensor window(const Tensor& x, Shape shape, Strides strides, int64_t offset) {
  auto impl = Ref<TensorImpl>::adopt(new TensorImpl);
  impl->storage = x.impl()->storage;
  impl->numel = numel(shape);
  impl->contiguous = is_contiguous(shape, strides);
  impl->shape = std::move(shape);
  impl->strides = std::move(strides);
  impl->offset = offset;
  impl->dtype = x.dtype();
  return Tensor(std::move(impl));
}

template <Element T> static Tensor scalar_tensor(T value) {
  Tensor x = empty({}, dtype_of<T>);
  *static_cast<T*>(x.impl()->storage->data()) = value;
  return x;
}
Tensor::Tensor(float value) : Tensor(scalar_tensor(value)) {}
Tensor::Tensor(double value) : Tensor(scalar_tensor(value).to(DType::float32)) {}
Tensor::Tensor(int64_t value) : Tensor(scalar_tensor(value)) {}
Tensor::Tensor(bool value) : Tensor(scalar_tensor(value)) {}

void Tensor::undefined() { throw Error("the tensor is undefined: it was never given a value"); }

int64_t Tensor::size(int64_t d) const {
  if (dim() == 0) throw IndexError("size: a scalar has no dimension " + std::to_string(d));
  return shape()[wrap_dim(d, dim(), "size")];
}

const void* Tensor::checked_data(DType expected) const {
  if (dtype() != expected)
    throw DTypeError(std::string("data: the tensor is ") + name(dtype()) + ", not " + name(expected));
  if (!is_host(device())) throw DeviceError("data: the numbers are on the GPU; call to(Device::cpu) first");
  if (!is_contiguous()) throw ShapeError("data: a strided view " + to_string(shape()) + "; call contiguous() first");
  return static_cast<const char*>(impl_->storage->data()) + impl_->offset * size_of(dtype());
}

Scalar Tensor::item_scalar() const {
  if (numel() != 1) throw ShapeError("item: needs one element, got shape " + to_string(shape()));
  if (!is_host(device())) return to_host(*this).item_scalar();
  if (is_storage(dtype())) return detach().to(DType::float32).item_scalar();
  return dispatch(
      dtype(), [&](auto t) { return Scalar(static_cast<const decltype(t)*>(impl_->storage->data())[impl_->offset]); });
}

}  // namespace cr
