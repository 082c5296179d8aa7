// # How a GPU computes
//
// What `--sync`, `--kernels` and `--precision` set. They are read by the CUDA backend; on the CPU nothing
// changes.
#pragma once

#include <cstdint>

namespace cr::backend {

// What a product of float32 matrices is multiplied in. TF32 keeps 10 bits of each factor's fraction, bfloat16 7; sums are
// float32 in each case.
enum class Precision : uint8_t { fp32, tf32, bf16 };

struct GpuOptions {
  bool sync = false;     // wait after each kernel: an error is reported by the call that made it
  bool library = false;  // products by cuBLAS instead of our own kernels
  Precision precision = Precision::fp32;
};

// The program's options. CHAINRULE_SYNC=1 in the environment is `--sync`. To be changed while nothing computes.
GpuOptions& gpu_options();

}  // namespace cr::backend
