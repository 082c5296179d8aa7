// The stopwatch, on a GPU only.
#include "timing.hpp"

#if defined(__CUDACC__)
#include <cublas_v2.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "backend/cuda/runtime.hpp"
#include "hopper.cuh"

namespace cr::backend::cuda {
namespace {

// Its errors have a type of their own.
void check_blas(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw DeviceError(std::string("cuBLAS: ") + cublasGetStatusString(status));
}

// ## Memory over there
//
// A GPU has memory of its own, and what is to be multiplied has to be copied
// there first. The pattern is the simplest generator that there is, because
// nobody looks at these numbers but to compare two results.
//
// Numbers on the GPU, filled with a fixed pattern between -1 and 1.
template <class T> class Numbers {
 public:
  explicit Numbers(int64_t count, uint32_t seed = 0) : count_(count) {
    check("memory", cudaMalloc(&data_, size_t(count) * sizeof(T)));
    std::vector<T> host(static_cast<size_t>(count));
    for (T& x : host) {
      seed = seed * 1664525u + 1013904223u;
      const float value = float(seed >> 8) / 8388608.0f - 1;
      if constexpr (std::is_same_v<T, Bf16>) x = to_bfloat16(value);
      else x = value;
    }
    check("copy", cudaMemcpy(data_, host.data(), host.size() * sizeof(T),
                             cudaMemcpyHostToDevice));
  }
  ~Numbers() { cudaFree(data_); }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  T* data() const { return data_; }
  void spoil() {
    check("fill", cudaMemset(data_, 0xff, size_t(count_) * sizeof(T)));
    check("fill", cudaDeviceSynchronize());
  }
  std::vector<float> host() const {
    std::vector<T> all(static_cast<size_t>(count_));
    check("kernel", cudaDeviceSynchronize());
    check("copy", cudaMemcpy(all.data(), data_, all.size() * sizeof(T),
                             cudaMemcpyDeviceToHost));
    std::vector<float> values;
    for (T x : all) {
      if constexpr (std::is_same_v<T, Bf16>) values.push_back(from_bfloat16(x));
      else values.push_back(x);
    }
    return values;
  }

 private:
  T* data_ = nullptr;
  int64_t count_;
};

// ## The measure
//
// cuBLAS counts columns first, where we count rows: its matrices are ours
// turned over. So it is asked for Cᵀ = Bᵀ Aᵀ.
template <class T> void cublas(const Product<T>& g, bool tf32) {
  static cublasHandle_t handle = [] {
    cublasHandle_t made;
    check_blas(cublasCreate(&made));
    check_blas(cublasSetStream(made, Runtime::get().stream()));
    return made;
  }();
  const float one = 1, zero = 0;
  const bool half = std::is_same_v<T, Bf16>;
  const int m = int(g.m), n = int(g.n), k = int(g.k);
  const cudaDataType type = half ? CUDA_R_16BF : CUDA_R_32F;
  check_blas(cublasGemmEx(handle, half ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N, n,
                          m, k, &one, g.b, type, half ? k : n, g.a, type, k, &zero,
                          g.c, type, n,
                          tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                          CUBLAS_GEMM_DEFAULT));
}

// An event costs some microseconds and a small product takes no longer, hence
// ten calls between two events. A GPU lowers its clock when it gets warm, as
// a processor does, hence the shortest round and not the mean.
//
// The shortest of five rounds of ten calls each, after one to warm up.
template <class Work> double seconds(const Work& work) {
  const cudaStream_t stream = Runtime::get().stream();  // where `launch` queues
  cudaEvent_t begin, end;
  check("event", cudaEventCreate(&begin));
  check("event", cudaEventCreate(&end));
  work();
  double best = INFINITY;
  for (int round = 0; round < 5; ++round) {
    check("event", cudaEventRecord(begin, stream));
    for (int call = 0; call < 10; ++call) work();
    check("event", cudaEventRecord(end, stream));
    check("kernel", cudaEventSynchronize(end));
    float milliseconds = 0;
    check("event", cudaEventElapsedTime(&milliseconds, begin, end));
    best = std::min(best, double(milliseconds) / 1e4);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best;
}

// One size. Each rung and cuBLAS are timed one after the other, so that a GPU
// that has become warm and slow is so for both.
template <class T>
Timing race(const std::vector<Rung<T>>& rungs, int64_t m, int64_t n, int64_t k) {
  Numbers<T> a(m * k, 1), b(k * n, 2), c(m * n);
  const Product<T> g{m, n, k, a.data(), b.data(), c.data()};
  Timing timing;
  for (const Rung<T>& rung : rungs) {
    // First the right result, then ours, then the time: what is wrong is not
    // worth timing, and its gap stands in the table beside it.
    const bool tf32 = rung.input > 0;
    cublas(g, tf32);
    const std::vector<float> right = c.host();
    c.spoil();
    rung.multiply(g);
    const std::vector<float> ours = c.host();
    double gap = 0, largest = 0;
    for (size_t i = 0; i < right.size(); ++i) {
      const double apart = std::abs(double(ours[i]) - double(right[i]));
      if (!std::isnan(gap) && !(apart <= gap)) gap = apart;
      largest = std::max(largest, std::abs(double(right[i])));
    }
    timing.gap.push_back(gap / largest);
    timing.seconds.push_back(seconds([&] { rung.multiply(g); }));
    timing.library.push_back(seconds([&] { cublas(g, tf32); }));
  }
  return timing;
}

}  // namespace

// Without a driver the runtime reports an error, which here means: none.
std::string gpu() {
  int count = 0;
  cudaDeviceProp properties;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return {};
  check("device", cudaGetDeviceProperties(&properties, 0));
  return properties.name;
}

Timing time_rungs(const std::vector<Rung<float>>& rungs, int64_t m, int64_t n,
                  int64_t k) {
  return race(rungs, m, n, k);
}
Timing time_rungs(const std::vector<Rung<Bf16>>& rungs, int64_t m, int64_t n,
                  int64_t k) {
  return race(rungs, m, n, k);
}

// Boxes of `box_rows` rows by 64 numbers, 128 bytes, swizzled; zeros beyond
// the edges.
CUtensorMap tensor_map(const Bf16* matrix, int64_t rows, int64_t k, int box_rows) {
  // The driver's function, found once.
  static const auto encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result;
    check("tensor map",
          cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000,
                                           cudaEnableDefault, &result));
    if (result != cudaDriverEntryPointSuccess)
      throw DeviceError("tensor map: this driver knows no TMA");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
  }();
  // The fastest dimension comes first: k numbers to a row, then the rows,
  // which are 2 k bytes apart.
  CUtensorMap map;
  const cuuint64_t size[2] = {cuuint64_t(k), cuuint64_t(rows)},
                   step[1] = {cuuint64_t(2 * k)};
  const cuuint32_t box[2] = {64, cuuint32_t(box_rows)}, every[2] = {1, 1};
  const CUresult result = encode(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<Bf16*>(matrix), size,
      step, box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw DeviceError("tensor map: the driver refuses a matrix of " +
                      std::to_string(rows) + " rows of " + std::to_string(k) +
                      " bfloat16");
  return map;
}

}  // namespace cr::backend::cuda
#endif
