// # A batch of matrix products
#pragma once

#include "backend/cpu/nest.hpp"

namespace cr::backend::cpu {

// The nest over all dimensions of C, A and B but the last two: one step for each product.
Nest<3> batch_nest(const Tensor& c, const Tensor& a, const Tensor& b);

}  // namespace cr::backend::cpu
