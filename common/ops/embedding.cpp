#include "ops/embedding.hpp"

#include <cmath>

#include "autograd/autograd.hpp"
#include "backend/backend.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/reduce.hpp"
#include "ops/search.hpp"
#include "ops/view.hpp"

namespace cr {
namespace {

// (n,) as (n, 1, …), to multiply rows of this rank
Tensor as_column(const Tensor& x, int rank) {
  Shape shape(rank, 1);
  shape[0] = x.numel();
  return x.view(shape);
}

void check_rows(const char* op, const Tensor& index, int64_t rows) {
  if (index.numel() == 0) return;
  int64_t least = amin(index).item<int64_t>(), most = amax(index).item<int64_t>();
  if (least < 0 || most >= rows) {
    throw IndexError(std::string(op) + ": index " + std::to_string(least < 0 ? least : most) +
                     " is out of range for a dimension of size " + std::to_string(rows));
  }
}

// Rows that were read and are longer than allowed, shortened where they lie.
void shorten_rows(const Tensor& weight, const Tensor& index, double max_norm, double p) {
  NoGrad update;
  Tensor rows = unique(index).values, values = index_select(weight, 0, rows).flatten(1);
  Tensor norm = std::isinf(p) ? amax(abs(values), {1}) : pow(sum(pow(abs(values), p), {1}), 1 / p);
  Tensor shorter = values * (max_norm / (norm + 1e-7)).unsqueeze(1);
  Tensor kept = where((norm > max_norm).unsqueeze(1), shorter, values);
  Shape shape = weight.shape();
  shape[0] = rows.numel();
  weight.index_put_({rows}, kept.reshape(shape));
}

// What each row that was read adds to its row of the weight: dy (n, …) but for padding and, if wanted, frequency.
Tensor row_gradients(Tensor dy, const Tensor& index, int64_t rows, int64_t padding, bool by_frequency) {
  if (by_frequency) {
    Tensor count =
        index_add(zeros({rows}, dy.dtype(), dy.device()), 0, index, ones(index.shape(), dy.dtype(), dy.device()));
    dy = dy / as_column(index_select(count, 0, index), dy.dim());
  }
  if (padding < 0) return dy;
  return where(as_column(index != padding, dy.dim()), dy, zeros({}, dy.dtype(), dy.device()));
}

}  // namespace

// y[i] = weight[input[i]],  dweight[input[i]] += dy[i]
Tensor embedding(const Tensor& input, const Tensor& weight, const EmbeddingOptions& o) {
  backend::check_device("embedding", weight, input);
  if (input.dtype() != DType::int64)
    throw DTypeError(std::string("embedding: the input must be int64, got ") + name(input.dtype()));
  if (weight.dim() == 0) throw ShapeError("embedding: the weight has no rows");
  int64_t rows = weight.shape()[0], padding = o.padding_idx.value_or(0);
  if (o.padding_idx && (padding < -rows || padding >= rows)) {
    throw IndexError("embedding: padding_idx " + std::to_string(padding) + " is no row of a weight of shape " +
                     to_string(weight.shape()));
  }
  padding = !o.padding_idx ? -1 : padding < 0 ? padding + rows : padding;
  Tensor index = input.reshape({-1});
  if (o.max_norm) {
    check_rows("embedding", index, rows);
    shorten_rows(weight, index, *o.max_norm, o.norm_type);
  }
  Shape picked = weight.shape(), shape = input.shape();
  picked[0] = index.numel();
  for (int d = 1; d < weight.dim(); ++d) shape.push_back(weight.shape()[d]);
  Tensor y = empty(picked, weight.dtype(), weight.device());
  Strides wide(picked.size(), 0);
  wide[0] = index.strides()[0];
  if (y.numel() > 0) {
    backend::on(y.device()).gather(y, weight, 0, window(index, picked, wide, index.impl()->offset), "embedding");
  }
  y = record("embedding", y, inputs(weight), saved(constant(index)),
             attributes(padding, int64_t{o.scale_grad_by_freq}, int64_t{o.sparse}), [](Backward& b) {
               Shape shape = b.shape();
               Tensor rows = row_gradients(b.dy(), b[0], shape[0], b.integer(0), b.integer(1) != 0);
               if (b.integer(2) != 0 && b.collect_rows(0, {b[0].clone(), rows})) return Grads{Tensor()};
               return Grads{index_add(zeros(shape, rows.dtype(), rows.device()), 0, b[0], rows)};
             });
  return y.view(shape);
}

const std::vector<RowSparse>* row_pieces(const Tensor& leaf) {
  Node* node = node_of(leaf);
  if (!node || !node->is_leaf() || !node->extra_if_any()) return nullptr;
  const Node::Extra& extra = node->extra();
  return extra.rows.empty() || extra.grad.defined() ? nullptr : &extra.rows;
}

std::optional<RowSparse> sparse_grad(const Tensor& leaf) {
  const std::vector<RowSparse>* pieces = row_pieces(leaf);
  if (!pieces) return std::nullopt;
  NoGrad nothing;
  std::vector<Tensor> indices, values;
  for (const RowSparse& piece : *pieces) {
    indices.push_back(piece.indices);
    values.push_back(piece.values);
  }
  Unique rows = unique(cat(indices));
  Shape shape = leaf.shape();
  shape[0] = rows.values.numel();
  Tensor sum = index_add(zeros(shape, leaf.dtype(), leaf.device()), 0, rows.inverse, cat(values));
  node_of(leaf)->extra().rows = {{rows.values, sum}};
  return RowSparse{rows.values, sum};
}

// The words of all bags in one row, each with the number of its bag.
Tensor embedding_bag(const Tensor& input, const Tensor& weight, const Tensor& offsets, const EmbeddingBagOptions& o) {
  bool mean = o.mode == "mean", max = o.mode == "max";
  if (!mean && !max && o.mode != "sum") throw Error("embedding_bag: mode \"" + o.mode + "\" is none of sum, mean, max");
  if (input.dtype() != DType::int64)
    throw DTypeError(std::string("embedding_bag: the input must be int64, got ") + name(input.dtype()));
  if (input.dim() != (offsets.defined() ? 1 : 2)) {
    throw ShapeError("embedding_bag: needs a matrix of words, or a vector and offsets; got shape " +
                     to_string(input.shape()));
  }
  if (weight.dim() != 2)
    throw ShapeError("embedding_bag: the weight must be a matrix, got shape " + to_string(weight.shape()));
  if (offsets.defined() && offsets.dtype() != DType::int64)
    throw DTypeError(std::string("embedding_bag: the offsets must be int64, got ") + name(offsets.dtype()));
  if (offsets.defined() && (offsets.dim() != 1 || offsets.numel() < o.include_last_offset)) {
    throw ShapeError("embedding_bag: the offsets must be a vector" +
                     std::string(o.include_last_offset ? " of one or more" : "") + ", got shape " +
                     to_string(offsets.shape()));
  }
  Tensor sample_weights = o.per_sample_weights;
  if (sample_weights.defined() && (o.mode != "sum" || !(sample_weights.shape() == input.shape()))) {
    throw ShapeError("embedding_bag: per_sample_weights go with mode \"sum\" and have input's shape " +
                     to_string(input.shape()) + ", got " + to_string(sample_weights.shape()));
  }
  int64_t n = input.numel(), bags = offsets.defined() ? offsets.numel() - o.include_last_offset : input.size(0);
  Tensor starts =
      offsets.defined() ? offsets.detach().to(Device::cpu).contiguous() : arange(bags) * (bags ? n / bags : 0);
  Tensor bag_of = empty({n}, DType::int64), words = input.reshape({-1});
  auto* bag = bag_of.mutable_data<int64_t>();
  std::span<const int64_t> first = starts.span<int64_t>();
  int64_t end = 0;
  for (int64_t i = 0; i < bags; ++i) {
    int64_t begin = first[static_cast<size_t>(i)];
    end = i + 1 < starts.numel() ? first[static_cast<size_t>(i) + 1] : n;
    if (begin < 0 || end < begin || end > n || (i == 0 && begin != 0)) {
      throw IndexError("embedding_bag: offsets must begin with 0 and ascend to at most " + std::to_string(n));
    }
    std::fill(bag + begin, bag + end, i);
  }
  // Words behind the last offset are in no bag.
  bag_of = bag_of.narrow(0, 0, end).to(input.device());
  words = words.narrow(0, 0, end);
  if (sample_weights.defined()) sample_weights = sample_weights.reshape({-1}).narrow(0, 0, end);
  EmbeddingOptions options = o.embedding;
  if (int64_t rows = weight.size(0); options.padding_idx) {
    Tensor kept =
        nonzero(words != (*options.padding_idx < 0 ? *options.padding_idx + rows : *options.padding_idx)).reshape({-1});
    words = index_select(words, 0, kept);
    bag_of = index_select(bag_of, 0, kept);
    if (sample_weights.defined()) sample_weights = index_select(sample_weights, 0, kept);
    options.padding_idx = {};
  }
  Tensor rows = embedding(words, weight, options);
  if (sample_weights.defined()) rows = rows * sample_weights.unsqueeze(1);
  Shape shape = {bags, weight.size(1)};
  Tensor start = zeros(shape, rows.dtype(), rows.device());
  if (max) return index_reduce(start, 0, bag_of, rows, "amax", false);
  Tensor y = index_add(start, 0, bag_of, rows);
  if (!mean) return y;
  Tensor one = ones({}, y.dtype(), y.device());
  Tensor count = index_add(zeros({bags}, y.dtype(), y.device()), 0, bag_of, one.expand(bag_of.shape()));
  return y / maximum(count, one).unsqueeze(1);
}

}  // namespace cr
