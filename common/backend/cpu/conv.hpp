#pragma once

#include <array>
#include <vector>

#include "backend/backend.hpp"
#include "backend/cpu/conv_canvas.hpp"
#include "backend/cpu/tiles.hpp"

namespace cr::backend::cpu {

// # A convolution as the loops see it
//
// x (images, groups, channels, x's places) → y (images, groups, rows, y's places):
//
// y(place) of a row = bias + Σ over channels and taps of w · x(place · stride + tap).
//
// The adjoint of a convolution with stride s is one, too, but for one thing: which taps a place sees depends on its
// coordinates modulo s. The places of y fall into **classes**, which have their own taps and look at the same x. Place p of
// a class is place p · step + residue of y.
struct ConvTap {
  int64_t seen[3];  // which of the numbers that a place can see
  int64_t w;        // where its weight is, from the channel's first on
};
struct ConvClass {
  int64_t residue[3] = {};
  int64_t first_tap = 0, taps = 0;
};

// Weights may lie anywhere: from one row or channel to the next it is always the same distance.
template <class T> struct Convolution {
  ConvLine lines[3];             // from a class's places to what they see
  std::vector<int64_t> seen[3];  // these taps of `lines`
  int64_t images = 1, groups = 1, channels = 1, rows = 1;
  const T* x = nullptr;
  const T* w = nullptr;
  int64_t w_group = 0, w_row = 0, w_channel = 0;
  std::vector<ConvTap> taps;  // of all classes, one after another
  std::vector<ConvClass> classes;
  const T* bias = nullptr;
  T* y = nullptr;
  int64_t size[3] = {1, 1, 1}, step[3] = {1, 1, 1};  // of y

  int64_t places() const { return lines[0].places * lines[1].places * lines[2].places; }
  int64_t x_channel() const { return lines[0].size * lines[1].size * lines[2].size; }
  int64_t y_row() const { return size[0] * size[1] * size[2]; }
  int64_t num_taps() const { return static_cast<int64_t>(taps.size()); }
  int64_t num_classes() const { return static_cast<int64_t>(classes.size()); }

  // Place number `place` of a row of y, and its class. (All classes have to be there.)
  std::array<int64_t, 3> coordinates(int64_t place) const {
    return {place / size[2] / size[1], place / size[2] % size[1], place % size[2]};
  }
  const ConvClass& class_of(const std::array<int64_t, 3>& at) const {
    int64_t number = 0;
    for (int d = 0; d < 3; ++d) number = number * std::min(step[d], size[d]) + at[d] % step[d];
    return classes[number];
  }

  // Where a tap of its class looks, from coordinate `at` of y along dimension d: is there a number of x? `from` is its
  // coordinate, or one outside.
  bool sees(int d, int64_t at, const ConvTap& tap, int64_t& from) const {
    from = at / step[d] * lines[d].stride + lines[d].tap + seen[d][tap.seen[d]] * lines[d].tap_step;
    return from >= 0 && from < lines[d].size;
  }
  // The same in all dimensions; `number` counts the numbers of a channel.
  bool sees(const std::array<int64_t, 3>& at, const ConvTap& tap, int64_t& number) const {
    bool inside = true;
    number = 0;
    for (int d = 0; d < 3; ++d) {
      int64_t from;
      inside = sees(d, at[d], tap, from) && inside;
      number = number * lines[d].size + from;
    }
    return inside;
  }

  // How many places of a class see a number of x along dimension d.
  int64_t count_seeing(int d, const ConvClass& own, const ConvTap& tap) const {
    const ConvLine& line = lines[d];
    const int64_t first = line.tap + seen[d][tap.seen[d]] * line.tap_step;  // what place 0 looks at
    auto places_before = [&](int64_t number) {                              // that look at less than this
      return std::clamp<int64_t>((number - first + line.stride - 1) / line.stride, 0,
                                 (size[d] - own.residue[d] + step[d] - 1) / step[d]);
    };
    return places_before(line.size) - places_before(0);
  }

  // Multiply-adds, those with zeros around x included.
  double work() const {
    return static_cast<double>(images * groups * places()) * static_cast<double>(rows * channels * num_taps());
  }
  bool worth_threads() const { return work() >= kWorthThreads; }
};

// Numbers on a thread's canvas at one time, unless one row of places needs more: half of a core's second cache.
template <class T> constexpr int64_t kConvCanvas = (512 << 10) / static_cast<int64_t>(sizeof(T));

// The dimension along which an image is cut into bands, whose places then lie side by side.
inline int first_long(const ConvLine (&lines)[3]) { return lines[0].places > 1 ? 0 : lines[1].places > 1 ? 1 : 2; }

// One to three dimensions of places as three: the missing ones, in front, have one place.
struct ConvShape {
  int64_t images, groups, channels, rows;  // channels in and out of one group
  ConvLine lines[3];                       // of x ↦ y
  int64_t kernel[3];
  ConvShape(const Tensor& x, const Tensor& w, const Tensor& y, const Window& window, int64_t groups);
};

}  // namespace cr::backend::cpu
