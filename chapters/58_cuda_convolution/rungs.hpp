// The kernels as the program calls them: on raw memory of the device. They are
// compiled in a file of their own, [kernels.cu](kernels.cu), for two machines, and
// the program is not to know which; so each machine hands it a list of functions.
#pragma once

#include <cstdint>

#include "shape.hpp"
#include "tensor/half.hpp"

struct Rungs {
  // y ← x, w, float32, (n, c, h, w). `space` is what a rung needs besides.
  using Fn = void (*)(const Conv&, const float* x, const float* w, float* y);
  using WithSpace = void (*)(const Conv&, const float* x, const float* w,
                             float* space, float* y);
  Fn direct, implicit, depthwise;
  Fn same_bank, beyond_edge;  // the implicit product, with something wrong
  WithSpace im2col, winograd2, winograd4;
  WithSpace winograd2_bf16, winograd4_bf16;  // factors rounded to bfloat16

  // dx ← dy, w and dw ← x, dy.
  Fn data_gradient;
  void (*weight_gradient)(const Conv&, const float* x, const float* dy, int parts,
                          float* partial, float* dw);

  // The same three on tensor cores: bfloat16, (n, h, w, padded c), one group. `w` is
  // (o, kh, kw, padded c) forward and (c, kh, kw, padded o) on the way back. The tile
  // is the largest that gives so many `processors` work.
  using Bf16 = void (*)(const Conv&, int processors, const cr::BFloat16* x,
                        const cr::BFloat16* w, cr::BFloat16* y);
  Bf16 tensor_forward, tensor_data_gradient;
  void (*tensor_weight_gradient)(const Conv&, const cr::BFloat16* x,
                                 const cr::BFloat16* dy, int parts, float* partial,
                                 float* dw);
};

namespace cr::backend::simt {
const Rungs& rungs();
}
namespace cr::backend::cuda {
const Rungs& rungs();
}
