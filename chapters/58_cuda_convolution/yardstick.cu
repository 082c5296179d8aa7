// Only for a GPU; the emulator does not tell the time. cuDNN is looked for when the program
// runs, so that the program builds and starts without it.
#include "yardstick.hpp"

#include "backend/gpu/gpu.cuh"

#if defined(__CUDACC__)
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#if __has_include(<cudnn.h>)
#include <cudnn.h>
#include <dlfcn.h>
#endif

namespace cr::backend::cuda {

// An **event** is a mark in the stream of work that the GPU notes the time of when it passes
// it. The time between two is the GPU's own, without what the program does meanwhile.
static float milliseconds(const std::function<void()>& f, int times) {
  Runtime& runtime = Runtime::get();
  cudaEvent_t start, stop;
  runtime.check(cudaEventCreate(&start), "timing");
  runtime.check(cudaEventCreate(&stop), "timing");
  runtime.check(cudaEventRecord(start, runtime.stream()), "timing");
  for (int k = 0; k < times; ++k) f();
  runtime.check(cudaEventRecord(stop, runtime.stream()), "timing");
  runtime.check(cudaEventSynchronize(stop), "timing");
  float result = 0;
  runtime.check(cudaEventElapsedTime(&result, start, stop), "timing");
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  return result;
}

// Once to warm up, once to see how long it takes, then rounds of about 20 ms.
double gpu_seconds(const std::function<void()>& f) {
  milliseconds(f, 1);
  const float once = std::max(milliseconds(f, 1), 1e-3f);
  const int times = std::clamp(int(20 / once), 1, 200);
  float best = std::numeric_limits<float>::max();
  for (int round = 0; round < 5; ++round)
    best = std::min(best, milliseconds(f, times) / float(times));
  return best / 1e3;
}

#if __has_include(<cudnn.h>)
// ## cuDNN, found at run time
//
// Only the types come from its header. Its functions are asked for by name, from the library
// that the system finds; there need be none.
namespace {

void* library() {
  static void* handle = [] {
    void* found = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
    return found ? found : dlopen("libcudnn.so", RTLD_NOW | RTLD_LOCAL);
  }();
  return handle;
}

// Calls the function of this name and throws if it reports an error.
template <class F, class... A> void call(F*, const char* name, A... args) {
  auto* function = reinterpret_cast<F*>(dlsym(library(), name));
  if (!function) throw DeviceError(std::string("cuDNN has no ") + name);
  if (function(args...) != CUDNN_STATUS_SUCCESS)
    throw DeviceError(std::string("cuDNN refused: ") + name);
}

// Memory that only cuDNN sees.
struct Buffer {
  explicit Buffer(size_t bytes) {
    Runtime::get().check(cudaMalloc(&data, std::max<size_t>(bytes, 16)), "cuDNN");
    Runtime::get().check(cudaMemset(data, 0, bytes), "cuDNN");
  }
  ~Buffer() { cudaFree(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* data = nullptr;
};

#define CUDNN(function, ...) call(&function, #function, __VA_ARGS__)

// Descriptors tell cuDNN what our eleven numbers tell us.
double time_cudnn(const Conv& d, Pass pass, bool bf16) {
  const cudnnDataType_t type = bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  const cudnnTensorFormat_t format = bf16 ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
  static cudnnHandle_t cudnn = [] {
    cudnnHandle_t handle = nullptr;
    CUDNN(cudnnCreate, &handle);
    return handle;
  }();
  CUDNN(cudnnSetStream, cudnn, Runtime::get().stream());
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
  CUDNN(cudnnCreateTensorDescriptor, &x);
  CUDNN(cudnnCreateTensorDescriptor, &y);
  CUDNN(cudnnCreateFilterDescriptor, &w);
  CUDNN(cudnnCreateConvolutionDescriptor, &conv);
  CUDNN(cudnnSetTensor4dDescriptor, x, format, type, d.n, d.c, d.h, d.w);
  CUDNN(cudnnSetTensor4dDescriptor, y, format, type, d.n, d.o, d.out_h(),
        d.out_w());
  CUDNN(cudnnSetFilter4dDescriptor, w, type, format, d.o, d.group_c(), d.kh, d.kw);
  CUDNN(cudnnSetConvolution2dDescriptor, conv, d.pad, d.pad, d.stride, d.stride,
        d.dilation, d.dilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
  CUDNN(cudnnSetConvolutionGroupCount, conv, d.groups);
  // In float32 both sides compute in float32: no TF32 behind our back.
  CUDNN(cudnnSetConvolutionMathType, conv,
        bf16 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH);

  // `Find` tries all algorithms that fit into a gigabyte and returns the fastest first.
  const size_t size = bf16 ? 2 : 4, room = size_t{1} << 30;
  Buffer of_x(size * size_t(d.x_size())), of_w(size * size_t(d.w_size())),
      of_y(size * size_t(d.y_size())), space(room);
  const float one = 1, zero = 0;
  int found = 0;
  auto tell = [&](auto run) { return gpu_seconds(run); };
  double seconds = 0;
  if (pass == Pass::forward) {
    cudnnConvolutionFwdAlgoPerf_t best{};
    CUDNN(cudnnFindConvolutionForwardAlgorithmEx, cudnn, x, of_x.data, w, of_w.data,
          conv, y, of_y.data, 1, &found, &best, space.data, room);
    seconds = tell([&] {
      CUDNN(cudnnConvolutionForward, cudnn, &one, x, of_x.data, w, of_w.data, conv,
            best.algo, space.data, room, &zero, y, of_y.data);
    });
  } else if (pass == Pass::data) {
    cudnnConvolutionBwdDataAlgoPerf_t best{};
    CUDNN(cudnnFindConvolutionBackwardDataAlgorithmEx, cudnn, w, of_w.data, y,
          of_y.data, conv, x, of_x.data, 1, &found, &best, space.data, room);
    seconds = tell([&] {
      CUDNN(cudnnConvolutionBackwardData, cudnn, &one, w, of_w.data, y, of_y.data,
            conv, best.algo, space.data, room, &zero, x, of_x.data);
    });
  } else {
    cudnnConvolutionBwdFilterAlgoPerf_t best{};
    CUDNN(cudnnFindConvolutionBackwardFilterAlgorithmEx, cudnn, x, of_x.data, y,
          of_y.data, conv, w, of_w.data, 1, &found, &best, space.data, room);
    seconds = tell([&] {
      CUDNN(cudnnConvolutionBackwardFilter, cudnn, &one, x, of_x.data, y, of_y.data,
            conv, best.algo, space.data, room, &zero, w, of_w.data);
    });
  }
  CUDNN(cudnnDestroyConvolutionDescriptor, conv);
  CUDNN(cudnnDestroyFilterDescriptor, w);
  CUDNN(cudnnDestroyTensorDescriptor, y);
  CUDNN(cudnnDestroyTensorDescriptor, x);
  return seconds;
}

}  // namespace

double cudnn_seconds(const Conv& d, Pass pass, bool bf16) {
  try {
    if (library()) return time_cudnn(d, pass, bf16);
  } catch (const DeviceError&) {
  }
  return std::numeric_limits<double>::quiet_NaN();
}
#else
double cudnn_seconds(const Conv&, Pass, bool) {
  return std::numeric_limits<double>::quiet_NaN();
}
#endif

}  // namespace cr::backend::cuda
#endif
