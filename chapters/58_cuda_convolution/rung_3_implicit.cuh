// The forward pass: $m$ places, $n$ filters, $k$ taps of all channels. Compare it
// with `Columns`. `a` is the whole change: where that read `columns`, this asks the
// map for an address in `x`. What we pay is a few multiplications and shifts for
// each number that is fetched, and each number that is fetched is used 64 times.
//
// The sum runs over the same $k$ in the same order, so even the rounding is the
// same.
#pragma once

#include "product.cuh"

namespace cr::backend::CR_GPU {

struct Forward : Whole {
  static constexpr bool kAAlongK = false, kBAlongK = true;
  Map map;
  const float *x, *w;
  float* y;

  __device__ float a(int group, int i, int p) const {
    bool inside = false;
    const float pixel =
        fetched(x[map.x_near(group, map.place(i), map.tap(p), inside)]);
    return inside ? pixel : 0;
  }
  __device__ float b(int group, int p, int j) const {
    return w[(int64_t{group} * n + j) * k + p];
  }
  __device__ void store(int group, int i, int j, float value) const {
    const Place at = map.place(i);
    y[map.y_at(at.image, group * n + j, at.y, at.x)] = value;
  }
};

// ## The way back to the image
//
// $\partial L / \partial x$ at a pixel is a sum over everyone who looked at it:
// each filter, through each of its taps. So there is a row for each pixel of the
// input and a column for each channel, and the sum runs over filters and taps. With
// a stride, most taps have not seen a given pixel at all, and what they contribute
// is zero.
//
// The weights are the same, read across: row $k$ is filter and tap, column $j$ is
// the channel. They do not lie well for that (neighbours are $k_h k_w$ numbers
// apart), but there are few of them, and each block reads its share once.
struct DataGradient : Whole {
  static constexpr bool kAAlongK = false, kBAlongK = true;
  Map map;
  const float *dy, *w;
  float* dx;

  __device__ float a(int group, int i, int p) const {
    const int64_t from = map.y_over(group, map.pixel(i), map.tap(p));
    return from == kOutside ? 0 : dy[from];
  }
  __device__ float b(int group, int p, int j) const {
    const Tap tap = map.tap(p);
    const int64_t filter = int64_t{group} * map.d.group_o() + tap.channel;
    return w[((filter * n + j) * map.d.kh + tap.r) * map.d.kw + tap.s];
  }
  __device__ void store(int group, int i, int j, float value) const {
    const Place at = map.pixel(i);
    dx[map.x_at(at.image, group * n + j, at.y, at.x)] = value;
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
  static constexpr bool kAAlongK = true, kBAlongK = true;
  Map map;
  const float *x, *dy;
  float* partial;  // (parts, o, c / groups, kh, kw)
  int parts;

  // A part has so many steps of the sum, a multiple of the tile's depth.
  __device__ int length() const {
    return (k + parts * kDeep - 1) / (parts * kDeep) * kDeep;
  }
  __device__ int first(int batch) const { return batch % parts * length(); }
  __device__ int last(int batch) const {
    const int end = first(batch) + length();
    return end < k ? end : k;
  }
  __device__ float a(int batch, int i, int p) const {
    bool inside = false;
    const float pixel =
        fetched(x[map.x_near(batch / parts, map.place(p), map.tap(i), inside)]);
    return inside ? pixel : 0;
  }
  __device__ float b(int batch, int p, int j) const {
    const Place at = map.place(p);
    return dy[map.y_at(at.image, batch / parts * n + j, at.y, at.x)];
  }
  __device__ void store(int batch, int i, int j, float value) const {
    const int64_t filter = int64_t{batch / parts} * n + j;
    partial[int64_t{batch % parts} * map.d.w_size() + filter * m + i] = value;
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
template <int kPad = 1, int kBarriers = 2>
void implicit(const Conv& d, const float* x, const float* w, float* y) {
  const int depth = d.group_c() * d.taps();
  multiply<kPad, kBarriers>(
      "implicit product",
      Forward{{d.places(), d.group_o(), depth}, Map(d), x, w, y}, d.groups);
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
  const int rows = d.group_c() * d.taps();
  multiply("weight gradient",
           WeightGradient{{rows, d.group_o(), d.places()},
                          Map(d),
                          x,
                          dy,
                          parts == 1 ? dw : partial,
                          parts},
           d.groups * parts);
  if (parts > 1) add_parts(partial, parts, d.w_size(), dw);
}

}  // namespace cr::backend::CR_GPU
