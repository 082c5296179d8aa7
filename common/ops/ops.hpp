// # All operations
#pragma once

#include "autograd/autograd.hpp"
#include "ops/create.hpp"
#include "ops/distance.hpp"
#include "ops/einsum.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/loss.hpp"
#include "ops/product.hpp"
#include "ops/reduce.hpp"
