// # The rungs, as a program calls them
//
// Each kernel is compiled twice from the same source: for the emulator, in namespace `simt`, and by nvcc for a GPU, in
// namespace `cuda`. Pointers lead to the memory of that device.
#pragma once

#include "tensor/half.hpp"
#include "the_call.hpp"

#define CR_RUNGS                                                                                              \
  template <class T> void three_passes(const Forward<T>& a, T* scores);                                       \
  template <class T> void one_pass(const Forward<T>& a);                                                      \
  template <class T> void flash(const Forward<T>& a);                                                         \
  template <class T> void flash_backward(const Backward<T>& a);                                               \
  void tensor_cores(const Forward<cr::BFloat16, float>& a);                                                   \
  void wgmma(const Forward<cr::BFloat16, float>& a);                                                          \
  void tensor_cores_backward(const Backward<cr::BFloat16, float>& a);                                         \
  void flash_unpadded(const Forward<float>& a);                                                               \
  void flash_without_rescaling(const Forward<float>& a);                                                      \
  void flash_without_barrier(const Forward<float>& a);                                                        \
  void flash_looking_ahead(const Forward<float>& a);

namespace attention::simt {
CR_RUNGS
}
namespace attention::cuda {
CR_RUNGS
}
