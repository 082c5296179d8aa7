// # CUDA's words mean on the emulator what they mean on a GPU
#include "backend/backend.hpp"
#include "backend/stop.hpp"

#if CHAINRULE_SIMT
#include <cmath>
#include <limits>

#include "catch.hpp"
#include "words.cuh"

TEST_CASE("shuffles and shared memory add up a block", "[simt]") {
  std::vector<float> x(512);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  CHECK(words::block_sums(x) == std::vector<float>{255 * 128, 255 * 128 + 256 * 256});
}

TEST_CASE("a kernel can be stopped between two blocks, and the emulator goes on", "[simt]") {
  struct Enough {};
  static int blocks;
  const std::vector<float> x(512, 1.0f);
  blocks = 0;
  cr::backend::stop_here = [] {
    if (++blocks == 2) throw Enough{};
  };
  CHECK_THROWS_AS(words::block_sums(x), Enough);
  cr::backend::stop_here = nullptr;
  CHECK(blocks == 2);
  CHECK(words::block_sums(x) == std::vector<float>{256, 256});
}

TEST_CASE("votes, reductions, shuffles and atomics", "[simt]") {
  auto seen = words::lane_report();
  for (unsigned t = 0; t < 96; ++t) {
    CAPTURE(t);
    unsigned lane = t % 32;
    const unsigned* mine = &seen[8 * t];
    CHECK(mine[0] == 0x49249249u);
    CHECK(mine[1] == 1);
    CHECK(mine[2] == 31 * 16);
    CHECK(mine[3] == t - lane + (lane ^ 5));
    CHECK(mine[4] == (lane % 8 < 3 ? t : t - 3));
    CHECK(mine[5] == 20);
    CHECK(mine[6] == (lane < 10 ? 0x3ffu : 0xfffffc00u));
    CHECK(mine[7] == (t == 0 ? 96 + 95 : 1));
  }
}

TEST_CASE("shuffles beyond the edge, counters that go round", "[simt]") {
  auto seen = words::more_of_them();
  for (unsigned t = 0; t < 32; ++t) {
    CAPTURE(t);
    const unsigned* mine = &seen[8 * t];
    CHECK(mine[0] == (t % 3 == 0 ? 0x49249249u : t % 3 == 1 ? 0x92492492u : 0x24924924u));
    CHECK(mine[1] == t);
    CHECK(mine[2] == t);
    CHECK(mine[3] == 31 - t);
    CHECK(mine[4] == t % 5);
    CHECK(mine[5] == (5 - t % 5) % 5);
    CHECK(mine[6] == (1u << t) - 1);
    CHECK(mine[7] == 3);
  }
}

TEST_CASE("tiles of eight threads", "[simt]") {
  std::vector<float> x(64), expected(64);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  for (size_t i = 0; i < x.size(); ++i) expected[i] = static_cast<float>(i / 8 * 64 + 28 + 1000 * (i / 8));
  CHECK(words::groups(x) == expected);
}

TEST_CASE("four floats at once, and dynamic shared memory", "[simt]") {
  std::vector<float> x(12 * 20), expected(12 * 20);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  for (size_t r = 0; r < 12; ++r)
    for (size_t c = 0; c < 20; ++c) expected[c * 12 + r] = x[r * 20 + c];
  CHECK(words::transposed(x, 12, 20) == expected);
}

// Whole numbers of up to 8 binary digits, so that products and sums are exact. Number i of a matrix of so many.
static std::vector<float> whole_numbers(size_t count, unsigned seed) {
  std::vector<float> x;
  for (size_t i = 0; i < count; ++i) x.push_back(static_cast<float>((i * 37 + seed) % 129) - 64);
  return x;
}

TEST_CASE("fragments that ldmatrix fetched give the product", "[simt]") {
  const std::vector<float> a = whole_numbers(256, 5), b = whole_numbers(256, 77);
  for (bool turned : {false, true}) {
    std::vector<float> right;
    for (size_t i = 0; i < 16; ++i) {
      for (size_t j = 0; j < 16; ++j) {
        float sum = 0;
        for (size_t k = 0; k < 16; ++k)
          sum += (turned ? a[k * 16 + i] : a[i * 16 + k]) * (turned ? b[k * 16 + j] : b[j * 16 + k]);
        right.push_back(sum);
      }
    }
    CAPTURE(turned);
    CHECK(words::product_bf16(a, b, turned) == right);
  }
}

TEST_CASE("TF32 fragments give the product", "[simt]") {
  const std::vector<float> a = whole_numbers(128, 5), b = whole_numbers(64, 77);
  std::vector<float> right;
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      float sum = 0;
      for (size_t k = 0; k < 8; ++k) sum += a[i * 8 + k] * b[k * 8 + j];
      right.push_back(sum);
    }
  }
  CHECK(words::product_tf32(a, b) == right);
}

TEST_CASE("copies arrive whole, or as zeros", "[simt]") {
  const std::vector<float> x = whole_numbers(128, 1);
  std::vector<float> expected = x;
  for (size_t i = 12; i < 16; ++i) expected[i] = 0;
  expected.insert(expected.end(), x.begin(), x.begin() + 64);
  expected[128 + 10] = expected[128 + 11] = 0;
  expected.resize(288);
  CHECK(words::copied(x) == expected);
}

TEST_CASE("bfloat16 and TF32 round to the nearest", "[simt]") {
  CHECK(words::rounded_bf16(1 + 1.0f / 256) == 1);  // ties to even
  CHECK(words::rounded_bf16(1 + 3.0f / 256) == 1 + 4.0f / 256);
  CHECK(std::isinf(words::rounded_bf16(std::numeric_limits<float>::max())));
  CHECK(words::rounded_tf32(1 + 1.0f / 2048) == 1 + 1.0f / 1024);  // ties away from zero
  CHECK(words::rounded_tf32(-1 - 1.0f / 2048) == -1 - 1.0f / 1024);
  CHECK(words::rounded_tf32(1 + 0.9f / 2048) == 1);
  for (float (*round)(float) : {words::rounded_bf16, words::rounded_tf32}) {
    CHECK(std::isnan(round(std::numeric_limits<float>::quiet_NaN())));
    CHECK(round(-std::numeric_limits<float>::infinity()) == -std::numeric_limits<float>::infinity());
  }
}
#endif
