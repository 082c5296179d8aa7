// # The bits of 16-bit numbers
//
// Only their memory: what they mean is in `backend/functor_convert.hpp`, which converts them. Nothing in this file is a
// function, so code compiled for one instruction set may include it.
#pragma once

#include <cstdint>

namespace cr {

struct Float16 {
  uint16_t bits = 0;
};
struct BFloat16 {
  uint16_t bits = 0;
};

}  // namespace cr
