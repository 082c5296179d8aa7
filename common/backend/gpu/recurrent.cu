// # Recurrent layers
#include "backend/gpu/gpu.cuh"
#include "backend/gpu/waist.hpp"

namespace cr::backend::CR_GPU {

void Waist::recurrent(const RecurrentLayer& layer) {
  const RecurrentLayer& l = layer;
  on_host({l.h, l.c, l.gates}, {l.x, l.w_ih, l.w_hh, l.b_ih, l.b_hh}, [&](Tensors out, Tensors in) {
    on(Device::cpu).recurrent({l.kind, l.reverse, in[0], in[1], in[2], in[3], in[4], out[0], out[1], out[2]});
  });
}

void Waist::recurrent_backward(const RecurrentLayer& layer, const RecurrentGradients& d) {
  const RecurrentLayer& l = layer;
  on_host({d.dh, d.dc, d.dx, d.dw_ih, d.dw_hh, d.db_ih, d.db_hh},
          {l.x, l.w_ih, l.w_hh, l.b_ih, l.b_hh, l.h, l.c, l.gates, d.dy}, [&](Tensors out, Tensors in) {
            on(Device::cpu)
                .recurrent_backward({l.kind, l.reverse, in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7]},
                                    {in[8], out[0], out[1], out[2], out[3], out[4], out[5], out[6]});
          });
}

}  // namespace cr::backend::CR_GPU
