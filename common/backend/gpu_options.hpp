// # How a GPU computes
//
// What `--sync`, `--kernels`, `--precision` and `--fast` set. The kernels' backends read them; on the CPU nothing changes.
#pragma once

#include <cstdint>

namespace cr::backend {

// What a product of float32 matrices is multiplied in. TF32 keeps 10 bits of each factor's fraction, bfloat16 7; sums are
// float32 in each case.
enum class Precision : uint8_t { fp32, tf32, bf16 };

struct GpuOptions {
  bool sync = false;     // wait after each kernel: an error is reported by the call that made it
  bool library = false;  // products by cuBLAS and convolutions by cuDNN instead of our own kernels
  bool fast = false;     // sums in any order, by atomics: faster, and not the same bits every time
  Precision precision = Precision::fp32;
};

// The program's options. CHAINRULE_SYNC=1 in the environment is `--sync`. To be changed while nothing computes.
GpuOptions& gpu_options();

}  // namespace cr::backend
