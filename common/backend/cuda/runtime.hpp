// # The CUDA runtime
//
// What the kernels stand on: the GPU and whether it can be used, the stream that work is queued in, its memory, the way
// there and back, and its errors. One object, made when the first tensor goes to the GPU, and never destroyed: tensors
// in static variables may outlive any order of destruction.
//
// Only for files that nvcc compiles.
#pragma once

#include <cuda_runtime.h>

#include <mutex>
#include <string>
#include <vector>

#include "backend/cuda/allocator.hpp"
#include "backend/cuda/errors.hpp"
#include "tensor/device_memory.hpp"

namespace cr::backend::cuda {

class Runtime final : public DeviceMemory, private BlockSource {
 public:
  // Throws DeviceError, one line, if there is no GPU that this program can compute on.
  static Runtime& get();

  // ## The stream
  //
  // Where all work is queued, in order, from whichever thread.
  cudaStream_t stream() const { return stream_; }
  void synchronize();

  // Has the GPU the compute capability, times ten, that a kernel needs (see `Grid`)? If not, `require` throws DeviceError,
  // naming `who`.
  bool has(int capability) const;
  void require(int capability, const char* who) const;

  // ## Errors
  //
  // Throws what `error` means, if it is one; `where` names the call. `launched` looks after a kernel: with `--sync` it
  // waits for its end, so that a fault is this kernel's.
  void check(cudaError_t error, const char* where);
  void launched(const char* kernel);

  // ## Memory
  void* allocate(int64_t bytes) override;
  void free(void* block, int64_t bytes) noexcept override;
  void to_device(void* block, const void* host, int64_t bytes) override;
  void to_host(void* host, const void* block, int64_t bytes) override;
  void release_cached() noexcept { allocator_.release_cached(); }

  const cudaDeviceProp& properties() const { return properties_; }

 private:
  Runtime();
  [[noreturn]] void fail(cudaError_t error, const char* where, bool certain);

  void* take(int64_t bytes) override;
  void give(void* block) noexcept override;
  int64_t free_bytes() override;
  int64_t total_bytes() override;

  // Pages that the system may not move: only those can the GPU fetch by itself. Numbers go through such buffers in turn, so
  // that one is filled while others are on their way; and the next batch, if it has room in them, need not wait until the
  // GPU has come to fetch this one. Each direction has its own, so that who waits for a result keeps no data back.
  static constexpr int64_t kBuffer = 1 << 20;
  struct Buffer {
    char* bytes = nullptr;
    cudaEvent_t done = nullptr;
  };
  struct Way {
    std::mutex mutex;
    std::vector<Buffer> buffers;
    size_t next = 0;
  };
  void open(Way& way, size_t buffers);
  Buffer& next_buffer(Way& way);  // as soon as it is free

  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  CachingAllocator allocator_;
  Way up_, down_;
  std::mutex error_;
  LaunchLog log_;
  std::string lost_;  // the first sticky error
};

}  // namespace cr::backend::cuda
