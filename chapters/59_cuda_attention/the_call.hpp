// Sizes and pointers, in one struct that is copied to every thread.
// Nothing here knows tensors, so the same struct serves the emulator and a GPU.
#pragma once

#include <cstdint>

// All matrices lie row by row, heads one after the other, as PyTorch keeps them:
// `q` and `o` are (batch, heads, queries, width), `k` and `v` are (batch, kv_heads,
// keys, width). In **grouped-query attention** several heads of queries share one
// head of keys and values, so `heads` is a multiple of `kv_heads`. In the causal
// case query $i$ sees the keys $0 \dots i$ and no others: the triangle begins at the
// top left, also where there are more keys than queries. (FlashAttention from 2.1 on
// lets it end at the bottom right then; exercise 7.)
struct AttentionSizes {
  int64_t batch = 1, heads = 1, kv_heads = 1, queries, keys, width;
  bool causal = false;
};

// Query $i$ sees the first so many keys.
constexpr int64_t seen_by(const AttentionSizes& s, int64_t i) {
  return s.causal && i + 1 < s.keys ? i + 1 : s.keys;
}

constexpr int64_t tiles(int64_t count, int64_t tile) {
  return (count + tile - 1) / tile;
}

// The head of keys and values that a head of queries shares with its group. Both
// count through the batch.
constexpr int64_t kv_head_of(const AttentionSizes& s, int64_t head) {
  return head / s.heads * s.kv_heads + head % s.heads / (s.heads / s.kv_heads);
}

// Numbers of type `T` are stored; sums are kept in `Sum`, which is `float` for
// bfloat16 and else `T` itself. The row sums come out as $L_i = \log \sum_j
// e^{s_{ij}}$, one for each query, which the way back will need.
template <class T, class Sum = T> struct ForwardCall : AttentionSizes {
  const T *q, *k, *v;
  T* o;
  Sum* row_log;  // (batch, heads, queries)
  Sum scale;     // c, usually 1 / √width
};

// The way back is given what the way forth was given and found, and the gradient
// `d_o` of the output. `dots` is memory for one number per query.
template <class T, class Sum = T> struct BackwardCall : AttentionSizes {
  // `d_o` is $dO$; `dq`, `dk` and `dv` have the shapes of `q`, `k` and `v`. In
  // grouped-query attention `dk` and `dv` collect what all heads of a group send
  // back.
  const T *q, *k, *v, *o, *d_o;
  const Sum* row_log;
  T *dq, *dk, *dv;
  Sum* dots;
  Sum scale;
};

// The hardware has an instruction for powers of two, so the fast kernels use $e^x =
// 2^{x \log_2 e}$.
inline constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453;
