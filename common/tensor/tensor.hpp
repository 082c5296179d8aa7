// # Tensor
//
// A **tensor** is an array of numbers with any number of dimensions: a scalar has none, a vector one, a matrix two, a
// batch of images four. This class is a handle. Copying it copies a pointer, and both handles see the same numbers;
// `clone()` copies the numbers.
//
// What a handle points to is a *window* onto a block of memory (its `Storage`): an offset, a shape and strides. A view
// such as `x.t()` or `x[0]` is another window onto the same block, so writing through it changes `x`.
//
// Names, argument order and defaults are PyTorch's. The members are declared here; each is defined where it belongs:
// those that compute in `ops/`, those about gradients in `autograd/`.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tensor/dtype.hpp"
#include "tensor/ref.hpp"
#include "tensor/shape.hpp"
#include "tensor/storage.hpp"

namespace cr {

class Tensor;

// What `tensor/` knows of the autograd graph: that a node can be held. `autograd/node.hpp` has the rest.
struct GraphNode : Counted<GraphNode> {
  static void destroy(GraphNode* node);
};

// The object behind the handle.
struct TensorImpl : Counted<TensorImpl> {
  static void destroy(TensorImpl* impl);
  static void* operator new(size_t size);
  static void operator delete(void* p, size_t size);

  Ref<Storage> storage;
  Shape shape;
  Strides strides;
  int64_t offset = 0;  // of the first element, in elements from the start of the storage
  int64_t numel = 0;
  DType dtype = DType::float32;
  bool contiguous = true;

  // For autograd: the node that computed this tensor (or, for a leaf, collects its gradient) and which of its outputs
  // it is. A view also knows its base, and the storage's version at which `node` was right.
  Ref<GraphNode> node;
  int output = 0;
  uint32_t node_version = 0;
  Ref<TensorImpl> base;
};

// A range of indices start, start + step, … below stop, as in Python's `start:stop:step`. Negative values count from the
// end; `Slice{}` is everything.
struct Slice {
  int64_t start = 0;
  int64_t stop = INT64_MAX;
  int64_t step = 1;
};

// One item between brackets: `x[{2, Slice{0, 5}}]`. `None{}` is a new dimension of size 1, `Ellipsis{}` as many whole
// dimensions as are left.
struct None {};
struct Ellipsis {};
struct Index {
  enum class Kind : uint8_t { at, slice, none, ellipsis };
  Index(int i) : at(i) {}
  Index(int64_t i) : at(i) {}
  Index(Slice s) : slice(s), kind(Kind::slice) {}
  Index(None) : kind(Kind::none) {}
  Index(Ellipsis) : kind(Kind::ellipsis) {}
  int64_t at = 0;
  Slice slice;
  Kind kind = Kind::at;
};
struct AnyIndex;  // or a tensor of indices: `x.index({rows, 0})`

// What `register_hook` returns. `remove()` takes the hook away; dropping the handle leaves it.
class HookHandle {
 public:
  explicit HookHandle(std::weak_ptr<std::function<Tensor(const Tensor&)>> hook) : hook_(std::move(hook)) {}
  void remove();

 private:
  std::weak_ptr<std::function<Tensor(const Tensor&)>> hook_;
};

class Tensor {
 public:
  // ## Making one
  //
  // An empty handle, and 0-d tensors from C++ numbers (of floating ones: float32, PyTorch's default). The latter are
  // explicit: were they not, `sqrt(2.0)` inside `cr` would quietly become a tensor. `zeros`, `arange`, `tensor({…})` and the like are in `ops/create.hpp`.
  Tensor() = default;
  explicit Tensor(float value);
  explicit Tensor(double value);
  explicit Tensor(int64_t value);
  explicit Tensor(bool value);
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}
  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) noexcept = default;
  ~Tensor() = default;

  // `a = b` makes the handle `a` point to what `b` points to. On a view that has no name of its own, as in `x[0] = b`,
  // that would do nothing useful: there the numbers are written, as by `x[0].copy_(b)`.
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & noexcept = default;
  Tensor& operator=(const Tensor& values) &&;
  Tensor& operator=(Scalar value) &&;

  // ## What it is
  //
  // All but `defined` throw Error for an empty handle.
  bool defined() const { return bool(impl_); }
  const Shape& shape() const { return self().shape; }
  const Strides& strides() const { return self().strides; }
  int64_t size(int64_t d) const;
  int dim() const { return self().shape.size(); }
  int64_t numel() const { return self().numel; }
  DType dtype() const { return self().dtype; }
  Device device() const { return self().storage->device(); }
  bool is_contiguous() const { return self().contiguous; }

  // ## Its numbers
  //
  // `data<T>()` points at the first element of a contiguous tensor in host memory; `span<T>()` is all of them.
  // `mutable_data` counts as a write. Throw DTypeError, ShapeError or DeviceError if `T`, the layout or the device is
  // another.
  template <Element T> const T* data() const { return static_cast<const T*>(checked_data(dtype_of<T>)); }
  template <Element T> std::span<const T> span() const { return {data<T>(), static_cast<size_t>(numel())}; }
  template <Element T> T* mutable_data() const;

  // The value of a tensor with one element, converted to `T`. Throws ShapeError for any other number of elements.
  template <class T = double> T item() const { return item_scalar().template as<T>(); }

  // ## Views: other windows onto the same numbers
  Tensor reshape(Shape shape) const;  // a copy where no view will do; one size may be -1: whatever is left
  Tensor view(Shape shape) const;     // never a copy; throws ShapeError where one would be needed
  Tensor flatten(int64_t start_dim = 0, int64_t end_dim = -1) const;
  Tensor t() const;   // matrix transpose
  Tensor T() const;   // all dimensions reversed
  Tensor mT() const;  // the last two swapped
  Tensor transpose(int64_t a, int64_t b) const;
  Tensor permute(Dims order) const;
  Tensor squeeze() const;
  Tensor squeeze(int64_t d) const;
  Tensor squeeze(const Dims& dims) const;
  Tensor unsqueeze(int64_t d) const;
  Tensor expand(Shape shape) const;            // repeats dimensions of size 1 without copying; -1 keeps a size
  Tensor select(int64_t d, int64_t at) const;  // one index along d, which goes
  Tensor slice(int64_t d, Slice s) const;      // from, to before, in steps of, along d
  Tensor narrow(int64_t d, int64_t start, int64_t length) const;                  // `length` of them from `start`
  Tensor diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) const;  // x[i][i + offset], as last dimension
  Tensor unfold(int64_t d, int64_t size, int64_t step) const;  // windows of `size` every `step`: (…, windows, …, size)
  // Any window onto the storage; `offset` defaults to x's own. Throws IndexError where it would leave what x is part of.
  Tensor as_strided(const Shape& shape, const Strides& strides, std::optional<int64_t> offset = {}) const;
  Tensor operator[](Index i) const;  // x[0]; further ones in braces, x[{0, 1}]: C++ would read x[0, 1] as x[1]
  Tensor operator[](std::initializer_list<Index> indices) const;

  // ## At indices from tensors: `ops/index.hpp`
  Tensor index(const std::vector<AnyIndex>& items) const;  // like x[…], which is a view, but a copy
  const Tensor& index_put_(const std::vector<AnyIndex>& items, const Tensor& values, bool accumulate = false) const;

  // ## Copies
  Tensor clone() const;          // with numbers of its own
  Tensor contiguous() const;     // itself if it already is
  Tensor to(DType dtype) const;  // itself if it already is
  Tensor to(Device device) const;

  // ## Writes in place
  //
  // They return the tensor written to. A leaf that requires a gradient may be written only under `NoGrad`.
  const Tensor& add_(const Tensor& y, double alpha = 1) const;
  const Tensor& sub_(const Tensor& y, double alpha = 1) const;
  const Tensor& mul_(const Tensor& y) const;
  const Tensor& div_(const Tensor& y) const;
  const Tensor& add_(Scalar y) const;
  const Tensor& sub_(Scalar y) const;
  const Tensor& mul_(Scalar y) const;
  const Tensor& div_(Scalar y) const;
  const Tensor& copy_(const Tensor& y) const;  // y's numbers, in this type
  const Tensor& fill_(Scalar y) const;         // one number everywhere
  const Tensor& zero_() const { return fill_(0); }
  const Tensor& neg_() const;
  const Tensor& exp_() const;
  const Tensor& sqrt_() const;
  const Tensor& relu_() const;
  const Tensor& clamp_(std::optional<Scalar> min, std::optional<Scalar> max = std::nullopt) const;
  const Tensor& masked_fill_(const Tensor& mask, Scalar value) const;

  // ## Gradients
  //
  // `requires_grad_()` makes a leaf whose gradient `backward()` will collect in `grad()`. With `create_graph` that gradient
  // holds the graph that leads back to its own leaf: clear it when it has served, or ask `grad(…)`, which keeps nothing. `detach()` is the same numbers
  // outside the graph. A hook sees (and may replace) the gradient on its way to this tensor.
  bool requires_grad() const;
  const Tensor& requires_grad_(bool on = true) const;
  bool is_leaf() const;
  Tensor grad() const;                   // undefined before the first backward()
  void set_grad(const Tensor& g) const;  // an undefined `g` clears it
  void backward(const Tensor& gradient = {}, bool retain_graph = false, bool create_graph = false) const;
  Tensor detach() const;
  HookHandle register_hook(std::function<Tensor(const Tensor&)> hook) const;
  const char* grad_fn() const;  // the name of the operation that made it, or nullptr

  // ## Shorthands for functions in `ops/`
  Tensor sum() const;
  Tensor sum(Dims dims, bool keepdim = false) const;
  Tensor mean() const;
  Tensor mean(Dims dims, bool keepdim = false) const;
  Tensor argmax(int64_t d, bool keepdim = false) const;
  Tensor matmul(const Tensor& other) const;

  TensorImpl* impl() const { return impl_.get(); }

 private:
  TensorImpl& self() const {
    if (!impl_) [[unlikely]]
      undefined();
    return *impl_;
  }
  [[noreturn]] static void undefined();
  const void* checked_data(DType expected) const;
  Scalar item_scalar() const;
  Ref<TensorImpl> impl_;
};

// An item of `index` and `index_put_`: as between brackets, or an int64 tensor of indices, or a bool tensor, which stands
// for the places where it is true.
struct AnyIndex : Index {
  using Index::Index;
  AnyIndex(Tensor t) : Index(Slice{}), tensor(std::move(t)) {}  // an undefined one means everything
  Tensor tensor;
};

// Prints as PyTorch does: nested brackets, four decimals, long dimensions shortened.
std::ostream& operator<<(std::ostream& out, const Tensor& x);
std::string to_string(const Tensor& x);

// An uninitialised contiguous tensor.
Tensor empty(const Shape& shape, DType dtype = DType::float32, Device device = Device::cpu);

// x itself where the processor can read its numbers, otherwise a copy that it can, outside the graph: for what prints,
// saves or looks at numbers.
Tensor to_host(const Tensor& x);

// A contiguous tensor on the first bytes of `storage`, of which there must be enough.
Tensor from_storage(Ref<Storage> storage, const Shape& shape, DType dtype);

// The window (shape, strides, offset) onto x's storage, without any autograd history. Operations on views start here.
Tensor window(const Tensor& x, Shape shape, Strides strides, int64_t offset);

template <Element T> T* Tensor::mutable_data() const {
  void* p = const_cast<void*>(checked_data(dtype_of<T>));
  impl_->storage->bump("mutable_data");
  return static_cast<T*>(p);
}

}  // namespace cr
