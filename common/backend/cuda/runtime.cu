#include "backend/cuda/runtime.hpp"

#include <algorithm>
#include <cstring>

#include "backend/gpu_options.hpp"
#include "tensor/error.hpp"

namespace cr::backend::cuda {
namespace {

// A kernel that does nothing: whether it can be loaded tells whether this program has code for the GPU.
__global__ void probe() {}

std::string why_no_gpu() {
  Found found;
  cudaDriverGetVersion(&found.driver);
  cudaRuntimeGetVersion(&found.runtime);
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count == 0) error = cudaErrorNoDevice;
  if (error == cudaSuccess) error = cudaSetDevice(0);
  cudaDeviceProp properties{};
  if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, 0);
  if (error == cudaSuccess) {
    found.name = properties.name, found.major = properties.major, found.minor = properties.minor;
    cudaFuncAttributes attributes;
    error = cudaFuncGetAttributes(&attributes, probe);
    if (error == cudaErrorInvalidDeviceFunction) error = cudaErrorNoKernelImageForDevice;
  }
  found.error = error, found.text = cudaGetErrorString(error), found.built_for = CHAINRULE_CUDA_BUILT_FOR;
  cudaGetLastError();
  return why_not(found);
}

}  // namespace

// ## The GPU
Runtime& Runtime::get() {
  static Runtime* runtime = [] {
    if (std::string why = why_no_gpu(); !why.empty()) throw DeviceError(why);
    return new Runtime;
  }();
  return *runtime;
}

Runtime::Runtime() : allocator_(static_cast<BlockSource&>(*this)) {
  check(cudaGetDeviceProperties(&properties_, 0), "start");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "start");
  open(up_, 32);
  open(down_, 8);
}

void Runtime::synchronize() { check(cudaDeviceSynchronize(), "synchronize"); }

bool Runtime::has(int capability) const {
  const int here = properties_.major * 10 + properties_.minor;
  return capability == 90 ? here == 90 : here >= capability;
}

void Runtime::require(int capability, const char* who) const {
  if (has(capability)) return;
  auto text = [](int major, int minor) { return std::to_string(major) + "." + std::to_string(minor); };
  throw DeviceError(std::string(who) + ": needs a GPU of compute capability " + text(capability / 10, capability % 10) +
                    (capability == 90 ? ", and no other" : " or more") + "; this one has " +
                    text(properties_.major, properties_.minor));
}

// ## Errors
void Runtime::check(cudaError_t error, const char* where) {
  if (error != cudaSuccess) fail(error, where, false);
}

void Runtime::launched(const char* kernel) {
  // What is wrong with the launch itself (too many threads, too much shared memory) shows at once.
  if (cudaError_t error = cudaGetLastError(); error != cudaSuccess) fail(error, kernel, !is_sticky(error));
  {
    std::scoped_lock lock(error_);
    log_.add(kernel);
  }
  if (!gpu_options().sync) return;
  if (cudaError_t error = cudaStreamSynchronize(stream()); error != cudaSuccess) fail(error, kernel, true);
}

void Runtime::fail(cudaError_t error, const char* where, bool certain) {
  cudaGetLastError();  // a mistake that does no lasting harm is not to be reported twice
  std::scoped_lock lock(error_);
  if (!lost_.empty()) throw DeviceError(lost(lost_));
  std::string line = message(where, error, cudaGetErrorString(error), certain, log_);
  if (is_sticky(error)) lost_ = line.substr(0, line.find("; the GPU is lost"));
  throw DeviceError(line);
}

// ## Memory
void* Runtime::allocate(int64_t bytes) { return allocator_.allocate(bytes); }
void Runtime::free(void* block, int64_t) noexcept { allocator_.free(block); }

void* Runtime::take(int64_t bytes) {
  void* block = nullptr;
  cudaError_t error = cudaMalloc(&block, static_cast<size_t>(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(error, "allocate");
  return block;
}
void Runtime::give(void* block) noexcept { cudaFree(block); }  // waits for the GPU by itself
int64_t Runtime::free_bytes() {
  size_t left = 0, total = 0;
  return cudaMemGetInfo(&left, &total) == cudaSuccess ? static_cast<int64_t>(left) : 0;
}
int64_t Runtime::total_bytes() { return static_cast<int64_t>(properties_.totalGlobalMem); }

// ## There and back
void Runtime::open(Way& way, size_t buffers) {
  way.buffers.resize(buffers);
  for (Buffer& buffer : way.buffers) {
    check(cudaHostAlloc(reinterpret_cast<void**>(&buffer.bytes), kBuffer, cudaHostAllocDefault), "start");
    check(cudaEventCreateWithFlags(&buffer.done, cudaEventDisableTiming), "start");
  }
}

Runtime::Buffer& Runtime::next_buffer(Way& way) {
  Buffer& buffer = way.buffers[way.next++ % way.buffers.size()];
  check(cudaEventSynchronize(buffer.done), "transfer");
  return buffer;
}

void Runtime::to_device(void* block, const void* host, int64_t bytes) {
  std::scoped_lock lock(up_.mutex);
  for (int64_t at = 0; at < bytes; at += kBuffer) {
    const auto piece = static_cast<size_t>(std::min(kBuffer, bytes - at));
    Buffer& buffer = next_buffer(up_);
    std::memcpy(buffer.bytes, static_cast<const char*>(host) + at, piece);
    check(cudaMemcpyAsync(static_cast<char*>(block) + at, buffer.bytes, piece, cudaMemcpyHostToDevice, stream()),
          "to_device");
    check(cudaEventRecord(buffer.done, stream()), "to_device");
  }
}

// While one piece is copied out of its buffer, the next ones are on their way.
void Runtime::to_host(void* host, const void* block, int64_t bytes) {
  std::scoped_lock lock(down_.mutex);
  const auto ahead = static_cast<int64_t>(down_.buffers.size()) / 2, pieces = (bytes + kBuffer - 1) / kBuffer;
  auto size = [&](int64_t k) { return static_cast<size_t>(std::min(kBuffer, bytes - k * kBuffer)); };
  std::vector<Buffer*> sent(down_.buffers.size());
  for (int64_t k = 0; k < pieces + ahead; ++k) {
    if (k < pieces) {
      Buffer& buffer = next_buffer(down_);
      check(cudaMemcpyAsync(buffer.bytes, static_cast<const char*>(block) + k * kBuffer, size(k),
                            cudaMemcpyDeviceToHost, stream()),
            "to_host");
      check(cudaEventRecord(buffer.done, stream()), "to_host");
      sent[static_cast<size_t>(k) % sent.size()] = &buffer;
    }
    if (const int64_t done = k - ahead; done >= 0 && done < pieces) {
      Buffer& buffer = *sent[static_cast<size_t>(done) % sent.size()];
      check(cudaEventSynchronize(buffer.done), "to_host");
      std::memcpy(static_cast<char*>(host) + done * kBuffer, buffer.bytes, size(done));
    }
  }
}

}  // namespace cr::backend::cuda

namespace cr {
DeviceMemory& cuda_memory() { return backend::cuda::Runtime::get(); }
}  // namespace cr
