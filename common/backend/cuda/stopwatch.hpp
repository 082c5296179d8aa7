// # How long does a GPU take?
//
// For programs that compare kernels. Only where CHAINRULE_CUDA is on.
#pragma once

#include <functional>
#include <string>

namespace cr::backend::cuda {

// The GPU's name, "NVIDIA H100 80GB HBM3"; empty if there is none that this program can compute on.
std::string gpu_name();

// Seconds that the GPU needs for what `work` queues. An **event** is a mark in the stream of work of which the GPU notes
// when it passes. The time between two is its own, gaps included: a kernel shorter than its launch, some microseconds, or
// work on the host in between, shows. After two calls to warm up, the shortest of five rounds of some 20 ms: other work
// only makes a round longer.
double seconds(const std::function<void()>& work);

}  // namespace cr::backend::cuda
