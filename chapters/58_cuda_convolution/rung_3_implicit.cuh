// The forward pass: a row for each place, a column for each filter, a sum over the
// taps of all channels. It *is* `Im2col` but for its left factor: where that read
// the matrix, this asks the map for an address in the image. What we pay is some
// forty instructions for each number that is fetched, and each number that is
// fetched is used 64 times. (The place of a row is split into image, row and column
// once, before the loop. One could go on: a table of offsets, one for each $k$,
// would save most of the rest, and libraries have one.)
//
// The sum runs over the same $k$ in the same order, so even the rounding is the
// same.
#pragma once

#include "rung_2_im2col.cuh"

namespace cr::backend::CR_GPU {

struct Forward : Im2col {
  using Row = Place;
  __device__ Row row(int i) const { return map.place(i); }
  __device__ float left(int group, const Row& at, int k) const {
    bool inside = false;
    const float pixel = fetched(from[map.nearest(group, at, map.tap(k), inside)]);
    return inside ? pixel : 0;
  }
};

// ## The way back to the image
//
// $\partial L / \partial x$ at a pixel is a sum over everyone who looked at it:
// each filter, through each of its taps. So there is a row for each pixel of the
// input and a column for each channel, and the sum runs over filters and taps. With
// a stride, most taps have not seen a given pixel at all, and what they contribute
// is zero. (Where a network uses this map forward, to make an image larger, it is
// called a **transposed convolution**.)
//
// The weights are the same, read across: row $k$ is filter and tap, column $j$ is
// the channel. They do not lie well for that (neighbours are $k_h k_w$ numbers
// apart), but there are few of them, and each block reads its share once.
struct DataGradient : Whole {
  static constexpr bool kLeftAlongK = false, kRightAlongK = true;
  Map map;
  const float *dy, *w;
  float* dx;

  using Row = Place;
  __device__ Row row(int i) const { return map.pixel(i); }
  __device__ float left(int group, const Row& pixel, int k) const {
    const int64_t from = map.seeing(group, pixel, map.tap(k));
    return from == kOutside ? 0 : dy[from];
  }
  __device__ float right(int group, int k, int j) const {
    const Tap tap = map.tap(k);
    const int64_t filter = int64_t{group} * map.group_o + tap.channel;
    return w[((filter * columns + j) * map.d.kh + tap.r) * map.d.kw + tap.s];
  }
  __device__ void store(int group, int i, int j, float value) const {
    const Place at = map.pixel(i);
    dx[map.x_at(at.image, group * columns + j, at.y, at.x)] = value;
  }
};

// ## The way back to the weights
//
// $\partial L / \partial w$ has a row for each tap and a column for each filter,
// and the sum runs over all places of all images. It is the forward matrix,
// transposed: rows and sum have changed places. The result is small and the sum is
// long, so there would be few blocks, each with much to do. We cut the sum into
// `parts` and give each its own blocks. Each part leaves its sums in `partial`, and
// a second kernel adds them up: always in the same order, so that the same bits
// come out every time.
struct WeightGradient : Whole {
  static constexpr bool kLeftAlongK = true, kRightAlongK = true;
  Map map;
  const float *x, *dy;
  float* partial;  // (parts, o, c / groups, kh, kw)
  int parts;
  Divide by_parts;

  // A part has so many steps of the sum, a multiple of the tile's depth.
  __device__ int length() const {
    return (depth + parts * kDeep - 1) / (parts * kDeep) * kDeep;
  }
  __device__ int group_of(int batch) const { return by_parts.of(batch); }
  __device__ int part_of(int batch) const {
    return batch - group_of(batch) * parts;
  }
  __device__ int first(int batch) const { return part_of(batch) * length(); }
  __device__ int last(int batch) const {
    const int end = first(batch) + length();
    return end < depth ? end : depth;
  }

  using Row = Tap;
  __device__ Row row(int i) const { return map.tap(i); }
  __device__ float left(int batch, const Row& tap, int k) const {
    bool inside = false;
    const float pixel =
        fetched(x[map.nearest(group_of(batch), map.place(k), tap, inside)]);
    return inside ? pixel : 0;
  }
  __device__ float right(int batch, int k, int j) const {
    const Place at = map.place(k);
    return dy[map.y_at(at.image, group_of(batch) * columns + j, at.y, at.x)];
  }
  __device__ void store(int batch, int i, int j, float value) const {
    const int64_t filter = int64_t{group_of(batch)} * columns + j;
    partial[part_of(batch) * map.d.w_size() + filter * rows + i] = value;
  }
};

// One thread for each weight. It would be shorter to let every part add to the
// result with an atomic addition. But then parts are added in the order in which
// they happen to finish, another one every time, and so is the rounding.
template <class T>
__global__ void add_parts_kernel(const T* partial, int parts, int64_t size,
                                 T* sum) {
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= size) return;
  T total = 0;
  for (int part = 0; part < parts; ++part) total += partial[part * size + at];
  sum[at] = total;
}

template <class T>
void add_parts(const T* partial, int parts, int64_t size, T* sum) {
  launch("add parts", add_parts_kernel<T>,
         {.blocks = {blocks_for(size, 128)}, .threads = {128}}, partial, parts,
         size, sum);
}

// ## The three calls
//
// The batch of products is the groups; for the weights, groups times parts.
template <int kPad = 2>
void implicit(const Conv& d, const float* x, const float* w, float* y) {
  const int depth = d.group_c() * d.taps();
  multiply<kPad>("implicit product",
                 Forward{{{d.places(), d.group_o(), depth}, Map(d), x, w, y}},
                 d.groups);
}

inline void data_gradient(const Conv& d, const float* dy, const float* w,
                          float* dx) {
  const int depth = d.group_o() * d.taps();
  multiply("data gradient",
           DataGradient{{d.pixels(), d.group_c(), depth}, Map(d), dy, w, dx},
           d.groups);
}

inline void weight_gradient(const Conv& d, const float* x, const float* dy,
                            int parts, float* partial, float* dw) {
  const int taps = d.group_c() * d.taps();
  multiply("weight gradient",
           WeightGradient{{taps, d.group_o(), d.places()},
                          Map(d),
                          x,
                          dy,
                          parts == 1 ? dw : partial,
                          parts,
                          Divide(parts)},
           d.groups * parts);
  if (parts > 1) add_parts(partial, parts, d.w_size(), dw);
}

}  // namespace cr::backend::CR_GPU
