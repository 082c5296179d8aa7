#pragma once

#include "backend/cpu/conv.hpp"

namespace cr::backend::cpu {

// The same place of many images side by side in a vector. False, and nothing done, where that does not pay.
bool convolve_batch(const Convolution<float>& c);
bool convolve_batch(const Convolution<double>& c);

}  // namespace cr::backend::cpu
