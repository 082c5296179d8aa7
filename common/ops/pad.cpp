#include "ops/pad.hpp"

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/index.hpp"

namespace cr {
namespace {

void check_pad(const char* op, const Tensor& x, const Dims& pad) {
  if (pad.size() % 2 != 0 || pad.size() > 2 * x.dim()) {
    throw ShapeError(std::string(op) + ": " + std::to_string(pad.size()) + " borders for shape " +
                     to_string(x.shape()) + "; each dimension has two");
  }
}

// What is cut off must be there.
int64_t padded_size(const char* op, const Tensor& x, int d, int64_t before, int64_t after) {
  int64_t size = x.shape()[d] + std::min<int64_t>(before, 0);
  if (size >= 0) size += std::min<int64_t>(after, 0);
  if (size < 0 || __builtin_add_overflow(size, std::max<int64_t>(before, 0), &size) ||
      __builtin_add_overflow(size, std::max<int64_t>(after, 0), &size)) {
    throw ShapeError(std::string(op) + ": borders " + std::to_string(before) + " and " + std::to_string(after) +
                     " do not fit dimension " + std::to_string(d) + " of shape " + to_string(x.shape()));
  }
  return size;
}

// Which element of a dimension of size n stands at place i, where i may lie outside.
int64_t source_of(int64_t i, int64_t n, const std::string& mode) {
  if (mode == "replicate") return std::clamp<int64_t>(i, 0, n - 1);
  if (mode == "circular") return (i % n + n) % n;
  return i < 0 ? -i : i < n ? i : 2 * (n - 1) - i;
}

// Backward, what was put on is cut off and the other way round: the same operation with the signs turned.
Tensor with_constant(const char* op, const Tensor& x, const Dims& pad, Scalar value) {
  check_pad(op, x, pad);
  Shape shape = x.shape();
  Tensor inner = x.detach();
  Dims starts(x.dim(), 0), opposite;
  for (int k = 0; k < pad.size() / 2; ++k) {
    int d = x.dim() - 1 - k;
    int64_t before = pad[2 * k], after = pad[2 * k + 1];
    shape[d] = padded_size(op, x, d, before, after);
    int64_t first = std::max<int64_t>(-before, 0), end = x.shape()[d] - std::max<int64_t>(-after, 0);
    inner = inner.narrow(d, first, end - first);
    starts[d] = std::max<int64_t>(before, 0);
    opposite.push_back(-before), opposite.push_back(-after);
  }
  Tensor y = full(shape, value, x.dtype(), x.device());
  int64_t start = 0;
  for (int d = 0; d < x.dim(); ++d) start += starts[d] * y.strides()[d];
  if (inner.numel() > 0) backend::on(x.device()).copy(window(y, inner.shape(), y.strides(), start), inner);
  return record("constant_pad_nd", y, inputs(x), saved(), attributes(opposite),
                [](Backward& b) { return Grads{constant_pad_nd(b.dy(), b.dims(0))}; });
}

}  // namespace

Tensor constant_pad_nd(const Tensor& x, const Dims& pad, Scalar value) {
  return with_constant("constant_pad_nd", x, pad, value);
}

// All other borders are copies of elements, so each dimension is a selection.
Tensor pad(const Tensor& x, const Dims& pad, const std::string& mode, Scalar value) {
  if (mode == "constant") return with_constant("pad", x, pad, value);
  if (mode != "reflect" && mode != "replicate" && mode != "circular")
    throw Error("pad: mode \"" + mode + "\" is none of constant, reflect, replicate, circular");
  check_pad("pad", x, pad);
  Tensor y = x;
  for (int k = 0; k < pad.size() / 2; ++k) {
    int d = x.dim() - 1 - k;
    int64_t before = pad[2 * k], after = pad[2 * k + 1], n = x.shape()[d];
    if (before == 0 && after == 0) continue;
    int64_t size = padded_size("pad", x, d, before, after), most = std::max(before, after), cut = 0;
    if (mode == "circular") {  // what is cut off does not come back at the other end
      cut = std::max<int64_t>(-before, 0);
      n -= cut + std::max<int64_t>(-after, 0);
    }
    if (n == 0 || (mode == "reflect" && most >= n) || (mode == "circular" && most > n)) {
      throw ShapeError("pad: borders " + std::to_string(before) + " and " + std::to_string(after) +
                       " are too wide to " + mode + " dimension " + std::to_string(d) + " of shape " +
                       to_string(x.shape()));
    }
    Tensor index = empty({size}, DType::int64);
    auto* at = index.mutable_data<int64_t>();
    for (int64_t i = 0; i < size; ++i) at[i] = cut + source_of(i - before - cut, n, mode);
    y = index_select(y, d, index.to(x.device()));
  }
  return y.impl() == x.impl() ? x.clone() : y;
}

// ## Images as columns
//
// With strides alone, an image (n, c, h, w) looks like (n, c, kernel h, kernel w, rows, columns) of overlapping
// patches. `as_strided` reads them, and its adjoint adds them up.
namespace {

int64_t either(const char* op, const char* what, const Dims& both, int i, int64_t least) {
  if (both.size() != 1 && both.size() != 2) {
    throw ShapeError(std::string(op) + ": " + what + " " + to_string(both) + " should be one number or two");
  }
  int64_t size = both[both.size() == 2 ? i : 0];
  if (size < least) throw ShapeError(std::string(op) + ": " + what + " " + to_string(both));
  return size;
}

struct Patches {
  Shape image, shape;  // the padded image (n, c, h, w); (n, c, kernel h, kernel w, rows, columns)
  Strides strides;     // of the latter in the former
  int64_t top, left;   // the border

  Patches(const char* op, int64_t n, int64_t c, const Dims& size, const Dims& kernel, const Window& w) {
    int64_t count[2], k[2], border[2], dilation[2], stride[2], padded[2];
    for (int i = 0; i < 2; ++i) {
      k[i] = either(op, "kernel_size", kernel, i, 1);
      dilation[i] = either(op, "dilation", w.dilation, i, 1);
      border[i] = either(op, "padding", w.padding, i, 0);
      stride[i] = either(op, "stride", w.stride, i, 1);
      int64_t last = 0;  // where a window that begins at 0 ends
      if (__builtin_mul_overflow(2, border[i], &padded[i]) || __builtin_add_overflow(padded[i], size[i], &padded[i]) ||
          __builtin_mul_overflow(dilation[i], k[i] - 1, &last) || padded[i] <= last) {
        throw ShapeError(std::string(op) + ": a window of " + std::to_string(k[i]) + " with a dilation of " +
                         std::to_string(dilation[i]) + " does not fit an image of shape " + to_string(size) +
                         " with a border of " + std::to_string(border[i]));
      }
      count[i] = (padded[i] - last - 1) / stride[i] + 1;
    }
    top = border[0], left = border[1];
    image = {n, c, padded[0], padded[1]};
    shape = {n, c, k[0], k[1], count[0], count[1]};
    numel(image), numel(shape);  // may be too many
    Strides s = contiguous_strides(image);
    strides = {s[0], s[1], dilation[0] * s[2], dilation[1], stride[0] * s[2], stride[1]};
  }
  int64_t rows() const { return shape[1] * shape[2] * shape[3]; }
  int64_t columns() const { return shape[4] * shape[5]; }
};

}  // namespace

Tensor unfold(const Tensor& x, const Dims& kernel_size, const Window& window) {
  if (x.dim() == 3) return unfold(x.unsqueeze(0), kernel_size, window).squeeze(0);
  if (x.dim() != 4)
    throw ShapeError("unfold: needs images (n, c, h, w) or (c, h, w), got shape " + to_string(x.shape()));
  Patches p("unfold", x.size(0), x.size(1), {x.size(2), x.size(3)}, kernel_size, window);
  Tensor padded = p.top || p.left ? constant_pad_nd(x, {p.left, p.left, p.top, p.top}) : x;
  return as_strided(padded, p.shape, p.strides, 0).reshape({x.size(0), p.rows(), p.columns()});
}

Tensor fold(const Tensor& x, const Dims& output_size, const Dims& kernel_size, const Window& window) {
  if (x.dim() == 2) return fold(x.unsqueeze(0), output_size, kernel_size, window).squeeze(0);
  if (x.dim() != 3)
    throw ShapeError("fold: needs columns (n, c · k, patches) or (c · k, patches), got shape " + to_string(x.shape()));
  int64_t area = 0;
  if (__builtin_mul_overflow(either("fold", "kernel_size", kernel_size, 0, 1),
                             either("fold", "kernel_size", kernel_size, 1, 1), &area)) {
    throw ShapeError("fold: columns of shape " + to_string(x.shape()) + " are no patches of " + to_string(kernel_size));
  }
  Dims size = {either("fold", "output_size", output_size, 0, 1), either("fold", "output_size", output_size, 1, 1)};
  Patches p("fold", x.size(0), x.size(1) / area, size, kernel_size, window);
  if (x.size(1) != p.rows() || x.size(2) != p.columns()) {
    throw ShapeError("fold: columns of shape " + to_string(x.shape()) + ", but images of " + to_string(size) +
                     " have patches of (…, " + std::to_string(p.rows()) + ", " + std::to_string(p.columns()) + ")");
  }
  Tensor image = as_strided_adjoint(x.reshape(p.shape), p.image, p.shape, p.strides, 0);
  return p.top || p.left ? constant_pad_nd(image, {-p.left, -p.left, -p.top, -p.top}) : image;
}

}  // namespace cr
