// Only for a GPU; the emulator does not tell the time. cuDNN is looked for when the program
// runs, so that the program builds and starts without it.
#include "yardstick.hpp"

#include "backend/gpu/gpu.cuh"

#if defined(__CUDACC__)
#include <algorithm>
#include <limits>
#include <string>

#include "backend/cuda/cudnn.hpp"
#include "backend/cuda/stopwatch.hpp"

namespace cr::backend::cuda {

int processors() { return Runtime::get().properties().multiProcessorCount; }
bool has_tensor_cores() { return Runtime::get().has(80); }

#ifdef CR_HAS_CUDNN
namespace {

// Scratch memory that only cuDNN sees.
struct Space {
  explicit Space(size_t bytes) {
    Runtime::get().check(cudaMalloc(&data, bytes), "cuDNN");
  }
  ~Space() { cudaFree(data); }
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;
  void* data = nullptr;
};

// Of the algorithms that `Find` tried, the fastest; it has to have worked.
template <class Best>
void use(cudnnConvolutionDescriptor_t conv, bool bf16, int found,
         const Best& best) {
  if (found < 1 || best.status != CUDNN_STATUS_SUCCESS)
    throw DeviceError("cuDNN found no algorithm");
  if (bf16) CR_CUDNN(cudnnSetConvolutionMathType, conv, best.mathType);
}

// Descriptors tell cuDNN what our eleven numbers tell us.
double time_cudnn(const Conv& d, Pass pass, bool bf16, void* of_x, void* of_w,
                  void* of_y) {
  const cudnnDataType_t type = bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  const cudnnTensorFormat_t format = bf16 ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
  const cudnnHandle_t cudnn = cudnn_handle();
  const ConvDescriptors told;
  const auto& [x, y, w, conv] = told;
  CR_CUDNN(cudnnSetTensor4dDescriptor, x, format, type, d.n, d.c, d.h, d.w);
  CR_CUDNN(cudnnSetTensor4dDescriptor, y, format, type, d.n, d.o, d.out_h(),
           d.out_w());
  CR_CUDNN(cudnnSetFilter4dDescriptor, w, type, format, d.o, d.group_c(), d.kh,
           d.kw);
  CR_CUDNN(cudnnSetConvolution2dDescriptor, conv, d.pad, d.pad, d.stride, d.stride,
           d.dilation, d.dilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
  CR_CUDNN(cudnnSetConvolutionGroupCount, conv, d.groups);
  // In float32 both sides compute in float32: no TF32 behind our back.
  CR_CUDNN(cudnnSetConvolutionMathType, conv,
           bf16 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH);

  // `Find` tries all algorithms that fit into a gigabyte and returns the fastest first.
  const size_t room = size_t{1} << 30;
  Space space(room);
  const float one = 1, zero = 0;
  int found = 0;
  double result = 0;
  if (pass == Pass::forward) {
    cudnnConvolutionFwdAlgoPerf_t best{};
    CR_CUDNN(cudnnFindConvolutionForwardAlgorithmEx, cudnn, x, of_x, w, of_w, conv,
             y, of_y, 1, &found, &best, space.data, room);
    use(conv, bf16, found, best);
    result = seconds([&] {
      CR_CUDNN(cudnnConvolutionForward, cudnn, &one, x, of_x, w, of_w, conv,
               best.algo, space.data, room, &zero, y, of_y);
    });
  } else if (pass == Pass::data) {
    cudnnConvolutionBwdDataAlgoPerf_t best{};
    CR_CUDNN(cudnnFindConvolutionBackwardDataAlgorithmEx, cudnn, w, of_w, y, of_y,
             conv, x, of_x, 1, &found, &best, space.data, room);
    use(conv, bf16, found, best);
    result = seconds([&] {
      CR_CUDNN(cudnnConvolutionBackwardData, cudnn, &one, w, of_w, y, of_y, conv,
               best.algo, space.data, room, &zero, x, of_x);
    });
  } else {
    cudnnConvolutionBwdFilterAlgoPerf_t best{};
    CR_CUDNN(cudnnFindConvolutionBackwardFilterAlgorithmEx, cudnn, x, of_x, y, of_y,
             conv, w, of_w, 1, &found, &best, space.data, room);
    use(conv, bf16, found, best);
    result = seconds([&] {
      CR_CUDNN(cudnnConvolutionBackwardFilter, cudnn, &one, x, of_x, y, of_y, conv,
               best.algo, space.data, room, &zero, w, of_w);
    });
  }
  return result;
}

}  // namespace

double cudnn_seconds(const Conv& d, Pass pass, bool bf16, void* x, void* w,
                     void* y) {
  try {
    return time_cudnn(d, pass, bf16, x, w, y);
  } catch (const DeviceError&) {
  }
  return std::numeric_limits<double>::quiet_NaN();
}
#else
double cudnn_seconds(const Conv&, Pass, bool, void*, void*, void*) {
  return std::numeric_limits<double>::quiet_NaN();
}
#endif

}  // namespace cr::backend::cuda
#endif
