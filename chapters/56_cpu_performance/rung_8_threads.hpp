// **Rung 8, threads.** The loops that `for_each` runs have no order: a panel may be packed
// before or after another, and two tiles of C never meet. So any thread may take any of
// them. `parallel_for` hands them out, and waits at the end until all are done.
#pragma once

#include "machine.hpp"
#include "rung_7_avx512.hpp"

// The best of our kernels for this machine.
inline Kernel best_kernel() {
  return has(Isa::avx512) ? kAvx512 : has(Isa::avx2) ? kAvx2 : kPlain;
}

inline void threads(const Product& g) {
  five_loops(g, best_kernel(), {.threads = true});
}

// And the same with a mistake, for `--break cut-by-threads`. It looks natural: as many
// slices of $p$ as there are threads, each thread sums up its own slice, and in the end the
// slices are added.
inline void cut_by_threads(const Product& g, int count) {
  cr::Tensor parts = cr::empty({count, g.m, g.n});
  float* part = parts.mutable_data<float>();
  cr::backend::parallel_for(count, [&](int64_t t) {
    const int64_t begin = g.k * t / count, end = g.k * (t + 1) / count;
    Product slice = g;
    slice.a += begin, slice.b += begin * g.b_rs, slice.k = end - begin;
    slice.c = part + t * g.m * g.n, slice.c_rs = g.n;
    five_loops(slice, best_kernel());
  });
  clear(g);
  for (int t = 0; t < count; ++t)
    for (int64_t i = 0; i < g.m; ++i)
      for (int64_t j = 0; j < g.n; ++j)
        g.c[i * g.c_rs + j] += part[(t * g.m + i) * g.n + j];
}
