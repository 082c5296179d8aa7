#include <algorithm>
#include <mutex>
#include <string>

#include "backend/cuda/library.hpp"
#include "backend/cuda/runtime.hpp"
#include "backend/cuda/shared_library.hpp"
#include "backend/functor.hpp"
#include "backend/gpu_options.hpp"

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>

namespace cr::backend::cuda {
namespace {

void check(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw DeviceError("matmul: cuBLAS refuses, status " + std::to_string(static_cast<int>(status)));
}

// The function that we call, found in the library by its name, and what it wants first.
using GemmFunction = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                        const void* alpha, const void* a, cudaDataType, int, long long a_stride,
                                        const void* b, cudaDataType, int, long long b_stride, const void* beta, void* c,
                                        cudaDataType, int, long long c_stride, int count, cublasComputeType_t,
                                        cublasGemmAlgo_t);
struct Blas {
  GemmFunction gemm = nullptr;
  cublasHandle_t handle = nullptr;

  Blas() {
    const SharedLibrary library{"libcublas.so.13", "libcublas.so.12"};
    gemm = library.find<GemmFunction>("cublasGemmStridedBatchedEx");
    const auto create = library.find<decltype(&cublasCreate_v2)>("cublasCreate_v2");
    const auto set_stream = library.find<decltype(&cublasSetStream_v2)>("cublasSetStream_v2");
    if (create(&handle) != CUBLAS_STATUS_SUCCESS) {
      Runtime::get().release_cached();  // it needs memory of its own
      if (create(&handle) != CUBLAS_STATUS_SUCCESS) throw DeviceError("--kernels library: cuBLAS does not start");
    }
    check(set_stream(handle, Runtime::get().stream()));
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

}  // namespace

bool library_gemm(const Tensor& c, const Tensor& a, const Tensor& b, const GemmOptions& options) {
  const int d = c.dim();
  Layout la, lb, lc;
  if (!is_floating(c.dtype()) || (options.bias && options.accumulate) || c.numel() == 0 || a.numel() == 0) return false;
  if (!layout_of(a, la) || !layout_of(b, lb) || !layout_of(c, lc) || lc.transposed) return false;
  const int64_t m = c.shape()[d - 2], n = c.shape()[d - 1], k = a.shape()[d - 1], count = d > 2 ? c.shape()[d - 3] : 1;
  if (std::max({m, n, k, count}) > INT32_MAX) return false;
  auto stride = [&](const Tensor& x) { return d > 2 ? x.strides()[d - 3] : 0; };

  // What is to be added to lies in C beforehand.
  Backend& backend = on(Device::cuda);
  if (options.bias) backend.copy(c, *options.bias);
  const bool wide = c.dtype() == DType::float64, add = options.accumulate || options.bias;
  const cudaDataType type = wide ? CUDA_R_64F : CUDA_R_32F;
  const Precision precision = gpu_options().precision;
  const cublasComputeType_t compute = wide                           ? CUBLAS_COMPUTE_64F
                                      : precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                      : precision == Precision::bf16 ? CUBLAS_COMPUTE_32F_FAST_16BF
                                                                     : CUBLAS_COMPUTE_32F;
  const double one64 = 1, add64 = add;
  const float one32 = 1, add32 = add;
  const void* one = wide ? static_cast<const void*>(&one64) : &one32;
  const void* factor = wide ? static_cast<const void*>(&add64) : &add32;

  static Blas blas;
  static std::mutex one_at_a_time;  // a handle is one thread's
  std::scoped_lock lock(one_at_a_time);

  // A call serves one dimension of products; those before it are walked here.
  Dims index(std::max(d - 3, 0), 0);
  for (int64_t left = c.numel() / (m * n * count); left > 0; --left) {
    auto first = [&](const Tensor& x) {
      int64_t at = x.impl()->offset;
      for (int i = 0; i < index.size(); ++i) at += index[i] * x.strides()[i];
      return static_cast<void*>(static_cast<char*>(x.impl()->storage->data()) + at * size_of(x.dtype()));
    };
    // Read column by column, C is Cᵀ = Bᵀ Aᵀ.
    check(blas.gemm(blas.handle, lb.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, la.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                    static_cast<int>(n), static_cast<int>(m), static_cast<int>(k), one, first(b), type,
                    static_cast<int>(lb.step), stride(b), first(a), type, static_cast<int>(la.step), stride(a), factor,
                    first(c), type, static_cast<int>(lc.step), stride(c), static_cast<int>(count), compute,
                    CUBLAS_GEMM_DEFAULT));
    for (int i = index.size(); i-- > 0 && ++index[i] == c.shape()[i];) index[i] = 0;
  }
  Runtime::get().launched("cublas");
  if (options.relu) {
    const Operand operand[] = {c};
    backend.map(functor::Maps::index_of<functor::Relu>(), c, operand);
  }
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
