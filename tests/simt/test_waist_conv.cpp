// Convolutions and their adjoints, of odd sizes, on the emulator.
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include "agree.hpp"

using namespace cr;
using namespace cr::test;
using backend::Window;

namespace {

struct Case {
  int64_t images, groups, channels, rows;  // channels in and out of one group
  Dims places, kernel;
  Window window;
};

const Case kCases[] = {
    {1, 1, 1, 1, {5}, {1}, {{1}, {0}, {1}}},
    {2, 1, 3, 5, {13}, {3}, {{2}, {1}, {1}}},
    {2, 3, 2, 4, {17}, {4}, {{3}, {2}, {2}}},
    {2, 1, 3, 7, {9, 8}, {3, 3}, {{1, 1}, {1, 1}, {1, 1}}},
    {3, 2, 5, 33, {7, 6}, {3, 2}, {{2, 3}, {1, 0}, {1, 2}}},
    {2, 1, 9, 70, {8, 8}, {3, 3}, {{2, 2}, {1, 1}, {1, 1}}},
    {2, 7, 1, 1, {9, 9}, {3, 3}, {{2, 2}, {1, 1}, {1, 1}}},  // depthwise
    {2, 3, 1, 2, {9, 9}, {5, 3}, {{1, 2}, {4, 3}, {2, 2}}},  // padding beyond what is needed
    {1, 1, 2, 3, {4, 5, 6}, {2, 3, 1}, {{1, 2, 2}, {1, 1, 0}, {2, 1, 1}}},
    {1, 1, 2, 5, {4, 4}, {1, 1}, {{3, 3}, {0, 0}, {1, 1}}},  // numbers that nobody sees
    {1, 1, 2, 5, {6}, {3}, {{2}, {0}, {2}}},                 // stride and dilation share a divisor
    {0, 1, 2, 3, {6}, {3}, {{2}, {0}, {2}}},
    {2, 1, 0, 3, {6}, {3}, {{2}, {0}, {2}}},  // sums of nothing
};

struct Tensors {
  Tensor x, w, y, of_rows, of_channels;
  Tensors(const Case& c, DType type) {
    Shape xs{c.images, c.groups * c.channels}, ws{c.groups * c.rows, c.channels}, ys{c.images, c.groups * c.rows};
    for (int d = 0; d < c.places.size(); ++d) {
      const int64_t reach = c.window.dilation[d] * (c.kernel[d] - 1) + 1;
      xs.push_back(c.places[d]), ws.push_back(c.kernel[d]);
      ys.push_back((c.places[d] + 2 * c.window.padding[d] - reach) / c.window.stride[d] + 1);
    }
    x = numbers_of(xs, type, 1), w = numbers_of(ws, type, 2), y = numbers_of(ys, type, 3);
    of_rows = numbers_of({c.groups * c.rows}, type, 4), of_channels = numbers_of({c.groups * c.channels}, type, 5);
  }
};

template <class F> void for_each_case(F&& f) {
  for (DType type : {DType::float32, DType::float64, DType::int64}) {
    for (const Case& c : kCases) {
      const Tensors t(c, type);
      INFO(to_string(t.x.shape()) << " * " << to_string(t.w.shape()) << ", " << c.groups << " groups, " << name(type));
      f(c, t, type == DType::float32 ? 1e-5 : type == DType::float64 ? 1e-13 : 0);
    }
  }
}

}  // namespace

TEST_CASE("simt: convolutions") {
  for_each_case([](const Case& c, const Tensors& t, double bound) {
    for (const Tensor& bias : {t.of_rows, Tensor()}) {
      agree({t.y}, {t.x, t.w, bias}, bound,
            [&](auto& backend, auto& out, auto& in) { backend.conv(out[0], in[0], in[1], in[2], c.window, c.groups); });
    }
  });
}

TEST_CASE("simt: their adjoints") {
  for_each_case([](const Case& c, const Tensors& t, double bound) {
    for (const Tensor& bias : {t.of_channels, Tensor()}) {
      agree({t.x}, {t.y, t.w, bias}, bound, [&](auto& backend, auto& out, auto& in) {
        backend.conv_input(out[0], in[0], in[1], in[2], c.window, c.groups);
      });
    }
    if (t.x.dtype() == DType::int64) return;
    agree({t.w}, {t.x, t.y}, bound,
          [&](auto& backend, auto& out, auto& in) { backend.conv_weight(out[0], in[0], in[1], c.window, c.groups); });
  });
}

TEST_CASE("simt: large tiles and sums in parts of a convolution") {
  const Case wide{64, 2, 2, 66, {9, 15}, {1, 2}, {{1, 1}, {0, 0}, {1, 1}}};
  const Case long_sum{5, 1, 3, 6, {21, 23}, {3, 3}, {{1, 1}, {1, 1}, {1, 1}}};
  for (const Case& c : {wide, long_sum}) {
    const Tensors t(c, DType::float32);
    agree({t.y}, {t.x, t.w}, 1e-5,
          [&](auto& backend, auto& out, auto& in) { backend.conv(out[0], in[0], in[1], {}, c.window, c.groups); });
    agree({t.w}, {t.x, t.y}, 1e-5,
          [&](auto& backend, auto& out, auto& in) { backend.conv_weight(out[0], in[0], in[1], c.window, c.groups); });
  }
}

TEST_CASE("simt: an infinite weight meets the zeros around a picture") {
  Tensor w = numbers_of({4, 2, 3}, DType::float32, 2);
  static_cast<float*>(w.impl()->storage->data())[7] = INFINITY;
  agree({numbers_of({1, 4, 6})}, {numbers_of({1, 2, 6}), w}, 1e-5, [&](auto& backend, auto& out, auto& in) {
    backend.conv(out[0], in[0], in[1], {}, {{1}, {1}, {1}}, 1);
  });
}
#endif
