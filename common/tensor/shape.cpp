#include "tensor/shape.hpp"

#include "tensor/error.hpp"

namespace cr {

int64_t numel(const Shape& shape) {
  int64_t product = 1;
  bool zero = false, overflow = false;
  for (int64_t size : shape) {
    if (size < 0) throw ShapeError("shape " + to_string(shape) + ": sizes cannot be negative");
    if (size == 0) zero = true;
    else overflow |= __builtin_mul_overflow(product, size, &product) || product > (int64_t{1} << 62);
  }
  if (zero) return 0;
  if (overflow) throw ShapeError("shape " + to_string(shape) + ": more elements than memory can address");
  return product;
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides(shape.size(), 1);
  for (int d = shape.size() - 2; d >= 0; --d) strides[d] = strides[d + 1] * std::max<int64_t>(shape[d + 1], 1);
  return strides;
}

bool is_contiguous(const Shape& shape, const Strides& strides) {
  int64_t expected = 1;
  for (int d = shape.size() - 1; d >= 0; --d) {
    if (shape[d] == 0) return true;
    if (shape[d] != 1 && strides[d] != expected) {
      return std::find(shape.begin(), shape.end(), 0) != shape.end();
    }
    expected *= shape[d];
  }
  return true;
}

// From the smallest stride to the largest, each must step over all that the smaller ones reach.
bool may_overlap(const Shape& shape, const Strides& strides) {
  InlineVector<std::pair<int64_t, int64_t>, 5> dims;
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0) return false;
    if (shape[d] > 1) dims.push_back({strides[d], shape[d]});
  }
  std::sort(dims.begin(), dims.end());
  int64_t reach = 0;
  for (auto& [stride, size] : dims) {
    if (stride <= reach) return true;
    reach += (size - 1) * stride;
  }
  return false;
}

bool is_dense(const Shape& shape, const Strides& strides) {
  int64_t reach = 1, count = 1;
  for (int d = 0; d < shape.size(); ++d) {
    reach += (shape[d] - 1) * strides[d];
    count *= shape[d];
  }
  return count == 0 || (reach == count && !may_overlap(shape, strides));
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op) {
  if (a == b) return a;
  Shape out(std::max(a.size(), b.size()), 1);
  for (int d = 1; d <= out.size(); ++d) {
    int64_t from_a = d <= a.size() ? a[a.size() - d] : 1;
    int64_t from_b = d <= b.size() ? b[b.size() - d] : 1;
    if (from_a != from_b && from_a != 1 && from_b != 1) {
      throw ShapeError(std::string(op) + ": shapes " + to_string(a) + " and " + to_string(b) +
                       " do not broadcast: sizes " + std::to_string(from_a) + " and " + std::to_string(from_b) +
                       " differ, and neither is 1");
    }
    out[out.size() - d] = from_a == 1 ? from_b : from_a;
  }
  return out;
}

int wrap_dim(int64_t dim, int rank, const char* op) {
  int64_t count = std::max(rank, 1);
  if (dim < -count || dim >= count) {
    throw IndexError(std::string(op) + ": dimension " + std::to_string(dim) + " is out of range for a tensor with " +
                     std::to_string(rank) + (rank == 1 ? " dimension" : " dimensions"));
  }
  return static_cast<int>(dim < 0 ? dim + count : dim);
}

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (int d = 0; d < shape.size(); ++d) {
    if (d > 0) text += ", ";
    text += std::to_string(shape[d]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace cr
