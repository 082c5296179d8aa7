#include "ops/einsum.hpp"

#include <algorithm>
#include <limits>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/elementwise.hpp"
#include "ops/product.hpp"
#include "ops/reduce.hpp"

namespace cr {
namespace {

// ## A tensor with a label on every dimension
//
// Labels are numbers: 0 … 51 for A … Z, a … z (any for the numbers a caller gives), and those from kEllipsis on for the
// dimensions that "..." stands for, the last of which is always kEllipsis: they are aligned at the end.
using Labels = std::vector<int64_t>;
constexpr int64_t kEllipsis = int64_t{1} << 32;

struct Labelled {
  Tensor x;
  Labels labels;
  int at(int64_t label) const {
    auto found = std::find(labels.begin(), labels.end(), label);
    return found == labels.end() ? -1 : static_cast<int>(found - labels.begin());
  }
  bool has(int64_t label) const { return at(label) >= 0; }
  int64_t size(int64_t label) const { return x.shape()[at(label)]; }
};

bool contains(const Labels& labels, int64_t label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

std::string spelled(int64_t label) {
  if (label >= kEllipsis) return "...";
  if (label < 52) return std::string(1, static_cast<char>(label < 26 ? 'A' + label : 'a' + (label - 26)));
  return std::to_string(label);
}

// y[…, i, …] = x[…, i, …, i, …]: a view of the elements with equal indices i and j, at i's place.
Tensor diagonal_of(const Tensor& x, int i, int j) {
  auto merged = [&](Shape& shape, Strides& strides) {
    strides[i] += strides[j];
    shape.erase(j), strides.erase(j);
  };
  Shape shape = x.shape(), dense_shape = shape;
  Strides strides = x.strides(), dense = contiguous_strides(shape);
  merged(shape, strides);
  merged(dense_shape, dense);
  return record_view("diagonal", window(x, shape, strides, x.impl()->offset), x, attributes(shape, dense),
                     [](Backward& b) { return Grads{as_strided_adjoint(b.dy(), b.shape(), b.dims(0), b.dims(1), 0)}; });
}

// Sums over the labels for which `gone` holds.
template <class F> Labelled summed(const Labelled& t, F&& gone) {
  Dims dims;
  Labels rest;
  for (size_t d = 0; d < t.labels.size(); ++d) {
    if (gone(t.labels[d])) dims.push_back(static_cast<int64_t>(d));
    else rest.push_back(t.labels[d]);
  }
  return dims.empty() ? t : Labelled{sum(t.x, dims), rest};
}

Tensor arranged(const Labelled& t, const Labels& order) {
  Dims dims;
  bool same = true;
  for (int64_t label : order) {
    dims.push_back(t.at(label));
    same = same && dims.back() == dims.size() - 1;
  }
  return same ? t.x : t.x.permute(dims);
}

// ## Two at a time
//
// Labels fall into four kinds: in both and kept (the batch), in both and summed, in one only. Brought into that order, the
// sum is a batch of matrix products, or, if nothing is summed and nothing stands alone, an elementwise one.
Labelled contract(Labelled a, Labelled b, const Labels& keep) {
  auto alone = [&](const Labelled& other) {
    return [&](int64_t label) { return !other.has(label) && !contains(keep, label); };
  };
  // A size of 1 is repeated along the other tensor's: without it the product is the same.
  auto drop_ones = [](Labelled& t, const Labelled& other) {
    for (size_t d = t.labels.size(); d-- > 0;) {
      int64_t label = t.labels[d];
      if (t.size(label) != 1 || !other.has(label) || other.size(label) == 1) continue;
      t.x = t.x.squeeze(static_cast<int64_t>(d));
      t.labels.erase(t.labels.begin() + static_cast<std::ptrdiff_t>(d));
    }
  };
  drop_ones(a, b);
  drop_ones(b, a);
  a = summed(a, alone(b));
  b = summed(b, alone(a));

  Labels batch, inner, rows, columns;
  for (int64_t label : a.labels) (!b.has(label) ? rows : contains(keep, label) ? batch : inner).push_back(label);
  for (int64_t label : b.labels) {
    if (!a.has(label)) columns.push_back(label);
  }
  Shape batch_shape, shape;
  int64_t m = 1, k = 1, n = 1;
  for (int64_t label : batch) batch_shape.push_back(a.size(label));
  shape = batch_shape;
  for (int64_t label : rows) shape.push_back(a.size(label)), m *= a.size(label);
  for (int64_t label : inner) k *= a.size(label);
  for (int64_t label : columns) shape.push_back(b.size(label)), n *= b.size(label);

  auto joined = [](Labels x, const Labels& y, const Labels& z) {
    x.insert(x.end(), y.begin(), y.end());
    x.insert(x.end(), z.begin(), z.end());
    return x;
  };
  auto as_matrices = [&](const Tensor& x, bool already, int64_t first, int64_t second) {
    if (already) return x;
    Shape to = batch_shape;
    to.push_back(first), to.push_back(second);
    return x.reshape(to);
  };
  Labels result = joined(batch, rows, columns);
  if (inner.empty() && rows.empty() && columns.empty()) {
    return {mul(arranged(a, batch), arranged(b, batch)), batch};
  }
  // Where a group has one label it is a dimension already; otherwise its dimensions, if any, become one.
  bool one_row = rows.size() == 1, one_inner = inner.size() == 1, one_column = columns.size() == 1;
  Tensor x = as_matrices(arranged(a, joined(batch, rows, inner)), one_row && one_inner, m, k);
  Tensor y = as_matrices(arranged(b, joined(batch, inner, columns)), one_inner && one_column, k, n);
  if (x.dtype() != y.dtype()) {
    throw DTypeError(std::string("einsum, tensordot: need operands of one type, got ") + name(x.dtype()) + " and " +
                     name(y.dtype()));
  }
  Tensor c = matmul(x, y);
  return {one_row && one_column ? c : c.reshape(shape), result};
}

// ## All of them
//
// With more than two operands the cheapest pair goes first, again and again: not always the best order, but never a
// foolish one.
Tensor contract_all(std::vector<Labelled> operands, const Labels& out) {
  while (operands.size() > 1) {
    size_t first = 0, second = 1;
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; operands.size() > 2 && i < operands.size(); ++i) {
      for (size_t j = i + 1; j < operands.size(); ++j) {
        double cost = 1;
        for (int64_t label : operands[i].labels) cost *= static_cast<double>(operands[i].size(label));
        for (int64_t label : operands[j].labels) {
          if (!operands[i].has(label)) cost *= static_cast<double>(operands[j].size(label));
        }
        if (cost < least) least = cost, first = i, second = j;
      }
    }
    Labels keep = out;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (i != first && i != second) keep.insert(keep.end(), operands[i].labels.begin(), operands[i].labels.end());
    }
    operands[first] = contract(operands[first], operands[second], keep);
    operands.erase(operands.begin() + static_cast<std::ptrdiff_t>(second));
  }
  Labelled last = summed(operands[0], [&](int64_t label) { return !contains(out, label); });
  return arranged(last, out);
}

// Labels of an operand (-1: the ellipsis) as labels of its dimensions, and repeated ones merged into a diagonal.
Labelled labelled(const Tensor& x, const Labels& given, size_t number) {
  const auto rank = static_cast<size_t>(x.dim());
  const bool ellipsis = contains(given, -1);
  const size_t named = given.size() - ellipsis;
  if (named > rank || (!ellipsis && named < rank)) {
    throw ShapeError("einsum: operand " + std::to_string(number) + " of shape " + to_string(x.shape()) + " has " +
                     std::to_string(named) + " labels for its " + std::to_string(rank) + " dimensions");
  }
  Labels labels;
  for (int64_t label : given) {
    if (label >= 0) labels.push_back(label);
    for (size_t left = rank - named; label < 0 && left-- > 0;) labels.push_back(kEllipsis + static_cast<int64_t>(left));
  }
  Tensor y = x;
  for (size_t i = 0; i < labels.size(); ++i) {
    for (size_t j = labels.size(); j-- > i + 1;) {
      if (labels[i] != labels[j]) continue;
      int64_t m = y.shape()[static_cast<int>(i)], n = y.shape()[static_cast<int>(j)];
      if (m != n) {
        throw ShapeError("einsum: operand " + std::to_string(number) + " of shape " + to_string(x.shape()) +
                         " has sizes " + std::to_string(m) + " and " + std::to_string(n) + " for the repeated label " +
                         spelled(labels[i]));
      }
      y = diagonal_of(y, static_cast<int>(i), static_cast<int>(j));
      labels.erase(labels.begin() + static_cast<std::ptrdiff_t>(j));
    }
  }
  return {y, labels};
}

void check_sizes(const std::vector<Labelled>& operands) {
  for (size_t j = 1; j < operands.size(); ++j) {
    for (size_t i = 0; i < j; ++i) {
      for (int64_t label : operands[j].labels) {
        if (!operands[i].has(label)) continue;
        int64_t m = operands[i].size(label), n = operands[j].size(label);
        if (m == n || m == 1 || n == 1) continue;
        throw ShapeError("einsum: label " + spelled(label) + " has size " + std::to_string(m) + " in operand " +
                         std::to_string(i) + " and " + std::to_string(n) + " in operand " + std::to_string(j));
      }
    }
  }
}

}  // namespace

Tensor einsum(const std::vector<Tensor>& tensors, const std::vector<Dims>& given, const Dims& out, bool explicit_out) {
  if (tensors.empty()) throw Error("einsum: needs at least one operand");
  if (tensors.size() != given.size()) {
    throw Error("einsum: " + std::to_string(given.size()) + " lists of labels for " + std::to_string(tensors.size()) +
                " operands");
  }
  std::vector<Labelled> operands;
  Labels all;  // with repetitions, but for the ellipsis
  int64_t ellipsis = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    Labels labels(given[i].begin(), given[i].end());
    for (int64_t label : labels) {
      if (label < -1 || label >= kEllipsis) throw Error("einsum: " + std::to_string(label) + " is no label");
      if (label >= 0) all.push_back(label);
    }
    operands.push_back(labelled(tensors[i], labels, i));
    for (int64_t label : operands.back().labels) ellipsis = std::max(ellipsis, label - kEllipsis + 1);
  }
  check_sizes(operands);

  Labels result;
  auto add_ellipsis = [&] {
    for (int64_t left = ellipsis; left-- > 0;) result.push_back(kEllipsis + left);
  };
  if (explicit_out) {
    for (int64_t label : out) {
      if (label < 0) {
        add_ellipsis();
        continue;
      }
      if (contains(result, label)) throw Error("einsum: label " + spelled(label) + " is named twice in the result");
      if (!contains(all, label)) throw Error("einsum: label " + spelled(label) + " of the result is in no operand");
      result.push_back(label);
    }
  } else {
    add_ellipsis();
    std::sort(all.begin(), all.end());
    for (int64_t label : all) {
      if (std::count(all.begin(), all.end(), label) == 1) result.push_back(label);
    }
  }
  return contract_all(std::move(operands), result);
}

Tensor einsum(const std::string& equation, const std::vector<Tensor>& operands) {
  auto bad = [&](const std::string& why) { return Error("einsum: \"" + equation + "\": " + why); };
  std::vector<Dims> labels(1);
  Dims out;
  Dims* current = &labels[0];
  bool arrow = false;
  for (size_t i = 0; i < equation.size(); ++i) {
    const char c = equation[i];
    if (c == ' ') continue;
    if (c >= 'A' && c <= 'Z') {
      current->push_back(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      current->push_back(c - 'a' + 26);
    } else if (c == ',' && !arrow) {
      labels.emplace_back();
      current = &labels.back();
    } else if (equation.compare(i, 2, "->") == 0 && !arrow) {
      arrow = true;
      current = &out;
      ++i;
    } else if (equation.compare(i, 3, "...") == 0 &&
               std::find(current->begin(), current->end(), -1) == current->end()) {
      current->push_back(-1);
      i += 2;
    } else {
      throw bad("'" + std::string(1, c) + "' at position " + std::to_string(i) + " is not expected");
    }
  }
  if (labels.size() != operands.size()) {
    throw bad(std::to_string(labels.size()) + " lists of labels for " + std::to_string(operands.size()) + " operands");
  }
  return einsum(operands, labels, out, arrow);
}

// ## Contractions by place
Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& a_dims, const Dims& b_dims) {
  if (a_dims.size() != b_dims.size()) {
    throw ShapeError("tensordot: " + std::to_string(a_dims.size()) + " dimensions of the left side against " +
                     std::to_string(b_dims.size()) + " of the right");
  }
  // Dimension i of a is label i, one of b that is summed against it has the same, and the others follow.
  Labelled left{a, {}}, right{b, Labels(static_cast<size_t>(b.dim()), -1)};
  Labels out, summed_over;
  for (int d = 0; d < a.dim(); ++d) left.labels.push_back(d);
  for (int i = 0; i < a_dims.size(); ++i) {
    int of_a = wrap_dim(a_dims[i], a.dim(), "tensordot"), of_b = wrap_dim(b_dims[i], b.dim(), "tensordot");
    if (a.dim() == 0 || b.dim() == 0) throw IndexError("tensordot: a scalar has no dimension to sum over");
    auto& label = right.labels[static_cast<size_t>(of_b)];
    if (contains(summed_over, of_a) || label >= 0) throw IndexError("tensordot: a dimension is named twice");
    label = of_a;
    summed_over.push_back(of_a);
    int64_t m = a.shape()[of_a], n = b.shape()[of_b];
    if (m != n && m != 1 && n != 1) {
      throw ShapeError("tensordot: " + to_string(a.shape()) + " x " + to_string(b.shape()) + ": size " +
                       std::to_string(m) + " of dimension " + std::to_string(of_a) + " and " + std::to_string(n) +
                       " of dimension " + std::to_string(of_b) + " differ");
    }
  }
  for (int d = 0; d < a.dim(); ++d) {
    if (!contains(summed_over, d)) out.push_back(d);
  }
  for (int d = 0; d < b.dim(); ++d) {
    auto& label = right.labels[static_cast<size_t>(d)];
    if (label < 0) out.push_back(label = a.dim() + d);
  }
  return contract_all({left, right}, out);
}

Tensor tensordot(const Tensor& a, const Tensor& b, int64_t n) {
  if (n < 0 || n > a.dim() || n > b.dim()) {
    throw ShapeError("tensordot: " + to_string(a.shape()) + " x " + to_string(b.shape()) + ": cannot sum over " +
                     std::to_string(n) + " dimensions");
  }
  Dims a_dims, b_dims;
  for (int64_t d = 0; d < n; ++d) a_dims.push_back(a.dim() - n + d), b_dims.push_back(d);
  return tensordot(a, b, a_dims, b_dims);
}

}  // namespace cr
