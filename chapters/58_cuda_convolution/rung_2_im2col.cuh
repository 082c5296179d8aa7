// One thread for each number of the matrix. It is stored with the places of the
// output next to each other, row by row of the *transposed* matrix. So neighbouring
// threads write neighbouring numbers, and mostly read neighbouring pixels; and the
// product, whose threads stand along the places too, will read neighbours as well.
#pragma once

#include "product.cuh"

namespace cr::backend::CR_GPU {

// columns (groups, c / groups · kh · kw, places)
template <class T> __global__ void im2col_kernel(Map map, const T* x, T* columns) {
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int m = map.d.places(), depth = map.d.group_c() * map.d.taps();
  if (at >= int64_t{m} * depth * map.d.groups) return;
  const int i = int(at % m), k = int(at / m % depth), group = int(at / m / depth);
  bool inside = false;
  const T pixel = fetched(x[map.x_near(group, map.place(i), map.tap(k), inside)]);
  columns[at] = inside ? pixel : T(0);
}

// And the product. Its A is what we have just written, its B are the weights as
// they lie: a row of $k$ numbers for each filter. It knows nothing of images until
// it stores, when row $i$ of the result has to find its image, row and column
// again.
struct Columns : Whole {
  static constexpr bool kAAlongK = false, kBAlongK = true;
  Map map;
  const float *columns, *w;
  float* y;

  __device__ float a(int group, int i, int p) const {
    return columns[(int64_t{group} * k + p) * m + i];
  }
  __device__ float b(int group, int p, int j) const {
    return w[(int64_t{group} * n + j) * k + p];
  }
  __device__ void store(int group, int i, int j, float value) const {
    const Place at = map.place(i);
    y[map.y_at(at.image, group * n + j, at.y, at.x)] = value;
  }
};

template <class T>
void im2col(const Conv& d, const T* x, const T* w, T* columns, T* y) {
  constexpr unsigned kThreads = 128;
  const int depth = d.group_c() * d.taps();
  launch("im2col", im2col_kernel<T>,
         {.blocks = {blocks_for(int64_t{d.places()} * depth * d.groups, kThreads)},
          .threads = {kThreads}},
         Map(d), x, columns);
  multiply("product of columns",
           Columns{{d.places(), d.group_o(), depth}, Map(d), columns, w, y},
           d.groups);
}

}  // namespace cr::backend::CR_GPU
