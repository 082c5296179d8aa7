// ## By the GPU's clock
//
// A kernel runs after the call that started it has returned, so the
// processor's clock sees nothing. The [stopwatch](../../common/backend/cuda/stopwatch.hpp)
// lets the GPU itself note when it passes two marks. The measure is **cuBLAS**,
// NVIDIA's own library of matrix products.
#pragma once

#include <string>
#include <vector>

#include "workbench.hpp"

#if CHAINRULE_CUDA
#include <cublas_v2.h>

#include "backend/cuda/runtime.hpp"
#include "backend/cuda/stopwatch.hpp"

// Two matrices in the memory of the GPU, and room for their product.
template <class T> class Race {
 public:
  Race(int64_t m, int64_t n, int64_t k, Generator& random)
      : a_(on_gpu(randn({m, k}, random))),
        b_(on_gpu(kHalf ? randn({n, k}, random) : randn({k, n}, random))),
        c_(on_gpu(full({m, n}, NAN))) {}

  // The largest error of a rung's result against float64.
  double error(const Rung<T>& rung) {
    const Tensor c = result([&] { rung.multiply(product()); });
    if constexpr (kHalf)
      return half_error(a_.to(Device::cpu), b_.to(Device::cpu), c);
    else return float_error(a_.to(Device::cpu), b_.to(Device::cpu), c, rung.input);
  }

  // "41.2 TFLOP/s, 88 % of cuBLAS, gap 1e-06": how fast, and how far apart the
  // two results are, relative to the largest number.
  std::string against_cublas(const Rung<T>& rung) {
    auto ours = [&] { rung.multiply(product()); };
    auto theirs = [&] { cublas(rung.input > 0); };
    const Tensor right = result(theirs),
                 gap = amax(abs(result(ours) - right)) / amax(abs(right));
    const double seconds = backend::cuda::seconds(ours),
                 library = backend::cuda::seconds(theirs);
    const Product<T> g = product();
    return fmt::format("{:.1f} TFLOP/s, {:.0f} % of cuBLAS, gap {:.0g}",
                       2e-12 * double(g.m * g.n * g.k) / seconds,
                       100 * library / seconds, gap.item());
  }

 private:
  static constexpr bool kHalf = std::is_same_v<T, BFloat16>;
  static Tensor on_gpu(const Tensor& x) {
    return x.to(kHalf ? DType::bfloat16 : DType::float32).to(Device::cuda);
  }
  static T* address(const Tensor& x) {
    return static_cast<T*>(x.impl()->storage->data());
  }
  Product<T> product() const {
    return {c_.size(0),  c_.size(1),  a_.size(1),
            address(a_), address(b_), address(c_)};
  }

  // C is filled with NaN first: who forgets a number shall not find an old one
  // there.
  template <class Work> Tensor result(const Work& work) {
    c_ = on_gpu(full({c_.size(0), c_.size(1)}, NAN));
    work();
    return c_.to(Device::cpu).to(DType::float32);
  }

  // cuBLAS counts columns first, where we count rows: its matrices are ours
  // turned over. So it is asked for Cᵀ = Bᵀ Aᵀ.
  void cublas(bool tf32) const {
    auto check = [](cublasStatus_t status) {
      if (status != CUBLAS_STATUS_SUCCESS)
        throw DeviceError(std::string("cuBLAS: ") + cublasGetStatusString(status));
    };
    static cublasHandle_t handle = nullptr;
    if (!handle) check(cublasCreate(&handle));
    check(cublasSetStream(handle, backend::cuda::Runtime::get().stream()));
    const float one = 1, zero = 0;
    const Product<T> g = product();
    const int m = int(g.m), n = int(g.n), k = int(g.k);
    const cudaDataType type = kHalf ? CUDA_R_16BF : CUDA_R_32F;
    check(cublasGemmEx(handle, kHalf ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N, n, m,
                       k, &one, g.b, type, kHalf ? k : n, g.a, type, k, &zero, g.c,
                       type, n,
                       tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                       CUBLAS_GEMM_DEFAULT));
  }

  Tensor a_, b_, c_;
};

// What the table says of each rung at n × n × n. Before a rung is timed, it must
// be right at a size that has something left over at every edge.
template <class T>
std::vector<std::string> times_of(const std::vector<Rung<T>>& rungs, int64_t n,
                                  Generator& random) {
  std::vector<std::string> cells;
  Race<T> odd(200, 328, 136, random), large(n, n, n, random);
  for (const Rung<T>& rung : rungs) {
    book::throw_if_interrupted();
    if (!backend::cuda::Runtime::get().has(rung.needs)) {
      cells.push_back(fmt::format("needs {:.1f}", rung.needs / 10.0));
      continue;
    }
    const double error = odd.error(rung);
    cells.push_back(error <= 1
                        ? large.against_cublas(rung)
                        : fmt::format("wrong: {:.2g} times its bound", error));
  }
  return cells;
}
#endif
