// What chapter 57 promises: the kernels against float64 at awkward shapes, and every picture of the manual that was turned
// into arithmetic, to the last number. What is counted is judged by the program itself.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "catch.hpp"
#include "chapter_test.hpp"
#include "fragments.hpp"
#include "hopper.hpp"
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

TEST_CASE("a missing barrier is a race, and the message says where") {
  if (!counts()) SKIP("this build's emulator does not watch");
  Run run = run_program({"--quick", "--break", "missing-barrier"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("race-caught").value == 1);
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
  for (auto [m, n, k] :
       {std::array<int64_t, 3>{1, 8, 8}, {37, 56, 72}, {130, 136, 64}}) {
    CAPTURE(m, n, k);
    const Tensor a = whole({m, k}, random), b = whole({n, k}, random);
    const Tensor right = matmul(a, b.t());
    std::vector<Bf16> of_a, of_b, c(size_t(m * n), Bf16(0xffff));
    for (int64_t i = 0; i < m * k; ++i)
      of_a.push_back(to_bfloat16(a.data<float>()[i]));
    for (int64_t i = 0; i < n * k; ++i)
      of_b.push_back(to_bfloat16(b.data<float>()[i]));
    const simt::Memory one(of_a), two(of_b), three(c);
    kernels.halves[0].multiply({m, n, k, of_a.data(), of_b.data(), c.data()});
    int64_t wrong = 0;
    for (int64_t i = 0; i < m * n; ++i)
      wrong += c[size_t(i)] != to_bfloat16(right.contiguous().data<float>()[i]);
    CHECK(wrong == 0);
  }
}

// ## Who holds what
//
// A picture is right if it covers its matrix exactly once.
template <class At>
static bool covers(int lanes, int registers, int rows, int columns, const At& at) {
  std::set<std::pair<int, int>> seen;
  for (int lane = 0; lane < lanes; ++lane)
    for (int r = 0; r < registers; ++r) {
      const Place p = at(lane, r);
      if (p.row < 0 || p.row >= rows || p.column < 0 || p.column >= columns)
        return false;
      seen.insert({p.row, p.column});
    }
  return std::ssize(seen) == rows * columns && lanes * registers == rows * columns;
}

TEST_CASE("fragments cover their matrices once") {
  CHECK(covers(32, 8, 16, 16,
               [](int l, int r) { return bf16_mma::a(l, r / 2, r % 2); }));
  CHECK(covers(32, 4, 16, 8,
               [](int l, int r) { return bf16_mma::b(l, r / 2, r % 2); }));
  CHECK(covers(32, 4, 16, 8, [](int l, int r) { return tf32_mma::a(l, r); }));
  CHECK(covers(32, 2, 8, 8, [](int l, int r) { return tf32_mma::b(l, r); }));
  CHECK(covers(32, 4, 16, 8, mma_c));
  for (int columns = 8; columns <= 256; columns += 8)
    CHECK(covers(128, columns / 2, 64, columns, wgmma_c));
  // Rows of `mma`'s C lie in `wgmma`'s as in four of them, one below the other.
  for (int t = 0; t < 128; ++t)
    for (int r = 0; r < 4; ++r)
      CHECK(wgmma_c(t, r) ==
            Place{mma_c(t % 32, r).row + t / 32 * 16, mma_c(t % 32, r).column});
}

TEST_CASE("layouts cover the tile once, and warps have their own rectangle") {
  auto check = [](auto layout) {
    using L = decltype(layout);
    return covers(kThreads, 64, kSide, kSide, [](int t, int r) {
      return Place{L::row(t, r / 32) + r / 8 % 4, L::column(t, r / 4 % 2) + r % 4};
    });
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

TEST_CASE(
    "the swizzle is a permutation without conflicts, along rows and down columns") {
  std::set<int> places;
  for (int byte = 0; byte < 128 * 128; ++byte) {
    CHECK_FALSE(swizzle_128(byte) / 128 != byte / 128);
    CHECK_FALSE(swizzle_128(swizzle_128(byte)) != byte);
    CHECK_FALSE(swizzle_128(byte) % 16 != byte % 16);
    places.insert(swizzle_128(byte));
  }
  CHECK(places.size() == 128 * 128);
  for (int first = 0; first < 128; first += 8)
    for (int chunk = 0; chunk < 8; ++chunk) {
      std::vector<int> words;
      for (int row = first; row < first + 8; ++row)
        for (int e = 0; e < 4; ++e)
          words.push_back(swizzle_128(row * 128 + chunk * 16) / 4 + e);
      CHECK(wavefronts(words) == 1);
    }
}

// ## Hopper's arithmetic
TEST_CASE("a descriptor's fields") {
  const uint64_t d = wgmma_descriptor(0x12400);
  CHECK((d & 0x3fff) == 0x1240);
  CHECK((d >> 32 & 0x3fff) == 64);
  CHECK(d >> 62 == 1);
  CHECK((d >> 49 & 7) == 0);
  // The last byte of 227 KB can be named, and 32 bytes further is two units further.
  CHECK((wgmma_descriptor(227 * 1024) & 0x3fff) == 227 * 64);
  CHECK(wgmma_descriptor(0x12400 + 32) - d == 2);
}

TEST_CASE("tma and wgmma on paper give the product") {
  Generator random(3);
  for (int columns : {8, 64, 128, 256})
    CHECK(paper_wgmma_gap(columns, random) == 0);
}

TEST_CASE("every tile has its turn, once") {
  for (int64_t rows : {1, 2, 7, 8, 9, 32})
    for (int64_t columns : {1, 5, 16, 33})
      for (int64_t band : {1, 2, 8, 40}) {
        const Schedule schedule{rows, columns, band};
        std::set<std::pair<int, int>> seen;
        for (int64_t number = 0; number < schedule.count(); ++number) {
          const Place at = schedule.at(number);
          CHECK_FALSE((at.row < 0 || at.row >= rows || at.column < 0 ||
                       at.column >= columns));
          seen.insert({at.row, at.column});
        }
        CAPTURE(rows, columns, band);
        CHECK(std::ssize(seen) == rows * columns);
      }
  CHECK(panels({32, 32, 1}, 0, 132) == 37);
  CHECK(panels({32, 32, 8}, 0, 132) == 25);
}

TEST_CASE("the ring never overwrites and never stops, unless nobody looks back") {
  Generator random(3);
  int careless = 0;
  for (int run = 0; run < 100; ++run) {
    for (int stages : {1, 2, 3, 4, 7})
      CHECK(ring_violations(random, {.steps = 40, .stages = stages}) == 0);
    careless += ring_violations(random, {.wait_for_empty = false}) > 0;
  }
  CHECK(careless == 100);
}

// ## Rounding
TEST_CASE("TF32 and bfloat16 round to the nearest") {
  CHECK(to_tf32(1 + 1.0f / 2048) == 1 + 1.0f / 1024);
  CHECK(to_tf32(1 + 0.9f / 2048) == 1);
  CHECK(to_tf32(-1 - 1.0f / 2048) == -1 - 1.0f / 1024);
  Generator random(3);
  for (int i = 0; i < 1000; ++i) {
    const float x = float(random.normal_double());
    CHECK(std::abs(to_tf32(x) - x) <= std::abs(x) * kTf32Error);
    CHECK(std::abs(from_bfloat16(to_bfloat16(x)) - x) <= std::abs(x) * kBf16Error);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") {
  if (!counts()) SKIP("this build's emulator does not count");
  check_solutions(CHAINRULE_SOLUTIONS, 6);
}
