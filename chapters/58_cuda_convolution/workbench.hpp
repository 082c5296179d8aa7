// The layer at which the rungs are compared, with its truth and its bounds, on the
// emulator. Its numbers are such as bfloat16 can hold, so that all rungs get the
// same and tensor cores lose nothing on the way in.
#pragma once

#include "bench.hpp"
#include "by_hand.hpp"
#include "traffic.hpp"

struct Bed {
  Conv d;
  Truth truth;
  const Rungs& rungs = backend::simt::rungs();
  Bench bench{truth.l, Device::simt, rungs};

  Bed(const Conv& conv, Generator& random)
      : d(conv), truth(make_layer(conv, random, true)) {}

  // Error of a result in units of its bound.
  double error(const Tensor& y, bool bf16 = false) const {
    return in_bounds(y, truth.l.y64, truth.y_room, bf16);
  }
};

// The ladder's rows, as the rungs are climbed.
struct Rung {
  std::string name;
  double bytes = 0;     // per multiply-add of the layer
  double products = 1;  // multiplications per multiply-add of the layer
  double extra = 0;     // numbers kept besides x, w and y, over those of x
};
