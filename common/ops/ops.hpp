// # All operations
#pragma once

#include "autograd/autograd.hpp"
#include "ops/activation.hpp"
#include "ops/create.hpp"
#include "ops/elementwise.hpp"
#include "ops/index.hpp"
#include "ops/linalg.hpp"
#include "ops/loss.hpp"
#include "ops/norm.hpp"
#include "ops/product.hpp"
#include "ops/reduce.hpp"
#include "ops/scan.hpp"
#include "ops/search.hpp"
#include "ops/sort.hpp"
#include "ops/statistics.hpp"
