// # Inner loops of convolution, one set per instruction set
//
// `conv_plan.cpp` tells the story: images are laid out on a **canvas**, on which each **tap** (an input channel and a place of
// the kernel) is the same picture moved by an offset. In `conv_batch.cpp` and `conv_winograd.cpp` images lie side by side.
// The loops that lay out and compute are here.
#pragma once

#include <cstdint>

namespace cr::backend::cpu {

// One plane of a canvas: rows × pitch numbers, of which [first_row, end_row) × [first, end) come from an image and the
// rest is zero. Up to a vector more may be written behind it.
template <class T> struct ConvPlane {
  T* to;
  int64_t rows, pitch, first_row, end_row, first, end;
  const T* from;           // what comes to (first_row, first)
  int64_t row_step, step;  // in the image, from row to row and within one
};

// A piece of a row: `count` places, of which the first lies at `from` on the canvas and comes to lane `to` of a panel.
struct ConvRun {
  int64_t from, to, count;
};

// A vector of places, or of images: the lanes of `mask`, in order, are those whose results lie side by side from `to` on.
// Lane 0 is at `from` in what the tile reads; the other lanes are computed, too, and dropped.
struct ConvLanes {
  int64_t from, to;
  uint32_t mask;
};
constexpr int64_t kConvVectors = 8;  // a tile takes no more of them

// One tap: its weights are those of number `a`, what it sees lies at `b` from the place.
struct ConvStep {
  int64_t a, b;
};

// y(i, place) = bias(i) + sum over steps of a(step.a, i) · b(step.b + place), for up to `tile_rows` rows. Of many taps a tile
// may be given some at a time; `sums` keeps what they have come to.
template <class T> struct ConvTile {
  int64_t rows, vectors, taps;  // as many steps as taps
  bool first, last;
  T* sums;  // rows × sums_row; not needed if first and last
  int64_t sums_row;
  const T* a;  // the rows' weights side by side, tap after tap
  const T* b;
  const ConvStep* steps;
  const ConvLanes* lanes;
  T* y;
  int64_t y_row;
  const T* bias;  // or null
};

// y(row, i step + k) = sums(k, row, i) for k < classes, as long as that is before `count`.
template <class T> struct ConvSpread {
  T* y;
  int64_t rows, y_row, count, step;
  const T* sums;
  int64_t classes, sums_class, sums_row;
};

// c(i, j) += sum over places p of x(p, offset(i)) · dy(p, j): i counts taps, at most `tile_rows`, and j output channels, at
// most two vectors of them.
template <class T> struct ConvWeightTile {
  int64_t rows, columns;
  int64_t places;
  const T* const* x;  // where on the canvas each place is
  const int64_t* offset;
  const T* dy;  // place after place, two vectors each
  T* c;         // tap after tap, two vectors each
};

template <class T> struct ConvKernel {
  int64_t width, tile_rows;
  int64_t (*vectors)(int64_t rows);  // how many vectors a tile with this many rows takes
  void (*fill)(const ConvPlane<T>&);
  // Panel row p becomes what the runs see at offset(p).
  void (*gather)(T* panel, int64_t width, int64_t taps, const int64_t* offset, const T* canvas, const ConvRun* runs,
                 int64_t num_runs);
  // to(j, i) = from(i, j), of a matrix of rows × columns
  void (*transposed)(T* to, int64_t to_row, const T* from, int64_t from_row, int64_t rows, int64_t columns);
  void (*tile)(const ConvTile<T>&);
  void (*spread)(const ConvSpread<T>&);
  void (*weight_tile)(const ConvWeightTile<T>&);
};

namespace base {
extern const ConvKernel<float> conv_float;
extern const ConvKernel<double> conv_double;
}  // namespace base
namespace avx2 {
extern const ConvKernel<float> conv_float;
extern const ConvKernel<double> conv_double;
}  // namespace avx2
namespace avx512 {
extern const ConvKernel<float> conv_float;
extern const ConvKernel<double> conv_double;
}  // namespace avx512

}  // namespace cr::backend::cpu
