// # Coalescing and bank conflicts, as worked out on paper
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <cstdio>
#include <ctime>
#include <functional>

#include "backend/simt/counts.hpp"
#include "backend/simt/launch.hpp"
#include "catch.hpp"
#include "chainrule.hpp"
#include "counted.cuh"
#include "marked_line.hpp"

using namespace cr;
using namespace cr::backend::simt;

namespace {

bool counts_something() {
  if (count([] {}).checked) return true;
  cr::test::skip("this build's emulator has no watcher");
  return false;
}

LineCounts at(const Counts& counts, const std::string& name) {
  const int line = marked_line("counted.cu", "count", name);
  REQUIRE(line > 0);
  return counts.at("tests/simt/counted.cu", line);
}

}  // namespace

TEST_CASE("sectors: coalesced, strided, broadcast", "[simt]") {
  if (!counts_something()) return;
  const Counts counts = count([] { run_access_patterns(1); });
  INFO(to_string(counts));
  const std::pair<const char*, int> expected[] = {{"coalesced", 4}, {"strided", 32}, {"broadcast", 1},
                                                  {"shifted", 5},   {"reversed", 4}, {"four at once", 16},
                                                  {"permuted", 4}};
  for (auto [name, sectors] : expected) {
    CAPTURE(name);
    const LineCounts c = at(counts, name);
    CHECK(c.loads == 1);
    CHECK(c.load_sectors == sectors);
    CHECK(c.stores == 0);
    CHECK(c.divergent == 0);
  }
  CHECK(at(counts, "four at once").bytes == 512);
  CHECK(at(counts, "strided").ideal_sectors == 4);
  CHECK(at(counts, "stored").stores == 1);
  CHECK(at(counts, "stored").store_sectors == 4);
  CHECK(at(counts, "every second").store_sectors == 8);
  CHECK(at(counts, "half a warp").stores == 1);
  CHECK(at(counts, "half a warp").divergent == 1);
  CHECK(counts.total("access").loads == 7);
  CHECK(counts.total("another").loads == 0);
}

TEST_CASE("counting some of the blocks gives the same sums where blocks are alike", "[simt]") {
  if (!counts_something()) return;
  const LineCounts one = count([] { run_access_patterns(1); }).total();
  const LineCounts all = count([] { run_access_patterns(60); }).total();
  const LineCounts some = count([] { run_access_patterns(60); }, {.blocks = 7}).total();
  CHECK(all.load_sectors == 60 * one.load_sectors);
  CHECK(some.load_sectors == all.load_sectors);
  CHECK(some.stores == all.stores);
  const LineCounts twice = count([] {
                             run_access_patterns(1);
                             run_access_patterns(1);
                           }).total();
  CHECK(twice.bytes == 2 * one.bytes);
}

TEST_CASE("wavefronts: rows, columns, padding, wide words", "[simt]") {
  if (!counts_something()) return;
  const Counts counts = count(run_bank_patterns);
  INFO(to_string(counts));
  CHECK(at(counts, "row by row").shared_requests == 32);
  CHECK(at(counts, "row by row").wavefronts == 32);
  const std::pair<const char*, int> expected[] = {{"sixteen bytes", 4}, {"eight bytes", 2}, {"column", 32},
                                                  {"padded column", 1}, {"two rows", 2},    {"every second word", 1},
                                                  {"one word", 1}};
  for (auto [name, wavefronts] : expected) {
    CAPTURE(name);
    const LineCounts c = at(counts, name);
    CHECK(c.shared_requests == 1);
    CHECK(c.wavefronts == wavefronts);
    CHECK(c.loads + c.stores == 0);
  }
  CHECK(at(counts, "barrier").barriers == 1);
  CHECK(counts.total().barriers == 1);
}

TEST_CASE("a request is divergent if not all threads of its warp take part", "[simt]") {
  if (!counts_something()) return;
  const Counts counts = count(run_partial_warps);
  INFO(to_string(counts));
  CHECK(at(counts, "a warp and a quarter").stores == 2);
  CHECK(at(counts, "a warp and a quarter").store_sectors == 5);
  CHECK(at(counts, "a warp and a quarter").divergent == 0);
  CHECK(at(counts, "all take the branch").divergent == 0);
  CHECK(at(counts, "one lane").stores == 1);
  CHECK(at(counts, "one lane").divergent == 1);
}

TEST_CASE("what the library copies is read and written, and atomics on one word are served one by one", "[simt]") {
  if (!counts_something()) return;
  const Counts counts = count(run_copies_and_atomics);
  INFO(to_string(counts));
  CHECK(at(counts, "library copy").loads == 8);  // eight bytes at a time
  CHECK(at(counts, "library copy").stores == 8);
  CHECK(at(counts, "atomics on one word").wavefronts == 32);
  CHECK(at(counts, "atomics on many words").wavefronts == 1);
}

// 32 x 32 blocks. Every 64th would be the first of every second row.
TEST_CASE("the blocks that count come from all columns of the grid", "[simt]") {
  if (!counts_something()) return;
  const LineCounts all = count(run_uneven_columns).total();
  const LineCounts some = count(run_uneven_columns, {.blocks = 16}).total();
  CHECK(all.stores == 33 * 32);
  CHECK(some.stores >= 32 * 32);
  CHECK(some.stores < 36 * 32);
}

TEST_CASE("arithmetic intensity", "[simt]") {
  if (!counts_something()) return;
  const Counts counts = count([] { run_access_patterns(1); }, {.operations = 9600});
  const LineCounts all = counts.total();
  CHECK(counts.intensity() == Approx(300.0 / static_cast<double>(all.load_sectors + all.store_sectors)));
  CHECK(to_string(counts).find("9600 operations") != std::string::npos);
  CHECK(to_string(count(run_bank_patterns)).find("operations") == std::string::npos);
}

TEST_CASE("nothing is counted where nobody watches", "[simt]") {
  Unwatched fast;
  CHECK(!count(run_bank_patterns).checked);
}

// Per block and tile, each of 8 warps loads twice: two rows of 16 floats, 2 sectors each. Per step of the inner product
// it reads one word of A for each of its two rows, and a row of B: no conflicts.
TEST_CASE("matmul in tiles: the traffic of 64 x 64 x 64", "[simt]") {
  if (!counts_something()) return;
  Generator g(1);
  Tensor a = randn({64, 64}, g), b = randn({64, 64}, g);
  Tensor a_there = a.to(Device::simt), b_there = b.to(Device::simt), c = zeros({64, 64}, DType::float32, Device::simt);
  const Counts counts =
      count([&] { run_matmul(a_there.data<float>(), b_there.data<float>(), c.mutable_data<float>(), 64); });
  INFO(to_string(counts));
  const LineCounts sum = counts.total("matmul");
  const int64_t blocks = 16, tiles = 4, warps = 8;
  CHECK(sum.loads == blocks * tiles * warps * 2);
  CHECK(sum.load_sectors == 4 * sum.loads);
  CHECK(sum.stores == blocks * warps);
  CHECK(sum.shared_requests == blocks * tiles * warps * (2 + 16 * 2));
  CHECK(sum.wavefronts == sum.shared_requests);
  CHECK(sum.barriers == blocks * tiles * 2);
  CHECK(sum.divergent == 0);
  CHECK(amax(abs(c.to(Device::cpu) - matmul(a, b))).item<double>() < 1e-4);
}

// Counting watches all blocks but keeps the addresses of some.
TEST_CASE("matmul in tiles: 256 x 256 x 256, watched, in well under two seconds", "[simt]") {
  Generator g(1);
  Tensor a = randn({256, 256}, g), b = randn({256, 256}, g), expected = matmul(a, b);
  Tensor a_there = a.to(Device::simt), b_there = b.to(Device::simt),
         c = zeros({256, 256}, DType::float32, Device::simt);
  auto run = [&] { run_matmul(a_there.data<float>(), b_there.data<float>(), c.mutable_data<float>(), 256); };
  auto seconds = [&](const std::function<void()>& f) {
    c.fill_(0);
    const std::clock_t start = std::clock();  // this process's own time, however busy the machine is
    f();
    const double time = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    REQUIRE(amax(abs(c.to(Device::cpu) - expected)).item<double>() < 2e-4);
    return time;
  };
  const double watched = seconds(run), counted = seconds([&] { count(run, {.blocks = 16}); });
  const double unwatched = seconds([&] {
    Unwatched fast;
    run();
  });
  std::printf("256 x 256 x 256: %.2f s watched, %.2f s counted, %.2f s unwatched\n", watched, counted, unwatched);
  CHECK(watched < 2);
  CHECK(counted < 3);
}
#endif
