// # One step of a recurrent layer
//
// What happens in one row of n units between two matrix products, in one pass: the gates' squashing functions, the new
// state, and the way back. Compiled once per instruction set, as the loops of `kernels.hpp` are.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

// Gates lie one after another, n numbers each; what they hold, `backend.hpp` says. h₀ and c₀ are the state before the step.
// On the way back d = dh + dy is the gradient of the state that the step made; `dy` may be null.
template <class T> struct RecurrentKernel {
  // h = tanh(h) or relu(h);  dsums = d times its slope
  void (*rnn)(int64_t n, bool relu, T* h);
  void (*rnn_backward)(int64_t n, bool relu, T* dsums, const T* dh, const T* dy, const T* h);

  // dc comes in as the gradient of c and goes out as that of c₀.
  void (*lstm)(int64_t n, T* h, T* c, T* gates, const T* c0);
  void (*lstm_backward)(int64_t n, T* dgates, T* dc, const T* dh, const T* dy, const T* gates, const T* c, const T* c0);

  // dh goes out as the direct part of h₀'s gradient, d z.
  void (*gru)(int64_t n, T* h, T* gates, const T* h0);
  void (*gru_backward)(int64_t n, T* dgates, T* dh, const T* dy, const T* gates, const T* h0);

  // sum += x
  void (*add)(int64_t n, T* sum, const T* x);
};

namespace base {
extern const RecurrentKernel<float> recurrent_float;
extern const RecurrentKernel<double> recurrent_double;
}  // namespace base
namespace avx2 {
extern const RecurrentKernel<float> recurrent_float;
extern const RecurrentKernel<double> recurrent_double;
}  // namespace avx2
namespace avx512 {
extern const RecurrentKernel<float> recurrent_float;
extern const RecurrentKernel<double> recurrent_double;
}  // namespace avx512

}  // namespace cr::backend::cpu
