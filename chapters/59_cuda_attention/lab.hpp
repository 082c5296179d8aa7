// A **layer** is one call of attention with everything that is known about it: its
// numbers, and the truth, which the library computes in float64. The numbers are
// such as bfloat16 can hold, so all rungs are asked the same question.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "chainrule.hpp"
#include "rungs.hpp"

struct Layer : AttentionSizes {
  cr::Tensor q, k, v,
      d_o;  // float64; d_o is the gradient that comes back into the output
  cr::Tensor o, dq, dk, dv;  // the truth
  double scale() const { return 1 / std::sqrt(double(width)); }
};

// What no kernel can do is refused here, where one can say why.
inline void check(const AttentionSizes& s) {
  auto wrong = [](const std::string& what) {
    throw cr::ShapeError("attention: " + what);
  };
  if (s.width != 32 && s.width != 64 && s.width != 128 && s.width != 256)
    wrong("a head has 32, 64, 128 or 256 numbers, not " + std::to_string(s.width) +
          "; pad q, k and v with zeros");
  if (s.kv_heads < 1 || s.heads % s.kv_heads != 0)
    wrong(std::to_string(s.heads) + " heads cannot share " +
          std::to_string(s.kv_heads) + " heads of keys evenly");
  if (s.keys < 1) wrong("there are no keys to attend to");
  if (s.batch * s.heads > 65535)
    wrong("batch times heads is " + std::to_string(s.batch * s.heads) +
          ", over 65535");
}

inline Layer make_layer(const AttentionSizes& s, cr::Generator& random) {
  check(s);

  // Numbers from a normal distribution, rounded to what bfloat16 can hold, and kept
  // as float64 from then on.
  auto numbers = [&](int64_t heads, int64_t rows) {
    return randn({s.batch, heads, rows, s.width}, random)
        .to(cr::DType::bfloat16)
        .to(cr::DType::float64);
  };
  Layer l{s,
          numbers(s.heads, s.queries),
          numbers(s.kv_heads, s.keys),
          numbers(s.kv_heads, s.keys),
          numbers(s.heads, s.queries),
          {},
          {},
          {},
          {}};

  // The library's attention, and its gradients for the given `d_o`: the sum of $O
  // \circ dO$ has just these.
  cr::Tensor q = l.q.clone().requires_grad_(), k = l.k.clone().requires_grad_(),
             v = l.v.clone().requires_grad_();
  cr::Tensor o = scaled_dot_product_attention(
      q, k, v, {.is_causal = s.causal, .enable_gqa = s.heads != s.kv_heads});
  const std::vector<cr::Tensor> gradients = cr::grad(sum(o * l.d_o), {q, k, v});
  l.o = o.detach(), l.dq = gradients[0], l.dk = gradients[1], l.dv = gradients[2];
  return l;
}

// How far apart two results are, at the worst place.
inline double largest_gap(const cr::Tensor& a, const cr::Tensor& b) {
  return amax(abs(a.to(cr::DType::float64) - b)).item();
}

// The typical error over the typical number: root of the mean square of both.
inline double relative_error(const cr::Tensor& a, const cr::Tensor& truth) {
  // Both are sums over all numbers of the result, so one number that is far off
  // shows, and many that are slightly off as well.
  return std::sqrt(mean(square(a.to(cr::DType::float64) - truth)).item() /
                   mean(square(truth)).item());
}

// The largest of several.
inline double largest_error(const std::vector<cr::Tensor>& a,
                            const std::vector<cr::Tensor>& truth) {
  double largest = 0;
  for (size_t t = 0; t < a.size(); ++t)
    largest = std::max(largest, relative_error(a[t], truth[t]));
  return largest;
}
