// Kernels are compiled in a file of their own, for two machines, and the program is
// not to know which. So each machine hands it a list of functions.
//
// All kernels of this chapter as the program calls them: on raw memory of the
// device. Two devices have them, compiled from the same sources.
#pragma once

#include <cstdint>

#include "shape.hpp"

struct Rungs {
  // y ← x, w, float32, (n, c, h, w). `space` is what a rung needs besides.
  using Fn = void (*)(const Conv&, const float* x, const float* w, float* y);
  using WithSpace = void (*)(const Conv&, const float* x, const float* w,
                             float* space, float* y);
  Fn direct, implicit, depthwise;
  Fn same_bank, one_barrier,
      beyond_edge;  // the implicit product, with something wrong
  WithSpace im2col, winograd2, winograd4, winograd2_bf16, winograd4_bf16;

  // dx ← dy, w and dw ← x, dy.
  Fn data_gradient;
  void (*weight_gradient)(const Conv&, const float* x, const float* dy, int parts,
                          float* partial, float* dw);

  // The same three on tensor cores: bfloat16, (n, h, w, c), one group. `w` is (o,
  // kh, kw, c) forward and (c, kh, kw, o) on the way back.
  using Bf16 = void (*)(const Conv&, const uint16_t* x, const uint16_t* w,
                        uint16_t* y);
  Bf16 tensor_forward, tensor_data_gradient;
  void (*tensor_weight_gradient)(const Conv&, const uint16_t* x, const uint16_t* dy,
                                 int parts, float* partial, float* dw);

  // (a, b, inner) float32 to and from (a, inner, padded b); `turned`: to (b, inner,
  // padded a).
  void (*channels_last)(int a, int b, int inner, bool turned, const float* from,
                        uint16_t* to);
  void (*channels_first)(int a, int b, int inner, const uint16_t* from, float* to);
  void (*floats_first)(int a, int b, int inner, const float* from, float* to);
};

namespace cr::backend::simt {
const Rungs& rungs();
}
namespace cr::backend::cuda {
const Rungs& rungs();
}
