// A warp takes one query. It walks along the keys and keeps three things: the
// largest score so far, the sum of exponentials relative to it, and the sum of
// values weighted by them. The lanes share the work along the head's width, so that
// neighbouring lanes read neighbouring numbers.
#pragma once

#include "the_call.hpp"
#include "warp.cuh"

namespace attention::CR_GPU {

template <class T, int kWidth> __global__ void one_pass_kernel(ForwardCall<T> a) {
  constexpr int kEach = kWidth / 32;  // numbers of a row that one lane holds
  const int lane = int(threadIdx.x);
  const int64_t i = int64_t{blockIdx.x} * blockDim.y + threadIdx.y,
                head = blockIdx.y;
  if (i >= a.queries) return;

  // Where this query's row is, and where the keys and values of its head begin.
  // Each lane starts `lane` numbers into the row.
  const int64_t row = head * a.queries + i;
  const T* k = a.k + kv_head_of(a, head) * a.keys * kWidth + lane;
  const T* v = a.v + kv_head_of(a, head) * a.keys * kWidth + lane;

  // The lane's share of the query, and of the output. Both stay in registers from
  // here to the end.
  T q[kEach], o[kEach] = {}, m = minus_infinity<T>(), sum = 0;
  for (int e = 0; e < kEach; ++e) q[e] = a.q[row * kWidth + lane + 32 * e];

  // One key after the other. `keep` is the factor by which everything summed so far
  // was too large.
  const int64_t seen = seen_by(a, i);
  for (int64_t j = 0; j < seen; ++j) {
    // The lanes multiply their shares and add them up together, so every lane knows
    // the score. That takes five exchanges for the two multiply-adds that a lane has
    // with a head of 64: bytes are not all that is wasted here.
    T part = 0;
    for (int e = 0; e < kEach; ++e) part += q[e] * k[j * kWidth + 32 * e];
    const T s = a.scale * warp_sum(part);

    // The step that we did by hand. Before the first key $m = -\infty$, so `keep`
    // is $e^{-\infty} = 0$, and what was summed, zero, stays zero.
    const T m_new = larger(m, s), keep = exp(m - m_new), p = exp(s - m_new);
    m = m_new;
    sum = keep * sum + p;
    for (int e = 0; e < kEach; ++e) o[e] = keep * o[e] + p * v[j * kWidth + 32 * e];
  }

  // One division for each number, at the very end.
  for (int e = 0; e < kEach; ++e) a.o[row * kWidth + lane + 32 * e] = o[e] / sum;
  if (lane == 0) a.row_log[row] = m + log(sum);
}

template <class T> void one_pass(const ForwardCall<T>& a) {
  with_width(a.width, [&](auto width) {
    // Four warps to a block, each with a query of its own. They share nothing.
    launch("one pass", one_pass_kernel<T, width()>,
           {.blocks = {unsigned(tiles(a.queries, 4)), unsigned(a.batch * a.heads)},
            .threads = {32, 4}},
           a);
  });
}

}  // namespace attention::CR_GPU
