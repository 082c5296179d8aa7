#include "by_hand.cuh"
#include "hopper.cuh"
#include "rung_10_tf32.cuh"
#include "rung_11_bf16.cuh"
#include "rung_12_wgmma.cuh"
#include "rung_13_persistent.cuh"
#include "rung_1_naive.cuh"
#include "rung_2_coalesced.cuh"
#include "rung_3_shared.cuh"
#include "rung_4_registers.cuh"
#include "rung_7_banks.cuh"
#include "split_k.cuh"
#include "transposed.cuh"
namespace cr::backend::CR_GPU {
void all(Product<float> g, Product<Bf16> h, float* w) {
  naive(g); coalesced(g); shared_tiles<32>(g); column_tiles(g); square_tiles(g); vectors(g); free_banks(g); warp_tiles(g); double_buffers(g); tf32(g); bf16(h); split_k(g, 4, w); thin<1>(g, 4, w); thin<8>(g,4,w);
#ifdef __CUDACC__
  wgmma(h); persistent(h);
#endif
}
}
