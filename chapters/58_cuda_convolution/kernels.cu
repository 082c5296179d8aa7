// This file gathers the kernels and is compiled twice: for the emulator by the
// compiler that compiles everything else, and for a GPU by nvcc. Templates become
// functions here, and the rest of the program knows only their addresses.
//
// Here the tile sizes of the tensor cores are chosen, too. A larger tile uses each
// number more often. But where the matrix is small, a large tile lies half outside
// of it, and there are fewer blocks than processors; then small ones are better.
#include "depthwise.cuh"
#include "rung_1_direct.cuh"
#include "rung_2_im2col.cuh"
#include "rung_3_implicit.cuh"
#include "rung_4_tensor_cores.cuh"
#include "rung_5_winograd.cuh"
#include "rungs.hpp"
#include "to_channels_last.cuh"
#include "wrong_edge.cuh"

namespace cr::backend::CR_GPU {
namespace {

template <bool kBack> void tensor_walk(const char* name, const Walk& p) {
  if (p.n > 64 && p.m > 4096) launch_walk<128, 128, kBack>(name, p);
  else if (p.m > 4096) launch_walk<128, 64, kBack>(name, p);
  else launch_walk<64, 64, kBack>(name, p);
}

void tensor_forward(const Conv& d, const uint16_t* x, const uint16_t* w,
                    uint16_t* y) {
  tensor_walk<false>("tensor forward",
                     {Map(d), d.places(), d.o, padded(d.c), x, w, y});
}

void tensor_data_gradient(const Conv& d, const uint16_t* dy, const uint16_t* turned,
                          uint16_t* dx) {
  tensor_walk<true>("tensor data gradient",
                    {Map(d), d.pixels(), d.c, padded(d.o), dy, turned, dx});
}

void tensor_weight_gradient(const Conv& d, const uint16_t* x, const uint16_t* dy,
                            int parts, float* partial, float* dw) {
  const WalkBack p = {Map(d), d.o, d.c, parts, dy, x, parts == 1 ? dw : partial};
  if (d.o > 64 && d.c > 64) launch_walk_back<128, 128>(p);
  else launch_walk_back<64, 64>(p);
  if (parts > 1)
    add_parts(partial, parts, int64_t{d.o} * d.taps() * padded(d.c), dw);
}

}  // namespace

const Rungs& rungs() {
  static const Rungs all = {.direct = direct<float>,
                            .implicit = implicit<>,
                            .depthwise = depthwise<float>,
                            .same_bank = implicit<0>,
                            .one_barrier = implicit<1, 1>,
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
                            .tensor_weight_gradient = tensor_weight_gradient,
                            .channels_last = channels_last,
                            .channels_first = channels_first<uint16_t>,
                            .floats_first = channels_first<float>};
  return all;
}

}  // namespace cr::backend::CR_GPU
