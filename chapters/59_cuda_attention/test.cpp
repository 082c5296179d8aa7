// What chapter 59 promises, held against its program, its kernels and the arithmetic they share. Kernels run on the emulator;
// what needs a GPU is tested here only as far as it is arithmetic.
#include <cmath>
#include <set>
#include <vector>

#include "backend/gpu/fragments.hpp"
#include "bench.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "chapter_test.hpp"
#include "judged.hpp"
#include "plain_loop.hpp"
#include "rung_6_shape.hpp"
#include "schedule.hpp"
#include "traffic.hpp"
#include "weights_from_sums.hpp"
#if CHAINRULE_CUDA
#include "backend/cuda/stopwatch.hpp"
#endif

using namespace cr;
using namespace cr::test;

static const Rungs& rungs = attention::simt::rungs();

// ## The program
TEST_CASE("the quick run keeps its claims") {
  for (const char* seed : {"1", "11"}) {
    CAPTURE(seed);
    Run run = run_program({"--quick", "--seed", seed});
    INFO(run.out << run.err);
    REQUIRE(run.status == 0);
    CHECK(run.claim("flash-right").value < 1e-6);
    CHECK(run.claim("differences").value < 1e-6);
    CHECK(run.claim("composed").value < 1e-12);
    CHECK(run.claim("memory-flash").value == 2);
    CHECK(run.claim("memory-three").value > 3.9);
    CHECK(run.claim("error-flash").value < 0.005);
    CHECK(run.claim("same-place").value == 0);
    if (watched()) {
      CHECK(run.claim("flash-bytes").value == Approx(1).epsilon(1e-6));
      CHECK(run.claim("banks").value == 32);
      CHECK(run.claim("tensor-banks").value == 1);
    }
    CHECK(run.out.find("not measured yet") != std::string::npos);
    CHECK_FALSE(run.claim("rescale-long").made);
  }
}

TEST_CASE("the default run keeps its claims") {
  if (!all_sizes()) SKIP("the default size is judged by ./run test --all");
  Run run = run_program({});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
}

TEST_CASE("one thread gives the bits of two") {
  Run one = run_program({"--quick", "--threads", "1"}),
      two = run_program({"--quick", "--threads", "2"});
  check_same_values(one, two,
                    {"three-right", "one-right", "flash-right", "error-flash",
                     "error-back", "all-shapes-back"});
}

// ## The planted mistakes show
TEST_CASE("without rescaling one tile is right and two are wrong") {
  Run run = run_program({"--quick", "--break", "no-rescale"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("rescale-short").value < 1e-6);
  CHECK(run.claim("rescale-long").value > 0.1);
  CHECK_FALSE(run.claim("flash-right").made);
}

TEST_CASE("a missing barrier is a race, and the line is named") {
  if (!watched()) SKIP("this build's emulator does not watch");
  Run run = run_program({"--quick", "--break", "no-barrier"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("race-caught").value == 1);
  CHECK(run.claim("race-healthy").value == 0);
  CHECK(run.out.find("tile.cuh:") != std::string::npos);
}

TEST_CASE("a key too many changes the past") {
  Run run = run_program({"--quick", "--break", "looks-ahead"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(run.claim("ahead-healthy").value == 0);
  CHECK(run.claim("ahead-broken").value > 0.001);
}

// ## What the user can mend is said in one line
TEST_CASE("misuse") {
  check_refused(CHAINRULE_PROGRAM, {{"--length", "0"},
                                    {"--length", "many"},
                                    {"--length", "100"},
                                    {"--length", "100000"},
                                    {"--break", "no-rescale", "--length", "128"},
                                    {"--break", "nothing"},
                                    {"--resume"},
                                    {"--device", "cuda"}});
}

TEST_CASE("a layer that no kernel can take is refused, and why") {
  Generator random(1);
  auto refused = [&](const AttentionSizes& s, const std::string& why) {
    CAPTURE(why);
    try {
      make_layer(s, random);
      FAIL("it was taken");
    } catch (const ShapeError& error) {
      CHECK(std::string(error.what()).find(why) != std::string::npos);
    }
  };
  refused({1, 1, 1, 4, 4, 80}, "not 80");
  refused({1, 3, 2, 4, 4, 64}, "3 heads cannot share 2");
  refused({1, 1, 0, 4, 4, 64}, "cannot share 0");
  refused({1, 1, 1, 4, 0, 64}, "no keys");
  refused({70000, 1, 1, 4, 4, 64}, "70000");
}

TEST_CASE("a rung that cannot do it says so") {
  Generator random(1);
  Bench<BFloat16> narrow(make_layer({1, 1, 1, 4, 4, 32}, random)),
      bench(make_layer({1, 1, 1, 4, 4, 64}, random));
  CHECK_THROWS_WITH(bench.forward(rungs.wgmma), "attention: rung 6 needs a GPU");
  CHECK_THROWS_WITH(narrow.forward(rungs.tensor_cores),
                    "tensor cores: heads of 64, 128 or 256 numbers, not 32");
  CHECK_THROWS_AS(narrow.backward(rungs.tensor_cores_backward), ShapeError);
  ForwardCall<BFloat16, float> negative = {};
  negative.width = 64, negative.scale = -1;
  CHECK_THROWS_WITH(rungs.tensor_cores(negative),
                    "attention: the scale must be positive");
}

// ## The kernels
static std::vector<double> doubles(const Tensor& x) {
  const std::span<const double> s = x.span<double>();
  return {s.begin(), s.end()};
}

TEST_CASE("three rungs in float64 agree with the plain loop") {
  Generator random(5);
  for (AttentionSizes s : {AttentionSizes{1, 1, 1, 1, 1, 32},
                           {1, 2, 1, 5, 9, 32},
                           {2, 4, 2, 33, 34, 32},
                           {1, 1, 1, 31, 65, 64}})
    for (bool causal : {false, true}) {
      s.causal = causal;
      CAPTURE(s.heads, s.queries, s.keys, causal);
      const Layer l = make_layer(s, random);
      const Plain plain = plain_loop(s, doubles(l.q), doubles(l.k), doubles(l.v));
      Bench<double> bench(l);
      auto gap = [](const Tensor& x, const std::vector<double>& truth) {
        double worst = 0;
        for (size_t i = 0; i < truth.size(); ++i)
          worst = std::max(worst, std::abs(x.span<double>()[i] - truth[i]));
        return worst;
      };
      auto check_rung = [&](const Tensor& o) {
        CHECK(gap(o, plain.o) < 1e-12);
        CHECK(gap(bench.row_log(), plain.row_log) < 1e-12);
      };
      check_rung(bench.forward(rungs.three_passes_64));
      check_rung(bench.forward(rungs.one_pass_64));
      check_rung(bench.forward(rungs.flash_64));
    }
}

TEST_CASE("the way back in float64, for every shape") {
  Generator random(6);
  for (AttentionSizes s : {AttentionSizes{1, 1, 1, 1, 1, 32},
                           {1, 2, 1, 5, 40, 32},
                           {2, 4, 2, 33, 9, 32},
                           {1, 1, 1, 64, 65, 64}})
    for (bool causal : {false, true}) {
      s.causal = causal;
      CAPTURE(s.heads, s.queries, s.keys, causal);
      const Layer l = make_layer(s, random);
      Bench<double> bench(l);
      bench.forward(rungs.flash_64);
      const std::vector<Tensor> found = bench.backward(rungs.backward_64);
      CHECK(largest_gap(found[0], l.dq) < 1e-12);
      CHECK(largest_gap(found[1], l.dk) < 1e-12);
      CHECK(largest_gap(found[2], l.dv) < 1e-12);
    }
}

// What a GPU has to pass before it is timed.
static void check_all(const std::vector<Judged>& all) {
  for (const Judged& j : all) {
    CAPTURE(j.rung, j.error, j.allowed);
    CHECK(j.right());
  }
}

TEST_CASE("all rungs, every width, at lengths that fit no tile") {
  check_all(judged(rungs, Device::simt, {1, 33, 70}, {64}, 7));
  check_all(judged(rungs, Device::simt, {20}, {128, 256}, 7));
}

TEST_CASE("all rungs on the GPU") {
#if CHAINRULE_CUDA
  if (!backend::cuda::gpu_name().empty()) {
    const Rungs& cuda = attention::cuda::rungs();
    std::vector<int64_t> widths = {64, 128};
    if (!cuda.missing(6)) widths.push_back(256);
    check_all(judged(cuda, Device::cuda, {1, 100, 127, 129, 300}, widths, 7));
    return;
  }
#endif
  SKIP("no GPU here");
}

// In the causal case the second block of 64 keys is seen by no query: nothing is
// waited for but the block's own keys, and its gradients are zeros.
TEST_CASE("keys that no query sees get no gradient") {
  Generator random(7);
  const Layer l = make_layer({1, 1, 1, 40, 150, 64, true}, random);
  Bench<BFloat16> bench(l);
  bench.forward(rungs.tensor_cores);
  const std::vector<Tensor> found = bench.backward(rungs.tensor_cores_backward);
  for (size_t t : {1, 2}) {
    CHECK(relative_error(found[t], t == 1 ? l.dk : l.dv) < 0.01);
    CHECK(amax(abs(found[t].narrow(2, 64, 86))).item() == 0);
  }
}

TEST_CASE("a number that is forgotten is not right") {
  Judged j{"", 0, 1};
  const Tensor truth = tensor({1.0, 1.0}, DType::float64);
  j.add(relative_error(tensor({1.0, NAN}, DType::float64), truth));
  j.add(relative_error(truth, truth));
  CHECK_FALSE(j.right());
}

TEST_CASE("large scores do not overflow") {
  Generator random(8);
  Layer l = make_layer({1, 1, 1, 40, 70, 64}, random);
  l.q = 100.0 * l.q;
  const Tensor o = scaled_dot_product_attention(l.q, l.k, l.v);
  Bench<float> bench(l);
  CHECK(relative_error(bench.forward(rungs.three_passes), o) < 1e-3);
  CHECK(relative_error(bench.forward(rungs.one_pass), o) < 1e-3);
  CHECK(relative_error(bench.forward(rungs.flash), o) < 1e-3);
}

TEST_CASE("two runs give the same bits") {
  Generator random(9);
  const Layer l = make_layer({1, 2, 1, 50, 45, 64}, random);
  Bench<float> bench(l);
  const Tensor o = bench.forward(rungs.flash), again = bench.forward(rungs.flash);
  CHECK(largest_gap(o, again) == 0);
  const std::vector<Tensor> one = bench.backward(rungs.backward),
                            two = bench.backward(rungs.backward);
  for (size_t t = 0; t < 3; ++t) CHECK(largest_gap(one[t], two[t]) == 0);
}

// ## Which tiles: every small case
TEST_CASE("a tile is visited if and only if one of its pairs is seen") {
  int64_t wrong = 0;
  for (int64_t queries = 1; queries <= 17; ++queries)
    for (int64_t keys = 1; keys <= 17; ++keys)
      for (int64_t rows : {1, 2, 3, 4, 8})
        for (int64_t columns : {1, 2, 3, 4, 8})
          for (bool causal : {false, true}) {
            AttentionSizes s;
            s.queries = queries, s.keys = keys, s.width = 64, s.causal = causal;
            auto seen = [&](int64_t i, int64_t j) {
              return i < queries && j < keys && (!causal || j <= i);
            };
            for (int64_t i0 = 0; i0 < queries; i0 += rows)
              for (int64_t j0 = 0; j0 < keys; j0 += columns) {
                bool any = false, all = true;
                for (int64_t i = i0; i < i0 + rows; ++i)
                  for (int64_t j = j0; j < j0 + columns; ++j) {
                    any |= seen(i, j);
                    if (i < queries) all &= seen(i, j);
                  }
                const bool visited = j0 / columns < key_tiles(s, i0, rows, columns);
                wrong += visited != any;
                wrong += !all && !is_cut(s, i0, j0,
                                         columns);  // what must be masked is masked
                if (any) wrong += i0 / rows < first_query_tile(s, j0, rows);
              }
          }
  CHECK(wrong == 0);
}

TEST_CASE("every tile has one block, and the longest come first") {
  AttentionSizes s;
  s.queries = s.keys = 100, s.width = 64;
  for (bool causal : {false, true}) {
    s.causal = causal;
    std::set<int64_t> tiles_seen;
    int64_t before = 1 << 20;
    for (int64_t block = 0; block < 7; ++block) {
      const int64_t tile = longest_first(s, block, 7),
                    work = key_tiles(s, 16 * tile, 16, 16);
      tiles_seen.insert(tile);
      CHECK(work <= before);
      before = work;
    }
    CHECK(tiles_seen.size() == 7);
  }
}

TEST_CASE("heads find their keys") {
  for (int64_t kv_heads : {1, 2, 3})
    for (int64_t group : {1, 2, 4}) {
      AttentionSizes s;
      s.batch = 3, s.kv_heads = kv_heads, s.heads = kv_heads * group;
      for (int64_t b = 0; b < s.batch; ++b)
        for (int64_t h = 0; h < s.heads; ++h)
          CHECK(kv_head_of(s, b * s.heads + h) == b * kv_heads + h / group);
    }
}

// ## From one product to the next
TEST_CASE("weights become the left side where they lie") {
  namespace fragment = backend::fragment;
  for (int lane = 0; lane < 32; ++lane)
    for (int reg = 0; reg < 4; ++reg)
      for (int half = 0; half < 2; ++half) {
        const FromSums from = a_from_c(reg, half);
        fragment::Place place = fragment::c(lane, from.reg);
        place.column += 8 * from.tile;
        CHECK(place == fragment::a(lane, reg, half));
      }
}

// ## Hopper
//
// One block has at most 227 KB, and 65 536 registers.
TEST_CASE("rung 6 fits") {
  CHECK(Shape6<64>::kBytes <= 227 * 1024);
  CHECK(Shape6<128>::kBytes <= 227 * 1024);
  CHECK(Shape6<256>::kBytes <= 227 * 1024);
  CHECK(128 * (24 + 2 * 240) <= 65536);
}

// A producer and two consumers that run at random, each as far as its barriers let it. A tile may only be overwritten when
// both have used it, and everybody must reach the end.
TEST_CASE("the ring never overwrites a tile in use, and never hangs") {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Generator random(seed);
    const int64_t count = int64_t(seed % 9);
    struct Barrier {
      int arrivals, needed;
      uint32_t phase = 0;
      void arrive() {
        if (++arrivals == needed) arrivals = 0, phase ^= 1;
      }
      bool over(int p) const {
        return phase != uint32_t(p);
      }  // try_wait.parity: has the phase with this parity ended?
    };
    Barrier full[kPlaces] = {{0, 1}, {0, 1}}, empty[kPlaces] = {{0, 2}, {0, 2}};
    int64_t holds[kPlaces] = {-1, -1}, put = 0, used[2] = {0, 0};
    int steps = 0;
    for (; steps < 10000 && (put < count || used[0] < count || used[1] < count);
         ++steps) {
      const int who = int(random.uniform_double() * 3);
      if (who == 2) {
        if (put == count || !empty[place_of(put)].over(empty_phase(put))) continue;
        if (put >= kPlaces) {
          REQUIRE(used[0] > put - kPlaces);
          REQUIRE(used[1] > put - kPlaces);
        }
        holds[place_of(put)] = put;
        full[place_of(put)].arrive();
        ++put;
      } else if (used[who] < count &&
                 full[place_of(used[who])].over(full_phase(used[who]))) {
        REQUIRE(holds[place_of(used[who])] == used[who]);
        empty[place_of(used[who])].arrive();
        ++used[who];
      }
    }
    CHECK(steps < 10000);
  }
}

// ## Every exercise has a solution that holds
TEST_CASE("solutions") { check_solutions(CHAINRULE_SOLUTIONS, 7); }
