// Number the places of the output through, over all images: that is the row $i$ of
// the matrix. Number the taps of a filter through, over all channels: that is the
// column $k$. Then the number that stands in row $i$ and column $k$ is found like
// this:
//
// $$i \to (\text{image}, y, x), \qquad k \to (c, r, s),$$
//
// $$\text{row} = y \cdot \text{stride} - \text{pad} + r \cdot \text{dilation}, \qquad
//   \text{column} = x \cdot \text{stride} - \text{pad} + s \cdot \text{dilation},$$
//
// and if that lies outside of the image, the number is zero.
//
// Try it on an image of 4 × 4 with padding 1, whose matrix is the figure below. Row
// 5 of the matrix is place $(1, 1)$, since $5 = 1 \cdot 4 + 1$. Column 7 is tap $(2,
// 1)$, since $7 = 2 \cdot 3 + 1$. It sees row $1 - 1 + 2 = 2$, column $1 - 1 + 1 =
// 1$, which is pixel $2 \cdot 4 + 1 = 9$. The functions are `constexpr`, so kernels
// can call them, and so can the test, which tries every $i$ and $k$ of some hundred
// shapes.
#pragma once

#include "shape.hpp"

struct Place {
  int image, y, x;
};
struct Tap {
  int channel, r, s;
};

// A place outside of the image has this address.
constexpr int64_t kOutside = -1;

struct Map {
  Conv d;
  int out_h = 0, out_w = 0, places = 0, pixels = 0, group_c = 0, group_o = 0;
  Divide by_out_plane, by_out_row, by_plane, by_row, by_taps, by_kw, by_stride,
      by_group_o;

  constexpr Map() = default;
  constexpr explicit Map(const Conv& conv)
      : d(conv),
        out_h(conv.out_h()),
        out_w(conv.out_w()),
        places(conv.places()),
        pixels(conv.pixels()),
        group_c(conv.group_c()),
        group_o(conv.group_o()),
        by_out_plane(out_h * out_w),
        by_out_row(out_w),
        by_plane(conv.h * conv.w),
        by_row(conv.w),
        by_taps(conv.taps()),
        by_kw(conv.kw),
        by_stride(conv.stride),
        by_group_o(group_o) {}

  // Place i of the output, pixel i of the input, tap k of a filter.
  constexpr Place place(int i) const { return split(i, by_out_plane, by_out_row); }
  constexpr Place pixel(int i) const { return split(i, by_plane, by_row); }
  constexpr Tap tap(int k) const {
    const int channel = by_taps.of(k), rest = k - channel * by_taps.by;
    const int r = by_kw.of(rest);
    return {channel, r, rest - r * by_kw.by};
  }
  static constexpr Place split(int i, const Divide& by_plane,
                               const Divide& by_row) {
    const int image = by_plane.of(i), rest = i - image * by_plane.by;
    const int y = by_row.of(rest);
    return {image, y, rest - y * by_row.by};
  }

  // Does tap (r, s) see a pixel from this place, and which? Comparing as unsigned
  // asks two questions at once: a negative number becomes a huge one.
  constexpr bool sees(const Place& at, int r, int s, int& row, int& column) const {
    row = at.y * d.stride - d.pad + r * d.dilation;
    column = at.x * d.stride - d.pad + s * d.dilation;
    return unsigned(row) < unsigned(d.h) && unsigned(column) < unsigned(d.w);
  }

  // The other way round: the place of the output from which tap (r, s) sees this
  // pixel. With a stride there may be none.
  constexpr bool seen_from(const Place& pixel, int r, int s, int& y, int& x) const {
    const int down = pixel.y + d.pad - r * d.dilation,
              right = pixel.x + d.pad - s * d.dilation;
    if (down < 0 || right < 0) return false;
    y = by_stride.of(down), x = by_stride.of(right);
    return y * d.stride == down && x * d.stride == right && y < out_h && x < out_w;
  }

  // Where numbers lie.
  constexpr int64_t x_at(int image, int channel, int row, int column) const {
    return ((int64_t{image} * d.c + channel) * d.h + row) * d.w + column;
  }
  constexpr int64_t y_at(int image, int channel, int y, int x) const {
    return ((int64_t{image} * d.o + channel) * out_h + y) * out_w + x;
  }

  // The address in x of what a tap sees from a place; a tap's channel counts within
  // the group.
  constexpr int64_t seen(int group, const Place& at, const Tap& tap) const {
    int row = 0, column = 0;
    if (!sees(at, tap.r, tap.s, row, column)) return kOutside;
    return x_at(at.image, group * group_c + tap.channel, row, column);
  }

  // The same for kernels: outside of the image the address is that of the nearest
  // pixel, and `inside` is false. So all threads of a warp fetch something at the
  // same time, from about the same place, and those at the edge drop what they got.
  constexpr int64_t nearest(int image, int channel, int row, int column,
                            bool& inside) const {
    const int near_row = row < 0     ? 0
                         : row < d.h ? row
                                     : d.h - 1,
              near_column = column < 0     ? 0
                            : column < d.w ? column
                                           : d.w - 1;
    inside = row == near_row && column == near_column;
    return x_at(image, channel, near_row, near_column);
  }
  constexpr int64_t nearest(int group, const Place& at, const Tap& tap,
                            bool& inside) const {
    int row = 0, column = 0;
    sees(at, tap.r, tap.s, row, column);
    return nearest(at.image, group * group_c + tap.channel, row, column, inside);
  }

  // The address in the output's gradient of the place that sees a pixel through a
  // tap; there the tap's channel is one of the output's.
  constexpr int64_t seeing(int group, const Place& pixel, const Tap& tap) const {
    int y = 0, x = 0;
    if (!seen_from(pixel, tap.r, tap.s, y, x)) return kOutside;
    return y_at(pixel.image, group * group_o + tap.channel, y, x);
  }
};
