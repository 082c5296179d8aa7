// The kernels are compiled twice from the same source: for the emulator, and by nvcc for a GPU. Each time they end in such a
// table. Pointers in a call lead to memory of the device in question; nothing is checked there, so `lab.hpp` checks before.
#pragma once

#include "tensor/half.hpp"
#include "the_call.hpp"

struct Rungs {
  using Half = cr::BFloat16;
  void (*three_passes)(const Forward<float>& a, float* scores);
  void (*one_pass)(const Forward<float>& a);
  void (*flash)(const Forward<float>& a);
  void (*backward)(const Backward<float>& a);
  void (*tensor_cores)(const Forward<Half, float>& a);
  void (*tensor_cores_backward)(const Backward<Half, float>& a);
  void (*wgmma)(const Forward<Half, float>& a);  // throws DeviceError on the emulator

  // In float64, to be held against finite differences.
  void (*three_passes_64)(const Forward<double>& a, double* scores);
  void (*one_pass_64)(const Forward<double>& a);
  void (*flash_64)(const Forward<double>& a);
  void (*backward_64)(const Backward<double>& a);

  // For heads 64 wide: without padding, and with each of the planted mistakes.
  void (*unpadded)(const Forward<float>& a);
  void (*no_rescale)(const Forward<float>& a);
  void (*no_barrier)(const Forward<float>& a);
  void (*looks_ahead)(const Forward<float>& a);
};

namespace attention {
namespace simt {
const Rungs& rungs();
}
namespace cuda {
const Rungs& rungs();
}
}  // namespace attention
