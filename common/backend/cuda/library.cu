#include "backend/cuda/library.hpp"

#include <dlfcn.h>

#include <algorithm>

#include <string>

#include "backend/cuda/runtime.hpp"
#include "backend/gpu_options.hpp"

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>

namespace cr::backend::cuda {
namespace {

// The few functions that we call, found in the library by their names.
using GemmFunction = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                        const void* alpha, const void* a, cudaDataType, int, long long a_stride,
                                        const void* b, cudaDataType, int, long long b_stride, const void* beta, void* c,
                                        cudaDataType, int, long long c_stride, int count, cublasComputeType_t,
                                        cublasGemmAlgo_t);
struct Blas {
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  GemmFunction gemm = nullptr;
  cublasHandle_t handle = nullptr;

  Blas() {
    const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
    void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) throw DeviceError("--kernels library: " + name + " is not installed; use --kernels own");
    auto find = [&]<class F>(F& function, const char* symbol) {
      function = reinterpret_cast<F>(dlsym(library, symbol));
      if (!function) throw DeviceError("--kernels library: " + name + " has no " + symbol + "; use --kernels own");
    };
    decltype(&cublasCreate_v2) create = nullptr;
    find(create, "cublasCreate_v2");
    find(set_stream, "cublasSetStream_v2");
    find(gemm, "cublasGemmStridedBatchedEx");
    if (create(&handle) != CUBLAS_STATUS_SUCCESS) throw DeviceError("--kernels library: cuBLAS does not start");
  }
};

// A BLAS matrix is stored column by column with any step between columns, or is the transpose of one. Ours, row by row, is
// such a transpose.
struct Layout {
  bool transposed;
  int64_t step;
};
bool layout_of(const Tensor& x, Layout& layout) {
  const int row = x.dim() - 2, column = x.dim() - 1;
  const int64_t rows = x.shape()[row], columns = x.shape()[column];
  const int64_t down = x.strides()[row], right = x.strides()[column];
  if (right == 1 && (down >= columns || rows == 1)) layout = {false, std::max(down, columns)};
  else if (down == 1 && (right >= rows || columns == 1)) layout = {true, std::max(right, rows)};
  else return false;
  return layout.step <= INT32_MAX;
}

void* first(const Tensor& x) {
  return static_cast<char*>(x.impl()->storage->data()) + x.impl()->offset * size_of(x.dtype());
}

}  // namespace

bool library_gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) {
  const int d = c.dim();
  Layout la, lb, lc;
  if (!is_floating(c.dtype()) || options.bias || options.relu || d > 3 || c.numel() == 0 || a.numel() == 0)
    return false;
  if (!layout_of(a, la) || !layout_of(b, lb) || !layout_of(c, lc) || lc.transposed) return false;
  const int64_t m = c.shape()[d - 2], n = c.shape()[d - 1], k = a.shape()[d - 1], count = d == 3 ? c.shape()[0] : 1;
  if (std::max({m, n, k, count}) > INT32_MAX) return false;
  auto stride = [&](const Tensor& x) { return d == 3 ? x.strides()[0] : 0; };

  const bool wide = c.dtype() == DType::float64;
  const cudaDataType type = wide ? CUDA_R_64F : CUDA_R_32F;
  const Precision precision = gpu_options().precision;
  const cublasComputeType_t compute = wide                           ? CUBLAS_COMPUTE_64F
                                      : precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                      : precision == Precision::bf16 ? CUBLAS_COMPUTE_32F_FAST_16BF
                                                                     : CUBLAS_COMPUTE_32F;
  const double one64 = 1, add64 = options.accumulate;
  const float one32 = 1, add32 = options.accumulate;
  const void* one = wide ? static_cast<const void*>(&one64) : &one32;
  const void* add = wide ? static_cast<const void*>(&add64) : &add32;

  // Read column by column, C is Cᵀ = Bᵀ Aᵀ.
  static Blas blas;
  Runtime& runtime = Runtime::get();
  blas.set_stream(blas.handle, runtime.stream());
  const cublasStatus_t status = blas.gemm(
      blas.handle, lb.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, la.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
      static_cast<int>(n), static_cast<int>(m), static_cast<int>(k), one, first(b), type, static_cast<int>(lb.step),
      stride(b), first(a), type, static_cast<int>(la.step), stride(a), add, first(c), type, static_cast<int>(lc.step),
      stride(c), static_cast<int>(count), compute, CUBLAS_GEMM_DEFAULT);
  if (status != CUBLAS_STATUS_SUCCESS)
    throw DeviceError("matmul: cuBLAS refuses, status " + std::to_string(static_cast<int>(status)));
  runtime.launched("cublas");
  return true;
}

}  // namespace cr::backend::cuda

#else

namespace cr::backend::cuda {
bool library_gemm(const Tensor&, const Tensor&, const Tensor&, const GemmOptions&) {
  throw DeviceError("--kernels library: this program was built without cuBLAS; use --kernels own");
}
}  // namespace cr::backend::cuda

#endif
