// What chapter 58 promises, held against its program and its headers. Kernels are compared with the library in float64, by a
// bound that a right result cannot exceed; index arithmetic is tried exhaustively. (Fragments and the swizzle are the library's,
// and tested there.)
#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "chapter_test.hpp"
#include "map.hpp"
#include "traffic.hpp"
#include "winograd.hpp"

using namespace cr;
using namespace cr::test;

// ## The story
TEST_CASE("the quick run keeps its claims") {
  for (const char* seed : {"1", "12"}) {
    CAPTURE(seed);
    Run run = run_program({"--quick", "--seed", seed});
    INFO(run.out << run.err);
    REQUIRE(run.status == 0);
    CHECK(run.claim("columns").value == 9);
    CHECK(run.claim("same-bits").value == 0);
    CHECK(run.claim("all-shapes").value > 1e-3);
    CHECK(run.claim("all-shapes").value < 1);
    CHECK(run.claim("resnet-macs").value == Approx(4.087136256).epsilon(1e-12));
    CHECK(run.claim("tensor-right").value >
          0.5);  // rounding to bfloat16 nearly fills its bound
    CHECK(run.claim("error-four").value > 3);
    for (const char* counted : {"direct-bytes", "banks-none", "tensor-banks"})
      CHECK(run.claim(counted).made == watched());
    if (watched()) {
      CHECK(run.claim("fewer-two").value == Approx(2.25).epsilon(1e-12));
      CHECK(run.claim("fewer-four").value == Approx(1).epsilon(1e-12));
      CHECK(run.claim("depthwise-waste").value > 100);
    }
    CHECK(run.out.find("not measured yet") != std::string::npos);
    CHECK_FALSE(run.claim("edge-wrong").made);
  }
}

TEST_CASE("the default run keeps its claims") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  Run run = run_program({});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
}

TEST_CASE("the planted mistakes show") {
  Run edge = run_program({"--quick", "--break", "beyond-edge"});
  INFO(edge.out << edge.err);
  CHECK(edge.status == 0);
  CHECK(edge.claim("edge-wrong").value == 1);
  CHECK(edge.claim("edge-inside").value == 0);
  CHECK_FALSE(edge.claim("columns").made);
  Run sign = run_program({"--quick", "--break", "wrong-sign"});
  CHECK(sign.status == 0);
  CHECK(sign.claim("sign-wrong").value == 3);
  Run order = run_program({"--quick", "--break", "weight-order"});
  INFO(order.out << order.err);
  CHECK(order.status == 0);
  CHECK(order.claim("order-hidden").value == 0);
  CHECK(order.claim("order-wrong").value > 0.9);
  if (!watched()) SKIP("this build's emulator does not watch");
  CHECK(edge.claim("edge-caught").value == 1);
  CHECK(edge.out.find("wrong_edge.cuh") != std::string::npos);
}

TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--size", "0"},
                                    {"--size", "15"},
                                    {"--size", "1000"},
                                    {"--break", "weight-order", "--size", "65"},
                                    {"--size", "many"},
                                    {"--break", "nothing"},
                                    {"--resume"}});
}

// ## Dividing without dividing
TEST_CASE("Divide divides") {
  for (int d = 1; d <= 300; ++d) {
    const Divide by(d);
    for (int a = 0; a < 3000; ++a) REQUIRE(by.of(a) == a / d);
  }
  for (int d : {1, 2, 3, 5, 7, 9, 49, 196, 3136, 12544, 50176, 65535, 65536,
                1000003, 2147483647}) {
    const Divide by(d);
    for (int64_t multiple = 0; multiple <= 2147483647;
         multiple += std::max<int64_t>(d, 2147483647 / 999 / d * d))
      for (int64_t a : {multiple - 1, multiple, multiple + 1})
        if (a >= 0 && a <= 2147483647) REQUIRE(by.of(static_cast<int>(a)) == a / d);
    REQUIRE(by.of(2147483647) == 2147483647 / d);
  }
}

// ## The map
static std::vector<Conv> random_shapes(int count, bool one_group = false) {
  Generator random(7);
  auto draw = [&](int from, int to) {
    return static_cast<int>(randint(from, to + 1, {1}, random).item());
  };
  std::vector<Conv> all;
  while (static_cast<int>(all.size()) < count) {
    Conv d;
    d.groups = one_group ? 1 : draw(1, 3);
    d.n = draw(1, 2), d.c = d.groups * draw(1, 5), d.o = d.groups * draw(1, 6);
    d.h = draw(1, 12), d.w = draw(1, 12), d.kh = draw(1, 4), d.kw = draw(1, 4);
    d.stride = draw(1, 3), d.pad = draw(0, 3), d.dilation = draw(1, 2);
    if (d.h + 2 * d.pad > d.dilation * (d.kh - 1) &&
        d.w + 2 * d.pad > d.dilation * (d.kw - 1))
      all.push_back(d);
  }
  return all;
}

// A tap sees a pixel from a place if and only if the pixel was seen from that place through the tap; and every pair occurs
// where seven loops say it does.
TEST_CASE("forward and backward map agree with seven loops") {
  for (const Conv& d : random_shapes(150)) {
    const Map map(d);
    std::set<std::array<int64_t, 4>> forward,
        back;  // image, tap, address in y, address in x
    for (int i = 0; i < d.places(); ++i)
      for (int r = 0; r < d.kh; ++r)
        for (int s = 0; s < d.kw; ++s) {
          const Place at = map.place(i);
          REQUIRE(at.image * map.out_h * map.out_w + at.y * map.out_w + at.x == i);
          const int row = at.y * d.stride - d.pad + r * d.dilation,
                    column = at.x * d.stride - d.pad + s * d.dilation;
          const bool inside = row >= 0 && row < d.h && column >= 0 && column < d.w;
          const int64_t address = map.seen(0, at, {0, r, s});
          REQUIRE(address ==
                  (inside ? map.x_at(at.image, 0, row, column) : kOutside));
          bool says = !inside;
          const int64_t near = map.nearest(0, at, {0, r, s}, says);
          REQUIRE(says == inside);
          REQUIRE((near >= 0 && near < d.x_size() && (!inside || near == address)));
          if (inside)
            forward.insert({at.image, r * d.kw + s,
                            map.y_at(at.image, 0, at.y, at.x), address});
        }
    for (int i = 0; i < d.pixels(); ++i)
      for (int k = 0; k < d.taps(); ++k) {
        const Place pixel = map.pixel(i);
        const int64_t address = map.seeing(0, pixel, map.tap(k));
        if (address != kOutside)
          back.insert({pixel.image, k, address,
                       map.x_at(pixel.image, 0, pixel.y, pixel.x)});
      }
    REQUIRE(forward == back);
    for (int k = 0; k < d.taps() * d.group_c(); ++k) {
      const Tap tap = map.tap(k);
      REQUIRE((tap.channel * d.kh + tap.r) * d.kw + tap.s == k);
    }
  }
}

// ## The kernels, at shapes drawn at random
TEST_CASE("every rung is right, forward and back, whatever the shape") {
  Generator random(3);
  for (const Conv& d : random_shapes(25)) {
    CAPTURE(d.n, d.c, d.h, d.w, d.o, d.kh, d.kw, d.stride, d.pad, d.dilation,
            d.groups);
    Bench bench = emulated(d, random);
    CHECK(bench.y_error(bench.forward(bench.r.direct)) < 1);
    CHECK(bench.y_error(bench.forward(bench.r.implicit)) < 1);
    CHECK(bench.y_error(bench.im2col()) < 1);
    CHECK(bench.dx_error(bench.data_gradient()) < 1);
    for (int parts : {1, 2, 7})
      CHECK(bench.dw_error(bench.weight_gradient(parts)) < 1);
    if (d.groups == d.c) CHECK(bench.y_error(bench.forward(bench.r.depthwise)) < 1);
  }
}

// One processor is busy with the largest tile, 132 only with the smallest.
TEST_CASE("tensor cores are right, forward and back, whatever the shape") {
  Generator random(4);
  std::vector<Conv> shapes = random_shapes(12, true);
  shapes.push_back({.n = 1, .c = 70, .h = 9, .w = 17, .o = 72, .pad = 1});
  shapes.push_back({.n = 1, .c = 40, .h = 17, .w = 9, .o = 130, .kh = 1, .kw = 1});
  for (const Conv& d : shapes) {
    CAPTURE(d.n, d.c, d.h, d.w, d.o, d.kh, d.kw, d.stride, d.pad, d.dilation);
    Bench bench = emulated(d, random, true);
    for (int processors : {1, 132}) {
      CHECK(bench.y_error(bench.tensor_forward(processors), true) < 1);
      CHECK(bench.dx_error(bench.tensor_data_gradient(processors), true) < 1);
    }
    for (int parts : {1, 3})
      CHECK(bench.dw_error(bench.tensor_weight_gradient(parts)) < 1);
  }
}

TEST_CASE("the tile is the largest that leaves no processor idle") {
  Generator random(5);
  Bench bench = emulated(
      {.n = 1, .c = 8, .h = 16, .w = 24, .o = 72, .kh = 1, .kw = 1}, random, true);
  if (!watched()) SKIP("this build's emulator does not watch");
  // 384 rows, 72 columns: 3 tiles of 128 x 128, 6 of 128 x 64, 12 of 64 x 64; one step, and each passes three barriers.
  const std::vector<std::pair<int, int>> expected = {
      {3, 3}, {4, 6}, {6, 6}, {7, 12}, {100, 12}};
  for (const std::pair<int, int>& one : expected) {
    const auto counts =
        backend::simt::count([&] { bench.tensor_forward(one.first); });
    CHECK(counts.total("tensor forward").barriers == 3 * one.second);
  }
}

TEST_CASE(
    "the depthwise kernel takes several filters a channel, stride and dilation") {
  Generator random(6);
  for (Conv d :
       {Conv{.n = 2, .c = 3, .h = 40, .w = 37, .o = 6, .pad = 1, .groups = 3},
        Conv{.n = 1,
        .c = 2,
        .h = 33,
        .w = 70,
        .o = 2,
        .kh = 5,
        .kw = 5,
        .stride = 2,
        .pad = 4,
        .dilation = 2,
        .groups = 2}}) {
    Bench bench = emulated(d, random);
    CHECK(bench.y_error(bench.forward(bench.r.depthwise)) < 1);
  }
}

// ## Winograd's matrices
//
// The rule is linear in the weights and in the pixels, so if it holds for every pair of unit tiles it holds for all.
template <int m> static double worst_pair() {
  double worst = 0;
  for (int weight = 0; weight < 9; ++weight)
    for (int pixel = 0; pixel < (m + 2) * (m + 2); ++pixel) {
      double g[3][3] = {}, d[m + 2][m + 2] = {}, u[m + 2][m + 2], v[m + 2][m + 2],
             y[m][m];
      g[weight / 3][weight % 3] = 1, d[pixel / (m + 2)][pixel % (m + 2)] = 1;
      transform(Winograd<m>::weight(), g, u);
      transform(Winograd<m>::input(), d, v);
      for (int i = 0; i < m + 2; ++i)
        for (int j = 0; j < m + 2; ++j) v[i][j] *= u[i][j];
      transform(Winograd<m>::output(), v, y);
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j) {
          const bool meets = i + weight / 3 == pixel / (m + 2) &&
                             j + weight % 3 == pixel % (m + 2);
          worst = std::max(worst, std::abs(y[i][j] - (meets ? 1 : 0)));
        }
    }
  return worst;
}

TEST_CASE("Winograd's rule holds for every pixel and every weight") {
  CHECK(worst_pair<2>() == 0);
  CHECK(worst_pair<4>() < 1e-13);
  CHECK(winograd_saving(2) == 2.25);
  CHECK(winograd_saving(4) == 4);
}

TEST_CASE("Winograd's kernels take images that are no multiple of a tile") {
  Generator random(8);
  for (int size : {1, 3, 6, 13}) {
    const Conv d = {.n = 2, .c = 5, .h = size, .w = size + 1, .o = 6, .pad = 1};
    Bench bench = emulated(d, random, true);
    const auto error = [&](Rungs::WithSpace rung, int m) {
      return typical_error(bench.forward(rung, winograd_space(d, m)),
                           bench.layer.y64);
    };
    CHECK(error(bench.r.winograd2, 2) < 1e-6);
    CHECK(error(bench.r.winograd4, 4) < 1e-5);
    CHECK(error(bench.r.winograd4_bf16, 4) > 1e-3);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") { check_solutions(CHAINRULE_SOLUTIONS, 6); }
