// **BLAS** (*basic linear algebra subprograms*) is what such functions have been called
// since 1979, and OpenBLAS is the one that most Linux systems have. It is in our program
// where the library's linear algebra uses it; then its functions are found by name.
// Fortran's `sgemm` reads columns where we read rows, so it sees every matrix transposed;
// and since $C^\top = B^\top A^\top$, A and B change places.
#pragma once

#include <dlfcn.h>

#include "rung_1_loops.hpp"

struct OpenBlas {
  using Sgemm = void (*)(const char*, const char*, const int*, const int*,
                         const int*, const float*, const float*, const int*,
                         const float*, const int*, const float*, float*,
                         const int*);
  using SetThreads = void (*)(int);
  Sgemm sgemm = reinterpret_cast<Sgemm>(dlsym(RTLD_DEFAULT, "sgemm_"));
  SetThreads set_threads =
      reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));

  bool here() const { return sgemm && set_threads; }

  void operator()(const Product& g, int threads) const {
    const int m = int(g.m), n = int(g.n), k = int(g.k);
    const int a_rs = int(g.a_rs), b_rs = int(g.b_rs), c_rs = int(g.c_rs);
    const float one = 1, zero = 0;
    set_threads(threads);
    sgemm("N", "N", &n, &m, &k, &one, g.b, &b_rs, g.a, &a_rs, &zero, g.c, &c_rs);
  }
};
