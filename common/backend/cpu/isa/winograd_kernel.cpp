// # Winograd's rule in registers
//
// The rule for a line, from `conv_winograd.cpp`, is applied to columns and then to rows: a transform B of four pixels, G of
// three taps, A of four products. Compiled once per instruction set; see `gemm_kernel.cpp` for what that means.
#include "backend/cpu/isa/winograd_kernel.hpp"

#include "backend/cpu/isa/vectors.hpp"

namespace cr::backend::cpu::CR_ISA {
namespace {

using V = Vector<float>;
constexpr int64_t W = kWidth<float>;

struct Four {
  V at[4];
};

[[gnu::always_inline]] inline Four pixels(V a, V b, V c, V d) { return {a - c, b + c, c - b, b - d}; }

[[gnu::always_inline]] inline Four taps(V a, V b, V c) {
  const V half = splat(0.5f), ends = a + c;
  return {a, half * (ends + b), half * (ends - b), c};
}

[[gnu::always_inline]] inline V first_of(const V (&m)[4]) { return m[0] + m[1] + m[2]; }
[[gnu::always_inline]] inline V second_of(const V (&m)[4]) { return m[1] - m[2] - m[3]; }

void weights(float* to, int64_t to_factor, const float* const* tap, int64_t rows) {
  for (int64_t i = 0; i < rows; i += W) {
    Four column[3];
    for (int x = 0; x < 3; ++x)
      column[x] = taps(load(tap[x] + i, rows - i), load(tap[3 + x] + i, rows - i), load(tap[6 + x] + i, rows - i));
    for (int y = 0; y < 4; ++y) {
      const Four line = taps(column[0].at[y], column[1].at[y], column[2].at[y]);
      for (int x = 0; x < 4; ++x) store(to + (4 * y + x) * to_factor + i, line.at[x], rows - i);
    }
  }
}

// A column, transformed, serves two tiles.
void input(const WinogradInput& t) {
  auto column = [&](int64_t x) {
    const bool inside = x >= 0 && x < t.columns;
    auto pixel = [&](int y) { return inside && t.lines[y] ? load(t.lines[y] + x * W) : splat(0.0f); };
    return pixels(pixel(0), pixel(1), pixel(2), pixel(3));
  };
  int64_t x = t.first;
  Four a = column(x), b = column(x + 1);
  float* to = t.to;
  for (int64_t tile = 0; tile < t.tiles; ++tile, to += t.to_tile) {
    x += 2;
    const Four c = column(x), d = column(x + 1);
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y) {
      const Four line = pixels(a.at[y], b.at[y], c.at[y], d.at[y]);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) store(to + (4 * y + i) * t.to_factor, line.at[i]);
    }
    a = c, b = d;
  }
}

bool output(const WinogradOutput& t) {
  V nothing = splat(0.0f);  // and NaN, where a result is not finite
  auto put = [&](float* to, V result) {
    nothing = fma(result, splat(0.0f), nothing);
    store(to, result);
  };
  const float* sums = t.sums;
  float* y = t.y;
  for (int64_t row = 0; row < t.rows; ++row, sums += t.sums_row, y += t.y_row) {
    V upper[4], lower[4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      V column[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) column[i] = load(sums + (4 * i + x) * t.sums_factor);
      upper[x] = first_of(column), lower[x] = second_of(column);
    }
    put(y, first_of(upper));
    if (t.width > 1) put(y + W, second_of(upper));
    if (t.height > 1) put(y + t.y_line, first_of(lower));
    if (t.width > 1 && t.height > 1) put(y + t.y_line + W, second_of(lower));
  }
  bool finite = true;
  for (int i = 0; i < W; ++i) finite = finite && nothing[i] == 0;
  return finite;
}

}  // namespace

const WinogradKernel winograd_kernel = {weights, input, output};

}  // namespace cr::backend::cpu::CR_ISA
