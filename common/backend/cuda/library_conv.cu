#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/cuda/cudnn.hpp"
#include "backend/cuda/library.hpp"
#include "backend/gpu_options.hpp"

#ifdef CR_HAS_CUDNN

namespace cr::backend::cuda {
namespace {

// ## What the library is told
//
// Two dimensions of places at least: one of size 1 goes in front of a single one.
std::vector<int> sizes(const Tensor& t) {
  std::vector<int> all;
  for (int64_t size : t.shape()) all.push_back(static_cast<int>(size));
  if (all.size() == 3) all.insert(all.begin() + 2, 1);
  return all;
}
std::vector<int> numbers(const Dims& dims, int for_the_missing) {
  std::vector<int> all;
  for (int64_t number : dims) all.push_back(static_cast<int>(number));
  if (all.size() == 1) all.insert(all.begin(), for_the_missing);
  return all;
}
void describe(cudnnTensorDescriptor_t to, cudnnDataType_t type, const Tensor& t) {
  const std::vector<int> size = sizes(t);
  std::vector<int> stride(size.size(), 1);
  for (size_t i = size.size() - 1; i > 0; --i) stride[i - 1] = stride[i] * size[i];
  CR_CUDNN(cudnnSetTensorNdDescriptor, to, type, static_cast<int>(size.size()), size.data(), stride.data());
}

// ## Which algorithm
//
// The library guesses how long each would take. Of those that give the same bits every time (with `--fast`: of all) and
// round no factor, if none may be rounded (`exact`), the first. What it calls its default rounds to TF32.
struct Choice {
  int algorithm;
  size_t bytes;
  cudnnMathType_t math;
};
template <class Perf, class Ask> Choice choose(bool exact, const Ask& ask) {
  Perf found[16];
  int count = 0;
  ask(16, &count, found);
  for (int i = 0; i < count; ++i) {
    const cudnnMathType_t math = found[i].mathType;
    if (exact && (math == CUDNN_TENSOR_OP_MATH || math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION)) continue;
    if (found[i].status != CUDNN_STATUS_SUCCESS) continue;
    if (found[i].determinism != CUDNN_DETERMINISTIC && !gpu_options().fast) continue;
    return {static_cast<int>(found[i].algo), found[i].memory, exact ? CUDNN_FMA_MATH : math};
  }
  return {-1, 0, CUDNN_FMA_MATH};
}

void* first(const Tensor& t) {
  return static_cast<char*>(t.impl()->storage->data()) + t.impl()->offset * size_of(t.dtype());
}

}  // namespace

bool library_conv(Computes computes, const Tensor& x, const Tensor& w, const Tensor& y, const Window& window,
                  int64_t groups) {
  if (!is_floating(x.dtype()) || x.numel() == 0 || w.numel() == 0 || y.numel() == 0) return false;
  if (std::max({x.numel(), w.numel(), y.numel()}) > INT32_MAX) return false;
  static std::mutex one_at_a_time;
  std::scoped_lock lock(one_at_a_time);

  const bool wide = x.dtype() == DType::float64;
  const Precision precision = gpu_options().precision;
  const bool exact = wide || precision == Precision::fp32;
  const cudnnDataType_t type = wide ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
  ConvDescriptors d;
  describe(d.x, type, x);
  describe(d.y, type, y);
  const std::vector<int> filter = sizes(w), padding = numbers(window.padding, 0), stride = numbers(window.stride, 1),
                         dilation = numbers(window.dilation, 1);
  CR_CUDNN(cudnnSetFilterNdDescriptor, d.w, type, CUDNN_TENSOR_NCHW, static_cast<int>(filter.size()), filter.data());
  CR_CUDNN(cudnnSetConvolutionNdDescriptor, d.conv, static_cast<int>(padding.size()), padding.data(), stride.data(),
           dilation.data(), CUDNN_CROSS_CORRELATION, type);
  CR_CUDNN(cudnnSetConvolutionGroupCount, d.conv, static_cast<int>(groups));
  CR_CUDNN(cudnnSetConvolutionMathType, d.conv,
           exact                          ? CUDNN_FMA_MATH
           : precision == Precision::tf32 ? CUDNN_DEFAULT_MATH
                                          : CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION);

  // Asked once for each shape.
  static std::map<std::vector<int64_t>, Choice> known;
  std::vector<int64_t> key{static_cast<int64_t>(computes), static_cast<int64_t>(x.dtype()),
                           static_cast<int64_t>(precision), gpu_options().fast, groups};
  for (const auto& part : {sizes(x), filter, sizes(y), padding, stride, dilation}) {
    key.push_back(-1);
    key.insert(key.end(), part.begin(), part.end());
  }
  auto found = known.find(key);
  if (found == known.end()) {
    const cudnnHandle_t cudnn = cudnn_handle();
    auto of_y = [&](int most, int* count, auto* list) {
      CR_CUDNN(cudnnGetConvolutionForwardAlgorithm_v7, cudnn, d.x, d.w, d.conv, d.y, most, count, list);
    };
    auto of_x = [&](int most, int* count, auto* list) {
      CR_CUDNN(cudnnGetConvolutionBackwardDataAlgorithm_v7, cudnn, d.w, d.y, d.conv, d.x, most, count, list);
    };
    auto of_w = [&](int most, int* count, auto* list) {
      CR_CUDNN(cudnnGetConvolutionBackwardFilterAlgorithm_v7, cudnn, d.x, d.y, d.conv, d.w, most, count, list);
    };
    const Choice choice = computes == Computes::y   ? choose<cudnnConvolutionFwdAlgoPerf_t>(exact, of_y)
                          : computes == Computes::x ? choose<cudnnConvolutionBwdDataAlgoPerf_t>(exact, of_x)
                                                    : choose<cudnnConvolutionBwdFilterAlgoPerf_t>(exact, of_w);
    found = known.emplace(std::move(key), choice).first;
  }
  const Choice& choice = found->second;
  if (choice.algorithm < 0) return false;
  CR_CUDNN(cudnnSetConvolutionMathType, d.conv, choice.math);
  Tensor space;
  if (choice.bytes > 0) space = empty({static_cast<int64_t>(choice.bytes + 3) / 4}, DType::float32, Device::cuda);
  void* at = choice.bytes > 0 ? first(space) : nullptr;
  const double one64 = 1, zero64 = 0;
  const float one32 = 1, zero32 = 0;
  const void* one = wide ? static_cast<const void*>(&one64) : &one32;
  const void* zero = wide ? static_cast<const void*>(&zero64) : &zero32;
  switch (computes) {
    case Computes::y:
      CR_CUDNN(cudnnConvolutionForward, cudnn_handle(), one, d.x, first(x), d.w, first(w), d.conv,
               static_cast<cudnnConvolutionFwdAlgo_t>(choice.algorithm), at, choice.bytes, zero, d.y, first(y));
      break;
    case Computes::x:
      CR_CUDNN(cudnnConvolutionBackwardData, cudnn_handle(), one, d.w, first(w), d.y, first(y), d.conv,
               static_cast<cudnnConvolutionBwdDataAlgo_t>(choice.algorithm), at, choice.bytes, zero, d.x, first(x));
      break;
    case Computes::w:
      CR_CUDNN(cudnnConvolutionBackwardFilter, cudnn_handle(), one, d.x, first(x), d.y, first(y), d.conv,
               static_cast<cudnnConvolutionBwdFilterAlgo_t>(choice.algorithm), at, choice.bytes, zero, d.w, first(w));
  }
  Runtime::get().launched("cudnn");
  return true;
}

}  // namespace cr::backend::cuda

#else

namespace cr::backend::cuda {
bool library_conv(Computes, const Tensor&, const Tensor&, const Tensor&, const Window&, int64_t) {
  return false;  // built without cuDNN
}
}  // namespace cr::backend::cuda

#endif
