// ## One ladder, two machines
//
// `rungs.cu` is compiled twice: by the compiler of everything else, for the
// emulator, and, where the CUDA Toolkit is, by nvcc. Each gives a list of the
// same functions.
#pragma once

#include <string>
#include <vector>

#include "bfloat16.hpp"
#include "product.hpp"

template <class T> struct Rung {
  std::string name;
  void (*multiply)(const Product<T>&);
  double input = 0;  // relative error of the inputs, if they are rounded first
};

// A list and not calls by name: the story, the test and the stopwatch all go
// through the same ladder, and a new rung is one more line in one place. What
// stands beside the ladder has arguments of its own.
struct Kernels {
  std::vector<Rung<float>> ladder;  // rungs 1 … 10
  std::vector<Rung<Bf16>> halves;   // rung 11, and on Hopper 12 and 13

  // Thin products, in slices.
  void (*split_k)(const Product<float>&, int slices, float* workspace);
  void (*one_row)(const Product<float>&, int slices, float* workspace);
  void (*eight_rows)(const Product<float>&, int slices, float* workspace);

  // The examples by hand: `lanes` threads read x[first + lane * step]; a tile
  // of 32 × 32 is read column by column, its rows 32 words long or 33.
  void (*read)(const float* x, float* y, int lanes, int first, int step);
  void (*columns)(const float* x, float* y, bool longer_rows);

  // The planted mistakes.
  void (*missing_barrier)(const Product<float>&);
  void (*short_rows)(const Product<float>&);
};

namespace cr::backend::simt {
Kernels kernels();
}
namespace cr::backend::cuda {
Kernels kernels();
}
