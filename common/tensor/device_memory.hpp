// # Memory of a device's own
//
// The CPU's and the emulator's numbers lie in the host's memory. A GPU has memory of its own: an address there means
// nothing to the processor, and every number has to be carried over. What does that is the device's affair; here is the
// little that storages and `to(Device)` ask of it.
#pragma once

#include <cstdint>

#include "tensor/error.hpp"

namespace cr {

class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;

  // A block of at least `bytes` bytes, aligned to 256. Throws OutOfMemory.
  virtual void* allocate(int64_t bytes) = 0;
  // Takes it back; work that was begun before may still read and write it.
  virtual void free(void* block, int64_t bytes) noexcept = 0;

  // Copies whole; both return when the host's bytes are no longer needed, or are there.
  virtual void to_device(void* block, const void* host, int64_t bytes) = 0;
  virtual void to_host(void* host, const void* block, int64_t bytes) = 0;
};

// The memory of the one device that has some. Throws DeviceError if this build or machine has none.
DeviceMemory& device_memory();

// Puts another in its place, for tests; null brings back what belongs there.
void set_device_memory(DeviceMemory* memory);

// The GPU's own, defined in `backend/cuda/`. Throws DeviceError if there is no GPU to be used.
DeviceMemory& cuda_memory();

}  // namespace cr
