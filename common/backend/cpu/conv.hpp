#pragma once

#include "backend/backend.hpp"
#include "backend/cpu/conv_canvas.hpp"

namespace cr::backend::cpu {

// # A convolution as the loops see it
//
// x (images, groups, channels, size₀, size₁, size₂) → y (images, groups, rows, places₀, places₁, places₂):
//
// y(place) of a row = bias + Σ over channels and taps of w · x(place · stride + tap).
//
// Weights and results may lie anywhere: from one row, channel, tap or place to the next it is always the same distance.
template <class T> struct Convolution {
  ConvLine lines[3];
  int64_t images = 1, groups = 1, channels = 1, rows = 1;
  const T* x = nullptr;
  const T* w = nullptr;
  int64_t w_group = 0, w_row = 0, w_channel = 0, w_tap[3] = {};
  const T* bias = nullptr;
  T* y = nullptr;
  int64_t y_row = 0, y_place[3] = {};

  int64_t taps() const { return lines[0].taps * lines[1].taps * lines[2].taps; }
  int64_t places() const { return lines[0].places * lines[1].places * lines[2].places; }
  int64_t x_channel() const { return lines[0].size * lines[1].size * lines[2].size; }
  double work() const {
    return static_cast<double>(images * groups * places()) * static_cast<double>(rows * channels * taps());
  }
};

// Work is cut in two or more from here on: 10⁶ multiply-adds take ten times as long as waking a thread.
constexpr double kConvWorthThreads = 1e6;

// Numbers on a thread's canvas at one time, unless one row of places needs more: half of a core's second cache.
template <class T> constexpr int64_t kConvCanvas = (512 << 10) / static_cast<int64_t>(sizeof(T));

inline int64_t pieces(int64_t total, int64_t size) { return (total + size - 1) / size; }

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
