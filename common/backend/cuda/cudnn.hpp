// # cuDNN, found at run time
//
// What whoever asks it for a convolution needs: its functions by name, a handle, the descriptors of one. Only where its header
// is (CR_HAS_CUDNN), and only for files that nvcc compiles.
#pragma once

#if __has_include(<cudnn.h>)
#define CR_HAS_CUDNN 1
#include <cudnn.h>

#include <string>

#include "backend/cuda/runtime.hpp"
#include "backend/cuda/shared_library.hpp"

namespace cr::backend::cuda {

// Throws DeviceError if it is not installed.
inline const SharedLibrary& cudnn() {
  static const SharedLibrary library{"libcudnn.so.9", "libcudnn.so"};
  return library;
}

// CR_CUDNN(cudnnCreate, &handle) calls the function of this name. Throws DeviceError if it reports an error.
template <class F, class... A> void call_cudnn(const char* name, const A&... arguments) {
  const cudnnStatus_t status = cudnn().find<F*>(name)(arguments...);
  if (status != CUDNN_STATUS_SUCCESS)
    throw DeviceError(std::string("cuDNN: ") + name + " refuses, status " + std::to_string(static_cast<int>(status)));
}
#define CR_CUDNN(function, ...) ::cr::backend::cuda::call_cudnn<decltype(function)>(#function, __VA_ARGS__)

// It works where our kernels do, in the runtime's stream.
inline cudnnHandle_t cudnn_handle() {
  static const cudnnHandle_t made = [] {
    cudnnHandle_t one = nullptr;
    CR_CUDNN(cudnnCreate, &one);
    CR_CUDNN(cudnnSetStream, one, Runtime::get().stream());
    return one;
  }();
  return made;
}

// One descriptor, made and given back.
template <class T> class Described {
 public:
  using Destroy = cudnnStatus_t (*)(T);
  Described(const char* create, const char* destroy) : destroy_(cudnn().find<Destroy>(destroy)) {
    call_cudnn<cudnnStatus_t(T*)>(create, &value_);
  }
  ~Described() { destroy_(value_); }
  Described(const Described&) = delete;
  Described& operator=(const Described&) = delete;
  operator T() const { return value_; }

 private:
  Destroy destroy_;
  T value_ = nullptr;
};

// Of one convolution.
struct ConvDescriptors {
  Described<cudnnTensorDescriptor_t> x{"cudnnCreateTensorDescriptor", "cudnnDestroyTensorDescriptor"};
  Described<cudnnTensorDescriptor_t> y{"cudnnCreateTensorDescriptor", "cudnnDestroyTensorDescriptor"};
  Described<cudnnFilterDescriptor_t> w{"cudnnCreateFilterDescriptor", "cudnnDestroyFilterDescriptor"};
  Described<cudnnConvolutionDescriptor_t> conv{"cudnnCreateConvolutionDescriptor", "cudnnDestroyConvolutionDescriptor"};
};

}  // namespace cr::backend::cuda
#endif
