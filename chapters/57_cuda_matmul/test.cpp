// What chapter 57 promises: the kernels against float64 at awkward shapes, layouts, schedules and the ring to the last
// number. What is counted is judged by the program itself; what the library lends is tested with it (tests/simt).
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <set>

#include "catch.hpp"
#include "chapter_test.hpp"
#include "layouts.hpp"
#include "on_paper.hpp"
#include "tensor/error.hpp"
#include "workbench.hpp"

using namespace cr::test;

static bool counts() {
  return simt::count([] {}).checked;
}

// ## The story
TEST_CASE("the quick run keeps its claims") {
  if (!counts()) SKIP("this build's emulator does not count");
  for (const char* seed : {"1", "5"}) {
    CAPTURE(seed);
    Run run = run_program({"--quick", "--seed", seed});
    INFO(run.out << run.err);
    REQUIRE(run.status == 0);
    CHECK(run.claim("naive-sectors").value == 33);
    CHECK(run.claim("coalesced-sectors").value == 5);
    CHECK(run.claim("tile-bytes").value == 0.25);
    CHECK(run.claim("barriers").value == 4);
    CHECK(run.claim("right").value < 0.5);
    CHECK(run.claim("right").value > 1e-4);
    CHECK(run.out.find("not measured yet") != std::string::npos);
    CHECK_FALSE(run.claim("race-caught").made);
  }
}

TEST_CASE("the default run keeps its claims") {
  if (!counts()) SKIP("this build's emulator does not count");
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  Run run = run_program({});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
}

TEST_CASE("a barrier for the warp only is a race, and the message says where") {
  if (!counts()) SKIP("this build's emulator does not watch");
  Run run = run_program({"--quick", "--break", "missing-barrier"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("race-caught").value == 1);
  CHECK(run.out.find("__shared__ b") != std::string::npos);
  CHECK(run.out.find("rung_3_shared.cuh") != std::string::npos);
}

TEST_CASE("short rows are right and slow") {
  if (!counts()) SKIP("this build's emulator does not count");
  Run run = run_program({"--quick", "--break", "short-rows"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("short-right").passed);
  CHECK(run.claim("short-slow").value > 2.8);
}

TEST_CASE("one thread gives the bits of two") {
  if (!counts()) SKIP("this build's emulator does not count");
  Run one = run_program({"--quick", "--threads", "1"}),
      two = run_program({"--quick", "--threads", "2"});
  check_same_values(one, two, {"right", "bf16-right", "thin-right", "traffic"});
}

TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--n", "0"},
                                    {"--n", "many"},
                                    {"--n", "100"},
                                    {"--n", "4096"},
                                    {"--break", "nothing"},
                                    {"--resume"}});
}

TEST_CASE("Ctrl-C ends a long kernel between two blocks") {
  if (!counts()) SKIP("this build's emulator does not count");
  Running running(CHAINRULE_PROGRAM, {"--n", "2048"});
  REQUIRE(running.wait_for("Coalesced"));
  const auto begin = std::chrono::steady_clock::now();
  running.send(SIGINT);
  CHECK(running.finish().status == 128 + SIGINT);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
}

// ## Every rung, at shapes with something left over
//
// Small whole numbers: then every order of additions gives the same, TF32 and bfloat16 hold them exactly, and nothing
// may differ.
static Tensor whole(const Shape& shape, Generator& random) {
  return (randint(0, 9, shape, random) - 4).to(DType::float32);
}

TEST_CASE("every rung computes the product, whatever the size") {
  const Kernels kernels = backend::simt::kernels();
  Generator random(3);
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                         {1, 70, 3},
                         {7, 1, 30},
                         {33, 129, 17},
                         {130, 5, 40},
                         {4, 132, 8},
                         {65, 64, 1}}) {
    const Tensor a = whole({m, k}, random), b = whole({k, n}, random),
                 c = full({m, n}, 77), room = full({3, m, n}, 77);
    const Tensor right = matmul(a, b);
    const Product<float> g{
        m, n, k, a.data<float>(), b.data<float>(), c.mutable_data<float>()};
    const simt::Memory of_a(g.a, size_t(m * k) * 4), of_b(g.b, size_t(k * n) * 4),
        of_c(g.c, size_t(m * n) * 4),
        of_room(room.mutable_data<float>(), size_t(room.numel()) * 4);
    for (const Rung<float>& rung : kernels.ladder) {
      CAPTURE(m, n, k, rung.name);
      c.fill_(77);
      rung.multiply(g);
      CHECK(amax(abs(c - right)).item() == 0);
    }
    for (int slices : {1, 2, 3})
      for (auto thin : {kernels.split_k, kernels.one_row, kernels.eight_rows}) {
        CAPTURE(m, n, k, slices);
        c.fill_(77);
        thin(g, slices, room.mutable_data<float>());
        CHECK(amax(abs(c - right)).item() == 0);
      }
  }
}

TEST_CASE("the bfloat16 rung computes the product for k and n in eights") {
  const Kernels kernels = backend::simt::kernels();
  Generator random(3);
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 8, 8},
                         {37, 56, 72},
                         {130, 136, 64},
                         {3, 24, 200}}) {
    CAPTURE(m, n, k);
    const Tensor a = whole({m, k}, random).to(DType::bfloat16),
                 b = whole({n, k}, random).to(DType::bfloat16),
                 c = full({m, n}, NAN).to(DType::bfloat16);
    const Tensor right = matmul(a.to(DType::float32), b.to(DType::float32).t());
    const Product<BFloat16> g{m,
                              n,
                              k,
                              a.data<BFloat16>(),
                              b.data<BFloat16>(),
                              c.mutable_data<BFloat16>()};
    const simt::Memory one(g.a, size_t(m * k) * 2), two(g.b, size_t(n * k) * 2),
        three(g.c, size_t(m * n) * 2);
    kernels.halves[0].multiply(g);
    CHECK(amax(abs(c.to(DType::float32) -
                   right.to(DType::bfloat16).to(DType::float32)))
              .item() == 0);
  }
}

// An error that cannot be seen is none: the yardsticks notice one wrong number, and one that is missing.
TEST_CASE("a wrong number is noticed") {
  Generator random(3);
  const Tensor a = randn({8, 32}, random), b = randn({32, 8}, random);
  const Tensor right = matmul(a, b), wrong = right.clone(), missing = right.clone();
  wrong.mutable_data<float>()[5] += 1e-3f;
  missing.mutable_data<float>()[5] = NAN;
  CHECK(float_error(a, b, right, 0) < 1);
  CHECK(float_error(a, b, wrong, 0) > 1);
  CHECK(float_error(a, b, missing, 0) > 1);
  const Tensor x = a.to(DType::bfloat16),
               y = b.t().contiguous().to(DType::bfloat16);
  const Tensor near_it = matmul(x.to(DType::float32), y.to(DType::float32).t());
  const Tensor off = near_it.clone();
  off.mutable_data<float>()[5] += 0.2f;
  CHECK(half_error(x, y, near_it.to(DType::bfloat16)) < 1);
  CHECK(half_error(x, y, off.to(DType::bfloat16)) > 1);
}

// ## Layouts and schedules
TEST_CASE("layouts cover the tile once, and warps have their own rectangle") {
  auto check = [](auto layout) {
    using L = decltype(layout);
    std::set<std::pair<int, int>> seen;
    for (int t = 0; t < kThreads; ++t)
      for (int r = 0; r < 8; ++r)
        for (int c = 0; c < 8; ++c)
          seen.insert({L::row(t, r / 4) + r % 4, L::column(t, c / 4) + c % 4});
    return std::ssize(seen) == kSide * kSide && seen.begin()->first == 0 &&
           seen.rbegin()->first == kSide - 1;
  };
  CHECK(check(Neighbours{}));
  CHECK(check(Spread{}));
  CHECK(check(Warps{}));
  for (int w = 0; w < 8; ++w) {
    CHECK(wavefronts_of_a_step<Neighbours>(w) == 24);
    CHECK(wavefronts_of_a_step<Spread>(w) == 16);
    CHECK(wavefronts_of_a_step<Spread>(w, true) == 12);
    CHECK(wavefronts_of_a_step<Warps>(w) == 16);
    CHECK(wavefronts_of_a_step<Warps>(w, true) == 8);
  }
}

TEST_CASE("tma and wgmma on paper give the product") {
  Generator random(3);
  for (int columns : {8, 64, 128, 256})
    CHECK(paper_wgmma_gap(columns, random) == 0);
}

// As rungs 12 and 13 take them: 32 columns from j on, block b of 8 of them, two neighbours.
TEST_CASE("a warpgroup's sums lie in rows of 32 columns as a warp's do") {
  using backend::fragment::Place;
  using backend::fragment::warpgroup_c;
  for (int t = 0; t < 128; ++t)
    for (int j = 0; j < 256; j += 32)
      for (int b = 0; b < 4; ++b)
        for (int r = 0; r < 4; ++r)
          CHECK_FALSE(warpgroup_c(t, j / 2 + 4 * b + r) !=
                      Place{warpgroup_c(t, r).row, j + 8 * b + t % 4 * 2 + r % 2});
}

// The multiplier on paper believes the descriptor: without its swizzle, or a group of eight rows elsewhere, it finds others.
TEST_CASE("the multiplier on paper notices a wrong descriptor") {
  Generator random(3);
  const PaperTile tile(64, random);
  const uint64_t d = backend::hopper::rowwise(0, 64, 0, 16);
  for (uint64_t other : {d & ~(uint64_t{3} << 62), d ^ uint64_t{1} << 32, d + 1}) {
    int right = 0, wrong = 0;
    for (int row = 8; row < 32; ++row)
      for (int p = 0; p < 16; ++p) {
        right += tile.found(d, row, p) == tile.plain[size_t(row * 64 + 16 + p)];
        wrong += tile.found(other, row, p) != tile.plain[size_t(row * 64 + 16 + p)];
      }
    CAPTURE(other);
    CHECK(right == 24 * 16);
    CHECK(wrong > 24 * 8);
  }
}

TEST_CASE("every tile has its turn, once") {
  for (int64_t rows : {1, 2, 7, 8, 9, 32})
    for (int64_t columns : {1, 5, 16, 33})
      for (int64_t band : {1, 2, 8, 40}) {
        const Schedule schedule{rows, columns, band};
        std::set<std::pair<int, int>> seen;
        for (int64_t number = 0; number < schedule.count(); ++number) {
          const backend::fragment::Place at = schedule.at(number);
          CHECK_FALSE((at.row < 0 || at.row >= rows || at.column < 0 ||
                       at.column >= columns));
          seen.insert({at.row, at.column});
        }
        CAPTURE(rows, columns, band);
        CHECK(std::ssize(seen) == rows * columns);
      }
  CHECK(panels({16, 16, 1}, 0, 66) == 21);
  CHECK(panels({16, 16, 8}, 0, 66) == 17);
}

TEST_CASE("the ring never overwrites and never stops, unless nobody looks back") {
  Generator random(3);
  int careless = 0;
  for (int run = 0; run < 100; ++run) {
    for (int stages : {2, 3, 4, 7})
      CHECK(ring_violations(random, {.steps = 40, .stages = stages}) == 0);
    careless += ring_violations(random, {.wait_for_empty = false}) > 0;
  }
  CHECK(careless == 100);
  // Who holds on to a stage until it has the next one needs a next one.
  CHECK(ring_violations(random, {.stages = 1}) > 0);
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") {
  if (!counts()) SKIP("this build's emulator does not count");
  check_solutions(CHAINRULE_SOLUTIONS, 6);
}
