#include "ops/pool.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"

namespace cr {

// ## What a window sees
//
// All pools share one description: for each dimension of places, where each window begins and ends and by how much its
// sum is divided (`PoolSpan`).
namespace {

using backend::PoolSpan;
using detail::spread;

// How the windows lie, in a form that a node can keep. An adaptive pool has no kernel.
struct Geometry {
  Dims in, out, kernel, stride, padding, dilation;
  bool include_pad = true;
  int64_t divisor = 0;  // 0: what the windows' sizes say
};
auto kept(const Geometry& g) {
  return attributes(g.in, g.out, g.kernel, g.stride, g.padding, g.dilation, int64_t{g.include_pad}, g.divisor);
}
Geometry geometry(Backward& b) {
  return {b.dims(0), b.dims(1), b.dims(2), b.dims(3), b.dims(4), b.dims(5), b.integer(6) != 0, b.integer(7)};
}

std::vector<PoolSpan> spans_of(const Geometry& g) {
  std::vector<PoolSpan> spans(static_cast<size_t>(g.out.size()));
  for (int d = 0; d < g.out.size(); ++d) {
    PoolSpan& s = spans[static_cast<size_t>(d)];
    auto count = static_cast<size_t>(g.out[d]);
    s.begin.resize(count);
    s.end.resize(count);
    s.size.resize(count);
    bool adaptive = g.kernel.empty();
    if (!adaptive) s.step = g.dilation[d];
    for (int64_t i = 0; i < g.out[d]; ++i) {
      int64_t begin, end, size;
      if (adaptive) {
        begin = i * g.in[d] / g.out[d];
        end = ((i + 1) * g.in[d] + g.out[d] - 1) / g.out[d];
        size = end - begin;
      } else {
        begin = i * g.stride[d] - g.padding[d];
        end = begin + (g.kernel[d] - 1) * s.step + 1;
        size = g.include_pad ? std::min(end, g.in[d] + g.padding[d]) - begin
                             : std::min(end, g.in[d]) - std::max<int64_t>(begin, 0);
      }
      if (g.divisor != 0) size = d == 0 ? g.divisor : 1;
      auto at = static_cast<size_t>(i);
      s.begin[at] = begin, s.end[at] = end, s.size[at] = size;
    }
  }
  return spans;
}

// ## Sizes, checked
//
// The places of x, (n, c, places…) or (c, places…).
Dims places_of(const std::string& op, const Tensor& x, int places) {
  Dims in;
  bool fits = x.dim() == places + 1 || x.dim() == places + 2;
  for (int d = std::max(0, x.dim() - places); fits && d < x.dim(); ++d) in.push_back(x.shape()[d]);
  for (int d = x.dim() == places + 2; fits && d < x.dim(); ++d) fits = x.shape()[d] > 0 && x.shape()[d] <= INT32_MAX;
  if (!fits) {
    throw ShapeError(op + ": needs ([n,] channels, " +
                     (places == 1   ? "length"
                      : places == 2 ? "h, w"
                                    : "d, h, w") +
                     ") with at least one of each but n, got " + to_string(x.shape()));
  }
  if (is_storage(x.dtype())) refuse_storage(x.dtype(), op.c_str());
  if (x.dtype() == DType::boolean) throw DTypeError(op + ": needs numbers, got bool");
  return in;
}

// How many windows of `span` places fit? `ceil_mode` takes one more that hangs over, if it begins before the far padding.
int64_t windows(int64_t n, int64_t span, int64_t stride, int64_t padding, bool ceil_mode) {
  int64_t room = n + 2 * padding - span;
  if (room < 0 && !ceil_mode) return 0;
  int64_t count = (room >= 0 ? room / stride : -((-room + stride - 1) / stride)) + 1;
  if (ceil_mode && room % stride != 0) {
    ++count;
    if ((count - 1) * stride >= n + padding) --count;
  }
  return count;
}

Geometry sliding(const std::string& op, const Tensor& x, int places, const Dims& kernel, const Dims& stride,
                 const Dims& padding, const Dims& dilation, bool ceil_mode) {
  Geometry g;
  g.in = places_of(op, x, places);
  g.kernel = spread(op, "kernel_size", kernel, places, 1);
  g.stride = stride.empty() ? g.kernel : spread(op, "stride", stride, places, 1);
  g.padding = spread(op, "padding", padding, places, 0);
  g.dilation = spread(op, "dilation", dilation, places, 1);
  numel(g.kernel);  // how many numbers a window has must be a number itself
  for (int d = 0; d < places; ++d) {
    int64_t span = (g.kernel[d] - 1) * g.dilation[d] + 1;
    if (g.padding[d] > span / 2) {
      throw ShapeError(op + ": padding " + to_string(g.padding) + " is more than half of what a window spans, kernel " +
                       to_string(g.kernel) + " with dilation " + to_string(g.dilation));
    }
    g.out.push_back(windows(g.in[d], span, g.stride[d], g.padding[d], ceil_mode));
    if (g.out[d] < 1) {
      throw ShapeError(op + ": kernel " + to_string(g.kernel) + " with dilation " + to_string(g.dilation) +
                       " does not fit into " + to_string(x.shape()) + " with padding " + to_string(g.padding));
    }
    // Wide steps may leap over all places.
    for (int64_t i = 0; g.dilation[d] > 1 && i < g.out[d]; ++i) {
      int64_t begin = i * g.stride[d] - g.padding[d], step = g.dilation[d];
      int64_t first = begin >= 0 ? begin : begin + (-begin + step - 1) / step * step;
      if (first < std::min(begin + span, g.in[d])) continue;
      throw ShapeError(op + ": window " + std::to_string(i) + " of kernel " + to_string(g.kernel) + " with dilation " +
                       to_string(g.dilation) + " sees no place of " + to_string(x.shape()));
    }
  }
  return g;
}

Geometry adaptive(const std::string& op, const Tensor& x, int places, const Dims& size) {
  Geometry g;
  g.in = places_of(op, x, places);
  g.out = spread(op, "output_size", size, places, -1);
  for (int d = 0; d < places; ++d) {
    if (g.out[d] == -1) g.out[d] = g.in[d];
  }
  return g;
}

// x's shape with other places; a new tensor of it.
Tensor with_places(const Tensor& x, const Dims& places, DType type) {
  Shape shape = x.shape();
  for (int d = 0; d < places.size(); ++d) shape[x.dim() - places.size() + d] = places[d];
  return empty(shape, type, x.device());
}

// (…, places…) as (planes, places…); with `flat`, as (planes, all places). The planes are counted first: x may be empty.
Tensor planes(const Tensor& x, int places, bool flat = false) {
  Shape shape{1};
  int outer = x.dim() - places;
  for (int d = 0; d < outer; ++d) shape[0] *= x.shape()[d];
  if (flat) shape.push_back(1);
  for (int d = outer; d < x.dim(); ++d) {
    if (flat) shape[1] *= x.shape()[d];
    else shape.push_back(x.shape()[d]);
  }
  return x.contiguous().reshape(shape);
}

}  // namespace

// ## The largest
//
// y = x[i] where i is the place of the largest,  dx[i] = Σ dy over the windows that chose it. That is linear in dy; the way
// back picks from each window what lies at i.
namespace {

Tensor pick(const Tensor& x, const Tensor& indices, int places) {
  return gather(planes(x, places, true), 1, planes(indices, places, true)).reshape(indices.shape());
}

Tensor put(const Tensor& dy, const Tensor& indices, const Geometry& g) {
  int places = g.in.size();
  Tensor dx = with_places(dy, g.in, dy.dtype());
  backend::on(dy.device())
      .max_pool_backward(planes(dx, places), planes(dy.detach(), places), planes(indices, places), spans_of(g));
  return record("max_pool_backward", dx, inputs(dy), saved(constant(indices)), kept(g),
                [](Backward& b) { return Grads{pick(b.dy(), b[0], b.dims(0).size())}; });
}

ValuesIndices largest(const char* op, const Tensor& x, const Geometry& g, bool indices) {
  int places = g.in.size();
  Tensor y = with_places(x, g.out, x.dtype()), at;
  if (indices || (grad_enabled() && x.requires_grad())) at = with_places(x, g.out, DType::int64);
  backend::on(x.device())
      .max_pool(planes(y, places), at.defined() ? planes(at, places) : Tensor(), planes(x.detach(), places),
                spans_of(g));
  if (at.defined()) {
    y = record(op, y, inputs(x), saved(constant(at)), kept(g),
               [](Backward& b) { return Grads{put(b.dy(), b[0], geometry(b))}; });
  }
  return {y, at};
}

ValuesIndices max_pool(const char* op, const Tensor& x, int places, const Dims& kernel, const MaxPool& o,
                       bool indices) {
  return largest(op, x, sliding(op, x, places, kernel, o.stride, o.padding, o.dilation, o.ceil_mode), indices);
}

}  // namespace

Tensor max_pool1d(const Tensor& x, const Sizes& kernel_size, const MaxPool& options) {
  return max_pool("max_pool1d", x, 1, kernel_size, options, false).values;
}
Tensor max_pool2d(const Tensor& x, const Sizes& kernel_size, const MaxPool& options) {
  return max_pool("max_pool2d", x, 2, kernel_size, options, false).values;
}
Tensor max_pool3d(const Tensor& x, const Sizes& kernel_size, const MaxPool& options) {
  return max_pool("max_pool3d", x, 3, kernel_size, options, false).values;
}
ValuesIndices max_pool1d_with_indices(const Tensor& x, const Sizes& kernel_size, const MaxPool& options) {
  return max_pool("max_pool1d", x, 1, kernel_size, options, true);
}
ValuesIndices max_pool2d_with_indices(const Tensor& x, const Sizes& kernel_size, const MaxPool& options) {
  return max_pool("max_pool2d", x, 2, kernel_size, options, true);
}
ValuesIndices max_pool3d_with_indices(const Tensor& x, const Sizes& kernel_size, const MaxPool& options) {
  return max_pool("max_pool3d", x, 3, kernel_size, options, true);
}

static ValuesIndices adaptive_max_pool(const char* op, const Tensor& x, int places, const Dims& size, bool indices) {
  return largest(op, x, adaptive(op, x, places, size), indices);
}
Tensor adaptive_max_pool1d(const Tensor& x, const Sizes& output_size) {
  return adaptive_max_pool("adaptive_max_pool1d", x, 1, output_size, false).values;
}
Tensor adaptive_max_pool2d(const Tensor& x, const Sizes& output_size) {
  return adaptive_max_pool("adaptive_max_pool2d", x, 2, output_size, false).values;
}
Tensor adaptive_max_pool3d(const Tensor& x, const Sizes& output_size) {
  return adaptive_max_pool("adaptive_max_pool3d", x, 3, output_size, false).values;
}
ValuesIndices adaptive_max_pool1d_with_indices(const Tensor& x, const Sizes& output_size) {
  return adaptive_max_pool("adaptive_max_pool1d", x, 1, output_size, true);
}
ValuesIndices adaptive_max_pool2d_with_indices(const Tensor& x, const Sizes& output_size) {
  return adaptive_max_pool("adaptive_max_pool2d", x, 2, output_size, true);
}
ValuesIndices adaptive_max_pool3d_with_indices(const Tensor& x, const Sizes& output_size) {
  return adaptive_max_pool("adaptive_max_pool3d", x, 3, output_size, true);
}

// ## Back to where it was
//
// y[i] = x,  dx = dy[i]
static Tensor max_unpool(const char* op, const Tensor& x, const Tensor& indices, int places, const Dims& kernel_size,
                         const MaxUnpool& o) {
  Dims in = places_of(op, x, places), kernel = spread(op, "kernel_size", kernel_size, places, 1),
       stride = o.stride.empty() ? kernel : spread(op, "stride", o.stride, places, 1),
       padding = spread(op, "padding", o.padding, places, 0), out;
  if (indices.dtype() != DType::int64) {
    throw DTypeError(std::string(op) + ": needs int64 indices, got " + name(indices.dtype()));
  }
  if (!(indices.shape() == x.shape())) {
    throw ShapeError(std::string(op) + ": indices " + to_string(indices.shape()) + " for input " +
                     to_string(x.shape()) + ": must be of one shape");
  }
  for (int d = 0; d < places; ++d) {
    out.push_back((in[d] - 1) * stride[d] - 2 * padding[d] + kernel[d]);
    if (out[d] < 1) {
      throw ShapeError(std::string(op) + ": padding " + to_string(padding) + " leaves nothing of " +
                       to_string(x.shape()) + " with kernel " + to_string(kernel) + " and stride " + to_string(stride));
    }
  }
  if (!o.output_size.empty()) {
    Dims asked = o.output_size;
    if (asked.size() == places + 2) asked = Dims(std::span<const int64_t>(asked.begin() + 2, asked.end()));
    bool fits = asked.size() == places;
    for (int d = 0; fits && d < places; ++d) fits = std::abs(asked[d] - out[d]) < stride[d];
    if (!fits) {
      throw ShapeError(std::string(op) + ": output_size " + to_string(o.output_size) + ": must be less than stride " +
                       to_string(stride) + " away from " + to_string(out));
    }
    out = asked;
  }
  Tensor zeros_there = with_places(x, out, x.dtype());
  zeros_there.fill_(0);
  return scatter(planes(zeros_there, places, true), 1, planes(indices, places, true), planes(x, places, true))
      .reshape(zeros_there.shape());
}
Tensor max_unpool1d(const Tensor& x, const Tensor& indices, const Sizes& kernel_size, const MaxUnpool& options) {
  return max_unpool("max_unpool1d", x, indices, 1, kernel_size, options);
}
Tensor max_unpool2d(const Tensor& x, const Tensor& indices, const Sizes& kernel_size, const MaxUnpool& options) {
  return max_unpool("max_unpool2d", x, indices, 2, kernel_size, options);
}
Tensor max_unpool3d(const Tensor& x, const Tensor& indices, const Sizes& kernel_size, const MaxUnpool& options) {
  return max_unpool("max_unpool3d", x, indices, 3, kernel_size, options);
}

// ## The mean
//
// y = Σ x / size over each window,  dx = Σ dy / size over the windows that see it. Both are linear, and each is the other's
// derivative.
namespace {

Tensor means(const char* op, const Tensor& x, const Geometry& g);

Tensor means_adjoint(const Tensor& dy, const Geometry& g) {
  int places = g.in.size();
  Tensor dx = with_places(dy, g.in, dy.dtype());
  backend::on(dy.device()).avg_pool_backward(planes(dx, places), planes(dy.detach(), places), spans_of(g));
  return record("avg_pool_backward", dx, inputs(dy), saved(), kept(g),
                [](Backward& b) { return Grads{means("avg_pool", b.dy(), geometry(b))}; });
}

Tensor means(const char* op, const Tensor& x, const Geometry& g) {
  int places = g.in.size();
  Tensor y = with_places(x, g.out, x.dtype());
  backend::on(x.device()).avg_pool(planes(y, places), planes(x.detach(), places), spans_of(g));
  return record(op, y, inputs(x), saved(), kept(g),
                [](Backward& b) { return Grads{means_adjoint(b.dy(), geometry(b))}; });
}

Tensor avg_pool(const char* op, const Tensor& x, int places, const Dims& kernel, const AvgPool& o) {
  Geometry g = sliding(op, x, places, kernel, o.stride, o.padding, {1}, o.ceil_mode);
  g.include_pad = o.count_include_pad;
  if (o.divisor_override) {
    if (*o.divisor_override == 0) throw Error(std::string(op) + ": divisor_override is 0");
    g.divisor = *o.divisor_override;
  }
  return means(op, x, g);
}

Tensor adaptive_avg_pool(const char* op, const Tensor& x, int places, const Dims& size) {
  if (!is_floating(x.dtype())) {
    throw DTypeError(std::string(op) + ": needs a floating-point tensor, got " + name(x.dtype()));
  }
  return means(op, x, adaptive(op, x, places, size));
}

}  // namespace

Tensor avg_pool1d(const Tensor& x, const Sizes& kernel_size, const AvgPool& options) {
  return avg_pool("avg_pool1d", x, 1, kernel_size, options);
}
Tensor avg_pool2d(const Tensor& x, const Sizes& kernel_size, const AvgPool& options) {
  return avg_pool("avg_pool2d", x, 2, kernel_size, options);
}
Tensor avg_pool3d(const Tensor& x, const Sizes& kernel_size, const AvgPool& options) {
  return avg_pool("avg_pool3d", x, 3, kernel_size, options);
}
Tensor adaptive_avg_pool1d(const Tensor& x, const Sizes& output_size) {
  return adaptive_avg_pool("adaptive_avg_pool1d", x, 1, output_size);
}
Tensor adaptive_avg_pool2d(const Tensor& x, const Sizes& output_size) {
  return adaptive_avg_pool("adaptive_avg_pool2d", x, 2, output_size);
}
Tensor adaptive_avg_pool3d(const Tensor& x, const Sizes& output_size) {
  return adaptive_avg_pool("adaptive_avg_pool3d", x, 3, output_size);
}

// ## A norm
//
// y = (Σ xᵖ)^(1/p), the sum being the mean times the window's size. Where it is 0, relu gives it a gradient of 0, whatever
// the root's is.
static Tensor lp_pool(const char* op, const Tensor& x, int places, double p, const Dims& kernel, const LpPool& o) {
  if (p == 0) throw Error(std::string(op) + ": norm_type is 0");
  if (std::isinf(p)) {
    const double sign = p > 0 ? 1 : -1;
    return max_pool(op, abs(x) * sign, places, kernel, {.stride = o.stride, .ceil_mode = o.ceil_mode}, false).values *
           sign;
  }
  Dims size = spread(op, "kernel_size", kernel, places, 1);
  Tensor average = avg_pool(op, pow(x, p), places, size, {.stride = o.stride, .ceil_mode = o.ceil_mode});
  return pow(sign(average) * relu(abs(average)) * static_cast<double>(numel(size)), 1 / p);
}
Tensor lp_pool1d(const Tensor& x, double norm_type, const Sizes& kernel_size, const LpPool& options) {
  return lp_pool("lp_pool1d", x, 1, norm_type, kernel_size, options);
}
Tensor lp_pool2d(const Tensor& x, double norm_type, const Sizes& kernel_size, const LpPool& options) {
  return lp_pool("lp_pool2d", x, 2, norm_type, kernel_size, options);
}
Tensor lp_pool3d(const Tensor& x, double norm_type, const Sizes& kernel_size, const LpPool& options) {
  return lp_pool("lp_pool3d", x, 3, norm_type, kernel_size, options);
}

}  // namespace cr
