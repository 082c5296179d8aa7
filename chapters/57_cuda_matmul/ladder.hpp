// `rungs.cu` is compiled twice: by the compiler of everything else, for the
// emulator, and by nvcc where it is. Each gives a list of the same functions,
// and the story, the test and the stopwatch all go through that list.
#pragma once

#include <string>
#include <vector>

#include "product.hpp"
#include "tensor/half.hpp"

template <class T> struct Rung {
  std::string name;
  void (*multiply)(const Product<T>&);
  double input = 0;  // relative error of the inputs, if they are rounded first
  int needs = 0;     // a GPU's compute capability, times ten; 90 is exactly that
};

struct Kernels {
  std::vector<Rung<float>> ladder;         // rungs 1 … 10
  std::vector<Rung<cr::BFloat16>> halves;  // rung 11, and on Hopper 12 and 13

  // Thin products, in slices.
  void (*split_k)(const Product<float>&, int slices, float* workspace);
  void (*one_row)(const Product<float>&, int slices, float* workspace);
  void (*eight_rows)(const Product<float>&, int slices, float* workspace);

  // The two examples by hand, and the planted mistakes.
  void (*read)(const float* x, float* y, int lanes, int first, int step);
  void (*columns)(const float* x, float* y, bool longer_rows);
  void (*missing_barrier)(const Product<float>&);
  void (*short_rows)(const Product<float>&);
};

namespace cr::backend::simt {
Kernels kernels();
}
namespace cr::backend::cuda {
Kernels kernels();
}
