// # Three ways to convolve
//
// `Cpu::conv` takes the one that is least work. Work is counted in multiply-adds of vectors' lanes; it is infinite where a way
// cannot be taken.
#pragma once

#include "backend/cpu/conv.hpp"

namespace cr::backend::cpu {

// Image by image, zeros around it included: that is `c.work()`.
template <class T> void convolve_plan(const Convolution<T>& c);

// The same place of many images side by side in a vector, for the taps that lie inside.
template <class T> double batch_work(const Convolution<T>& c);
template <class T> void convolve_batch(const Convolution<T>& c);

// By Winograd's rule: false where a result is not finite. Then y has to be computed in another way, as the rule may have made
// NaN of an infinity.
double winograd_work(const Convolution<float>& c);
bool convolve_winograd(const Convolution<float>& c);

}  // namespace cr::backend::cpu
