// What a GPU is asked beyond the rungs: what it is, and how long NVIDIA's own library takes for the same.
#pragma once

#include "shape.hpp"

namespace cr::backend::cuda {

// Multiprocessors of this GPU, and whether it has tensor cores and copies as rung 4 needs them.
int processors();
bool has_tensor_cores();

enum class Pass { forward, data, weights };

// A yardstick has to be measured fairly: cuDNN gets the layout it likes best and the same numbers as our kernels (a
// processor that multiplies zeros stays cooler and runs faster), may choose among all its algorithms, has memory to spare,
// and is warmed up. In float32 it has to compute in float32, as we do.
//
// Seconds that cuDNN takes for the layer, in float32 (n, c, h, w) or bfloat16 (n, h, w, c), by the fastest algorithm that its
// `Find` functions know. (Its newer interface has more, some of them faster on Hopper: a share of 100 % is no record.) One
// of x, w and y is overwritten. NaN where cuDNN is not installed or does not take the layer.
double cudnn_seconds(const Conv& d, Pass pass, bool bf16, void* x, void* w,
                     void* y);

}  // namespace cr::backend::cuda
