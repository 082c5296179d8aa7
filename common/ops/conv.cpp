#include "ops/conv.hpp"

#include <algorithm>

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/reduce.hpp"
#include "ops/view.hpp"

namespace cr {
namespace {

using detail::spread;

// ## Three maps that are each other's derivatives
//
// y = x ⋆ w is linear in x and in w. Its adjoints are dx = A(dy, w), for fixed w, and dw = B(x, dy), for fixed x; and the
// three are one trilinear form, ⟨x ⋆ w, dy⟩ = ⟨x, A(dy, w)⟩ = ⟨w, B(x, dy)⟩. So the derivatives of each are the other two,
// and with them come derivatives of any order.
//
//     y  = x ⋆ w:     x ↦ A(dy, w),  w ↦ B(x, dy)
//     dx = A(dy, w):  dy ↦ g ⋆ w,    w ↦ B(g, dy)
//     dw = B(x, dy):  x ↦ A(dy, g),  dy ↦ x ⋆ g
struct Sliding {
  backend::Window window;
  int64_t groups = 1;
};

Tensor forward(const Tensor& x, const Tensor& w, const Tensor& bias, const Sliding& s, const Shape& shape);
Tensor to_input(const Tensor& dy, const Tensor& w, const Tensor& bias, const Sliding& s, const Shape& shape);
Tensor to_weight(const Tensor& x, const Tensor& dy, const Sliding& s, const Shape& shape);

Sliding sliding(Backward& b) { return {{b.dims(0), b.dims(1), b.dims(2)}, b.integer(3)}; }
bool has_bias(Backward& b) { return b.integer(4); }

// All dimensions but the channels'.
Tensor sum_by_channel(const Tensor& x) {
  Dims over{0};
  for (int d = 2; d < x.dim(); ++d) over.push_back(d);
  return sum(x, over);
}

Tensor record_sliding(const char* op, const Tensor& y, const Tensor& a, const Tensor& b, const Tensor& bias,
                      const Sliding& s, Rule rule) {
  const auto& [stride, padding, dilation] = s.window;
  auto numbers = attributes(stride, padding, dilation, s.groups, int64_t{bias.defined()});
  if (!bias.defined()) return record(op, y, inputs(a, b), saved(a, b), numbers, rule);
  return record(op, y, inputs(a, b, bias), saved(a, b), numbers, rule);
}

Tensor forward(const Tensor& strided_x, const Tensor& strided_w, const Tensor& strided_bias, const Sliding& s,
               const Shape& shape) {
  Tensor x = strided_x.contiguous(), w = strided_w.contiguous();
  Tensor bias = strided_bias.defined() ? strided_bias.contiguous() : strided_bias;
  Tensor y = empty(shape, x.dtype(), x.device());
  backend::on(x.device()).conv(y, x, w, bias, s.window, s.groups);
  return record_sliding("conv", y, x, w, bias, s, [](Backward& b) {
    Tensor x = b[0], w = b[1], dy = b.dy();
    Sliding s = sliding(b);
    Grads grads{b.needs(0) ? to_input(dy, w, {}, s, x.shape()) : Tensor(),
                b.needs(1) ? to_weight(x, dy, s, w.shape()) : Tensor()};
    if (has_bias(b)) grads.push_back(b.needs(2) ? sum_by_channel(dy) : Tensor());
    return grads;
  });
}

Tensor to_input(const Tensor& strided_dy, const Tensor& strided_w, const Tensor& strided_bias, const Sliding& s,
                const Shape& shape) {
  Tensor dy = strided_dy.contiguous(), w = strided_w.contiguous();
  Tensor bias = strided_bias.defined() ? strided_bias.contiguous() : strided_bias;
  Tensor dx = empty(shape, dy.dtype(), dy.device());
  backend::on(dy.device()).conv_input(dx, dy, w, bias, s.window, s.groups);
  return record_sliding("conv_input", dx, dy, w, bias, s, [](Backward& b) {
    Tensor dy = b[0], w = b[1], g = b.dy();
    Sliding s = sliding(b);
    Grads grads{b.needs(0) ? forward(g, w, {}, s, dy.shape()) : Tensor(),
                b.needs(1) ? to_weight(g, dy, s, w.shape()) : Tensor()};
    if (has_bias(b)) grads.push_back(b.needs(2) ? sum_by_channel(g) : Tensor());
    return grads;
  });
}

Tensor to_weight(const Tensor& strided_x, const Tensor& strided_dy, const Sliding& s, const Shape& shape) {
  Tensor x = strided_x.contiguous(), dy = strided_dy.contiguous();
  Tensor dw = empty(shape, x.dtype(), x.device());
  backend::on(x.device()).conv_weight(dw, x, dy, s.window, s.groups);
  return record_sliding("conv_weight", dw, x, dy, {}, s, [](Backward& b) {
    Tensor x = b[0], dy = b[1], g = b.dy();
    Sliding s = sliding(b);
    return Grads{b.needs(0) ? to_input(dy, g, {}, s, x.shape()) : Tensor(),
                 b.needs(1) ? forward(x, g, {}, s, dy.shape()) : Tensor()};
  });
}

// ## What fits
[[noreturn]] void refuse(const std::string& op, const std::string& what) { throw ShapeError(op + ": " + what); }

std::string operands(const Tensor& x, const Tensor& weight) {
  return "input " + to_string(x.shape()) + ", weight " + to_string(weight.shape());
}

// a · b + c, of what may be any numbers.
int64_t checked(const std::string& op, int64_t a, int64_t b, int64_t c) {
  int64_t product, sum;
  if (__builtin_mul_overflow(a, b, &product) || __builtin_add_overflow(product, c, &sum))
    refuse(op, "the sizes are too large to count");
  return sum;
}

// x as (n, c, places…); `in` and `out` are the dimensions of weight that belong to the input's and the result's channels.
struct Checked {
  Tensor x;
  bool batched;
  int64_t out_channels;
};
Checked check(const std::string& op, const Tensor& x, const Tensor& weight, const Tensor& bias, int places,
              int64_t groups, bool transposed) {
  if (x.dtype() != weight.dtype() || !(is_floating(x.dtype()) || x.dtype() == DType::int64) || is_storage(x.dtype())) {
    throw DTypeError(op + ": needs input and weight of one type, floating-point or int64, got " + name(x.dtype()) +
                     " and " + name(weight.dtype()));
  }
  if (bias.defined() && bias.dtype() != x.dtype())
    throw DTypeError(op + ": bias is " + name(bias.dtype()) + ", the input " + name(x.dtype()));
  backend::check_device(op.c_str(), x, weight);
  if (bias.defined()) backend::check_device(op.c_str(), x, bias);

  const std::string rank = std::to_string(places + 2);
  if (weight.dim() != places + 2)
    refuse(op, "weight " + to_string(weight.shape()) + " must have " + rank + " dimensions");
  const bool batched = x.dim() == places + 2;
  if (!batched && x.dim() != places + 1) {
    refuse(op, "input " + to_string(x.shape()) + " must have " + rank + " dimensions, or " +
                   std::to_string(places + 1) + " without a batch");
  }
  const Shape& w = weight.shape();
  if (groups < 1) refuse(op, "groups must be at least 1, got " + std::to_string(groups));
  if (w[0] < 1 || w[0] % groups != 0) {
    refuse(op, "weight " + to_string(w) + ": " + std::to_string(w[0]) + " channels do not divide into " +
                   std::to_string(groups) + " groups");
  }
  const int64_t channels = x.shape()[batched ? 1 : 0];
  const int64_t in = transposed ? w[0] : checked(op, w[1], groups, 0);
  const int64_t out = transposed ? checked(op, w[1], groups, 0) : w[0];
  if (channels != in) {
    refuse(op, operands(x, weight) + ", groups " + std::to_string(groups) + ": the input must have " +
                   std::to_string(in) + " channels");
  }
  for (int d = 0; d < places; ++d) {
    if (w[d + 2] < 1) refuse(op, "weight " + to_string(w) + ": the kernel is empty");
    if (x.shape()[x.dim() - places + d] < 1) refuse(op, "input " + to_string(x.shape()) + " has no places");
  }
  if (bias.defined() && !(bias.shape() == Shape{out}))
    refuse(op, "bias " + to_string(bias.shape()) + " must be " + to_string(Shape{out}));
  return {batched ? x : x.unsqueeze(0), batched, out};
}

// The weights of taps that see more than padding, for the convolution from x to y: with the others gone, wide padding does
// not cost memory. At least one tap stays.
Tensor seeing_taps(const Tensor& weight, const Shape& x, const Shape& y, Sliding& s) {
  Tensor seeing = weight;
  for (int d = 0; d < s.window.padding.size(); ++d) {
    const int64_t most = weight.shape()[d + 2] - 1, dilation = s.window.dilation[d];
    int64_t& padding = s.window.padding[d];
    // Tap t looks at t dilation − padding from the first place, at that + `along` from the last one.
    const int64_t along = (y[d + 2] - 1) * s.window.stride[d];
    const int64_t first = std::min(std::max<int64_t>(padding - along + dilation - 1, 0) / dilation, most);
    const int64_t last = std::clamp((padding + x[d + 2] - 1) / dilation, first, most);
    if (last - first == most) continue;
    seeing = seeing.narrow(d + 2, first, last - first + 1);
    padding -= first * dilation;
  }
  return seeing;
}

// Refuses a result of more numbers than can be counted.
void check_size(const std::string& op, const Shape& shape) {
  int64_t total = 1;
  for (int64_t size : shape) total = checked(op, total, size, 0);
}

Tensor convolve(const char* op, int places, const Tensor& input, const Tensor& weight, const Tensor& bias,
                const ConvOptions& o) {
  const auto [x, batched, out] = check(op, input, weight, bias, places, o.groups, false);
  Sliding s{{spread(op, "stride", o.stride, places, 1), spread(op, "padding", o.padding, places, 0),
             spread(op, "dilation", o.dilation, places, 1)},
            o.groups};
  Shape shape{x.shape()[0], out};
  for (int d = 0; d < places; ++d) {
    const int64_t size = x.shape()[d + 2];
    const int64_t reach = checked(op, s.window.dilation[d], weight.shape()[d + 2] - 1, 0);
    if (o.padding.same) {
      if (s.window.stride[d] != 1) refuse(op, "\"same\" padding goes with stride 1 only");
      s.window.padding[d] = reach / 2;
      shape.push_back(size);
      continue;
    }
    const int64_t padded = checked(op, 2, s.window.padding[d], size);
    if (reach >= padded) {
      refuse(op, operands(input, weight) + ": a kernel that reaches over " + std::to_string(reach + 1) +
                     " places does not fit into " + std::to_string(padded) + " with padding");
    }
    shape.push_back((padded - reach - 1) / s.window.stride[d] + 1);
  }
  check_size(op, shape);
  const Tensor seeing = seeing_taps(weight, x.shape(), shape, s);
  Tensor y = forward(x, seeing, bias, s, shape);
  return batched ? y : y.squeeze(0);
}

Tensor convolve_transposed(const char* op, int places, const Tensor& input, const Tensor& weight, const Tensor& bias,
                           const ConvTransposeOptions& o) {
  const auto [x, batched, out] = check(op, input, weight, bias, places, o.groups, true);
  Sliding s{{spread(op, "stride", o.stride, places, 1), spread(op, "padding", o.padding, places, 0),
             spread(op, "dilation", o.dilation, places, 1)},
            o.groups};
  const Dims extra = spread(op, "output_padding", o.output_padding, places, 0);
  Shape shape{x.shape()[0], out};
  for (int d = 0; d < places; ++d) {
    const int64_t stride = s.window.stride[d], dilation = s.window.dilation[d];
    if (extra[d] >= std::max(stride, dilation)) {
      refuse(op, "output_padding " + to_string(extra) + " must be less than stride " + to_string(s.window.stride) +
                     " or dilation " + to_string(s.window.dilation));
    }
    const int64_t reach = checked(op, dilation, weight.shape()[d + 2] - 1, extra[d] + 1);
    const int64_t size = checked(op, -2, s.window.padding[d], checked(op, x.shape()[d + 2] - 1, stride, reach));
    if (size < 1) {
      refuse(op, operands(input, weight) + ": padding " + to_string(s.window.padding) + " leaves " +
                     std::to_string(size) + " places");
    }
    shape.push_back(size);
  }
  check_size(op, shape);
  const Tensor seeing = seeing_taps(weight, shape, x.shape(), s);
  Tensor y = to_input(x, seeing, bias, s, shape);
  return batched ? y : y.squeeze(0);
}

}  // namespace

ConvPadding::ConvPadding(const std::string& word) : PerPlace(0), same(word == "same") {
  if (word != "same" && word != "valid")
    throw Error("conv: padding is \"same\", \"valid\" or numbers, got \"" + word + "\"");
}

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return convolve("conv1d", 1, x, weight, bias, options);
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return convolve("conv2d", 2, x, weight, bias, options);
}
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return convolve("conv3d", 3, x, weight, bias, options);
}
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return convolve_transposed("conv_transpose1d", 1, x, weight, bias, options);
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return convolve_transposed("conv_transpose2d", 2, x, weight, bias, options);
}
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return convolve_transposed("conv_transpose3d", 3, x, weight, bias, options);
}

}  // namespace cr
