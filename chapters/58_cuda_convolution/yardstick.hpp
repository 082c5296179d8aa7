// What a GPU is asked beyond the rungs: how long something takes, and how long NVIDIA's own
// library takes for the same.
#pragma once

#include <functional>
#include <string>

#include "shape.hpp"

namespace cr::backend::cuda {

// Seconds that the GPU needs for what f launches: the fastest of several rounds, each long
// enough to be timed, after one that warms up.
double gpu_seconds(const std::function<void()>& f);

enum class Pass { forward, data, weights };

// A yardstick has to be measured fairly: cuDNN gets the layout it likes best, may choose
// among all its algorithms, has memory to spare, and is warmed up. In float32 it has to
// compute in float32, as we do.
//
// cuDNN for the same layer, in float32 (n, c, h, w) or bfloat16 (n, h, w, c), by the fastest
// of its own algorithms. NaN where cuDNN is not installed or does not take the layer.
double cudnn_seconds(const Conv& d, Pass pass, bool bf16);

}  // namespace cr::backend::cuda
