// # Several heads
//
// One head looks at one thing at a time. So queries, keys and values are projected to several smaller spaces, each has its
// own attention, and what they find is put together and mixed (Vaswani et al. 2017, section 3.2.2).
#include <limits>

#include "backend/backend.hpp"
#include "ops/ops.hpp"

namespace cr {
namespace {

constexpr const char* kOp = "multi_head_attention";

void require_shape(const char* what, const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return;
  throw ShapeError(std::string(kOp) + ": " + what + " " + to_string(x.shape()) + " must be " + to_string(shape));
}

// (N, L, E) → (N, h, L, d)
Tensor split_heads(const Tensor& x, int64_t heads) {
  return x.view({x.shape()[0], x.shape()[1], heads, x.shape()[2] / heads}).transpose(1, 2);
}
Tensor merge_heads(const Tensor& x) { return x.transpose(1, 2).flatten(2); }

// As numbers to be added: a bool mask of this function is true where attention is not paid.
Tensor added(const Tensor& mask, const Tensor& like) {
  if (mask.dtype() != DType::boolean) return mask.to(like.dtype());
  Tensor never = full({}, -std::numeric_limits<double>::infinity(), like.dtype(), like.device());
  return where(mask, never, zeros({}, like.dtype(), like.device()));
}

// Both masks as one that broadcasts to (N, h, L, S), or none. Columns after the first S are open to all.
Tensor merged_mask(const Tensor& like, int64_t batch, int64_t rows, int64_t columns, int64_t more,
                   const MultiHeadOptions& o) {
  Tensor mask;
  auto combine = [&](const Tensor& other) { mask = mask.defined() ? mask + other : other; };
  if (o.attn_mask.defined()) {
    if (o.attn_mask.dim() == 2) require_shape("attn_mask", o.attn_mask, {rows, columns});
    else require_shape("attn_mask", o.attn_mask, {batch * o.num_heads, rows, columns});
    combine(
        added(o.attn_mask.dim() == 2 ? o.attn_mask : o.attn_mask.reshape({batch, o.num_heads, rows, columns}), like));
  }
  if (o.key_padding_mask.defined()) {
    require_shape("key_padding_mask", o.key_padding_mask, {batch, columns});
    combine(added(o.key_padding_mask.reshape({batch, 1, 1, columns}), like));
  }
  if (o.is_causal && (mask.defined() || more > 0)) {
    combine(added(gt(arange(columns), arange(rows).unsqueeze(1)).to(like.device()), like));
  }
  return mask.defined() && more > 0 ? pad(mask, {0, more}) : mask;
}

// The weights with which each kind of input is projected, and its bias.
struct Projection {
  Tensor weight, bias;
};
Projection projection(const MultiHeadOptions& o, int64_t part, int64_t width) {
  const Tensor& own = part == 0 ? o.q_proj_weight : part == 1 ? o.k_proj_weight : o.v_proj_weight;
  return {o.in_proj_weight.defined() ? o.in_proj_weight.narrow(0, part * width, width) : own,
          o.in_proj_bias.defined() ? o.in_proj_bias.narrow(0, part * width, width) : Tensor()};
}

void check(const Tensor& q, const Tensor& k, const Tensor& v, const MultiHeadOptions& o) {
  const std::string op = kOp;
  if (q.dim() != 3 || k.dim() != 3 || v.dim() != 3 || k.shape()[0] != q.shape()[0] || v.shape()[0] != q.shape()[0] ||
      k.shape()[1] != v.shape()[1]) {
    throw ShapeError(op + ": query " + to_string(q.shape()) + ", key " + to_string(k.shape()) + ", value " +
                     to_string(v.shape()) + " are not (N, L, E), (N, S, K), (N, S, V)");
  }
  const int64_t width = q.shape()[2];
  if (o.num_heads < 1 || width % o.num_heads != 0) {
    throw ShapeError(op + ": " + std::to_string(width) + " features do not divide into " + std::to_string(o.num_heads) +
                     " heads");
  }
  if (o.in_proj_weight.defined()) {
    require_shape("in_proj_weight", o.in_proj_weight, {3 * width, width});
    require_shape("key", k, {k.shape()[0], k.shape()[1], width});
    require_shape("value", v, {v.shape()[0], v.shape()[1], width});
  } else if (!o.q_proj_weight.defined() || !o.k_proj_weight.defined() || !o.v_proj_weight.defined()) {
    throw Error(op + ": needs in_proj_weight, or all of q_proj_weight, k_proj_weight, v_proj_weight");
  } else {
    require_shape("q_proj_weight", o.q_proj_weight, {width, width});
    require_shape("k_proj_weight", o.k_proj_weight, {width, k.shape()[2]});
    require_shape("v_proj_weight", o.v_proj_weight, {width, v.shape()[2]});
  }
  if (o.in_proj_bias.defined()) require_shape("in_proj_bias", o.in_proj_bias, {3 * width});
  if (!o.out_proj_weight.defined()) throw Error(op + ": needs out_proj_weight");
  require_shape("out_proj_weight", o.out_proj_weight, {width, width});
  if (o.out_proj_bias.defined()) require_shape("out_proj_bias", o.out_proj_bias, {width});
  if (o.bias_k.defined() != o.bias_v.defined()) throw Error(op + ": bias_k and bias_v come together");
  for (const Tensor* x : {&o.bias_k, &o.bias_v}) {
    if (x->defined() && x->numel() != width) require_shape(x == &o.bias_k ? "bias_k" : "bias_v", *x, {1, 1, width});
  }
  if (o.dropout_p > 0 && !o.generator) throw Error(op + ": dropout needs a generator");
}

MultiHeadResult batched(const Tensor& query, const Tensor& key, const Tensor& value, const MultiHeadOptions& o) {
  check(query, key, value, o);
  const int64_t batch = query.shape()[0], rows = query.shape()[1], width = query.shape()[2], columns = key.shape()[1];
  const int64_t more = o.bias_k.defined() + o.add_zero_attn;
  Tensor mask = merged_mask(query, batch, rows, columns, more, o);
  const AttentionOptions options{.attn_mask = mask, .is_causal = o.is_causal && !mask.defined()};
  const bool fused = !o.need_weights && o.dropout_p == 0;

  // Attention to oneself is one projection for all three, which stay in one piece.
  const bool same = query.impl() == key.impl() && key.impl() == value.impl() && o.in_proj_weight.defined();
  if (fused && same && more == 0) {
    Tensor y = self_attention(linear(query, o.in_proj_weight, o.in_proj_bias), o.num_heads, options);
    return {linear(y, o.out_proj_weight, o.out_proj_bias), {}};
  }
  const Tensor* given[] = {&query, &key, &value};
  Tensor part[3];
  for (int64_t i = 0; i < 3; ++i) {
    Projection p = projection(o, i, width);
    part[i] = linear(*given[i], p.weight, p.bias);
    std::vector<Tensor> all{part[i]};
    if (i > 0 && o.bias_k.defined())
      all.push_back((i == 1 ? o.bias_k : o.bias_v).reshape({1, 1, width}).expand({batch, 1, width}));
    if (i > 0 && o.add_zero_attn) all.push_back(zeros({batch, 1, width}, query.dtype(), query.device()));
    part[i] = split_heads(all.size() > 1 ? cat(all, 1) : part[i], o.num_heads);  // (N, h, L or S, d)
  }
  Tensor y, weights;
  if (fused) {
    y = scaled_dot_product_attention(part[0], part[1], part[2], options);
  } else {
    weights = attention_weights(part[0], part[1], options);  // (N, h, L, S)
    if (o.dropout_p > 0) weights = dropout(weights, o.dropout_p, true, *o.generator);
    y = matmul(weights, part[2]);
  }
  MultiHeadResult result{linear(merge_heads(y), o.out_proj_weight, o.out_proj_bias), {}};
  if (o.need_weights) result.weights = o.average_attn_weights ? mean(weights, {1}) : weights;
  return result;
}

}  // namespace

MultiHeadResult multi_head_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                     const MultiHeadOptions& options) {
  if (query.dim() != 2 || key.dim() != 2 || value.dim() != 2) return batched(query, key, value, options);
  MultiHeadOptions o = options;
  if (o.key_padding_mask.defined()) o.key_padding_mask = o.key_padding_mask.unsqueeze(0);
  const bool same = query.impl() == key.impl() && key.impl() == value.impl();
  Tensor q = query.unsqueeze(0);
  MultiHeadResult y = batched(q, same ? q : key.unsqueeze(0), same ? q : value.unsqueeze(0), o);
  return {y.output.squeeze(0), y.weights.defined() ? y.weights.squeeze(0) : Tensor()};
}

}  // namespace cr
