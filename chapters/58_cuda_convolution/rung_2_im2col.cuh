// One thread for each number of the matrix. It is stored with the places of the
// output next to each other, row by row of the *transposed* matrix. So neighbouring
// threads write neighbouring numbers, and mostly read neighbouring pixels; and the
// product, whose threads stand along the places too, will read neighbours as well.
#pragma once

#include "product.cuh"

namespace cr::backend::CR_GPU {

// matrix (c, kh · kw, places): with groups, those of one group follow each other. A
// block belongs to one channel and one tap.
template <class T> __global__ void im2col_kernel(Map map, const T* x, T* matrix) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int tap = int(blockIdx.y), channel = int(blockIdx.z);
  if (i >= map.places) return;
  const Place place = map.place(int(i));
  const int r = map.by_kw.of(tap);
  bool inside = false;
  const T pixel =
      fetched(x[map.nearest(0, place, {channel, r, tap - r * map.d.kw}, inside)]);
  matrix[(int64_t{channel} * map.by_taps.by + tap) * map.places + i] =
      inside ? pixel : T(0);
}

// And the product. Its left factor is what we have just written, its right one are
// the weights as they lie: a row of $k$ numbers for each filter. It knows nothing of
// images until it stores, when row $i$ of the result has to find its image, row and
// column again.
struct Im2col : Whole {
  static constexpr bool kLeftAlongK = false, kRightAlongK = true;
  Map map;
  const float *from, *w;  // the matrix; the weights
  float* y;

  using Row = int;
  __device__ Row row(int i) const { return i; }
  __device__ float left(int group, Row i, int k) const {
    return from[(int64_t{group} * depth + k) * rows + i];
  }
  __device__ float right(int group, int k, int j) const {
    return w[(int64_t{group} * columns + j) * depth + k];
  }
  __device__ void store(int group, int i, int j, float value) const {
    const Place at = map.place(i);
    y[map.y_at(at.image, group * columns + j, at.y, at.x)] = value;
  }
};

template <class T>
void im2col(const Conv& d, const T* x, const T* w, T* matrix, T* y) {
  launch(
      "im2col", im2col_kernel<T>,
      {.blocks = {blocks_for(d.places(), 128), unsigned(d.taps()), unsigned(d.c)},
       .threads = {128}},
      Map(d), x, matrix);
  multiply(
      "product of columns",
      Im2col{
          {d.places(), d.group_o(), d.group_c() * d.taps()}, Map(d), matrix, w, y},
      d.groups);
}

}  // namespace cr::backend::CR_GPU
