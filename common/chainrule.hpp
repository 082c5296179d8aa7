// # Everything
//
// Tensors, gradients, functions of functions, models, optimisers, files and data in one line. A chapter adds
// `book/chapter.hpp`; files of tensors are in `io/safetensors.hpp`, Armadillo's matrices in `ops/arma.hpp`.
#pragma once

#include "autograd/anomaly.hpp"
#include "data/data_loader.hpp"
#include "data/dataset.hpp"
#include "data/digits.hpp"
#include "data/pokemon.hpp"
#include "func/checkpoint.hpp"
#include "func/derivatives.hpp"
#include "func/fused.hpp"
#include "func/gradcheck.hpp"
#include "func/graph.hpp"
#include "io/checkpoint.hpp"
#include "io/csv.hpp"
#include "nn/activation.hpp"
#include "nn/dropout.hpp"
#include "nn/embedding.hpp"
#include "nn/fields.hpp"
#include "nn/init.hpp"
#include "nn/linear.hpp"
#include "nn/norm.hpp"
#include "nn/sequential.hpp"
#include "ops/ops.hpp"
#include "optim/optim.hpp"
