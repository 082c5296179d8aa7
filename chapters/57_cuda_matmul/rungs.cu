// The list of kernels, for whichever machine this is compiled for.
#include "broken.cuh"
#include "by_hand.cuh"
#include "ladder.hpp"
#include "rung_10_tf32.cuh"
#include "rung_11_bf16.cuh"
#include "rung_12_wgmma.cuh"
#include "rung_13_persistent.cuh"
#include "rung_2_coalesced.cuh"
#include "rung_3_shared.cuh"
#include "rung_4_registers.cuh"
#include "rung_7_banks.cuh"
#include "split_k.cuh"

namespace cr::backend::CR_GPU {

// The names are what an error message and a table call them. Where the
// compiler is nvcc, `CR_GPU` is `cuda`, and the last two rungs are there.
Kernels kernels() {
  Kernels all;
  all.ladder = {{"naive", naive},
                {"coalesced", coalesced},
                {"shared tiles", shared_tiles<32>},
                {"column tiles", column_tiles},
                {"square tiles", square_tiles},
                {"vectors", vectors},
                {"free banks", free_banks},
                {"warp tiles", warp_tiles},
                {"double buffers", double_buffers},
                {"tf32", tf32, kTf32Error}};
  all.halves = {{"bf16", bf16}};
#if defined(__CUDACC__)
  all.halves.push_back({"wgmma", wgmma});
  all.halves.push_back({"persistent", persistent});
#endif
  all.split_k = split_k;
  all.one_row = thin<1>;
  all.eight_rows = thin<8>;
  all.read = [](const float* x, float* y, int lanes, int first, int step) {
    launch("read", read_kernel<float>,
           {.blocks = {1}, .threads = {unsigned(lanes)}}, x, y, first, step);
  };
  all.columns = [](const float* x, float* y, bool longer_rows) {
    launch("columns", longer_rows ? columns_kernel<33> : columns_kernel<32>,
           {.blocks = {1}, .threads = {32}}, x, y);
  };
  all.missing_barrier = shared_tiles<32, false>;
  all.short_rows = short_rows;
  return all;
}

}  // namespace cr::backend::CR_GPU
