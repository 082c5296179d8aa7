// What chapter 56 promises, held against its program and its headers. What is counted has to come out exactly; times are
// judged by the program itself at its default size, with bounds that hold on a machine that does other things as well.
#include <stdlib.h>

#include <cmath>
#include <limits>

#include "cache.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "chapter_test.hpp"
#include "rung_8_threads.hpp"
#include "rung_9_bf16.hpp"

using namespace cr;
using namespace cr::test;

// ## What is counted
TEST_CASE("the quick run keeps its claims") {
  for (const char* seed : {"1", "2", "11"}) {
    CAPTURE(seed);
    Run run = run_program({"--quick", "--seed", seed});
    INFO(run.out << run.err);
    REQUIRE(run.status == 0);
    CHECK(run.claim("right").judged);
    CHECK(run.claim("right").value < 0.5);
    CHECK(run.claim("right").value > 1e-4);
    CHECK(run.claim("skinny-right").value < 0.5);
    CHECK(run.claim("order-misses").value == Approx(17).epsilon(0.01));
    CHECK(run.claim("block-traffic").value == 1);
    CHECK(run.claim("block-cliff").value > 3);
    CHECK(run.claim("trap-misses").value == Approx(16).epsilon(0.01));
    CHECK(run.claim("fusion-misses").value == Approx(8.0 / 3).epsilon(1e-12));
    CHECK(run.claim("same-bits").value == 0);
    CHECK(run.claim("fusion-right").value == 0);
    CHECK(run.claim("conv-right").value < 1e-5);
    CHECK_FALSE(run.claim("stack-slow").made);
  }
}

TEST_CASE("the default run keeps its claims") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  Run run = run_program({});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
}

// ## On other machines
static Run run_with_isa(const std::string& isa,
                        std::vector<std::string> arguments) {
  setenv("CHAINRULE_ISA", isa.c_str(), 1);
  Run run = run_program(std::move(arguments));
  unsetenv("CHAINRULE_ISA");
  return run;
}

TEST_CASE("without AVX-512, and without AVX2, the claims hold") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  for (std::string isa : {"base", "avx2"}) {
    if (isa == "avx2" && !has(Isa::avx2)) continue;
    Run run = run_with_isa(isa, {});
    CAPTURE(isa);
    INFO(run.out << run.err);
    CHECK(run.status == 0);
  }
}

TEST_CASE("without AVX-512, and without AVX2, the story is told to its end") {
  for (std::string isa : {"base", "avx2"}) {
    if (isa == "avx2" && !has(Isa::avx2)) continue;
    Run run = run_with_isa(isa, {"--quick"});
    CAPTURE(isa);
    INFO(run.out << run.err);
    CHECK(run.status == 0);
    CHECK(run.out.find("not on this machine") != std::string::npos);
    CHECK(run.claim("tile").made == (isa == "avx2"));
    CHECK_FALSE(run.claim("avx512").made);
    CHECK_FALSE(run.claim("bf16-right").made);
    CHECK(run.claim("right").passed);
  }
}

// ## The planted mistakes show
TEST_CASE("a variable height puts the sums on the stack") {
  if (!has(Isa::avx2)) SKIP("this machine has no AVX2");
  Run run = run_program({"--quick", "--break", "stack-array"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("stack-slow").judged);
  CHECK(run.claim("stack-slow").value > 1.3);
  CHECK(run.claim("stack-right").passed);
  CHECK_FALSE(run.claim("ladder").made);
}

TEST_CASE("a cut by threads gives other bits for other numbers of threads") {
  Run run = run_program({"--quick", "--break", "cut-by-threads"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("cut-unlike").value > 0.2);
  CHECK(run.claim("cut-right").passed);
}

// ## The same numbers again
TEST_CASE("one thread gives the bits of two") {
  Run one = run_program({"--quick", "--threads", "1"}),
      two = run_program({"--quick", "--threads", "2"});
  check_same_values(one, two,
                    {"right", "skinny-right", "conv-right", "order-misses",
                     "block-traffic", "trap-misses", "same-bits"});
}

// ## What the user can mend is said in one line
TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--n", "0"},
                                    {"--n", "many"},
                                    {"--n", "-1"},
                                    {"--n", "200"},
                                    {"--n", "1024"},
                                    {"--quick", "--n", "128"},
                                    {"--break", "nothing"},
                                    {"--resume"},
                                    {"--device", "cuda"}});
  Run run = run_with_isa("nonsense", {"--quick"});
  CHECK(run.status == 2);
  CHECK(run.err.find("CHAINRULE_ISA=nonsense") != std::string::npos);
  CHECK(run_with_isa("nonsense", {"--help"}).status == 0);
}

// ## The rungs, at sizes that have something left over
//
// Integers as numbers: then every order of additions gives the same, and nothing may differ.
static Tensor product_by(void (*rung)(const Product&), const Tensor& a,
                         const Tensor& b) {
  Tensor c = full({a.size(0), b.size(1)}, 77);
  rung(product_of(a, b, c));
  return c;
}

TEST_CASE("every rung computes the product, whatever the size") {
  std::vector<void (*)(const Product&)> rungs = {three_loops,  loop_order, vectors,
                                                 cache_blocks, packing,    threads};
  if (has(Isa::avx2)) rungs.push_back(sums_in_memory);
  if (has(Isa::avx2)) rungs.push_back(register_tile);
  if (has(Isa::avx512)) rungs.push_back(avx512);
  if (has_tiles()) rungs.push_back(bf16_tiles);
  Generator random(3);
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                         {1, 70, 3},
                         {7, 1, 300},
                         {6, 16, 256},
                         {7, 17, 257},
                         {13, 31, 2},
                         {15, 33, 513},
                         {169, 97, 31},
                         {29, 300, 5},
                         {5, 5, 0},
                         {0, 5, 5},
                         {5, 0, 5}}) {
    Tensor a = (randint(0, 9, {m, k}, random) - 4).to(DType::float32),
           b = (randint(0, 9, {k, n}, random) - 4).to(DType::float32);
    Tensor c = matmul(a, b);
    for (size_t r = 0; r < rungs.size(); ++r) {
      CAPTURE(m, n, k, r);
      CHECK(sum((product_by(rungs[r], a, b) != c).to(DType::float32)).item() == 0);
    }
  }
}

TEST_CASE("where the sums are kept changes no bit") {
  if (!has(Isa::avx2)) SKIP("this machine has no AVX2");
  Generator random(3);
  Tensor a = randn({50, 300}, random), b = randn({300, 75}, random);
  Tensor gap = product_by(sums_in_memory, a, b) != product_by(register_tile, a, b);
  CHECK(sum(gap.to(DType::float32)).item() == 0);
}

TEST_CASE("without packing and without blocks the product is the same") {
  Generator random(3);
  Tensor a = randn({50, 300}, random), b = randn({300, 75}, random);
  Tensor packed =
      product_by([](const Product& g) { five_loops(g, best_kernel()); }, a, b);
  Tensor bare = product_by(
      [](const Product& g) { five_loops(g, best_kernel(), {.pack_b = false}); }, a,
      b);
  CHECK(sum((packed != bare).to(DType::float32)).item() == 0);
  Tensor one_block = product_by(
      [](const Product& g) {
        five_loops(g, best_kernel(), {1000, 1000, 1000, false});
      },
      a, b);
  CHECK(amax(abs(packed - one_block)).item() < 1e-4);
}

// ## The cache on paper
TEST_CASE("the line used longest ago goes") {
  PaperCache cache(1, 2, 4);
  for (int64_t address : {0, 3, 4, 1, 8, 2, 5})
    cache.touch(address);  // lines 0 0 1 0 2 0 1
  CHECK(cache.misses == 4);
}

TEST_CASE("lines of one set drive each other out, others do not") {
  PaperCache same(4, 2, 64), other(4, 2, 64);
  for (int round = 0; round < 10; ++round)
    for (int64_t line : {0, 1, 2}) {
      same.touch(line * 4 * 64);
      other.touch(line * 64);
    }
  CHECK(same.misses == 30);
  CHECK(other.misses == 3);
}

// ## bfloat16
TEST_CASE("bfloat16 rounds to the nearest, ties to even") {
  CHECK(to_bfloat16(1.0f) == 0x3f80);
  CHECK(to_bfloat16(-2.5f) == 0xc020);
  CHECK(from_bfloat16(to_bfloat16(1 + 1.0f / 256)) == 1);  // half way, down to even
  CHECK(from_bfloat16(to_bfloat16(1 + 3.0f / 256)) ==
        1 + 4.0f / 256);  // half way, up to even
  CHECK(std::isinf(from_bfloat16(to_bfloat16(std::numeric_limits<float>::max()))));
  Generator random(3);
  for (int i = 0; i < 1000; ++i) {
    const float x = float(random.normal_double());
    CHECK(std::abs(from_bfloat16(to_bfloat16(x)) - x) <= std::abs(x) / 256);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") { check_solutions(CHAINRULE_SOLUTIONS, 6); }
