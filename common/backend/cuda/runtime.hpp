// # The CUDA runtime
//
// What the kernels stand on: the GPU and whether it can be used, the streams that work is queued in, its memory, the way
// there and back, and its errors. One object, made when the first tensor goes to the GPU, and never destroyed: tensors
// in static variables may outlive any order of destruction.
//
// Only for files that nvcc compiles.
#pragma once

#include <cuda_runtime.h>

#include <array>
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

  // ## Streams
  //
  // Where this thread's work is queued: the first stream, unless a `StreamScope` (below) says otherwise.
  cudaStream_t stream();
  int new_stream();
  void synchronize();

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
  CachingAllocator& memory() { return allocator_; }

  const cudaDeviceProp& properties() const { return properties_; }

 private:
  friend class StreamScope;
  Runtime();
  [[noreturn]] void fail(cudaError_t error, const char* where, bool certain);

  void* take(int64_t bytes) override;
  void give(void* block) noexcept override;
  int64_t free_bytes() override;
  int64_t total_bytes() override;

  // Pages that the system may not move: only those can the GPU fetch by itself. Numbers go through eight such buffers in
  // turn, so that one is filled while others are on their way; and the next batch need not wait until the GPU has come to
  // fetch this one.
  static constexpr int64_t kBuffer = 1 << 20;
  struct Buffer {
    char* bytes = nullptr;
    cudaEvent_t done = nullptr;
  };
  Buffer& next_buffer();  // as soon as it is free

  cudaDeviceProp properties_{};
  std::vector<cudaStream_t> streams_;
  CachingAllocator allocator_;
  std::mutex transfer_, error_;
  std::array<Buffer, 8> buffers_;
  size_t next_ = 0;
  LaunchLog log_;
  std::string lost_;  // the first sticky error
};

// While it lives, this thread's tensors are made, and its kernels queued, in another stream. What is to be read in the first
// stream afterwards must wait for it: `Runtime::synchronize`.
class StreamScope {
 public:
  explicit StreamScope(int stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  int before_;
};

}  // namespace cr::backend::cuda
