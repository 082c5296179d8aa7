// Pixel $(y, x)$ was seen through tap $(r, s)$ from place $(y + 1 - r, x + 1 - s)$, for padding 1. So
//
// $$\frac{\partial L}{\partial\, \mathrm{in}_{c,y,x}} = \sum_o \sum_{r,s} w_{o,c,r,s}\; \delta_{o,\,y+1-r,\,x+1-s}
//   = \sum_o \sum_{r',s'} w_{o,c,2-r',2-s'}\; \delta_{o,\,y+r'-1,\,x+s'-1},$$
//
// with $r' = 2 - r$: a convolution with padding 1 over the filters' gradients, whose weights have filters and channels
// exchanged and are turned by 180 degrees.
#include <cstdio>

#include "bench.hpp"

using namespace cr;

int main() {
  Generator random(1);
  const Conv d = {.n = 2, .c = 5, .h = 12, .w = 12, .o = 7, .pad = 1};
  const Layer l = make_layer(d, random);

  // The layer the other way round.
  Conv back = d;
  back.c = d.o, back.o = d.c;
  Layer turned = l;
  turned.d = back;
  turned.x = l.dy;
  turned.w = flip(l.w.transpose(0, 1), {2, 3}).contiguous();
  turned.dy = l.x;
  Bench bench(turned, Device::simt, backend::simt::rungs());
  const Rungs& r = bench.r;
  const double two = typical_error(
                   bench.forward(r.winograd2, winograd_space(back, 2)), l.dx64),
               four = typical_error(
                   bench.forward(r.winograd4, winograd_space(back, 4)), l.dx64);
  std::printf("typical error of the gradient: F(2,3) %.2g, F(4,3) %.2g\n", two,
              four);
  return two < 1e-6 && four < 1e-5 ? 0 : 1;
}
