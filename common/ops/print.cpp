// # Printing
//
// As PyTorch does it: nested brackets, columns of one width, four decimals, or scientific notation where the numbers span
// too many sizes; lines of at most 80 columns; beyond a thousand elements only the first and last three of each dimension.
#include <fmt/format.h>

#include <cmath>
#include <ostream>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr {
namespace {

constexpr int64_t kEdge = 3, kThreshold = 1000;
constexpr size_t kLine = 80;
const std::string kBracket = "tensor(";

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

std::string print(const Tensor& x, int d, int64_t offset, const Style& style) {
  if (d == x.dim()) return fmt::format("{:>{}}", text_at(x, offset, style), style.width);
  int64_t n = x.shape()[d], step = x.strides()[d];
  bool innermost = d == x.dim() - 1;
  std::vector<std::string> items;
  for (int64_t i = 0; i < n; ++i) {
    if (style.summarize && n > 2 * kEdge && i == kEdge) {
      items.push_back(innermost ? " ..." : "...");
      i = n - kEdge;
    }
    items.push_back(print(x, d + 1, offset + i * step, style));
  }
  // Numbers stand side by side as far as the line goes, rows below each other, matrices with an empty line between.
  size_t indent = kBracket.size() + static_cast<size_t>(d) + 1;
  size_t per_line = innermost ? std::max<size_t>(1, (kLine - indent + 1) / (style.width + 2)) : 1;
  std::string line_end(innermost ? 1 : static_cast<size_t>(x.dim() - 1 - d), '\n');
  std::string out = "[";
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += i % per_line == 0 ? "," + line_end + std::string(indent, ' ') : ", ";
    out += items[i];
  }
  return out + "]";
}

}  // namespace

std::string to_string(const Tensor& given) {
  if (!given.defined()) return "tensor(undefined)";
  Tensor x = to_host(given.detach());
  if (is_storage(x.dtype())) x = x.to(DType::float32);
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
  std::string out = kBracket;
  out += x.numel() == 0 ? "[]" : print(x, 0, x.impl()->offset, style);
  auto suffix = [&](const std::string& words) {
    size_t column = out.size() - (out.rfind('\n') + 1);  // npos + 1 is 0
    out += (column + words.size() + 4 > kLine ? ",\n" + std::string(kBracket.size(), ' ') : ", ") + words;
  };
  if (x.numel() == 0 && x.dim() != 1) suffix("size=" + to_string(x.shape()));
  DType type = given.dtype();
  if (type == DType::float64 || is_storage(type) || (x.numel() == 0 && type != DType::float32))
    suffix(std::string("dtype=") + name(type));
  if (given.grad_fn()) suffix(std::string("grad_fn=<") + given.grad_fn() + ">");
  else if (given.requires_grad()) suffix("requires_grad=true");
  return out + ")";
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_string(x); }

}  // namespace cr
