// This file gathers the kernels and is compiled twice: for the emulator by the
// compiler that compiles everything else, and for a GPU by nvcc. Templates become
// functions here, and the rest of the program knows only their addresses.
#include "depthwise.cuh"
#include "rung_1_direct.cuh"
#include "rung_2_im2col.cuh"
#include "rung_3_implicit.cuh"
#include "rung_4_tensor_cores.cuh"
#include "rung_5_winograd.cuh"
#include "rungs.hpp"
#include "wrong_edge.cuh"

namespace cr::backend::CR_GPU {

const Rungs& rungs() {
  static const Rungs all = {.direct = direct<float>,
                            .implicit = implicit<>,
                            .depthwise = depthwise<float>,
                            .same_bank = implicit<0>,
                            .beyond_edge = beyond_edge,
                            .im2col = im2col<float>,
                            .winograd2 = winograd<2>,
                            .winograd4 = winograd<4>,
                            .winograd2_bf16 = winograd<2, true>,
                            .winograd4_bf16 = winograd<4, true>,
                            .data_gradient = data_gradient,
                            .weight_gradient = weight_gradient,
                            .tensor_forward = tensor_forward,
                            .tensor_data_gradient = tensor_data_gradient,
                            .tensor_weight_gradient = tensor_weight_gradient};
  return all;
}

}  // namespace cr::backend::CR_GPU
