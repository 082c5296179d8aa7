#include "ops/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "autograd/basics.hpp"
#include "backend/backend.hpp"
#include "ops/ops.hpp"

namespace cr {
namespace {

// ## What fits
struct Inputs {
  Tensor q, k, v;  // (…, l, e), (…, s, e), (…, s, f), the same sizes before the last two
  Tensor bias;     // (…, l, s) or undefined
  double scale;
  bool causal, grouped;  // grouped: the heads of queries are (heads of keys, heads that share one)
};

std::string all_three(const Tensor& query, const Tensor& key, const Tensor& value) {
  return "query " + to_string(query.shape()) + ", key " + to_string(key.shape()) + ", value " +
         to_string(value.shape());
}

// x[…, heads, m, n] as x[…, heads / shared, shared, m, n]. One head for all stays one.
Tensor in_groups(const Tensor& x, int64_t shared) {
  if (x.dim() < 3) return x;
  const int d = x.dim() - 3;
  Shape shape = x.shape();
  const bool one = shape[d] == 1;
  shape.insert(d + 1, one ? 1 : shared);
  if (!one) shape[d] /= shared;
  return x.reshape(shape);
}

// Each head as often as it is needed, by a copy.
Tensor repeat_heads(const Tensor& x, int64_t times) {
  Shape shape = x.shape(), repeated = shape;
  const int d = x.dim() - 3;
  repeated.insert(d + 1, times);
  shape[d] *= times;
  return expand_to(x.unsqueeze(d + 1), repeated).reshape(shape);
}

int64_t heads_each(const char* op, const Tensor& query, const Tensor& x, const char* what) {
  int64_t heads = query.dim() < 3 || x.dim() < 3 ? 0 : query.shape()[query.dim() - 3];
  int64_t own = heads ? x.shape()[x.dim() - 3] : 0;
  if (own > 0 && heads % own == 0) return heads / own;
  throw ShapeError(std::string(op) + ": query " + to_string(query.shape()) + " cannot share the heads of " + what +
                   " " + to_string(x.shape()) + ": the number of heads, dimension -3, must be a multiple");
}

Tensor number(double value, const Tensor& like) { return backend::full({}, value, like.dtype(), like.device()); }
Tensor never(const Tensor& like) { return number(-std::numeric_limits<double>::infinity(), like); }

// A bool mask is added too, as 0 where it is true and −∞ where it is false: one number for each of the mask's own, not for
// each score. So dimensions that only repeat, as `expand` makes them, shrink to one element first.
Tensor bias_of(const char* op, const Tensor& query, Tensor mask) {
  backend::check_device(op, query, mask);
  if (is_floating(mask.dtype())) return mask.to(query.dtype());
  if (mask.dtype() != DType::boolean) {
    throw DTypeError(std::string(op) + ": attn_mask is bool (who may look where) or floating-point (added), not " +
                     name(mask.dtype()));
  }
  for (int d = 0; d < mask.dim(); ++d) {
    if (mask.strides()[d] == 0 && mask.shape()[d] > 1) mask = mask.narrow(d, 0, 1);
  }
  return where(mask, number(0, query), never(query));
}

Shape batch_of(const Tensor& x) {
  Shape shape = x.shape();
  shape.resize(x.dim() - 2);
  return shape;
}
Shape joined(Shape batch, int64_t rows, int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}
Tensor in_batch(const Tensor& x, const Shape& batch) {
  Shape shape = joined(batch, x.shape()[x.dim() - 2], x.shape().back());
  return x.shape() == shape ? x : expand_to(x, shape);
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  bool fits = from.size() <= to.size();
  for (int d = 1; d <= from.size() && fits; ++d) {
    fits = from[from.size() - d] == 1 || from[from.size() - d] == to[to.size() - d];
  }
  return fits;
}

Inputs checked(const char* op, const Tensor& query, const Tensor& key, const Tensor& value,
               const AttentionOptions& options) {
  for (const Tensor* x : {&query, &key, &value}) {
    if (is_storage(x->dtype())) refuse_storage(x->dtype(), op);
    if (x->dtype() != query.dtype() || !is_floating(x->dtype())) {
      throw DTypeError(std::string(op) + ": needs tensors of one floating-point type, got " + name(query.dtype()) +
                       ", " + name(key.dtype()) + " and " + name(value.dtype()));
    }
    backend::check_device(op, query, *x);
  }
  if (query.dim() < 2 || key.dim() < 2 || value.dim() < 2 || query.shape().back() != key.shape().back() ||
      key.shape()[key.dim() - 2] != value.shape()[value.dim() - 2]) {
    throw ShapeError(std::string(op) + ": " + all_three(query, key, value) +
                     " are not (…, L, E), (…, S, E), (…, S, F)");
  }
  const Tensor& mask = options.attn_mask;
  if (mask.defined() && options.is_causal) throw Error(std::string(op) + ": give either a mask or is_causal, not both");
  Inputs in{query, key, value, mask.defined() ? bias_of(op, query, mask) : Tensor(), 0, options.is_causal, false};
  const int64_t width = std::max<int64_t>(query.shape().back(), 1);  // without features all scores are 0, not 0 · ∞
  in.scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(width)));

  int64_t keys = 1, values = 1;
  if (options.enable_gqa) keys = heads_each(op, query, key, "key"), values = heads_each(op, query, value, "value");
  if (keys != values) in.k = repeat_heads(key, keys), in.v = repeat_heads(value, values);
  in.grouped = keys == values && keys > 1;

  const int64_t rows = query.shape()[query.dim() - 2], columns = key.shape()[key.dim() - 2];
  Shape batch = batch_of(query);
  for (const Tensor* x : {&in.k, &in.v}) {
    Shape own = batch_of(*x);
    if (in.grouped) own[own.size() - 1] = batch.back();  // each head as often as it is needed
    batch = broadcast_shapes(batch, own, op);
  }
  if (in.bias.defined() && !broadcasts_to(in.bias.shape(), joined(batch, rows, columns))) {
    throw ShapeError(std::string(op) + ": attn_mask " + to_string(mask.shape()) +
                     " does not broadcast to the scores, " + to_string(joined(batch, rows, columns)));
  }
  if (in.grouped) {
    in.q = in_groups(query, keys), in.k = key.unsqueeze(-3), in.v = value.unsqueeze(-3);
    if (in.bias.defined()) in.bias = in_groups(in.bias, keys);
    batch = broadcast_shapes(broadcast_shapes(batch_of(in.q), batch_of(in.k), op), batch_of(in.v), op);
  }
  in.q = in_batch(in.q, batch), in.k = in_batch(in.k, batch), in.v = in_batch(in.v, batch);
  if (in.bias.defined()) {
    if (in.bias.dim() > 0 && in.bias.strides().back() > 1 && in.bias.shape().back() > 1) in.bias = in.bias.contiguous();
    if (!(in.bias.shape() == joined(batch, rows, columns))) in.bias = expand_to(in.bias, joined(batch, rows, columns));
  }
  return in;
}

Tensor heads_again(const Inputs& in, const Tensor& y) {
  if (!in.grouped) return y;
  Shape shape = y.shape();
  const int d = y.dim() - 4;
  shape[d] *= shape[d + 1];
  shape.erase(d + 1);
  return y.reshape(shape);
}

// ## The formula
//
// P = softmax(scale · Q Kᵀ + bias)
Tensor weights(const Inputs& in) {
  const int64_t rows = in.q.shape()[in.q.dim() - 2], columns = in.k.shape()[in.k.dim() - 2];
  Tensor scores = matmul(in.q * in.scale, in.k.transpose(-1, -2));  // (…, l, s)
  if (in.causal) {
    Tensor earlier = le(arange(columns), arange(rows).unsqueeze(1)).to(in.q.device());
    scores = where(earlier, scores, never(in.q));
  }
  if (in.bias.defined()) scores = scores + in.bias;
  if ((!in.causal && !in.bias.defined()) || columns == 0) return softmax(scores, -1);

  // Where nothing may be looked at, softmax would be 0 / 0.
  Tensor blind = eq(amax(scores.detach(), {-1}, true), never(in.q)), zero = number(0, in.q);  // (…, l, 1)
  return where(blind, zero, softmax(where(blind, zero, scores), -1));
}

// ## The same without the scores
//
// An uninitialised tensor that lies in memory in the order in which x does, but for its rows, which stay whole.
Tensor empty_like_rows(const Tensor& x, const Shape& shape) {
  Dims order;
  for (int d = 0; d < x.dim() - 1; ++d) order.push_back(d);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return x.strides()[static_cast<int>(a)] > x.strides()[static_cast<int>(b)];
  });
  order.push_back(x.dim() - 1);
  Shape in_memory;
  for (int64_t d : order) in_memory.push_back(shape[static_cast<int>(d)]);
  Tensor y = empty(in_memory, x.dtype(), x.device());
  Strides strides(x.dim(), 0);
  for (int i = 0; i < order.size(); ++i) strides[static_cast<int>(order[i])] = y.strides()[i];
  return window(y, shape, strides, 0);
}

// Kernels read the numbers of a row side by side.
Tensor with_rows(const Tensor& x) { return x.strides().back() == 1 || x.shape().back() <= 1 ? x : x.contiguous(); }

// What the backend writes: y, and two numbers a query for the way back.
Tensor attend(const Inputs& in, const Tensor& y) {
  Shape rows = batch_of(in.q);
  rows.push_back(in.q.shape()[in.q.dim() - 2]), rows.push_back(2);
  Tensor normalizer = empty(rows, in.q.dtype(), in.q.device());
  backend::on(in.q.device()).attention(y, normalizer, in.q, in.k, in.v, in.bias, in.scale, in.causal);
  return normalizer;
}

// With dP = dO Vᵀ:  dS = P ∘ (dP − Σ P dP),  dQ = scale · dS K,  dK = scale · dSᵀ Q,  dV = Pᵀ dO
//
// The backend computes these from Q, K, V, O and two numbers a query, block by block. When the gradient is to be
// differentiated again, the formula is spelled out in operations that can be.
Grads spelled_out(const Inputs& in, const Tensor& dy) {
  Tensor p = weights(in), dp = matmul(dy, in.v.transpose(-1, -2));  // (…, l, s)
  Tensor ds = p * (dp - sum(p * dp, {-1}, true)) * in.scale;
  return {matmul(ds, in.k), matmul(ds.transpose(-1, -2), in.q), matmul(p.transpose(-1, -2), dy)};
}

Tensor attended(const char* op, Inputs in) {
  if (grad_enabled() && in.bias.defined() && in.bias.requires_grad()) return matmul(weights(in), in.v);
  in.q = with_rows(in.q), in.k = with_rows(in.k), in.v = with_rows(in.v);
  Shape shape = in.q.shape();
  shape[in.q.dim() - 1] = in.v.shape().back();
  Tensor y = empty_like_rows(in.q, shape), normalizer = attend(in, y), bias = in.bias.defined() ? in.bias : y.detach();
  return record(op, y, inputs(in.q, in.k, in.v), saved(in.q, in.k, in.v, constant(bias), y, constant(normalizer)),
                attributes(in.scale, int64_t{in.bias.defined()}, int64_t{in.causal}), [](Backward& b) {
                  Inputs in{b[0], b[1], b[2], b.integer(1) ? b[3] : Tensor(), b.number(0), b.integer(2) != 0, false};
                  if (b.create_graph()) return spelled_out(in, b.dy());
                  Tensor dq = empty_like_rows(in.q, in.q.shape()), dk = empty_like_rows(in.k, in.k.shape());
                  Tensor dv = empty_like_rows(in.v, in.v.shape());
                  backend::on(in.q.device())
                      .attention_backward(dq, dk, dv, with_rows(b.dy()), b[4], b[5], in.q, in.k, in.v, in.bias,
                                          in.scale, in.causal);
                  return Grads{dq, dk, dv};
                });
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options) {
  Inputs in = checked("scaled_dot_product_attention", query, key, value, options);
  return heads_again(in, attended("scaled_dot_product_attention", in));
}

Tensor attention_weights(const Tensor& query, const Tensor& key, const AttentionOptions& options) {
  Inputs in = checked("attention_weights", query, key, key, options);
  return heads_again(in, weights(in));
}

// ## Three in one
namespace {

// (…, T, h d) as (…, h, T, d); with three parts side by side, part `i` of them.
Tensor heads_of(const Tensor& x, int64_t heads, int64_t parts = 1, int64_t i = 0) {
  const int d = x.dim() - 1;
  const int64_t width = x.shape()[d] / parts;
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape[d] = heads, shape.push_back(width / heads);
  strides[d] = width / heads, strides.push_back(1);
  std::swap(shape[d - 1], shape[d]);
  std::swap(strides[d - 1], strides[d]);
  return window(x, shape, strides, x.impl()->offset + i * width);
}

// The windows above have no place in the graph; these have.
std::vector<Tensor> differentiable_heads_of(const Tensor& x, int64_t heads, int64_t parts) {
  Shape shape = x.shape();
  shape[x.dim() - 1] = parts * heads, shape.push_back(x.shape().back() / (parts * heads));
  return chunk(x.reshape(shape).transpose(-2, -3), parts, -3);  // (…, h, T, d)
}
Tensor side_by_side(const std::vector<Tensor>& heads) {
  Tensor x = cat(heads, -3).transpose(-2, -3);
  return x.flatten(-2);
}

Inputs parts_of(const Tensor& x, int64_t heads, const Tensor& bias, double scale, bool causal) {
  return {heads_of(x, heads, 3, 0), heads_of(x, heads, 3, 1), heads_of(x, heads, 3, 2), bias, scale, causal, false};
}

Grads self_attention_rule(Backward& b) {
  const Tensor x = b[0], bias = b.integer(1) ? b[1] : Tensor();
  const int64_t heads = b.integer(0);
  const double scale = b.number(3);
  const bool causal = b.integer(2) != 0;
  if (b.create_graph()) {
    std::vector<Tensor> parts = differentiable_heads_of(x, heads, 3);
    Grads g = spelled_out({parts[0], parts[1], parts[2], bias, scale, causal, false},
                          differentiable_heads_of(b.dy(), heads, 1)[0]);
    return {side_by_side({g.begin(), g.end()})};
  }
  Tensor dx = empty(x.shape(), x.dtype(), x.device());
  const Inputs in = parts_of(x, heads, bias, scale, causal), dparts = parts_of(dx, heads, {}, 0, false);
  backend::on(x.device())
      .attention_backward(dparts.q, dparts.k, dparts.v, heads_of(b.dy().contiguous(), heads), heads_of(b[2], heads),
                          b[3], in.q, in.k, in.v, bias, scale, causal);
  return {dx};
}

}  // namespace

Tensor self_attention(const Tensor& strided, int64_t num_heads, const AttentionOptions& options) {
  const char* op = "self_attention";
  if (strided.dim() < 2 || num_heads < 1 || strided.shape().back() % (3 * num_heads) != 0) {
    throw ShapeError(std::string(op) + ": " + to_string(strided.shape()) +
                     " is not (…, T, 3 h d) with h = " + std::to_string(num_heads) + " heads");
  }
  const Tensor x = with_rows(strided);
  Inputs parts = parts_of(x.detach(), num_heads, {}, 0, false);
  const Inputs in = checked(op, parts.q, parts.k, parts.v, options);
  if (grad_enabled() && in.bias.defined() && in.bias.requires_grad()) {
    std::vector<Tensor> heads = differentiable_heads_of(x, num_heads, 3);
    return side_by_side({scaled_dot_product_attention(heads[0], heads[1], heads[2], options)});
  }
  Shape shape = x.shape();
  shape[x.dim() - 1] /= 3;
  Tensor y = empty(shape, x.dtype(), x.device()), normalizer = attend(in, heads_of(y, num_heads));
  Tensor bias = in.bias.defined() ? in.bias : y.detach();
  return record(op, y, inputs(x), saved(x, constant(bias), y, constant(normalizer)),
                attributes(num_heads, int64_t{in.bias.defined()}, int64_t{in.causal}, in.scale), self_attention_rule);
}

}  // namespace cr
