#include "ops/search.hpp"

#include <cmath>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/detail/dims.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/scan.hpp"

namespace cr {
using namespace detail;

// ## Different ones
//
namespace {

// `group` (n,) numbers equal neighbours alike: 0 for the first, and so on. Where does each group begin?
struct Groups {
  Tensor first, counts;
};
Groups groups_of(const Tensor& group) {
  int64_t n = group.numel(), groups = n ? group.select(0, -1).item<int64_t>() + 1 : 0;
  Tensor first = searchsorted(group, arange(groups).to(group.device()));
  Tensor ends = cat({first, full({1}, n, DType::int64, group.device())});
  return {first, diff(ends)};
}

// 0 for the first slice of x along dimension 0, and one more wherever a slice differs from the one before.
Tensor numbered(const Tensor& x) {
  int64_t n = x.shape()[0];
  if (n == 0) return empty({0}, DType::int64, x.device());
  Tensor changes = x.narrow(0, 1, n - 1) != x.narrow(0, 0, n - 1);
  Dims rest;
  for (int d = 1; d < x.dim(); ++d) rest.push_back(d);
  if (!rest.empty()) changes = any(changes, rest);
  return cat({zeros({1}, DType::int64, x.device()), cumsum(changes, 0)});
}

// numbers[order[i]] = group[i]
Tensor put_back(const Tensor& group, const Tensor& order) {
  return scatter_add(zeros(group.shape(), DType::int64, group.device()), 0, order, group);
}

}  // namespace

Unique unique(const Tensor& input, std::optional<int64_t> dim) {
  Tensor x = input.detach();
  if (!dim) {
    ValuesIndices sorted = sort(x.flatten());
    Tensor group = numbered(sorted.values);
    Groups g = groups_of(group);
    return {index_select(sorted.values, 0, g.first), put_back(group, sorted.indices).reshape(x.shape()), g.counts};
  }
  // Slices in the order of their elements: sort by the last element, then by the one before it, and so on. Each sort keeps
  // what the ones before it have done among equals.
  int d = wrap_dim(*dim, x.dim(), "unique");
  if (x.dim() == 0) return unique(x.reshape({1}), 0);
  Tensor slices = x.transpose(d, 0), table = slices.reshape({x.shape()[d], -1}),
         order = arange(x.shape()[d]).to(x.device());
  if (x.numel() == 0 && x.shape()[d] > 0)
    throw ShapeError("unique: slices without elements in shape " + to_string(x.shape()));
  for (int64_t column = table.shape()[1] - 1; column >= 0; --column) {
    Tensor keys = index_select(table.select(1, column), 0, order);
    order = index_select(order, 0, argsort(keys));
  }
  Tensor group = numbered(index_select(table, 0, order));
  Groups g = groups_of(group);
  Tensor chosen = index_select(order, 0, g.first);
  return {index_select(x, d, chosen), put_back(group, order), g.counts};
}

Unique unique_consecutive(const Tensor& input, std::optional<int64_t> dim) {
  Tensor x = input.detach();
  if (!dim) {
    Unique u = unique_consecutive(x.flatten(), 0);
    return {u.values, u.inverse.reshape(x.shape()), u.counts};
  }
  int d = wrap_dim(*dim, x.dim(), "unique_consecutive");
  if (x.dim() == 0) return unique_consecutive(x.reshape({1}), 0);
  Tensor group = numbered(x.transpose(d, 0));
  Groups g = groups_of(group);
  return {index_select(x, d, g.first), group, g.counts};
}

// ## Places
//
Tensor searchsorted(const Tensor& sorted, const Tensor& x, bool right, const Tensor& sorter) {
  backend::check_device("searchsorted", sorted, x);
  bool fits = sorted.dim() == 1 || (sorted.dim() == x.dim() && sorted.dim() > 0);
  for (int d = 0; fits && sorted.dim() > 1 && d + 1 < x.dim(); ++d) fits = sorted.shape()[d] == x.shape()[d];
  if (!fits)
    throw ShapeError("searchsorted: lists of shape " + to_string(sorted.shape()) + " for values of shape " +
                     to_string(x.shape()) + "; all but the last dimension must agree, or the list have one");
  DType type = promote(sorted.dtype(), x.dtype());
  Tensor list = sorted.detach(), values = x.detach().to(type).contiguous();
  require_computing("searchsorted", values);
  if (sorter.defined()) {
    if (sorter.dtype() != DType::int64)
      throw DTypeError(std::string("searchsorted: the sorter must be int64, got ") + name(sorter.dtype()));
    if (!(sorter.shape() == sorted.shape()))
      throw ShapeError("searchsorted: the sorter has shape " + to_string(sorter.shape()) + ", the list " +
                       to_string(sorted.shape()));
    list = gather(list, -1, sorter);
  }
  Tensor y = empty(x.shape(), DType::int64, x.device());
  backend::on(x.device()).search_sorted(y, list.to(type).contiguous(), values, right);
  return y;
}
Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool right) {
  if (boundaries.dim() != 1)
    throw ShapeError("bucketize: the boundaries must be a vector, got shape " + to_string(boundaries.shape()));
  return searchsorted(boundaries, x, right);
}

Tensor isin(const Tensor& input, const Tensor& list, bool invert) {
  DType type = promote(input.dtype(), list.dtype());
  Tensor x = input.detach().to(type), known = sort(list.detach().to(type).flatten()).values;
  int64_t n = known.numel();
  if (n == 0) return full(x.shape(), invert, DType::boolean, x.device());
  Tensor at = minimum(searchsorted(known, x), full({}, n - 1, DType::int64, x.device()));
  Tensor found = index_select(known, 0, at.flatten()).reshape(x.shape());
  return invert ? found != x : found == x;
}

// ## Counts
//
Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength) {
  if (x.dim() != 1) throw ShapeError("bincount: needs a vector, got shape " + to_string(x.shape()));
  if (x.dtype() != DType::int64) throw DTypeError(std::string("bincount: needs int64, got ") + name(x.dtype()));
  if (minlength < 0) throw Error("bincount: minlength " + std::to_string(minlength) + " is negative");
  if (weights.defined() && !(weights.shape() == x.shape()))
    throw ShapeError("bincount: " + to_string(weights.shape()) + " weights for " + to_string(x.shape()) + " elements");
  int64_t bins = minlength;
  if (x.numel() > 0) {
    auto [low, high] = aminmax(x);
    if (low.item<int64_t>() < 0)
      throw Error("bincount: element " + std::to_string(low.item<int64_t>()) + " is negative");
    if (high.item<int64_t>() == INT64_MAX)
      throw Error("bincount: element " + std::to_string(INT64_MAX) + " is too large to count up to");
    bins = std::max(bins, high.item<int64_t>() + 1);
  }
  Tensor what = weights.defined() ? weights.detach() : ones(x.shape(), DType::int64, x.device());
  if (weights.defined() && what.dtype() != DType::float32) what = what.to(DType::float64);
  return index_add(zeros({bins}, what.dtype(), x.device()), 0, x, what);
}

Tensor histc(const Tensor& input, int64_t bins, double min, double max) {
  require_floating("histc", input);
  if (bins <= 0 || bins >> 60) throw Error("histc: " + std::to_string(bins) + " bins");
  Tensor x = input.detach().flatten();
  if (min == max && x.numel() > 0) {
    min = amin(x).item();
    max = amax(x).item();
  }
  if (min == max) {
    min -= 1;
    max += 1;
  }
  if (!(std::isfinite(min) && std::isfinite(max)))
    throw Error("histc: range [" + std::to_string(min) + ", " + std::to_string(max) + "] is not finite");
  if (min > max) throw Error("histc: min " + std::to_string(min) + " exceeds max " + std::to_string(max));
  auto count = static_cast<double>(bins);
  if (!std::isfinite(static_cast<float>((max - min) * count))) {  // as float64, and small enough to be multiplied
    constexpr double kSmall = 0x1p-64;
    x = x.to(DType::float64) * kSmall;
    min *= kSmall;
    max *= kSmall;
  }
  x = masked_select(x, (x >= min) * (x <= max));
  // The right end belongs to the last bin.
  Tensor bin = ((x - min) * count / (max - min)).to(DType::int64);
  return bincount(minimum(bin, full({}, bins - 1, DType::int64, x.device())), {}, bins).to(input.dtype());
}

}  // namespace cr
