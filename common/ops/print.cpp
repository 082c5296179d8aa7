// # Printing
//
// As PyTorch does it: nested brackets, columns of one width, four decimals, or scientific notation where the numbers span
// too many sizes; beyond a thousand elements only the first and last three of each dimension.
#include <fmt/format.h>

#include <cmath>
#include <ostream>

#include "tensor/tensor.hpp"

namespace cr {
namespace {

constexpr int64_t kEdge = 3, kThreshold = 1000;

struct Style {
  bool summarize, scientific = false, whole = true;
  size_t width = 0;
};

std::string text(double value, const Style& style) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (style.scientific) return fmt::format("{:.4e}", value);
  return style.whole ? fmt::format("{:.0f}.", value) : fmt::format("{:.4f}", value);
}

// Calls f for the elements that will be shown, in order.
template <class F> void shown(const Tensor& x, int d, int64_t offset, bool summarize, F&& f) {
  if (d == x.dim()) return f(offset);
  int64_t n = x.shape()[d];
  for (int64_t i = 0; i < n; ++i) {
    if (summarize && n > 2 * kEdge && i == kEdge) i = n - kEdge;
    shown(x, d + 1, offset + i * x.strides()[d], summarize, f);
  }
}

template <class T> T element_at(const Tensor& x, int64_t offset) {
  return static_cast<const T*>(x.impl()->storage->data())[offset];
}

double value_at(const Tensor& x, int64_t offset) {
  return dispatch(x.dtype(), [&](auto t) { return static_cast<double>(element_at<decltype(t)>(x, offset)); });
}

std::string text_at(const Tensor& x, int64_t offset, const Style& style) {
  if (x.dtype() == DType::boolean) return element_at<bool>(x, offset) ? "true" : "false";
  if (x.dtype() == DType::int64) return std::to_string(element_at<int64_t>(x, offset));
  return text(value_at(x, offset), style);
}

void print(const Tensor& x, int d, int64_t offset, const Style& style, std::string& out) {
  if (d == x.dim()) {
    out += fmt::format("{:>{}}", text_at(x, offset, style), style.width);
    return;
  }
  int64_t n = x.shape()[d];
  bool last = d == x.dim() - 1;
  std::string separator = last ? ", "
                               : "," + std::string(static_cast<size_t>(x.dim() - 1 - d), '\n') +
                                     std::string(static_cast<size_t>(d) + 8, ' ');
  out += '[';
  for (int64_t i = 0; i < n; ++i) {
    if (i > 0) out += separator;
    if (style.summarize && n > 2 * kEdge && i == kEdge) {
      out += (last ? " ..." : "...") + separator;
      i = n - kEdge;
    }
    print(x, d + 1, offset + i * x.strides()[d], style, out);
  }
  out += ']';
}

}  // namespace

std::string to_string(const Tensor& given) {
  if (!given.defined()) return "tensor(undefined)";
  Tensor x = given.device() == Device::cuda ? given.to(Device::cpu) : given.detach();
  Style style{.summarize = x.numel() > kThreshold};
  if (is_floating(x.dtype())) {
    double largest = 0, smallest = INFINITY;
    shown(x, 0, x.impl()->offset, style.summarize, [&](int64_t at) {
      double v = std::abs(value_at(x, at));
      if (!std::isfinite(v)) return;
      style.whole = style.whole && v == std::floor(v);
      largest = std::max(largest, v);
      if (v > 0) smallest = std::min(smallest, v);
    });
    style.scientific = largest > 1e8 || (largest > 0 && (largest / smallest > 1000 || smallest < 1e-4));
  }
  shown(x, 0, x.impl()->offset, style.summarize, [&](int64_t at) {
    double v = value_at(x, at);
    if (is_floating(x.dtype()) && (v == 0 || !std::isfinite(v))) return;  // these do not set the columns' width
    style.width = std::max(style.width, text_at(x, at, style).size());
  });
  std::string out = "tensor(";
  if (x.numel() == 0) out += "[]";
  else print(x, 0, x.impl()->offset, style, out);
  if (x.numel() == 0 && x.dim() != 1) out += ", size=" + to_string(x.shape());
  if (x.dtype() == DType::float64 || (x.numel() == 0 && x.dtype() != DType::float32))
    out += std::string(", dtype=") + name(x.dtype());
  if (given.grad_fn()) out += std::string(", grad_fn=<") + given.grad_fn() + ">";
  else if (given.requires_grad()) out += ", requires_grad=true";
  return out + ")";
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_string(x); }

}  // namespace cr
