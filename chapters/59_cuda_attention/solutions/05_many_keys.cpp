// A piece's divided output $o_p$ and $L_p = m + \log \ell$ say all: $(L_p, 1, o_p)$
// is the same as $(m, \ell, \ell\, o_p)$, seen from another maximum. So the whole
// is $\sum_p e^{L_p - L} o_p$ with $L = \log \sum_p e^{L_p}$. This is known as
// flash-decoding.
#include <cstdio>

#include "bench.hpp"

using namespace cr;

int main() {
  Generator random(1);
  const Layer whole = make_layer(
      {.heads = 2, .kv_heads = 1, .queries = 1, .keys = 300, .width = 64}, random);
  std::vector<Tensor> o, row_log;
  for (int64_t begin = 0; begin < 300; begin += 70) {
    Layer piece = whole;
    piece.keys = std::min<int64_t>(70, 300 - begin);
    piece.k = whole.k.narrow(2, begin, piece.keys).contiguous();
    piece.v = whole.v.narrow(2, begin, piece.keys).contiguous();
    Bench<double> bench(piece);
    o.push_back(
        bench.forward(attention::simt::rungs().one_pass_64));  // (1, 2, 1, 64)
    row_log.push_back(bench.row_log());                        // (1, 2, 1)
  }
  const Tensor weights =
      softmax(stack(row_log), 0).unsqueeze(-1);  // (5, 1, 2, 1, 1)
  const double gap = largest_gap(sum(weights * stack(o), {0}), whole.o);
  std::printf("%zu pieces: largest gap %.2g\n", o.size(), gap);
  return gap < 1e-14 ? 0 : 1;
}
