// The kernels are compiled for the emulator and for a GPU, and end each time in such
// a table. Pointers in a call lead to memory of the device in question; nothing is
// checked there, so `lab.hpp` checks before.
#pragma once

#include "tensor/half.hpp"
#include "the_call.hpp"

struct Rungs {
  using Half = cr::BFloat16;
  void (*three_passes)(const ForwardCall<float>& a, float* scores);
  void (*one_pass)(const ForwardCall<float>& a);
  void (*flash)(const ForwardCall<float>& a);
  void (*backward)(const BackwardCall<float>& a);
  void (*tensor_cores)(const ForwardCall<Half, float>& a);
  void (*tensor_cores_backward)(const BackwardCall<Half, float>& a);
  void (*wgmma)(const ForwardCall<Half, float>& a);

  // What is missing here for a rung, or null. Rung 6 needs a Hopper; without it, it
  // throws DeviceError.
  const char* (*missing)(int rung);

  // In float64, to be held against finite differences.
  void (*three_passes_64)(const ForwardCall<double>& a, double* scores);
  void (*one_pass_64)(const ForwardCall<double>& a);
  void (*flash_64)(const ForwardCall<double>& a);
  void (*backward_64)(const BackwardCall<double>& a);

  // For heads 64 wide: without padding, and with each of the planted mistakes.
  void (*unpadded)(const ForwardCall<float>& a);
  void (*no_rescale)(const ForwardCall<float>& a);
  void (*no_barrier)(const ForwardCall<float>& a);
  void (*looks_ahead)(const ForwardCall<float>& a);
};

namespace attention {
namespace simt {
const Rungs& rungs();
}
namespace cuda {
const Rungs& rungs();
}
}  // namespace attention
