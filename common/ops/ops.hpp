// # All operations
#pragma once

#include "autograd/autograd.hpp"
#include "ops/arrange.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/embedding.hpp"
#include "ops/index.hpp"
#include "ops/join.hpp"
#include "ops/loss.hpp"
#include "ops/pad.hpp"
#include "ops/product.hpp"
#include "ops/reduce.hpp"
#include "ops/view.hpp"
