// # Loops compiled once per instruction set
//
// `kernels.cpp` is compiled three times, for plain x86-64 (or whatever the machine is), for AVX2 and for AVX-512, and each
// time everything in it lies in a namespace of its own. What comes out is this table of plain functions; the program
// picks a table when it starts. Nothing else may leak out of those files: an inline function compiled with AVX-512 under
// a shared name could be the one the linker keeps for everybody, and then an older machine stops with SIGILL.
//
// The loops are ordinary C++ that the compiler vectorises. None of them fuses a multiplication with an addition, and sums
// run over a fixed number of lanes, so all three tables give the same bits.
#pragma once

#include <cstdint>

#include "backend/functor.hpp"

namespace cr::backend::cpu {

// A row of the tables below is chosen by element type, in the order of `DType`: four to compute in, two more to store.
inline constexpr int kTypes = 4, kStoredTypes = 6;

struct SgdNumbers {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, first, maximize;
};
struct AdamNumbers {
  double lr, beta1, beta2, eps, weight_decay, shrink, correction1, correction2;  // shrink: AdamW's decay, as a factor
  bool maximize;
};
struct AdagradNumbers {
  double lr, eps, weight_decay;
  bool maximize;
};
struct RmspropNumbers {
  double lr, alpha, eps, weight_decay, momentum;
  bool maximize;
};

struct Kernels {
  // out[i * s[0]] = f(in[0][i * s[1]], in[1][i * s[2]], …) for i < n. Null where the functor does not take the type.
  void (*map[functor::Maps::size][kTypes])(int64_t n, void* out, const void* const* in, const int64_t* s);

  // total[i] = f(total[i], x[i][0], x[i][1], …) for i < rows; rows lie `row_stride` apart, their n numbers `stride`. Totals
  // are double for floating types, else int64.
  void (*reduce[functor::Reductions::size][kTypes])(int64_t rows, int64_t n, const void* x, int64_t row_stride,
                                                    int64_t stride, void* totals);

  // total[j] = f(total[j], x[0][j], x[1][j], …) for j < columns; rows lie `stride` apart, columns next to each other.
  void (*reduce_columns[functor::Reductions::size][kTypes])(int64_t rows, int64_t columns, const void* x,
                                                            int64_t stride, void* totals);

  // out[i * so] = x[i * sx], converted. [to][from]
  void (*copy[kStoredTypes][kStoredTypes])(int64_t n, void* out, int64_t so, const void* x, int64_t sx);

  // Rows of n numbers; [0] is float, [1] double.
  void (*softmax[2])(int64_t n, void* out, const void* x, bool log);
  void (*softmax_backward[2])(int64_t n, void* dx, const void* y, const void* dy, bool log);
  double (*logsumexp[2])(int64_t n, const void* x);
  void (*cross_entropy_backward[2])(int64_t n, void* dx, const void* x, int64_t target, double logsumexp, double dloss);

  void (*sgd[2])(int64_t n, void* p, const void* g, void* momentum, const SgdNumbers& o);
  void (*adam[2])(int64_t n, void* p, const void* g, void* m, void* v, void* largest_v, const AdamNumbers& o);
  void (*adagrad[2])(int64_t n, void* p, const void* g, void* sum, const AdagradNumbers& o);
  void (*rmsprop[2])(int64_t n, void* p, const void* g, void* square, void* mean, void* momentum,
                     const RmspropNumbers& o);
};

namespace base {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}

}  // namespace cr::backend::cpu
