// # Everything
//
// Tensors, gradients, functions of functions, models, optimisers and data in one line. A chapter adds `book/chapter.hpp`;
// each kind of file has a header of its own in `io/` (safetensors, npy, png, wav, zip, idx, events); Armadillo's matrices
// are in `ops/arma.hpp`.
#pragma once

#include "autograd/anomaly.hpp"
#include "data/data_loader.hpp"
#include "data/dataset.hpp"
#include "data/digits.hpp"
#include "data/generators.hpp"
#include "data/images.hpp"
#include "data/pokemon.hpp"
#include "data/speech.hpp"
#include "data/stories.hpp"
#include "data/text.hpp"
#include "data/trees.hpp"
#include "data/vocabulary.hpp"
#include "func/checkpoint.hpp"
#include "func/derivatives.hpp"
#include "func/fused.hpp"
#include "func/gradcheck.hpp"
#include "func/graph.hpp"
#include "io/checkpoint.hpp"
#include "io/csv.hpp"
#include "nn/activation.hpp"
#include "nn/conv.hpp"
#include "nn/dropout.hpp"
#include "nn/embedding.hpp"
#include "nn/fields.hpp"
#include "nn/init.hpp"
#include "nn/linear.hpp"
#include "nn/norm.hpp"
#include "nn/sequential.hpp"
#include "ops/ops.hpp"
#include "optim/optim.hpp"
