// # The canvas
//
// A convolution slides a window over an image. Look at it from the window's side: seen through one place of the kernel,
// one **tap**, the whole image is the same picture, moved by that tap's distance. So if images lie in memory with their
// zeros around them, tap t of place p is the number at `offset(t) + place(p)`, a sum of two numbers of which the one knows
// nothing of the other. No matrix of columns is ever written.
//
//     . a b c          four of nine taps, place by place:     . a b    a b c    ...    a b c    ...
//     . d e f                                                 . d e    d e f           d e f
//     . . . .          the dots are zeros                     . . .    . . .           . . .
//
// Two things make that work for every convolution:
//
// - **zeros are shared**: what lies to the right of one row lies to the left of the next, so a row needs its padding once;
// - **strides are sorted out**: with stride 2, even and odd columns get a canvas of their own (a **phase**), on which
//   neighbouring places are neighbours again.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/cpu/cpu_features.hpp"
#include "backend/cpu/isa/conv_kernel.hpp"

namespace cr::backend::cpu {

// One dimension: tap t of place i looks at number i · stride + tap + t · tap_step of `size`; beyond them all is zero.
struct ConvLine {
  int64_t size = 1, places = 1, stride = 1;
  int64_t tap = 0, tap_step = 1, taps = 1;
};

template <class T> const ConvKernel<T>& conv_kernel() {
#if CHAINRULE_X86_DISPATCH
  if constexpr (sizeof(T) == sizeof(float)) {
    if (isa() == Isa::avx512) return avx512::conv_float;
    if (isa() == Isa::avx2) return avx2::conv_float;
  } else {
    if (isa() == Isa::avx512) return avx512::conv_double;
    if (isa() == Isa::avx2) return avx2::conv_double;
  }
#endif
  if constexpr (sizeof(T) == sizeof(float)) return base::conv_float;
  else return base::conv_double;
}

class ConvCanvas {
 public:
  // For some of an image's channels; `banded` is the dimension that will be cut into bands, or -1. Vectors of `width`
  // numbers may read beyond the last place.
  ConvCanvas(const ConvLine (&lines)[3], int64_t channels, int banded, int64_t width) : channels_(channels) {
    for (int d = 0; d < 3; ++d) axes_[d] = Axis(lines[d], d != banded);
    pitch_ = axes_[2].count, plane_ = axes_[0].count * axes_[1].count * pitch_;
    const int64_t last = place(lines[0].places - 1, lines[1].places - 1, lines[2].places - 1) +
                         place(axes_[0].farthest, axes_[1].farthest, axes_[2].farthest);
    phase_ = std::max(channels * plane_, (channels - 1) * plane_ + last + width);
    phases_ = axes_[0].phases * axes_[1].phases * axes_[2].phases;
  }

  // Numbers an image takes; to them come `width` where vectors spill, once, behind the last image.
  int64_t size() const { return phases_ * phase_; }
  int64_t place(int64_t z, int64_t y, int64_t x) const { return (z * axes_[1].count + y) * pitch_ + x; }
  int64_t pitch() const { return pitch_; }

  // Tap (z, y, x) of a channel.
  int64_t offset(int64_t channel, int64_t z, int64_t y, int64_t x) const {
    const int64_t phase = (axes_[0].phase(z) * axes_[1].phases + axes_[1].phase(y)) * axes_[2].phases + axes_[2].phase(x);
    return phase * phase_ + channel * plane_ + place(axes_[0].index(z), axes_[1].index(y), axes_[2].index(x));
  }

  // Writes an image, whose channels lie side by side, from place `first` of the banded dimension on.
  template <class T> void fill(T* to, const T* image, int banded, int64_t first) const {
    const ConvKernel<T>& kernel = conv_kernel<T>();
    const Axis &az = axes_[0], &ay = axes_[1], &ax = axes_[2];
    for (int64_t phase = 0; phase < phases_; ++phase) {
      const Span sx = ax.span(phase % ax.phases, banded == 2 ? first : 0);
      const Span sy = ay.span(phase / ax.phases % ay.phases, banded == 1 ? first : 0);
      const Span sz = az.span(phase / ax.phases / ay.phases, banded == 0 ? first : 0);
      T* plane = to + phase * phase_;
      for (int64_t c = 0; c < channels_; ++c) {
        const T* channel = image + c * az.size * ay.size * ax.size;
        for (int64_t z = 0; z < az.count; ++z, plane += ay.count * pitch_) {
          ConvPlane<T> p{plane, ay.count, pitch_, sy.begin, sy.end, sx.begin, sx.end, channel, ay.stride * ax.size,
                         ax.stride};
          if (z < sz.begin || z >= sz.end || sx.begin == sx.end || sy.begin == sy.end) p.first_row = p.end_row = 0;
          else
            p.from += ((sz.from + (z - sz.begin) * az.stride) * ay.size + sy.from) * ax.size + sx.from;
          kernel.fill(p);
        }
      }
      std::fill(plane, to + (phase + 1) * phase_, T{0});
    }
  }

 private:
  // Where a row (or column …) of a phase has data: its numbers begin … end - 1 are every stride-th of the image, the first
  // of them number `from`.
  struct Span {
    int64_t begin, end, from;
  };

  struct Axis {
    int64_t size = 1, stride = 1, step = 1, period = 1, least = 0;
    bool backwards = false;
    int64_t taps = 1;
    int64_t count = 1;     // numbers in a row of one phase
    int64_t phases = 1;    // those that a tap looks at
    int64_t farthest = 0;  // the largest index()

    Axis() = default;
    Axis(const ConvLine& line, bool share) : size(line.size), stride(line.stride), taps(line.taps) {
      backwards = line.tap_step < 0, step = backwards ? -line.tap_step : line.tap_step;
      const int64_t reach = (taps - 1) * step;
      least = backwards ? line.tap - reach : line.tap;
      // Tap t, counted from the least, looks into phase t · step mod stride, which repeats.
      period = stride / gcd(step, stride), phases = std::min(taps, period), farthest = reach / stride;
      // All that is looked at, less the zeros on the right that the next row has on its left.
      const int64_t all = (line.places - 1) * stride + reach + 1;
      const int64_t before = std::clamp<int64_t>(-least, 0, all), end = std::clamp(size - least, before, all);
      const int64_t own = share ? end + std::max<int64_t>(all - end - before, 0) : all;
      count = (std::max(own, (line.places - 1) * stride + 1) + stride - 1) / stride;
    }
    int64_t from_least(int64_t t) const { return backwards ? taps - 1 - t : t; }
    int64_t phase(int64_t t) const { return from_least(t) % period; }
    int64_t index(int64_t t) const { return from_least(t) * step / stride; }
    Span span(int64_t phase, int64_t first_place) const {
      const int64_t at = least + first_place * stride + phase * step % stride;
      Span s{at >= 0 ? 0 : (-at + stride - 1) / stride, at >= size ? 0 : (size - at + stride - 1) / stride, 0};
      s.begin = std::min(s.begin, count), s.end = std::clamp(s.end, s.begin, count);
      s.from = at + s.begin * stride;
      return s;
    }
    static int64_t gcd(int64_t a, int64_t b) { return b == 0 ? a : gcd(b, a % b); }
  };

  Axis axes_[3];
  int64_t channels_, pitch_, plane_, phase_, phases_;
};

}  // namespace cr::backend::cpu
