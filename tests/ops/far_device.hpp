// # A GPU without a GPU
//
// Its memory is the host's, but under addresses that the processor may not touch: whoever forgets that a tensor's
// numbers are elsewhere ends the test with a fault. Every page lies under a second address too, which only the copies
// know. It computes by `compute_on_host`, primitive for primitive, as the GPU does what has no kernel.
#pragma once

#include "backend/backend.hpp"
#include "tensor/device_memory.hpp"

namespace cr::test {

// While one of these lives, Device::cuda is such a device. `live_bytes` is what tensors hold on it now; beyond `limit` it
// throws OutOfMemory.
class FarDevice {
 public:
  FarDevice();
  ~FarDevice();
  FarDevice(const FarDevice&) = delete;
  FarDevice& operator=(const FarDevice&) = delete;

  int64_t live_bytes() const;
  int64_t copies() const;  // how often numbers were carried over or back
  void limit(int64_t bytes);

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
  std::unique_ptr<backend::Backend> backend_;
};

}  // namespace cr::test
