// What chapter 58 promises, held against its program and its headers. Kernels are compared with the library in float64, by a
// bound that a right result cannot exceed; index arithmetic is tried exhaustively.
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
    CHECK(run.claim("fewer-two").value == 2.25);
    CHECK(run.claim("fewer-four").value == 4);
    CHECK(run.claim("resnet-macs").value == Approx(4.087136256).epsilon(1e-12));
    CHECK(run.claim("tensor-right").value >
          0.5);  // rounding to bfloat16 nearly fills its bound
    CHECK(run.claim("error-four").value > 3);
    CHECK(run.claim("direct-bytes").made == watched());
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
  Run race = run_program({"--quick", "--break", "one-barrier"});
  CHECK(race.status == 0);
  if (!watched()) SKIP("this build's emulator does not watch");
  CHECK(edge.claim("edge-caught").value == 1);
  CHECK(edge.out.find("wrong_edge.cuh") != std::string::npos);
  CHECK(race.claim("race-caught").value == 1);
  CHECK(race.out.find("product.cuh") != std::string::npos);
}

TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--size", "0"},
                                    {"--size", "30"},
                                    {"--size", "1000"},
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
          const int64_t address = map.x_under(0, at, {0, r, s});
          REQUIRE(address ==
                  (inside ? map.x_at(at.image, 0, row, column) : kOutside));
          bool says = !inside;
          const int64_t near = map.x_near(0, at, {0, r, s}, says);
          REQUIRE(says == inside);
          REQUIRE((near >= 0 && near < d.x_size() && (!inside || near == address)));
          if (inside)
            forward.insert({at.image, r * d.kw + s,
                            map.y_at(at.image, 0, at.y, at.x), address});
        }
    for (int i = 0; i < d.pixels(); ++i)
      for (int k = 0; k < d.taps(); ++k) {
        const Place pixel = map.pixel(i);
        const int64_t address = map.y_over(0, pixel, map.tap(k));
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
  const Rungs& r = backend::simt::rungs();
  for (const Conv& d : random_shapes(25)) {
    CAPTURE(d.n, d.c, d.h, d.w, d.o, d.kh, d.kw, d.stride, d.pad, d.dilation,
            d.groups);
    const Truth t(make_layer(d, random));
    Bench bench(t.l, Device::simt, r);
    CHECK(in_bounds(bench.forward(r.direct), t.l.y64, t.y_room) < 1);
    CHECK(in_bounds(bench.forward(r.implicit), t.l.y64, t.y_room) < 1);
    CHECK(in_bounds(bench.forward(r.im2col, bench.columns()), t.l.y64, t.y_room) <
          1);
    CHECK(in_bounds(bench.data_gradient(), t.l.dx64, t.dx_room) < 1);
    for (int parts : {1, 2, 7})
      CHECK(in_bounds(bench.weight_gradient(parts), t.l.dw64, t.dw_room) < 1);
    if (d.groups == d.c)
      CHECK(in_bounds(bench.forward(r.depthwise), t.l.y64, t.y_room) < 1);
  }
}

TEST_CASE("tensor cores are right, forward and back, whatever the shape") {
  Generator random(4);
  const Rungs& r = backend::simt::rungs();
  for (const Conv& d : random_shapes(12, true)) {
    CAPTURE(d.n, d.c, d.h, d.w, d.o, d.kh, d.kw, d.stride, d.pad, d.dilation);
    const Truth t(make_layer(d, random, true));
    Bench bench(t.l, Device::simt, r);
    CHECK(in_bounds(bench.tensor_forward(), t.l.y64, t.y_room, true) < 1);
    CHECK(in_bounds(bench.tensor_data_gradient(), t.l.dx64, t.dx_room, true) < 1);
    for (int parts : {1, 3})
      CHECK(in_bounds(bench.tensor_weight_gradient(parts), t.l.dw64, t.dw_room) <
            1);
  }
}

// The large tiles are chosen for more than 4096 places and 64 channels.
TEST_CASE("the large tiles are right") {
  Generator random(5);
  const Rungs& r = backend::simt::rungs();
  for (int o : {40, 72}) {
    const Conv d = {
        .n = 1, .c = o == 72 ? 70 : 8, .h = 65, .w = 64, .o = o, .kh = 1, .kw = 1};
    const Truth t(make_layer(d, random, true));
    Bench bench(t.l, Device::simt, r);
    CHECK(in_bounds(bench.tensor_forward(), t.l.y64, t.y_room, true) < 1);
    CHECK(in_bounds(bench.tensor_data_gradient(), t.l.dx64, t.dx_room, true) < 1);
    CHECK(in_bounds(bench.tensor_weight_gradient(3), t.l.dw64, t.dw_room) < 1);
  }
}

TEST_CASE(
    "the depthwise kernel takes several filters a channel, stride and dilation") {
  Generator random(6);
  const Rungs& r = backend::simt::rungs();
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
    const Truth t(make_layer(d, random));
    Bench bench(t.l, Device::simt, r);
    CHECK(in_bounds(bench.forward(r.depthwise), t.l.y64, t.y_room) < 1);
  }
}

// ## Fragments
//
// Every number of A, B and C is held exactly once.
TEST_CASE("fragments share out the matrices") {
  std::set<std::pair<int, int>> a, b, c;
  for (int lane = 0; lane < 32; ++lane) {
    for (int half = 0; half < 2; ++half) {
      for (int r = 0; r < 4; ++r)
        a.insert({spot_of_a(lane, r, half).row, spot_of_a(lane, r, half).column});
      for (int r = 0; r < 2; ++r)
        b.insert({spot_of_b(lane, r, half).row, spot_of_b(lane, r, half).column});
    }
    for (int r = 0; r < 4; ++r)
      c.insert({spot_of_c(lane, r).row, spot_of_c(lane, r).column});
  }
  CHECK(a.size() == 256);
  CHECK(b.size() == 128);
  CHECK(c.size() == 128);
  CHECK(a.rbegin()->first == 15);
  CHECK(c.rbegin()->second == 7);
}

// What `ldmatrix` gives lane l of matrix i: numbers 2t and 2t + 1 of row g, named by lane 8 i + g; transposed, of column g.
static Spot given(Spot (*names)(int), int lane, int i, int half, bool down) {
  const int g = lane / 4, t = 2 * (lane % 4) + half;
  const Spot named = names(8 * i + (down ? t : g));
  return {named.row, 8 * named.column + (down ? g : t)};
}

TEST_CASE("ldmatrix fetches the fragments that mma wants") {
  for (int lane = 0; lane < 32; ++lane)
    for (int half = 0; half < 2; ++half)
      for (int i = 0; i < 4; ++i) {
        const Spot a = spot_of_a(lane, i, half),
                   a_down = given(names_of_a_down, lane, i, half, true);
        CHECK(given(names_of_a, lane, i, half, false) == a);
        CHECK(a_down == Spot{a.column, a.row});
        // Two fragments of B at once: registers 0 and 1 are columns 0 to 7, registers 2 and 3 columns 8 to 15.
        const Spot b = spot_of_b(lane, i % 2, half);
        const int column = b.column + 8 * (i / 2);
        CHECK(given(names_of_b, lane, i, half, false) == Spot{column, b.row});
        CHECK(given(names_of_b_down, lane, i, half, true) == Spot{b.row, column});
      }
}

TEST_CASE("no two of eight rows collide, and no chunk is lost") {
  for (int chunks : {4, 8, 16}) {
    std::set<int> places;
    for (int row = 0; row < 128; ++row)
      for (int chunk = 0; chunk < chunks; ++chunk)
        places.insert(swizzled(row, chunk, chunks));
    CHECK(static_cast<int>(places.size()) == 128 * chunks);
    CHECK(*places.rbegin() == 128 * chunks - 1);
    for (int first = 0; first < 128; first += 8)
      for (int chunk = 0; chunk < chunks; ++chunk) {
        std::set<int> groups;
        for (int row = first; row < first + 8; ++row)
          groups.insert(swizzled(row, chunk, chunks) % 8);
        CHECK(groups.size() == 8);
      }
  }
}

TEST_CASE("bfloat16 rounds to the nearest, ties to even") {
  CHECK(to_bfloat16(1.0f) == 0x3f80);
  CHECK(round_to_bfloat16(1 + 1.0f / 256) == 1);
  CHECK(round_to_bfloat16(1 + 3.0f / 256) == 1 + 4.0f / 256);
  CHECK(std::isinf(round_to_bfloat16(std::numeric_limits<float>::max())));
  CHECK(std::isnan(round_to_bfloat16(std::numeric_limits<float>::quiet_NaN())));
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
  const Rungs& r = backend::simt::rungs();
  for (int size : {1, 3, 6, 13}) {
    const Conv d = {.n = 2, .c = 5, .h = size, .w = size + 1, .o = 6, .pad = 1};
    const Truth t(make_layer(d, random, true));
    Bench bench(t.l, Device::simt, r);
    CHECK(typical_error(bench.forward(r.winograd2, bench.winograd_space(2)),
                        t.l.y64) < 1e-6);
    CHECK(typical_error(bench.forward(r.winograd4, bench.winograd_space(4)),
                        t.l.y64) < 1e-5);
    CHECK(typical_error(bench.forward(r.winograd4_bf16, bench.winograd_space(4)),
                        t.l.y64) > 1e-3);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") { check_solutions(CHAINRULE_SOLUTIONS, 6); }
