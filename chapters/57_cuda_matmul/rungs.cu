// The list of kernels, for whichever machine this is compiled for.
#include "broken.cuh"
#include "by_hand.cuh"
#include "columns.cuh"
#include "ladder.hpp"
#include "rung_10_tf32.cuh"
#include "rung_11_bf16.cuh"
#include "rung_13_persistent.cuh"
#include "rung_2_coalesced.cuh"
#include "rung_3_shared.cuh"
#include "rung_4_registers.cuh"
#include "rung_7_banks.cuh"
#include "split_k.cuh"

namespace cr::backend::CR_GPU {

// The names are what an error message and a table call them.
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
                {"double buffers", double_buffers, 0, 80},
                {"tf32", tf32, 1.0 / 2048, 80}};
  all.halves = {{"bf16", bf16, 0, 80}};
#if defined(__CUDACC__)
  all.halves.push_back({"wgmma", tma_and_wgmma, 0, 90});
  all.halves.push_back({"persistent", persistent, 0, 90});
#endif
  all.split_k = split_k;
  all.one_row = thin<1>;
  all.eight_rows = thin<8>;
  all.read = read;
  all.columns = columns;
  all.missing_barrier = shared_tiles<32, false>;
  all.short_rows = short_rows;
  return all;
}

}  // namespace cr::backend::CR_GPU
