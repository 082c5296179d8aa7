// A convolution is described by eleven numbers. The batch has `n` images of `c`
// channels, `h` × `w` pixels each. There are `o` filters of `kh` × `kw` taps. They
// move by `stride`, start `pad` pixels outside the image, look at pixels `dilation`
// apart (each the same downwards and to the right), and see the channels of their
// own group only, of which there are `groups`.
#pragma once

#include <cstdint>

struct Conv {
  int n = 1, c = 1, h = 1, w = 1, o = 1, kh = 3, kw = 3;
  int stride = 1, pad = 0, dilation = 1, groups = 1;

  // How often does the window fit? From its first tap to its last it spans
  // `dilation` (`kh` - 1) + 1 rows. The padded image has `h` + 2 `pad`. The first
  // place is at the top; each further one takes `stride` more rows, and what is
  // left over at the end is not looked at.
  constexpr int out_h() const {
    return (h + 2 * pad - dilation * (kh - 1) - 1) / stride + 1;
  }
  constexpr int out_w() const {
    return (w + 2 * pad - dilation * (kw - 1) - 1) / stride + 1;
  }
  constexpr int places() const { return n * out_h() * out_w(); }  // of the output
  constexpr int pixels() const { return n * h * w; }              // of the input
  constexpr int taps() const { return kh * kw; }
  constexpr int group_c() const { return c / groups; }
  constexpr int group_o() const { return o / groups; }

  // Numbers in x (n, c, h, w), in the weights (o, c / groups, kh, kw) and in y (n,
  // o, out_h, out_w), and multiply-adds: for each number of y one for each weight
  // of its filter.
  constexpr int64_t x_size() const { return int64_t{c} * pixels(); }
  constexpr int64_t w_size() const { return int64_t{o} * group_c() * taps(); }
  constexpr int64_t y_size() const { return int64_t{o} * places(); }
  constexpr int64_t macs() const { return y_size() * group_c() * taps(); }
};

// How many blocks of `size` it takes to cover `count`.
constexpr unsigned blocks_for(int64_t count, int64_t size) {
  return unsigned((count + size - 1) / size);
}

// Tensor cores take channels in pieces of eight; the last is filled with zeros.
constexpr int padded(int channels) { return (channels + 7) / 8 * 8; }

// ## Dividing
//
// Kernels turn one number into three, "place 1000 of the output" into image, row
// and column, and that takes divisions. A GPU has no instruction that divides
// integers: it takes some twenty others. But our divisors are known before the
// kernel starts. For $0 \le a < 2^{31}$ and $p = 31 + \lceil \log_2 d \rceil$
//
// $$\left\lfloor \frac{a}{d} \right\rfloor
//   = \left\lfloor \frac{a\,\lceil 2^p / d \rceil}{2^p} \right\rfloor :$$
//
// one multiplication, of which the upper half is kept, and a shift. Take $d = 7$:
// then $p = 34$ and the factor is 2 454 267 027. For $a = 100$ the product is about
// $14.29 \cdot 2^{34}$, and the shift leaves 14. The factor is rounded up, by less
// than 1, so the product is too large by less than $a < 2^{31}$, in units of $2^p$
// by less than $1/d$: too little to reach the next whole number. (Granlund and
// Montgomery, 1994. Compilers do the same for divisors they know.)
struct Divide {
  int by = 1;
  uint32_t factor = 0;
  int shift = 0;

  constexpr Divide() = default;
  constexpr explicit Divide(int divisor) : by(divisor) {
    if (by == 1) return;
    int log = 0;
    while ((int64_t{1} << log) < by) ++log;
    const uint64_t power = uint64_t{1} << (31 + log);
    factor = uint32_t((power + uint64_t(by) - 1) / uint64_t(by));
    shift = log - 1;
  }
  constexpr int of(int a) const {
    if (by == 1) return a;
    return int(((uint64_t(a) * factor) >> 32) >> shift);
  }
};
