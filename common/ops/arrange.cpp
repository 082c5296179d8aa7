#include "ops/arrange.hpp"

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/join.hpp"
#include "ops/pad.hpp"
#include "ops/view.hpp"

namespace cr {

// ## Repeated
//
// (a, b) → (1, a, 1, b), expanded to (m, a, n, b), is x repeated m and n times, but for writing it down.
Tensor repeat(const Tensor& x, const Dims& times) {
  int extra = times.size() - x.dim();
  if (extra < 0) {
    throw ShapeError("repeat: " + std::to_string(times.size()) + " counts for a tensor of shape " +
                     to_string(x.shape()) + "; each dimension needs one");
  }
  Shape apart, wide, shape;
  for (int d = 0; d < times.size(); ++d) {
    int64_t size = d < extra ? 1 : x.shape()[d - extra], product = 0;
    if (times[d] < 0 || __builtin_mul_overflow(times[d], size, &product))
      throw ShapeError("repeat: " + to_string(times) + " times shape " + to_string(x.shape()));
    apart.push_back(1), apart.push_back(size);
    wide.push_back(times[d]), wide.push_back(size);
    shape.push_back(product);
  }
  numel(shape);  // may be too many
  return x.reshape(apart).expand(wide).clone().view(shape);
}

Tensor tile(const Tensor& x, const Dims& times) {
  Dims all(std::max(0, x.dim() - times.size()), 1);
  for (int64_t n : times) all.push_back(n);
  return repeat(x, all);
}

Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim) {
  if (repeats < 0) throw ShapeError("repeat_interleave: " + std::to_string(repeats) + " times");
  if (!dim || x.dim() == 0) return repeat_interleave(x.reshape({-1}), repeats, 0);
  int d = wrap_dim(*dim, x.dim(), "repeat_interleave");
  Shape wide = x.shape();
  wide.insert(d + 1, repeats);
  return x.unsqueeze(d + 1).expand(wide).flatten(d, d + 1);
}

Tensor repeat_interleave(const Tensor& repeats) {
  if (repeats.dtype() != DType::int64)
    throw DTypeError(std::string("repeat_interleave: the repeats must be int64, got ") + name(repeats.dtype()));
  if (repeats.dim() != 1)
    throw ShapeError("repeat_interleave: the repeats must be a vector, got shape " + to_string(repeats.shape()));
  Tensor counts = repeats.detach().to(Device::cpu).contiguous();
  int64_t total = 0;
  for (int64_t n : counts.span<int64_t>()) {
    if (n < 0) throw ShapeError("repeat_interleave: " + std::to_string(n) + " times");
    if (__builtin_add_overflow(total, n, &total)) throw ShapeError("repeat_interleave: too many elements");
  }
  Tensor index = empty({total}, DType::int64);
  auto* out = index.mutable_data<int64_t>();
  for (int64_t i = 0; i < counts.numel(); ++i) out = std::fill_n(out, counts.data<int64_t>()[i], i);
  return index.to(repeats.device());
}

Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim,
                         std::optional<int64_t> output_size) {
  if (!dim || x.dim() == 0) return repeat_interleave(x.reshape({-1}), repeats, 0, output_size);
  int d = wrap_dim(*dim, x.dim(), "repeat_interleave");
  if (repeats.dim() > 1 || (repeats.numel() != 1 && repeats.numel() != x.shape()[d])) {
    throw ShapeError("repeat_interleave: repeats " + to_string(repeats.shape()) + " for dimension " +
                     std::to_string(d) + " of shape " + to_string(x.shape()));
  }
  Tensor index = repeat_interleave(repeats.reshape({-1}).expand({x.shape()[d]}));
  if (output_size && *output_size != index.numel()) {
    throw ShapeError("repeat_interleave: output_size is " + std::to_string(*output_size) + ", the repeats add up to " +
                     std::to_string(index.numel()));
  }
  return index_select(x, d, index);
}

// ## Reversed and shifted
//
// Read from the last element with negative strides. Only this copy does that: views never have any.
Tensor flip(const Tensor& x, const Dims& dims) {
  Strides strides = x.strides();
  int64_t start = x.impl()->offset;
  Dims flipped;
  for (int64_t dim : dims) {
    int d = wrap_dim(dim, x.dim(), "flip");
    if (std::find(flipped.begin(), flipped.end(), d) != flipped.end())
      throw IndexError("flip: dimension " + std::to_string(d) + " is named twice");
    flipped.push_back(d);
    if (x.numel() == 0 || x.dim() == 0) continue;
    start += (x.shape()[d] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  backend::on(x.device()).copy(y, window(x, x.shape(), strides, start));
  return record("flip", y, inputs(x), saved(), attributes(flipped),
                [](Backward& b) { return Grads{flip(b.dy(), b.dims(0))}; });
}

static const Tensor& of_rank(const char* op, const Tensor& x, int least) {
  if (x.dim() < least) {
    throw ShapeError(std::string(op) + ": needs " + std::to_string(least) + " dimensions or more, got shape " +
                     to_string(x.shape()));
  }
  return x;
}

Tensor fliplr(const Tensor& x) { return flip(of_rank("fliplr", x, 2), {1}); }
Tensor flipud(const Tensor& x) { return flip(of_rank("flipud", x, 1), {0}); }

Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims) {
  if (dims.empty() && shifts.size() == 1) return roll(x.reshape({-1}), shifts, {0}).view(x.shape());
  if (dims.size() != shifts.size() || shifts.empty()) {
    throw ShapeError("roll: " + std::to_string(shifts.size()) + " shifts for " + std::to_string(dims.size()) +
                     " dimensions");
  }
  Tensor y = x;
  for (int i = 0; i < dims.size(); ++i) {
    int d = wrap_dim(dims[i], x.dim(), "roll");
    if (x.dim() == 0 || x.numel() == 0) continue;
    int64_t size = x.shape()[d], shift = (shifts[i] % size + size) % size;
    if (shift != 0) y = cat({y.narrow(d, size - shift, shift), y.narrow(d, 0, size - shift)}, d);
  }
  return y.impl() == x.impl() ? x.clone() : y;
}

Tensor rot90(const Tensor& x, int64_t k, const Dims& dims) {
  of_rank("rot90", x, 2);
  if (dims.size() != 2 || wrap_dim(dims[0], x.dim(), "rot90") == wrap_dim(dims[1], x.dim(), "rot90")) {
    throw IndexError("rot90: needs two different dimensions, got " + to_string(dims));
  }
  switch ((k % 4 + 4) % 4) {
    case 1: return flip(x, {dims[1]}).transpose(dims[0], dims[1]);
    case 2: return flip(x, dims);
    case 3: return flip(x, {dims[0]}).transpose(dims[0], dims[1]);
    default: return x.clone();
  }
}

// ## Triangles and diagonals
//
// Row i keeps columns j ≤ i + k (below) or j ≥ i + k (above). Chosen, not multiplied: what is cut away may be NaN.
static Tensor triangle(const char* op, const Tensor& x, int64_t k, bool below) {
  of_rank(op, x, 2);
  if (is_storage(x.dtype())) return triangle(op, x.to(DType::float32), k, below).to(x.dtype());
  int64_t rows = x.size(-2), columns = x.size(-1);
  k = std::clamp(k, -rows - 1, columns + 1);
  Tensor i = (arange(rows) + k).unsqueeze(1).to(x.device()),
         j = arange(columns).to(x.device());  // (rows, 1), (columns,)
  return where(below ? j <= i : j >= i, x, zeros({}, x.dtype(), x.device()));
}
Tensor tril(const Tensor& x, int64_t diagonal) { return triangle("tril", x, diagonal, true); }
Tensor triu(const Tensor& x, int64_t diagonal) { return triangle("triu", x, diagonal, false); }

// The adjoint of reading a diagonal is writing one into zeros.
Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  of_rank("diag_embed", x, 1);
  int rank = x.dim() + 1, i = wrap_dim(dim1, rank, "diag_embed"), j = wrap_dim(dim2, rank, "diag_embed");
  if (i == j)
    throw IndexError("diag_embed: dimensions " + std::to_string(dim1) + " and " + std::to_string(dim2) + " are one");
  int64_t n = 0;
  if (offset == INT64_MIN || __builtin_add_overflow(x.shape().back(), std::abs(offset), &n))
    throw ShapeError("diag_embed: offset " + std::to_string(offset) + " is too large");
  Shape shape = x.shape();
  shape.resize(x.dim() - 1);
  shape.insert(std::min(i, j), n);
  shape.insert(std::max(i, j), n);
  numel(shape);
  Strides strides = contiguous_strides(shape);
  int64_t along = strides[i] + strides[j], start = offset > 0 ? offset * strides[j] : -offset * strides[i];
  strides.erase(std::max(i, j));
  strides.erase(std::min(i, j));
  strides.push_back(along);
  return as_strided_adjoint(x, shape, x.shape(), strides, start);
}

Tensor diag(const Tensor& x, int64_t diagonal) {
  if (x.dim() != 1 && x.dim() != 2)
    throw ShapeError("diag: needs a vector or a matrix, got shape " + to_string(x.shape()));
  return x.dim() == 1 ? diag_embed(x, diagonal) : x.diagonal(diagonal);
}
Tensor diagflat(const Tensor& x, int64_t offset) { return diag_embed(x.reshape({-1}), offset); }

Tensor block_diag(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> blocks;
  int64_t columns = 0, left = 0;
  for (const Tensor& x : tensors) {
    if (x.dim() > 2) throw ShapeError("block_diag: needs matrices, got shape " + to_string(x.shape()));
    blocks.push_back(atleast_2d(x));
    columns += blocks.back().size(1);
  }
  if (blocks.empty()) return zeros({1, 0});
  for (Tensor& x : blocks) {
    int64_t width = x.size(1);
    x = constant_pad_nd(x, {left, columns - left - width});
    left += width;
  }
  return cat(blocks, 0);
}

// ## With a part replaced
static Tensor replaced(const char* op, const Tensor& x, const Tensor& part, const Tensor& source) {
  if (!(part.shape() == source.shape())) {
    throw ShapeError(std::string(op) + ": the part has shape " + to_string(part.shape()) + ", the source " +
                     to_string(source.shape()));
  }
  part.copy_(source);
  return x;
}
Tensor diagonal_scatter(const Tensor& x, const Tensor& source, int64_t offset, int64_t dim1, int64_t dim2) {
  Tensor y = x.clone();
  return replaced("diagonal_scatter", y, y.diagonal(offset, dim1, dim2), source);
}
Tensor select_scatter(const Tensor& x, const Tensor& source, int64_t d, int64_t at) {
  Tensor y = x.clone();
  return replaced("select_scatter", y, y.select(d, at), source);
}
Tensor slice_scatter(const Tensor& x, const Tensor& source, int64_t d, Slice s) {
  Tensor y = x.clone();
  return replaced("slice_scatter", y, y.slice(d, s), source);
}
Tensor as_strided_scatter(const Tensor& x, const Tensor& source, const Shape& shape, const Strides& strides,
                          std::optional<int64_t> offset) {
  Tensor y = x.clone();
  return replaced("as_strided_scatter", y, y.as_strided(shape, strides, offset), source);
}

// ## Grids
std::vector<Tensor> meshgrid(const std::vector<Tensor>& vectors, const std::string& indexing) {
  if (indexing != "ij" && indexing != "xy")
    throw Error("meshgrid: indexing is \"ij\" or \"xy\", not \"" + indexing + "\"");
  if (vectors.empty()) throw ShapeError("meshgrid: no tensors");
  Shape shape;
  for (const Tensor& x : vectors) {
    if (x.dim() > 1) throw ShapeError("meshgrid: needs vectors, got shape " + to_string(x.shape()));
    if (x.dtype() != vectors[0].dtype()) throw DTypeError("meshgrid: the vectors have different element types");
    shape.push_back(x.numel());
  }
  bool swap = indexing == "xy" && vectors.size() > 1;
  std::vector<Tensor> grids;
  for (size_t i = 0; i < vectors.size(); ++i) {
    Shape own(shape.size(), 1);
    own[static_cast<int>(i)] = vectors[i].numel();
    Tensor grid = vectors[i].reshape(own).expand(shape);
    grids.push_back(swap ? grid.transpose(0, 1) : grid);
  }
  return grids;
}

Tensor cartesian_prod(const std::vector<Tensor>& vectors) {
  for (const Tensor& x : vectors) {
    if (x.dim() != 1) throw ShapeError("cartesian_prod: needs vectors, got shape " + to_string(x.shape()));
  }
  if (vectors.size() == 1) return vectors[0];
  std::vector<Tensor> columns = meshgrid(vectors);
  for (Tensor& x : columns) x = x.flatten();
  return stack(columns, 1);
}

// n over r, or with replacement n + r − 1 over r: one factor and one divisor after the other.
static int64_t ways(int64_t n, int64_t r, bool with_replacement) {
  int64_t total = n, count = 1;
  bool overflow = with_replacement && n > 0 && __builtin_add_overflow(n - 1, r, &total);
  if (!overflow && (n == 0 || r > total)) return 0;
  for (int64_t i = 1; !overflow && i <= std::min(r, total - r); ++i) {
    overflow = __builtin_mul_overflow(count, total - i + 1, &count);
    count /= i;
  }
  if (overflow) throw ShapeError("combinations: " + std::to_string(r) + " of " + std::to_string(n) + " are too many");
  return count;
}

Tensor combinations(const Tensor& x, int64_t r, bool with_replacement) {
  if (x.dim() != 1) throw ShapeError("combinations: needs a vector, got shape " + to_string(x.shape()));
  if (r < 0) throw Error("combinations: of " + std::to_string(r) + " elements");
  if (r == 0) return empty({0}, x.dtype(), x.device());
  int64_t n = x.numel(), gap = with_replacement ? 0 : 1, count = ways(n, r, with_replacement);
  if (count == 0) return empty({0, r}, x.dtype(), x.device());
  Tensor index = empty({count, r}, DType::int64);
  auto* at = index.mutable_data<int64_t>();
  for (int64_t i = 0; i < r; ++i) at[i] = i * gap;
  // Count up at[0] ≤ at[1] ≤ … (or <): raise the last that can be raised, and begin anew behind it.
  for (int64_t row = 1; row < count; ++row) {
    at = std::copy_n(at, r, at + r) - r;
    int64_t i = r;
    while (at[i - 1] == n - 1 - (r - i) * gap) --i;
    ++at[i - 1];
    for (; i < r; ++i) at[i] = at[i - 1] + gap;
  }
  return index_select(x, 0, index.reshape({-1}).to(x.device())).view({count, r});
}

// ## Channels of images
Tensor pixel_shuffle(const Tensor& x, int64_t r) {
  of_rank("pixel_shuffle", x, 3);
  int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1), height = 0, width = 0;
  if (r <= 0 || r > (1 << 30) || c % (r * r) != 0 || __builtin_mul_overflow(h, r, &height) ||
      __builtin_mul_overflow(w, r, &width)) {
    throw ShapeError("pixel_shuffle: " + std::to_string(c) + " channels of shape " + to_string(x.shape()) +
                     " do not divide into squares of " + std::to_string(r) + " x " + std::to_string(r));
  }
  Shape front = x.shape();
  front.resize(x.dim() - 3);
  int64_t n = numel(front);
  Shape shape = front;
  for (int64_t size : {c / (r * r), height, width}) shape.push_back(size);
  Tensor parts = x.reshape({n, c / (r * r), r, r, h, w});
  return parts.permute({0, 1, 4, 2, 5, 3}).reshape(shape);  // (n, c, h, r, w, r)
}

Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
  of_rank("pixel_unshuffle", x, 3);
  int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1), channels = 0;
  if (r <= 0 || r > (1 << 30) || h % r != 0 || w % r != 0 || __builtin_mul_overflow(c, r * r, &channels)) {
    throw ShapeError("pixel_unshuffle: images of shape " + to_string(x.shape()) + " do not divide into squares of " +
                     std::to_string(r) + " x " + std::to_string(r));
  }
  Shape front = x.shape();
  front.resize(x.dim() - 3);
  int64_t n = numel(front);
  Shape shape = front;
  for (int64_t size : {channels, h / r, w / r}) shape.push_back(size);
  Tensor parts = x.reshape({n, c, h / r, r, w / r, r});
  return parts.permute({0, 1, 3, 5, 2, 4}).reshape(shape);  // (n, c, r, r, h, w)
}

// Groups become the inner dimension: a card from each hand in turn.
Tensor channel_shuffle(const Tensor& x, int64_t groups) {
  of_rank("channel_shuffle", x, 3);
  int64_t c = x.size(1);
  if (groups <= 0 || c % groups != 0) {
    throw ShapeError("channel_shuffle: " + std::to_string(c) + " channels of shape " + to_string(x.shape()) +
                     " do not divide into " + std::to_string(groups) + " groups");
  }
  return unflatten(x, 1, {groups, c / groups}).transpose(1, 2).reshape(x.shape());
}

}  // namespace cr
