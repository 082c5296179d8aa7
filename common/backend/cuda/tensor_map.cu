#include "backend/cuda/tensor_map.hpp"

#include <string>

#include "backend/cuda/runtime.hpp"
#include "backend/gpu/hopper.hpp"

namespace cr::backend::cuda {
namespace {

// The driver's function, asked for by name, so that a program starts where there is no driver.
auto driver_function() {
  static const auto encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
    const auto error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
#else
    const auto error = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &result);
#endif
    Runtime::get().check(error, "tensor map");
    if (result != cudaDriverEntryPointSuccess) throw DeviceError("tensor map: this driver knows no TMA");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
  }();
  return encode;
}

// Innermost first: columns, rows, matrices. Of strides the first, 1, goes without saying.
CUtensorMap make(cuuint32_t dimensions, const void* first, int64_t matrices, int64_t rows, int64_t columns,
                 int box_rows) {
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows),
                              static_cast<cuuint64_t>(matrices)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(2 * columns), static_cast<cuuint64_t>(2 * columns * rows)};
  const cuuint32_t box[] = {hopper::kPanel, static_cast<cuuint32_t>(box_rows), 1}, steps[] = {1, 1, 1};
  CUtensorMap map;
  const CUresult result =
      driver_function()(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, dimensions, const_cast<void*>(first), sizes, strides,
                        box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    throw DeviceError("tensor map: the driver refuses " + std::to_string(matrices) + " matrices of " +
                      std::to_string(rows) + " x " + std::to_string(columns) + " bfloat16");
  }
  return map;
}

}  // namespace

CUtensorMap tensor_map(const void* first, int64_t rows, int64_t columns, int box_rows) {
  return make(2, first, 1, rows, columns, box_rows);
}
CUtensorMap tensor_maps(const void* first, int64_t matrices, int64_t rows, int64_t columns, int box_rows) {
  return make(3, first, matrices, rows, columns, box_rows);
}

}  // namespace cr::backend::cuda
