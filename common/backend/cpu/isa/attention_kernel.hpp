// # Rows of scores
//
// Attention is two matrix products with a softmax between them. `attention.cpp` has the products done by the register tile
// of `isa/gemm_kernel.hpp`; what happens to a row of scores in between is here, compiled once per instruction set. Newer
// machines multiply and add in one rounding, so each instruction set has its own last bits.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

// Some rows of q kᵀ, in a buffer whose rows are `step` apart, a multiple of 64. A score is scale · (q kᵀ) + bias; bias may be
// null, and `bias_step` is 0 or 1. In the causal case row r sees its first `seen` + r columns only (none if that is
// negative).
template <class T> struct ScoreRows {
  int64_t rows, columns;
  T* scores;
  int64_t step;
  T scale;
  const T* bias;
  int64_t bias_row, bias_step;
  bool causal;
  int64_t seen;
};

template <class T> struct AttentionKernel {
  // Turns scores x into exp(x − top), where top is near the largest of this row so far, and adds them to the row's `kLanes`
  // sums. When top has grown, what was summed before belongs to a smaller one: it is multiplied by `factor`, and so must be
  // whatever else was. Columns that are not seen become 0. At first top is −∞ and the sums are 0.
  static constexpr int64_t kLanes = 64 / sizeof(T);
  void (*softmax)(const ScoreRows<T>& s, T* top, T* sums, T* factor);

  // out[r] /= Σ sums[r], and the row's normalizer in two parts, top and 1 / Σ sums: two zeros if the row saw nothing.
  void (*finish)(int64_t rows, int64_t n, T* out, int64_t out_row, const T* top, const T* sums, T* normalizer);

  // Turns scores x into P = exp(x − top) / Σ sums, by the two parts of the row's normalizer, and dp into the gradient of q kᵀ:
  // P · (dp − d) · scale.
  void (*gradient)(const ScoreRows<T>& s, T* dp, const T* normalizer, const T* d);

  // x[r][i] *= factor[r];  y[r][i] += x[r][i];  out[r] = Σ x[r][i] y[r][i]
  void (*scale)(int64_t rows, int64_t n, T* x, int64_t x_row, const T* factor);
  void (*add)(int64_t rows, int64_t n, T* y, int64_t y_row, const T* x, int64_t x_row);
  void (*dots)(int64_t rows, int64_t n, const T* x, int64_t x_row, const T* y, int64_t y_row, T* out);
};

namespace base {
extern const AttentionKernel<float> attention_float;
extern const AttentionKernel<double> attention_double;
}  // namespace base
namespace avx2 {
extern const AttentionKernel<float> attention_float;
extern const AttentionKernel<double> attention_double;
}  // namespace avx2
namespace avx512 {
extern const AttentionKernel<float> attention_float;
extern const AttentionKernel<double> attention_double;
}  // namespace avx512

}  // namespace cr::backend::cpu
