// This file gathers the kernels and is compiled twice: for the emulator, by the
// compiler of everything else, and for a GPU by nvcc.
#include "rung_1_three_passes.cuh"
#include "rung_2_one_pass.cuh"
#include "rung_3_flash.cuh"
#include "rung_4_backward.cuh"
#include "rung_5_backward.cuh"
#include "rung_5_tensor_cores.cuh"
#include "rung_6_wgmma.cuh"
#include "rungs.hpp"

namespace attention::CR_GPU {

const Rungs& rungs() {
  // Here the templates get their types and widths, and so this is what takes time
  // to compile.
  static const Rungs all = {.three_passes = three_passes<float>,
                            .one_pass = one_pass<float>,
                            .flash = flash<float>,
                            .backward = flash_backward<float>,
                            .tensor_cores = tensor_cores<>,
                            .tensor_cores_backward = tensor_cores_backward<>,
                            .wgmma = wgmma_rung<>,
                            .missing = missing,
                            .three_passes_64 = three_passes<double>,
                            .one_pass_64 = one_pass<double>,
                            .flash_64 = flash<double>,
                            .backward_64 = flash_backward<double>,
                            .unpadded = flash_by<float, 64, Unpadded>,
                            .no_rescale = flash_by<float, 64, NoRescale>,
                            .no_barrier = flash_by<float, 64, NoBarrier>,
                            .looks_ahead = flash_by<float, 64, LooksAhead>};
  return all;
}

}  // namespace attention::CR_GPU
