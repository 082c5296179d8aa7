// # In pieces
//
// A piece is a `narrow`; only the arithmetic of where to cut differs.
#include "ops/view.hpp"

namespace cr {

// Each piece takes memory, however little there is in it.
static void check_pieces(const char* op, int64_t pieces) {
  constexpr int64_t kMost = 1 << 24;
  if (pieces > kMost)
    throw Error(std::string(op) + ": " + std::to_string(pieces) + " pieces are more than " + std::to_string(kMost));
}

std::vector<Tensor> split(const Tensor& x, const Dims& sizes, int64_t dim) {
  if (x.dim() == 0) throw ShapeError("split: a scalar has no dimension to split");
  int d = wrap_dim(dim, x.dim(), "split");
  int64_t total = 0;
  bool fits = true;
  for (int64_t size : sizes) {
    fits = fits && size >= 0 && size <= x.shape()[d] - total;
    if (fits) total += size;
  }
  if (!fits || total != x.shape()[d]) {
    throw ShapeError("split: pieces " + to_string(sizes) + " do not make up dimension " + std::to_string(d) +
                     " of shape " + to_string(x.shape()));
  }
  std::vector<Tensor> pieces;
  int64_t start = 0;
  for (int64_t size : sizes) {
    pieces.push_back(x.narrow(d, start, size));
    start += size;
  }
  return pieces;
}

std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
  if (x.dim() == 0) throw ShapeError("split: a scalar has no dimension to split");
  int d = wrap_dim(dim, x.dim(), "split");
  int64_t total = x.shape()[d];
  if (size < 0 || (size == 0 && total > 0)) {
    throw ShapeError("split: pieces of " + std::to_string(size) + " along a dimension of size " +
                     std::to_string(total));
  }
  if (size > 0) check_pieces("split", total / size);
  Dims sizes;
  for (int64_t left = total; left > 0; left -= size) sizes.push_back(std::min(size, left));
  if (total == 0) sizes.push_back(0);
  return split(x, sizes, d);
}

std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  if (chunks <= 0) throw ShapeError("chunk: " + std::to_string(chunks) + " chunks");
  if (x.dim() == 0) throw ShapeError("chunk: a scalar has no dimension to split");
  int d = wrap_dim(dim, x.dim(), "chunk");
  int64_t size = x.shape()[d], each = size / chunks + (size % chunks != 0);
  check_pieces("chunk", each > 0 ? size / each : chunks);
  if (each > 0) return split(x, each, d);
  std::vector<Tensor> empty_ones;
  for (int64_t i = 0; i < chunks; ++i) empty_ones.push_back(x.narrow(d, 0, 0));
  return empty_ones;
}

std::vector<Tensor> tensor_split(const Tensor& x, const Dims& at, int64_t dim) {
  if (x.dim() == 0) throw ShapeError("tensor_split: a scalar has no dimension to split");
  int d = wrap_dim(dim, x.dim(), "tensor_split");
  std::vector<Tensor> pieces;
  int64_t start = 0;
  for (int64_t stop : at) {
    pieces.push_back(x.slice(d, {start, stop}));
    start = stop;
  }
  pieces.push_back(x.slice(d, {start}));
  return pieces;
}

std::vector<Tensor> tensor_split(const Tensor& x, int64_t sections, int64_t dim) {
  if (sections <= 0) throw ShapeError("tensor_split: " + std::to_string(sections) + " sections");
  if (x.dim() == 0) throw ShapeError("tensor_split: a scalar has no dimension to split");
  int d = wrap_dim(dim, x.dim(), "tensor_split");
  check_pieces("tensor_split", sections);
  int64_t each = x.shape()[d] / sections, larger = x.shape()[d] % sections;
  std::vector<Tensor> pieces;
  int64_t start = 0;
  for (int64_t i = 0; i < sections; ++i) {
    int64_t length = each + (i < larger);
    pieces.push_back(x.narrow(d, start, length));
    start += length;
  }
  return pieces;
}

namespace {

int at_least(const char* op, const Tensor& x, int rank, int d) {
  if (x.dim() < rank) {
    throw ShapeError(std::string(op) + ": needs " + std::to_string(rank) + " dimensions, got shape " +
                     to_string(x.shape()));
  }
  return d;
}
std::vector<Tensor> in_equal_parts(const char* op, const Tensor& x, int64_t sections, int d) {
  if (sections <= 0 || x.shape()[d] % sections != 0) {
    throw ShapeError(std::string(op) + ": dimension " + std::to_string(d) + " of shape " + to_string(x.shape()) +
                     " does not divide into " + std::to_string(sections));
  }
  return tensor_split(x, sections, d);
}

}  // namespace

std::vector<Tensor> hsplit(const Tensor& x, int64_t sections) {
  return in_equal_parts("hsplit", x, sections, at_least("hsplit", x, 1, x.dim() > 1));
}
std::vector<Tensor> vsplit(const Tensor& x, int64_t sections) {
  return in_equal_parts("vsplit", x, sections, at_least("vsplit", x, 2, 0));
}
std::vector<Tensor> dsplit(const Tensor& x, int64_t sections) {
  return in_equal_parts("dsplit", x, sections, at_least("dsplit", x, 3, 2));
}
std::vector<Tensor> hsplit(const Tensor& x, const Dims& at) {
  return tensor_split(x, at, at_least("hsplit", x, 1, x.dim() > 1));
}
std::vector<Tensor> vsplit(const Tensor& x, const Dims& at) { return tensor_split(x, at, at_least("vsplit", x, 2, 0)); }
std::vector<Tensor> dsplit(const Tensor& x, const Dims& at) { return tensor_split(x, at, at_least("dsplit", x, 3, 2)); }

std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  if (x.dim() == 0) throw ShapeError("unbind: a scalar has no dimension to take apart");
  int d = wrap_dim(dim, x.dim(), "unbind");
  check_pieces("unbind", x.shape()[d]);
  std::vector<Tensor> slices;
  for (int64_t i = 0; i < x.shape()[d]; ++i) slices.push_back(x.select(d, i));
  return slices;
}

}  // namespace cr
